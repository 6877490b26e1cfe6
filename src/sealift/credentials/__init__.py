"""Who we are at a registry."""
