"""The algorithm as pure functions: from the ranks of the values to the next state."""
