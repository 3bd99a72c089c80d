"""Experiments and the folders that they leave: run, recorded, read and resumed."""
