"""The version of structes, for the package and for whoever writes it into a file."""

__version__ = "0.1.0"
