"""`python -m structes` is the command `structes`."""

from .cli import main

main()
