"""Hyperparameters as people have them: named, of several kinds, some on a logarithmic scale.

`kernel_ridge` is a function of a dict, as a user's own would be; `configs/tuning.yaml` says the
space of its parameters.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

_x = 6 * np.modf(np.arange(1, 91) * 0.6180339887498949)[0]  # spread evenly in [0, 6]
_noise = 0.1 * np.sin(1e4 * _x)
_y = np.where(_x < 3, np.sin(3 * _x), 0.5 * (_x - 3)) + _noise  # smooth, with a kink at 3


def kernel_ridge(params: Mapping[str, Any]) -> float:
    """Return the root mean square error of a kernel ridge regression with a polynomial trend.

    The error is that on the last 30 of 90 noisy points of a curve with a kink; the regression was
    fitted to the other 60.

    Parameters
    ----------
    params : dict
        "kernel" ("gauss", "laplace" or "matern"), "length" (> 0), "ridge" (> 0), "degree" of the
        trend (an integer ≥ 0) and "trend", whether there is one.
    """
    r = np.abs(_x[:, None] - _x[None, :60]) / params["length"]
    K = {
        "gauss": lambda: np.exp(-0.5 * r * r),
        "laplace": lambda: np.exp(-r),
        "matern": lambda: (1 + r) * np.exp(-r),
    }[params["kernel"]]()
    P = np.vander(_x / 3 - 1, params["degree"] + 1) if params["trend"] else np.empty((90, 0))
    beta = np.linalg.lstsq(P[:60], _y[:60], rcond=None)[0] if params["trend"] else np.empty(0)
    rest = _y - P @ beta
    alpha = np.linalg.solve(K[:60] + params["ridge"] * np.eye(60), rest[:60])
    return float(np.sqrt(np.mean((K[60:] @ alpha - rest[60:]) ** 2)))
