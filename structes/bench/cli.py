"""`structes bench …`: what the bench measures, from the shell."""

from __future__ import annotations

import click

from . import PEERS
from .evaluations.commands import noise, rounding, steady, structures, trust_region
from .evaluations.suite_commands import ablation, bbob, keep, report, tables
from .seconds.commands import overhead, scaling, throughput, workers
from .seconds.gpu_commands import gpu
from .trust.commands import behaviour


@click.group()
def bench():
    """Measure structes beside its peers, in one run."""


@bench.command("list")
def list_():
    """List the solvers that --against and --structures know."""
    for name in PEERS:
        click.echo(f"{name:14} {(PEERS[name].__doc__ or '').splitlines()[0]}")
    click.echo(
        "structes-X     structes with structure X (see: structes list structures), and with"
    )
    click.echo("               options of structes.ES: structes-X@popsize=20;tolx=1e-9")


for _command in (bbob, report, ablation, keep, tables, structures, noise, steady, rounding):
    bench.add_command(_command)
for _command in (trust_region, overhead, scaling, throughput, workers, gpu, behaviour):
    bench.add_command(_command)
