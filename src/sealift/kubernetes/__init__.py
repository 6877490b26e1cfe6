"""The cluster: its objects, its pull Secrets, and why a pull fails."""
