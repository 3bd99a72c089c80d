"""What optimisers do in situations of a real tuning job: a table, every cell of which is run."""
