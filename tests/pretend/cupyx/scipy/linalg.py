import scipy.linalg
from cupy import _function

solve_triangular = _function(scipy.linalg.solve_triangular)
