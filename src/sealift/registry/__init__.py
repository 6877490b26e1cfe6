"""Our registry."""
