"""Experiments to run by name, `structes run NAME`: one YAML file each, none of it code.

`cluster/` is no config: it holds what starts a Ray cluster, by hand, as a job, on Kubernetes.

The keys are those of `structes.experiment.Experiment` and `structes.Stopping`.
"""
