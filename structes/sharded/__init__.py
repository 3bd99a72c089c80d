"""A search in many processes: every one has the distribution, and a share of each generation."""
