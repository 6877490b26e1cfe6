"""Messages of the container runtime interface, made from cri.proto by `make`; see README.md."""
