"""What a terminal is shown, and what it sends: output, signals, and how commands fail."""
