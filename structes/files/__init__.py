"""Files that are never half written, and files that may be somebody else's."""
