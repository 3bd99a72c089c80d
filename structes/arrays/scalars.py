"""Numbers that follow from arrays.

NumPy's become Python floats, which are faster to reckon with. Those of a device stay there, as
arrays without axes, because to look at one is to wait for all that was asked of the device
before; `read` looks at several at a time.
"""

from __future__ import annotations

import numpy as np

from .libraries import namespace, to_numpy


def number(a):
    """Return a float of a NumPy array of one number, and an array () of any other library as it
    is."""
    return float(a) if isinstance(a, (np.ndarray, np.generic, float)) else a


def not_negative(x):
    """Return max(x, 0) of a number."""
    return max(x, 0.0) if isinstance(x, (float, int)) else namespace(x).clip(x, 0.0, None)


def where(condition, x, otherwise: float):
    """Return the number x where the condition holds, which may be an array (), else the other
    one."""
    if isinstance(condition, bool):
        return x if condition else otherwise
    return namespace(condition).where(condition, x, otherwise)


def read(*numbers):
    """Return numbers, or those of one array (n,), as floats, all in one copy from the device."""
    arrays = [x for x in numbers if not isinstance(x, (float, int))]
    if not arrays:
        return numbers
    if len(numbers) == 1:
        return to_numpy(arrays[0]).tolist()
    xp = namespace(arrays[0])
    copied = iter(to_numpy(xp.stack([xp.astype(x, xp.float64) for x in arrays])).tolist())
    return [float(x) if isinstance(x, (float, int)) else next(copied) for x in numbers]
