"""Seconds and memory: a generation beside its floor, workers beside other schedulers."""
