"""Searches whose candidates are drawn, evaluated and added up where they are."""
