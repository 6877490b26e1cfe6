"""All that the registry knows and that is no blob: one SQL schema, and the questions asked of it."""
