"""Functions to minimise: the classics of the field, and COCO's suites behind one adapter.

A problem is added with one function and one line. The function is called with the words of the
specification and returns a `structes.problem.Problem`, whose own function takes all points at
once, (n, d) -> (n,):

    def bowl(dim: int, rotate: int | None = None, shift: int | None = None, power: float = 2.0):
        function = partial(_bowl, power=power)
        return place("bowl", function, dim, rotate, shift, start=..., scale=..., minimum=0.0)

and the line in `TABLE` says where it is: `"bowl": "structes.problems.bowl:bowl"`. From then on
"bowl", "bowl:power4" and {"name": "bowl", "power": 4} work in every call, config and flag.
`place` (place.py) gives it a rotation and a shifted optimum by seeds, which every classic has, and
tests/test_problems.py wants its formula for one point, `def bowl(x)`, to compare with. What
Problem.function holds must pickle, because workers receive it: a function of a module, a
`functools.partial` of one, or an object of a small class.

A problem of your own needs neither: "my_package.my_module:bowl" names it anywhere.
"""

TABLE = {
    # one basin: unimodal.py
    "sphere": "structes.problems.unimodal:sphere",
    "ellipsoid": "structes.problems.unimodal:ellipsoid",
    "cigar": "structes.problems.unimodal:cigar",
    "discus": "structes.problems.unimodal:discus",
    "different_powers": "structes.problems.unimodal:different_powers",
    "rosenbrock": "structes.problems.unimodal:rosenbrock",
    "dixon_price": "structes.problems.unimodal:dixon_price",
    # many basins: multimodal.py
    "rastrigin": "structes.problems.multimodal:rastrigin",
    "ackley": "structes.problems.multimodal:ackley",
    "schwefel": "structes.problems.multimodal:schwefel",
    "griewank": "structes.problems.multimodal:griewank",
    "levy": "structes.problems.multimodal:levy",
    "styblinski_tang": "structes.problems.multimodal:styblinski_tang",
    # the single-objective suites of COCO: coco.py
    "bbob": "structes.problems.coco:bbob",
    "bbob-noisy": "structes.problems.coco:bbob_noisy",
    "bbob-largescale": "structes.problems.coco:bbob_largescale",
    "bbob-mixint": "structes.problems.coco:bbob_mixint",
    "bbob-boxed": "structes.problems.coco:bbob_boxed",
    "bbob-constrained": "structes.problems.coco:bbob_constrained",
}
