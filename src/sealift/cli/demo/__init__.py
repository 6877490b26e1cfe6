"""The story from end to end on this machine, as one command."""
