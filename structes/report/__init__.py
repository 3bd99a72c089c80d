"""Pictures of structures and searches."""
