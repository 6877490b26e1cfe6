"""Bytes under their digest, and blobs on their way in."""
