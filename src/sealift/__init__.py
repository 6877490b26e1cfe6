"""Private container images for Kubernetes, from push to running Pod."""

__version__ = "0.1.0"
