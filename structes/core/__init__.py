"""What every user of a structure needs, whatever makes the tangents: a Gaussian, and a step.

Nothing here knows of evolution strategies: the update of a search (`structes.strategy`), methods
of second order and posterior inference move the same Gaussians by the same steps.
"""

from .gaussian import Gaussian
from .step import Step, step

__all__ = ["Gaussian", "Step", "step"]
