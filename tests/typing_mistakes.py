"""Code with the mistakes that users make. A type checker must flag every line that says so at its
end, and no other.

tests/test_types.py has it checked. It is never run.
"""

import structes


def sphere(x):
    return float(x @ x)


structes.minimize(sphere, [3.0], 1.0, popsiz=10)  # flagged
structes.minimize(sphere, [3.0], 1.0, maxfevals=1000)  # flagged
structes.minimize(sphere, [3.0], 1.0, popsize="many")  # flagged
structes.minimize(sphere, [3.0], 1.0, popsize=10)
structes.minimize([3.0], sphere, 1.0)  # flagged
structes.minimize("sphere", [3.0], 1.0)  # flagged
structes.minimize(sphere, [3.0], 1.0, mode="steadily")  # flagged
structes.minimize(sphere, [3.0], 1.0, on_error="ignore")  # flagged
structes.minimize(sphere, [3.0], 1.0, maximize="yes")  # flagged
structes.minimize(sphere, [3.0], 1.0, workers=2.5)  # flagged
structes.ES([3.0], 1.0, tolfum=1e-9)  # flagged
structes.ES([3.0], 1.0, seed="one")  # flagged
structes.ES([3.0], 1.0, structure=3)  # flagged
structes.ES([3.0], 1.0, backend="torch")  # flagged
structes.ES([3.0], 1.0).tell()  # flagged
structes.ES([3.0], 1.0).ask("two")  # flagged
structes.ES([3.0], 1.0).extend(max_evaluation=3)  # flagged
print(structes.ES([3.0], 1.0).besst)  # flagged
structes.ES.load(3.5)  # flagged
structes.RestartES([3.0], 1.0, restart="ipop")  # flagged
structes.ShardedES(sphere, [3.0], 1.0, replica=4)  # flagged
structes.Space(lr=structes.Float(0, 1, logg=True))  # flagged
structes.Space(n=structes.Int("1", 8))  # flagged
structes.Evaluator(4, time_out=30)  # flagged
structes.Evaluator(4, transport="smoke")  # flagged
structes.Problem(3.0, 3)  # flagged
structes.STRUCTURES + 1  # flagged
structes.minimise(sphere, [3.0], 1.0)  # flagged
