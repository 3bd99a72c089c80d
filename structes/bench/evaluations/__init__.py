"""Evaluations to a target: structes beside its peers, structure by structure."""
