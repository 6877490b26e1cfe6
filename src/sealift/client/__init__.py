"""Talking to a registry, anyone's."""
