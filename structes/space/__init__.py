"""Where the points live: parameters by name, bounds, integers and choices."""
