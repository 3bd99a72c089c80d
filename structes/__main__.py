"""`python -m structes` is the command `structes`."""

from .shell.cli import main

main()
