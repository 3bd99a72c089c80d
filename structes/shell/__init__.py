"""The command line: its commands, their flags, and the tables that they show."""
