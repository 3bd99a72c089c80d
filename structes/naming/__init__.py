"""From names to objects and back: tables of names, whose code it is, and words for errors."""
