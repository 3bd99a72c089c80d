"""Candidates that were asked, and what was told of them: on time, late, or by others."""
