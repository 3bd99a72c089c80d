def load_runs(p):
    pass
