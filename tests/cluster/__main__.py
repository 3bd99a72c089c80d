"""`python -m tests.cluster faults` and `wire`: what goes wrong, and what goes over the network."""

from __future__ import annotations

import click

from structes.bench.shell import check, known, names, numbers

from . import faults as planted
from .hosts import why_not


@click.group()
def main():
    """Plant faults in a search with workers, and count the bytes that it sends."""


@main.command()
@click.option("--kinds", default="process,ray", callback=names, show_default=True)
@click.option("--stories", default="", callback=names, help="of the cluster; default: all")
@click.option("--timeout", default=2.0, show_default=True, help="on the cluster; 0: none")
def faults(kinds, stories, timeout):
    """Crashes, hangs, dead and unreachable hosts, planted in the middle of a search.

    On this machine 64 points with a crash, an endless sleep, an exception, an endless loop that
    holds Python's lock and a segmentation fault: only these may be missing, for the right reason,
    within ten times the time of a clean run. Then a cluster of three pretend hosts (Linux, as
    root): a host is killed, one is cut off, one joins, and the search has to end with the bits of
    one that ran alone. Exit code 1 where one of them fails.
    """
    stories = stories or list(planted.STORIES)
    check(kinds, known("kind of workers", ("process", "ray")))
    check(stories, known("story", planted.STORIES))
    good = []
    click.echo(f"{'':12} {'seconds':>8} {'clean':>8} {'ratio':>6}")
    for kind in kinds:
        row = planted.local(kind)
        good.append(row.ok)
        words = f"{row.seconds:8.2f} {row.clean:8.2f} {row.seconds / row.clean:6.1f}"
        click.echo(f"{kind:12} {words}  {_word(row.ok)}")
        for at, reason in sorted(row.reasons.items()):
            click.echo(f"    point {at} ({planted.TRAPS.get(at, 'no trap')}): {reason}")
    if why_not() is not None:
        click.echo(f"\nno cluster: {why_not()}")
        stories = []
    else:
        click.echo(f"\n{'cluster':12} {'seconds':>8} {'longest':>8} {'lost':>6}  bits")
    for name in stories:
        story = planted.tell(name, timeout=timeout)
        good.append(story.ok)
        words = f"{story.seconds:8.1f} {story.longest:8.2f} {story.deaths:6d}"
        click.echo(f"{name:12} {words}  {_word(story.ok)}")
    if stories:
        click.echo("longest: seconds of the longest generation; lost: workers")
    if not all(good):
        raise SystemExit(1)


@main.command()
@click.option("--dim", default=10**6, show_default=True, help="number of parameters")
@click.option("--popsizes", default="32,64", callback=numbers, show_default=True)
def wire(dim, popsizes):
    """Bytes over the network in a generation of a long search on two pretend hosts.

    From the counters of the hosts' interfaces, beside λ d 8, which a population would take. What
    every candidate adds is the slope between populations.
    """
    if why_not() is not None:
        raise click.ClickException(why_not())
    rows = planted.wire(dim, popsizes)
    click.echo(f"{'popsize':>8} {'MB/gen':>9} {'λd8, MB':>9} {'share':>8}")
    for row in rows:
        share = row.received / row.population
        mb = f"{row.received / 1e6:9.2f} {row.population / 1e6:9.1f}"
        click.echo(f"{row.popsize:8d} {mb} {share:8.2%}")
    if len(rows) > 1:
        more = rows[-1].popsize - rows[0].popsize
        slope = (rows[-1].received - rows[0].received) / more
        click.echo(f"each further candidate: {slope:.0f} bytes, of {8 * dim} that it has")


def _word(ok):
    return "in order" if ok else "WRONG"


if __name__ == "__main__":
    main(prog_name="python -m tests.cluster")
