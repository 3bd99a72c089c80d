"""The laws of a structure, checked against d×d matrices: for your own class as for those here.

    from structes.testing import check_structure

    print(check_structure(MyStructure, dims=[1, 2, 5, 13]))

What the laws say stands in `structes/structures/base.py`. Each is a function that takes a `Case`
(a structure, an element of it that is not the identity, samples) and raises `LawError`, with the
error found and the tolerance, where the law does not hold. Elements are made by retracting random
tangents from the identity, so nothing here knows how a structure keeps them. NumPy's arrays are
handed in read-only: an operation that writes its arguments fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..arrays.libraries import load_namespace
from ..naming.error_text import brief, place_of
from ..structures.base import Structure
from ..structures.fallbacks import SLOW
from .case import Case, LawError
from .group import (
    description,
    determinant,
    gradients,
    identity,
    numbers,
    samples,
    sizes,
    spread,
    whitening,
)
from .steps import (
    capabilities,
    exponential,
    known_samples,
    precision,
    retraction,
    stated_order_is_reached,
    transport,
)
from .tangents import (
    degrees_of_freedom,
    fisher_metric,
    likelihood,
    linear_space,
    linearity,
    natural_gradient,
    pairs,
    parameter_groups,
)

__all__ = ["LAWS", "Case", "LawError", "Report", "check_structure", "stated_order_is_reached"]

LAWS = (
    description,
    sizes,
    identity,
    samples,
    numbers,
    whitening,
    gradients,
    determinant,
    spread,
    linear_space,
    parameter_groups,
    linearity,
    natural_gradient,
    pairs,
    degrees_of_freedom,
    likelihood,
    fisher_metric,
    retraction,
    transport,
    exponential,
    known_samples,
    capabilities,
    precision,
)


class Report(NamedTuple):
    """What `check_structure` has found, where all laws hold. Its text says so in words.

    Attributes
    ----------
    name : str
        The name of the class.
    dims : tuple of int
        Where it was checked.
    laws : tuple of str
        The names of the laws.
    slow : tuple of str
        The methods that the structure leaves to d×d matrices.
    """

    name: str
    dims: tuple[int, ...]
    laws: tuple[str, ...]
    slow: tuple[str, ...]

    def __str__(self) -> str:
        dims = ", ".join(map(str, self.dims))
        text = f"{self.name}: {len(self.laws)} laws hold at dims {dims}."
        if not self.slow:
            return text + " Nothing is left to d×d matrices."
        return text + f" Slow, because left to d×d matrices: {', '.join(self.slow)}."


def check_structure(
    structure: Callable[[int], Structure],
    dims: Iterable[int] = (1, 2, 5, 13),
    *,
    backend: str = "numpy",
    seed: int = 0,
) -> Report:
    """Check that a structure obeys the laws, and say what of it is slow.

    Parameters
    ----------
    structure : callable
        A subclass of `structes.Structure`, or any function of dim that makes a structure, such as
        `lambda dim: MyStructure(dim, k=2)`.
    dims : sequence of int
        Numbers of parameters to check it at. Choose edge sizes too: 1, and where blocks are empty.
    backend : str
        Whose arrays it works with: "numpy", "cupy" or "array_api_strict" (the standard and nothing
        else; it must be installed).
    seed : int
        Of the random samples.

    Returns
    -------
    Report
        Its text says how many laws hold, and which methods work by d×d matrices.

    Raises
    ------
    LawError
        Naming each law that does not hold, the first of `dims` where it does not, the error found
        and the tolerance.
    ValueError
        Where dims is empty, or the backend has no such name.
    """
    xp = load_namespace(backend)
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    if not dims:
        raise ValueError("dims must hold at least one number of parameters; got none")
    broken, cases = {}, []
    if not callable(structure):
        raise TypeError(
            "structure must be a subclass of Structure, or a function of dim that makes one; got "
            f"{brief(structure)}"
        )
    for dim in dims:
        try:
            cases.append(Case(structure(dim), xp, seed))
        except Exception as error:
            broken.setdefault("construction", f"(dim {dim}) {_raised(error)}")
    for law in LAWS:
        for case in cases:
            try:
                law(case)
            except LawError as error:
                broken.setdefault(law.__name__, f"(dim {case.dim}) {error}")
            except Exception as error:
                broken.setdefault(law.__name__, f"(dim {case.dim}) {_raised(error)}")
    if not {"construction", "retraction"} & broken.keys():
        try:
            stated_order_is_reached(cases)
        except LawError as error:
            broken["stated_order_is_reached"] = str(error)
    name = getattr(structure, "__name__", brief(structure))
    name = type(cases[0].structure).__name__ if cases else name
    names = (*(law.__name__ for law in LAWS), "stated_order_is_reached")
    if not cases:
        raise LawError(f"{name} cannot be made: construction {broken['construction']}")
    if broken:
        lines = [f"\n  {law} {message}" for law, message in broken.items()]
        raise LawError(f"{name} breaks {len(broken)} of {len(names)} laws:" + "".join(lines))
    kind = type(cases[0].structure)
    slow = tuple(method for method in SLOW if getattr(kind, method) is getattr(Structure, method))
    return Report(name, dims, names, slow)


def _raised(error: Exception) -> str:
    """What an exception says that a structure has raised."""
    text = f"raised {type(error).__name__}: {error}{place_of(error)}"
    if "read-only" in str(error):
        text += " (an operation must not write its arguments)"
    return text
