"""Structures of two methods, and structures with a fault, each with the law that notices it."""

import functools
from dataclasses import dataclass

import numpy as np

from structes.structures.base import Structure


@dataclass(frozen=True)
class Toy(Structure):
    """Lower triangular, by its pattern alone."""

    def support(self):
        return np.tri(self.dim, dtype=bool)


@dataclass(frozen=True)
class Ring(Structure):
    """Symmetric circulant, by its spectrum and what B is."""

    def identity(self, xp, dtype):
        return (xp.ones(self.dim // 2 + 1, dtype=dtype),)

    def to_dense(self, factor):
        (s,) = factor
        column = np.fft.irfft(s - s[0], n=self.dim)
        column[0] += s[0]
        i = np.arange(self.dim)
        return column[(i[:, None] - i) % self.dim]


@dataclass(frozen=True)
class Grouped(Toy):
    """Two parameter groups, off the diagonal and on it."""

    @property
    def parts(self):
        return (self.dof, self.dim)

    def scale(self, M, rates):
        off, on = rates if isinstance(rates, tuple) else (rates, rates)
        return (M[0] * (off + (on - off) * np.eye(self.dim, dtype=M[0].dtype)),)


# -- faults, each with the law that notices it ----------------------------------------------------


def override(**methods):
    """A toy with other methods, in this module, so that it can be pickled."""
    name = f"Faulty{len(globals())}"
    kind = type(name, (Toy,), {"__module__": __name__, **methods})
    globals()[name] = dataclass(frozen=True)(kind)
    return globals()[name]


def local():
    @dataclass(frozen=True)
    class Local(Toy):
        pass

    return Local


def without_dataclass():
    class Loose(Toy):
        def __init__(self, dim):
            vars(self).update(dim=dim)

        def __setattr__(self, name, value):
            vars(self)[name] = value

    return Loose


@dataclass(frozen=True)
class Forgetful(Toy):
    k: int = 1

    def arguments(self):
        return {}


@dataclass(frozen=True)
class OneSided(Toy):
    """Its latent dimension does not fit a group."""

    @property
    def noise_dim(self):
        return self.dim + 1


def parts_of(name, change):
    """A toy whose method `name` returns what `change` makes of the right result."""

    def method(self, *arguments):
        return change(getattr(Toy, name)(self, *arguments))

    return override(**{name: method})


def times(c):
    return lambda out: tuple(c * a for a in out) if isinstance(out, tuple) else c * out


def fixed(value):
    return property(lambda self: value(self))


def written(self, factor, Z):
    Z *= 1.0
    return Toy.unwhiten(self, factor, Z)


def crude_step(self, factor, M):
    """B (I + M)."""
    return (factor[0] + factor[0] @ M[0],)


def better_step(self, factor, M):
    """B (I + M + M²/2 + M³/6): third order."""
    (B,), (m,) = factor, M
    return (B @ (np.eye(self.dim) + m + m @ m / 2 + m @ m @ m / 6),)


def follows(step):
    """`transport` that follows a step."""
    return lambda self, M, q: q @ step(self, (np.eye(self.dim),), M)[0]


class Counter:
    calls = 0


def restless(self, xp, dtype):
    Counter.calls += 1
    return (xp.eye(self.dim, dtype=dtype) * (1 + 1e-9 * Counter.calls),)


def normalised(self, Z, w):
    return Toy.tangent(self, Z, w / np.sum(np.abs(w)))


def other_metric(self, Z, w):
    """The plain gradient: entries off the diagonal at half their rate."""
    (M,) = Toy.tangent(self, Z, w)
    return (0.5 * (M + np.diag(np.diag(M))),)


def with_identity(self, factor, Z, U, w):
    return self.shift(Toy.tangent_of_pairs(self, factor, Z, U, w), 0.1)


def forgets_a_group(self, M, rates):
    off, _ = rates if isinstance(rates, tuple) else (rates, rates)
    return (off * M[0],)


def more_for_a_tuple(self, M, rates):
    (scaled,) = Grouped.scale(self, M, rates)
    return (1.1 * scaled if isinstance(rates, tuple) else scaled,)


def cuts_across(self, M, rates):
    """Rates enter as they do not add up."""
    if not isinstance(rates, tuple):
        return (rates * M[0],)
    return (max(rates) * M[0],)


def groups(self):
    return (self.dof, self.dim)


@dataclass(frozen=True)
class Spirals(Structure):
    """Rotations and scalings of pairs, of which rotations are none of the search's business."""

    def identity(self, xp, dtype):
        n = self.dim // 2
        return (xp.ones(n + self.dim % 2, dtype=dtype), xp.zeros(n, dtype=dtype))

    def to_dense(self, factor):
        a, b = factor
        B = np.zeros((self.dim, self.dim))
        for k in range(self.dim // 2):
            B[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[a[k], -b[k]], [b[k], a[k]]]
        if self.dim % 2:
            B[-1, -1] = a[-1]
        return B


FAULTS = [
    ("numbers", lambda: Spirals, "of the factor are never moved.*only rotate"),
    ("description", lambda: without_dataclass(), "can be changed|made again"),
    ("description", local, "cannot be pickled.*at the top level of a module"),
    ("description", lambda: functools.partial(Forgetful, k=2), r"arguments\(\) make another"),
    ("sizes", lambda: override(dof=fixed(lambda s: 0)), "dof must be an integer from 1"),
    ("sizes", lambda: OneSided, "noise_dim must be dim"),
    ("sizes", lambda: override(parts=fixed(lambda s: [])), "parts must be a tuple"),
    ("sizes", lambda: override(path_parts=fixed(lambda s: (1, 0))), "path_parts must have one"),
    ("identity", lambda: parts_of("identity", times(1 + 1e-15)), "bit for bit"),
    ("identity", lambda: override(identity=restless), "other numbers the second time"),
    (
        "identity",
        lambda: override(identity=lambda self, xp, dtype: (xp.eye(self.dim),)),
        "identity.xp, float32. has an array of float64",
    ),
    ("identity", lambda: override(blank=lambda self: (np.zeros(self.dim),)), r"blank\(\) has"),
    ("samples", lambda: parts_of("unwhiten", times(1.001)), "covariance A Aᵀ"),
    (
        "samples",
        lambda: override(unwhiten=lambda s, f, Z: Toy.unwhiten(s, f, Z[:, ::-1])),
        "unwhiten against B⁻ᵀ",
    ),
    ("samples", lambda: parts_of("unwhiten", lambda Y: Y + 1e-3 * Y**2), "unwhiten"),
    ("samples", lambda: override(unwhiten=written), "must not write its arguments"),
    ("whitening", lambda: parts_of("whiten", times(0.999)), "shortest z"),
    (
        "gradients",
        lambda: override(whiten_gradient=lambda s, f, G: Toy.unwhiten(s, f, G)),
        "whiten_gradient against",
    ),
    ("gradients", lambda: parts_of("unwhiten_gradient", times(1.01)), "transpose of whiten"),
    ("determinant", lambda: parts_of("logdet", times(-1)), "logdet against slogdet"),
    ("determinant", lambda: override(is_element=lambda s, f: True), "factor of zeros"),
    ("determinant", lambda: override(is_element=lambda s, f: False), "must hold for an element"),
    ("spread", lambda: parts_of("deviations", lambda x: x**2), "deviations against"),
    ("spread", lambda: parts_of("condition", times(2)), "must lie between 0.7 and 1"),
    ("linear_space", lambda: parts_of("norm", lambda x: x**2), "Frobenius"),
    ("linear_space", lambda: parts_of("trace", times(1.1)), "trace against that"),
    ("linear_space", lambda: parts_of("add", times(0.5)), "add against M . N"),
    ("linear_space", lambda: override(shift=lambda s, M, value: (M[0] + value,)), "shift against"),
    ("linear_space", lambda: override(scale=lambda s, M, rates: (abs(rates) * M[0],)), "scale by"),
    (
        "parameter_groups",
        lambda: override(parts=fixed(groups), scale=forgets_a_group),
        "the last of the parts must hold the identity",
    ),
    (
        "parameter_groups",
        lambda: override(parts=fixed(groups), scale=more_for_a_tuple),
        "scale by the same rate for all parts",
    ),
    (
        "parameter_groups",
        lambda: override(parts=fixed(groups), scale=cuts_across),
        "the sum of the parts",
    ),
    ("linearity", lambda: override(tangent=normalised), "tangent of all samples"),
    ("natural_gradient", lambda: override(tangent=other_metric), "of tangent against"),
    ("natural_gradient", lambda: parts_of("tangent", times(2)), "of tangent against"),
    ("pairs", lambda: override(tangent_of_pairs=with_identity), "tangent_of_pairs"),
    ("degrees_of_freedom", lambda: override(dof=fixed(lambda s: s.dim)), "the tangent space has"),
    ("likelihood", lambda: parts_of("tangent", times(-1)), "must ascend"),
    (
        "fisher_metric",
        lambda: override(retract=lambda s, f, M: Toy.retract(s, f, (2 * M[0],))),
        "divergence",
    ),
    ("retraction", lambda: override(retract=crude_step), "against B h.M."),
    (
        "retraction",
        lambda: override(
            retract=crude_step, transport=follows(crude_step), retraction_order=fixed(lambda s: 3)
        ),
        "of order (1.9|2.0).; the structure states retraction_order 3",
    ),
    (
        "stated_order_is_reached",
        lambda: override(
            retract=better_step,
            transport=follows(better_step),
            retraction_order=fixed(lambda s: 2),
        ),
        "understated.*of order 2.9",
    ),
    (
        "stated_order_is_reached",
        lambda: override(retraction_order=fixed(lambda s: 3)),
        "understated.*of order inf",
    ),
    ("transport", lambda: override(transport=lambda s, M, q: q), "unwhiten.retract"),
    ("transport", lambda: override(move=lambda s, f, M, q: (f, q)), "of move against"),
    (
        "known_samples",
        lambda: override(with_samples=lambda s, M, Y: (M[0] * 1.01,)),
        "with_samples",
    ),
    ("exponential", lambda: override(retract_exp=Toy.retract), "retract_exp"),
    ("exponential", lambda: override(transport_exp=Toy.transport), "transport_exp"),
    ("exponential", lambda: override(transport_exp=lambda s, M, q: (q, q)[0]), "transport_exp"),
    ("capabilities", lambda: override(is_diagonal=True), "TypeError"),
    ("capabilities", lambda: override(is_entrywise=True), "is_entrywise"),
    (
        "capabilities",
        lambda: override(moves_straight=True, retract_straight=Toy.retract),
        "retract_straight: covariance",
    ),
    (
        "capabilities",
        lambda: override(has_any_matrix=True, factor_of=lambda s, B: (np.tril(B),)),
        "has_any_matrix",
    ),
    ("precision", lambda: parts_of("unwhiten", lambda Y: Y.astype(float)), "array of float64"),
]
