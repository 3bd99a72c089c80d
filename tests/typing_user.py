"""Code as users write it, which type checkers must not complain about, even where they are strict.

tests/test_types.py has it checked. It is never run.
"""

# pyright: strict

from concurrent.futures import ProcessPoolExecutor

import numpy as np

import structes
import structes.core
import structes.testing

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


def sphere(x: Vector) -> float:
    return float(x @ x)


def shifted(x: Vector, by: float) -> float:
    return float((x - by) @ (x - by))


def rows(X: np.ndarray) -> np.ndarray:
    return (X * X).sum(axis=1)


def train(params: dict[str, float]) -> float:
    return params["lr"]


def start_of(number: int) -> list[float]:
    return [float(number)] * 3


def report(es: structes.ES) -> None:
    print(es.best.fun)


# minimize, and what comes out of it
result = structes.minimize(sphere, [3.0] * 10, 1.0, seed=1, target=1e-8)
best: float = result.fun
point: np.ndarray = result.x
words: str = result.message
print(result.nfev + result.nit, result.success, result.stop, result.params, result.errors)
for run in result.restarts:
    print(run.popsize, run.fun)
structes.minimize(sphere, np.ones(10), np.full(10, 0.5), "diagonal", 1, 1000, 1e-8)
structes.minimize(shifted, x0=(1, 2, 3), sigma0=1, args=(2.0,), popsize=20, maximize=True)
structes.minimize(rows, [1.0], 1.0, vectorized=True, bounds=[(0, None)], boundary="reflect")
structes.minimize(sphere, bounds=[(0.0, 1.0)], integers=[0], first=[[0.5]])
structes.minimize(sphere, [1.0], 1.0, restarts="ipop", max_evaluations=1e4, noise="auto")
structes.minimize(sphere, [1.0], 1.0, restarts={"name": "bipop", "max_restarts": 3})
structes.minimize(sphere, [1.0, 1.0], 1.0, fixed={0: 1.5}, transforms={1: "log"})
structes.minimize(sphere, prior=([[1.0]], [2.0]), covariance=np.eye(1), tolfun=0, tolx=None)
structes.minimize(sphere, start_of, 1.0, restarts=2)
structes.minimize(sphere, es=result.es, max_evaluations=20_000)
structes.minimize(sphere, [1.0], 1.0, callback=report, progress=True)
structes.minimize(sphere, [1.0], 1.0, workers=4, timeout=30, mode="steady", on_error="raise")
with ProcessPoolExecutor() as pool:
    structes.minimize(sphere, [1.0], 1.0, workers=pool)
    structes.minimize(sphere, [1.0], 1.0, workers=pool.map)

# ask and tell
es = structes.ES([3.0] * 10, 1.0, {"name": "block_upper", "k": 3}, seed=1, target=1e-8)
while not es.stop():
    X = es.ask()
    es.tell(X, [sphere(x) for x in X])
es.tell([(x, sphere(x)) for x in es.ask(3)])
es.tell([0.0] * 10, 1.0)
lazy = es.ask(lazy=True)
es.tell(lazy, rows(np.zeros((len(lazy), 10))))
es.extend(max_evaluations=1000, target=None)
print(es.mean.shape, es.sigma, es.deviations, es.generation, es.pending, es.seed, es.switches)
if es.best.x is not None:
    print(es.best.x.tolist(), es.best.evaluations)
es.save("search.ckpt")
loaded: structes.ES = structes.ES.load("search.ckpt")
again: structes.RestartES = structes.RestartES([1.0], 1.0, restarts="bipop", max_evaluations=100)
again.tell(Y := again.ask(), rows(Y))
print(again.restart, again.runs[0].stop, again.mean, again.seed)

# a state, and how it is described
state: structes.State = es.state
info: structes.Info = es.info
print(state.sigma, state.generation, info.late + info.stale, info.updated)

# parameters with names
space = structes.Space(
    {
        "lr": structes.Float(1e-5, 1e-1, log=True),
        "layers": structes.Int(1, 8),
        "act": structes.Choice("relu", "tanh"),
        "bias": structes.Bool(),
        "depth": 3,
    }
)
structes.minimize(train, {"lr": 1e-3}, space=space, max_evaluations=100)
params: dict[str, object] = space.to_dict(space.x0)
structes.ES(space, seed=1).tell([{"lr": 1e-3, "layers": 1}], [1.0])

# structures
layout = structes.structure_for({"w": (64, 8), "b": (64,)})
weights = layout.unflatten(np.zeros(layout.dim))
print(weights["w"].shape, sorted(structes.STRUCTURES), "cma" in structes.ENGINES)


def degrees(structure: structes.Structure) -> int:
    return structure.dof


print(degrees(es.structure))
engine = structes.Engine(mirror=0.0)
structes.ES([1.0], 1.0, engine=engine, backend="cupy", dtype="float32")

# workers, and replicas
with structes.Evaluator(4, timeout=30, limits={"memory": "2GB"}) as workers:
    structes.minimize(sphere, [1.0], 1.0, workers=workers)
    evaluate = workers.bind(sphere)
    es.tell(Z := es.ask(), evaluate(Z))
with structes.ShardedES(rows, [1.0] * 1000, 0.3, seed=1, replicas=4) as sharded:
    sharded.run(lambda es: es.generation == 100)
    print(sharded.best.fun, sharded.mean[:3])

# problems and records
problem = structes.Problem(rows, 3, "mine", lower=[-1.0] * 3)
value: float = structes.minimize(problem, problem.x0(), problem.sigma0()).fun
print(structes.load_runs("runs/*"), structes.__version__)

# a structure of one's own, and what moves it
gaussian = structes.core.Gaussian.standard(structes.STRUCTURES["dense"](3))
step: structes.core.Step = structes.core.step(gaussian.structure, es.state.factor, 0.5)
print(gaussian.moved(step).entropy(), step.clipped)
print(structes.testing.check_structure(structes.STRUCTURES["diagonal"], dims=[1, 5]).laws)
