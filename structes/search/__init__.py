"""What a user calls: ask and tell, with restarts, and the whole loop in `minimize`."""
