"""The revisions of the catalog, and the environment they run in."""
