"""Tables of texts: for a terminal, aligned; for a README, in Markdown."""

from __future__ import annotations


def aligned(table: list[list[str]], flush_left: set[int]) -> list[str]:
    """Lines of a table of texts; the columns whose numbers are in `flush_left` are so."""
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    return [
        "  ".join(
            text.ljust(width) if k in flush_left else text.rjust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def markdown(table: list[list[str]]) -> list[str]:
    """Lines of a table in Markdown; the first row are the heads."""
    heads, *rows = table
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
