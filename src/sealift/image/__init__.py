"""What an image is: names, digests, descriptors and manifests, as values."""
