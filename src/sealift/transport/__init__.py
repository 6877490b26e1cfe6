"""How HTTP leaves this process."""
