"""Arrays of NumPy, CuPy and others: linear algebra, tiles, and the one source of randomness."""
