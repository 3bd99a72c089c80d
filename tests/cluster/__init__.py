"""A cluster of pretend hosts, what goes wrong on it, and what goes over its wires."""
