"""Experiments to run by name, `structes run NAME`: one YAML file each, none of it code.

The keys are those of `structes.experiment.Experiment` and `structes.Stopping`.
"""
