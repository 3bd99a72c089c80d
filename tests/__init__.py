"""The tests: laws over tables, on every backend; see structure_table.py first."""
