"""The processes that serve: the socket, the one that watches, and the workers that answer."""
