"""On the node: what a kubelet does with a Pod and a container runtime."""
