"""`structes bench gpu`: a generation on a device, beside its floor and its peers."""

from __future__ import annotations

import click

from ..shell import check, names, numbers

PACKAGES = (
    "structes",
    "numpy",
    "array-api-compat",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "torch",
    "evotorch",
    "jax",
    "evosax",
)


def opened(backend: str, dtype: str):
    """The device of a backend; a line in place of a traceback, and exit code 1, without one."""
    from .device import NoDevice, open_device

    try:
        return open_device(backend, dtype)
    except NoDevice as error:
        raise click.ClickException(str(error)) from None


def on_device(default: str):
    """The options --backend and --dtype of a command."""
    backend = click.option(
        "--backend",
        type=click.Choice(["cupy", "numpy"]),
        default=default,
        show_default=True,
        help="cupy: on a CUDA device",
    )
    dtype = click.option(
        "--dtype",
        type=click.Choice(["float64", "float32"]),
        default="float64",
        show_default=True,
        help="of candidates",
    )
    return lambda command: backend(dtype(command))


@click.command()
@on_device("cupy")
@click.option("--structures", default="", callback=names, help="default: one of each kind")
@click.option("--dims", default="10000,100000,1000000,10000000", callback=numbers)
@click.option("--popsizes", default="256,1024,4096,16384", callback=numbers, show_default=True)
@click.option("--dense-dims", default="1000,10000", callback=numbers, show_default=True)
@click.option("--limit", default=60.0, show_default=True, help="leave out what takes longer, s")
@click.option("--peers/--no-peers", default=True, show_default=True)
@click.option("--repeats", default=5, type=click.IntRange(min=1), show_default=True)
@click.option("--log", type=click.File("w", encoding="utf-8"), help="write all lines there, too")
def gpu(backend, dtype, structures, dims, popsizes, dense_dims, limit, peers, repeats, log):
    """Milliseconds of a generation on a GPU, and how many times its floor that is.

    Ask and tell, values already there; the median of timed regions of several generations. floor:
    drawing the normals, and the bytes that must move at the speed of a copy, measured in the same
    run (help(structes.bench.seconds.gpu)). A population that does not fit is asked lazily.
    Structures that keep d² numbers are measured in --dense-dims, 64 candidates. Then EvoTorch and
    evosax beside them, where they are installed, and the goals.
    """
    from ...structures.building import build_structure
    from ...structures.random_elements import example
    from ..provenance import today, versions
    from . import gpu

    if min(popsizes) < 2:
        raise click.UsageError("--popsizes must be at least 2")
    structures = structures or list(gpu.STRUCTURES)
    smallest = {name: min(dense_dims if gpu.is_square(name) else dims) for name in structures}
    check(structures, lambda name: build_structure(example(name, smallest[name]), smallest[name]))
    device = opened(backend, dtype)

    def say(line=""):
        click.echo(line)
        if log:
            log.write(f"{line}\n")
            log.flush()

    for line in device.words():
        say(line)
    say(f"date: {today()}; {dtype}")
    say("versions: " + ", ".join(f"{name} {v}" for name, v in versions(PACKAGES).items()))
    bandwidth = gpu.bandwidth_of(device, repeats)
    say(f"copy: {bandwidth / 1e9:.4g} GB/s, read and written")
    say(f"\nmilliseconds of a generation, median of {repeats} regions\n{gpu.head_line()}")
    cells = gpu.cells_of(structures, dims, popsizes, dense_dims)
    rows, failed = _rows(device, cells, bandwidth, repeats, limit, say)
    peer_rows = _beside(device, rows, repeats, limit, say) if peers else []
    say("\ngoals, of a GPU")
    for line in gpu.goals(rows, peer_rows):
        say(line)
    if failed:
        raise SystemExit(1)


def _rows(device, cells, bandwidth, repeats, limit, say):
    """(the Rows that could be measured, how many cells failed)."""
    from ..measuring import Skipped, affordable
    from ..peers.gpu import first_line
    from . import gpu

    rows, failed = [], 0
    last_cells = {}  # {structure: (numbers of a population, seconds)} of the cell before
    for cell in cells:
        name, d, popsize = cell
        device.release()
        try:
            if name in last_cells:
                numbers, seconds = last_cells[name]
                estimate = seconds * d * popsize / numbers
                affordable(estimate, repeats, limit, "would take about")
            rows.append(gpu.measure(device, *cell, bandwidth, repeats, limit))
            last_cells[name] = d * popsize, rows[-1].seconds
            say(gpu.row_line(rows[-1]))
        except Skipped as error:
            if error.seconds:
                last_cells[name] = d * popsize, error.seconds
            say(gpu.skipped_line(cell, error))
        except MemoryError as error:
            say(gpu.skipped_line(cell, f"out of memory: {first_line(error)}"))
        except Exception as error:  # the other cells are measured all the same
            failed += 1
            say(gpu.skipped_line(cell, first_line(error), "failed"))
    return rows, failed


def _beside(device, rows, repeats, limit, say):
    """[(peer, d, popsize, its seconds, ours)] of the peers that answered."""
    from ..peers.gpu import PEERS, measure, missing
    from . import gpu

    peer_rows = []
    say(f"\npeers, the same way\n{gpu.peer_head()}")
    device.release()  # the peers want the memory of the device
    for peer in PEERS:
        own_seconds = {
            (r.d, r.popsize): r.seconds for r in rows if r.structure == peer.counterpart
        }
        absent = missing(peer)
        if absent:
            say(f"{peer.name:18}  not installed: {absent}")
        elif not own_seconds:
            say(f"{peer.name:18}  nothing of {peer.counterpart} to stand beside")
        else:
            for _, d, popsize, seconds, reason in measure(
                peer, list(own_seconds), device, repeats, limit
            ):
                if seconds != seconds:
                    say(gpu.skipped_line((peer.name, d, popsize), reason, "failed"))
                    continue
                peer_rows.append((peer, d, popsize, seconds, own_seconds[d, popsize]))
                say(gpu.peer_line(*peer_rows[-1]))
    return peer_rows
