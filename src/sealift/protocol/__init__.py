"""The registry protocol as both ends see it."""
