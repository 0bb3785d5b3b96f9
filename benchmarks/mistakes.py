"""Mistakes that are planted in adjoints, and what `check_adjoint` says of each.

They are in operators of linop, PyLops, torch and torch.distributed (three processes), of 64 and of 100 000 coordinates.
``python benchmarks/mistakes.py`` prints the table that is in the documentation, and counts false alarms over random
right operators.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pylops
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from distdl_ops import Copies, DistributedSpace, Grid, HaloExchange, Replicated, Role, Split, World
from linop import (
    DCT,
    Circulant,
    Correlation,
    CumulativeSum,
    Diagonal,
    Euclidean,
    FiniteDifference,
    Flip,
    FunctionOperator,
    LinearOperator,
    Roll,
    Space,
    VStack,
    Weighted,
    check_adjoint,
    from_pylops,
)
from linop.operators.stencils.finite_difference import Boundary
from linop.verify.diagnose import diagnose, locate
from torch_bridge import from_torch
from torch_bridge.worlds import TorchWorld

SIZES = [64, 100_000]
BOUNDARIES: tuple[Boundary, ...] = ("zero", "periodic", "edge", "reflect")
Maker = Callable[[int], LinearOperator]


def pair(n: int, forward: Any, backward: Any, dtype: str = "float64", space: Space | None = None) -> LinearOperator:
    """Return an operator of two functions."""
    X = Euclidean(n, dtype) if space is None else space
    return FunctionOperator(X, X, forward, backward, roundings=10)


def blur(kernel: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return a correlation along the last axis, with zeros beyond its ends."""

    def apply(x: np.ndarray) -> np.ndarray:
        padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 1)])
        n = x.shape[-1]
        return sum(k * padded[..., i : i + n] for i, k in enumerate(kernel))  # type: ignore[no-any-return]

    return apply


def square(n: int) -> Euclidean:
    """Return images of about so many pixels."""
    side = int(np.sqrt(n))
    return Euclidean((side, side))


def weights(n: int) -> np.ndarray:
    """Return numbers from one to two."""
    return np.linspace(1.0, 2.0, n)


def images(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a difference with the next entry along one of two axes, periodic."""
    return lambda x: np.roll(x, -1, axis) - 2 * x


MISTAKES: dict[str, tuple[Maker, str]] = {
    "a factor": (lambda n: pair(n, lambda x: 2 * x, lambda y: 6 * y), "the adjoint is 3 times"),
    "one over a factor": (lambda n: pair(n, lambda x: 2 * x, lambda y: y), "the adjoint is 1/2 times"),
    "a factor of n": (lambda n: pair(n, np.copy, lambda y: n * y), " times what it should be"),
    "an imaginary factor": (lambda n: pair(n, np.copy, lambda y: 1j * y, "complex128"), "the adjoint is 0+1j times"),
    "a sign": (lambda n: pair(n, blur([0, -1, 1]), blur([-1, 1, 0])), "a sign: the adjoint is minus"),
    "nothing": (lambda n: pair(n, np.copy, lambda y: 0 * y), "a zero: the adjoint gives nothing"),
    "no conjugate": (
        lambda n: pair(n, lambda x: (1 + 2j) * x, lambda y: (1 + 2j) * y, "complex128"),
        "1j times|conjug",
    ),
    "no conjugate of a field": (
        lambda n: pair(n, lambda x: np.exp(1j * weights(n)) * x, lambda y: np.exp(1j * weights(n)) * y, "complex128"),
        "a conjugate that is missing: the adjoint is the transpose",
    ),
    "a kernel that is not mirrored": (
        lambda n: pair(n, blur([1, 2, 4]), blur([1, 2, 4])),
        "a kernel that is not mirrored",
    ),
    "a shift": (lambda n: pair(n, blur([1, 2, 4]), lambda y: np.roll(blur([4, 2, 1])(y), 1, -1)), "shifted by 1 along"),
    "a shift back": (lambda n: pair(n, np.copy, lambda y: np.roll(y, -2, -1)), "shifted by -2 along axis 0"),
    "a flip": (lambda n: pair(n, lambda x: weights(n) * x, lambda y: (weights(n) * y)[..., ::-1]), "runs backwards"),
    "a transposed image": (
        lambda n: pair(n, images(-1), lambda y: np.roll(y, 1, -2) - 2 * y, space=square(n)),
        "a kernel that is transposed",
    ),
    "an image of swapped axes": (
        lambda n: pair(n, images(-1), lambda y: np.swapaxes(np.roll(y, 1, -1) - 2 * y, -1, -2).copy(), space=square(n)),
        "has its axes swapped",
    ),
    "weights in the adjoint": (
        lambda n: pair(
            n,
            blur([1, 2, 4]),
            lambda y: blur([4, 2, 1])(weights(n) * y) / weights(n),
            space=Weighted(Euclidean(n), weights(n)),
        ),
        "right for `inner`",
    ),
    "weights of one side": (
        lambda n: pair(n, np.copy, lambda y: weights(n) * y, space=Weighted(Euclidean(n), weights(n))),
        "weights on the wrong side",
    ),
    "an affine map": (lambda n: pair(n, lambda x: x + 1, np.copy), "an affine map: the operator takes zero to"),
    "an affine adjoint": (lambda n: pair(n, np.copy, lambda y: y + 1), "an affine map: the adjoint takes zero to"),
    "a map that is not linear": (lambda n: pair(n, np.abs, np.copy), "the operator that is not linear"),
    "a map that conjugates": (lambda n: pair(n, np.conj, np.conj, "complex128"), "that conjugates its argument"),
    "a map of chance": (
        lambda n: pair(n, lambda x: x * np.random.default_rng().uniform(1, 2), np.copy),
        "not a function: applied twice",
    ),
    "torch's transpose of a padding": (
        lambda n: FunctionOperator(
            Euclidean(n),
            Euclidean(n + 2),
            lambda x: np.asarray(torch.nn.functional.pad(torch.from_numpy(x), (1, 1))),
            lambda y: np.asarray(torch.from_numpy(y)[..., :-2].clone()),
        ),
        "shifted by",
    ),
    "pylops with a factor": (
        lambda n: from_pylops(_Halved(pylops.FirstDerivative(n, kind="forward"))),
        "the adjoint is 1/2 times",
    ),
    "pylops without a conjugate": (
        lambda n: from_pylops(
            pylops.FunctionOperator(
                lambda x: np.exp(1j * weights(n)) * x, lambda y: np.exp(1j * weights(n)) * y, n, n, dtype="complex128"
            )
        ),
        "a conjugate that is missing: the adjoint is the transpose",
    ),
    "pylops with an affine shift": (
        lambda n: from_pylops(pylops.FunctionOperator(lambda x: x - 1, lambda y: y, n, n, dtype="float64")),
        "an affine map: the operator takes zero to",
    ),
    "pylops' difference with a periodic adjoint": (
        lambda n: from_pylops(pylops.FunctionOperator(blur([0, -1, 1]), lambda y: np.roll(y, 1) - y, n, n)),
        "is 0.0; its adjoint conjugate transposed has 1.0|the operator has 0.0, its adjoint conjugate transposed 1.0",
    ),
    "torch: a backward pass without its factor": (
        lambda n: from_torch(Scaled, Euclidean(n)),
        "the adjoint is 1/3 times",
    ),
    "torch: a backward pass of the kernel as it is": (
        lambda n: from_torch(Convolved, Euclidean(n)),
        "a kernel that is not mirrored",
    ),
    "torch: a detached part": (
        lambda n: from_torch(lambda x: torch.cat([x[:1].detach(), x[1:]]), Euclidean(n)),
        "is 1.0; its adjoint conjugate transposed has 0.0|the operator has 1.0, its adjoint conjugate transposed 0.0",
    ),
}


class Scaled(torch.autograd.Function):
    """Three times a tensor; the backward pass forgets the three."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004, D102
        return 3 * x

    @staticmethod
    def backward(ctx: Any, y: torch.Tensor) -> torch.Tensor:  # noqa: ARG004, D102
        return y.clone()


class Convolved(torch.autograd.Function):
    """A correlation with a kernel; the backward pass does not mirror it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004, D102
        kernel = torch.tensor([[[1.0, 2.0, 4.0]]], dtype=x.dtype)
        return torch.nn.functional.conv1d(x[None, None], kernel, padding=1)[0, 0]

    @staticmethod
    def backward(ctx: Any, y: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return Convolved.forward(ctx, y)


class _Halved(pylops.LinearOperator):  # type: ignore[misc]
    """An operator of pylops whose adjoint is half of what it should be."""

    def __init__(self, Op: Any) -> None:
        super().__init__(dtype=Op.dtype, shape=Op.shape)
        self.Op_ = Op

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.Op_._matvec(x))

    def _rmatvec(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.Op_._rmatvec(x)) / 2


RANKS = 3


def on_copies(world: World, n: int, forward: Any, backward: Any, result: Role | None = None) -> LinearOperator:
    """Return an operator of functions of torch.distributed, on copies of a tensor; to copies, or what is given."""
    S = DistributedSpace(Grid(world, p=world.size), (n // world.size,), p=Copies())
    T = S if result is None else S.with_roles(p=result)
    return FunctionOperator(S, T, with_torch(forward), with_torch(backward), exact=True)


def with_torch(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of tensors as one of NumPy's arrays."""
    return lambda x: np.asarray(function(torch.from_numpy(np.array(x))).numpy())


def all_reduced(x: torch.Tensor) -> torch.Tensor:
    """Return the sum of all ranks' tensors."""
    dist.all_reduce(x)
    return x


def passed_on(x: torch.Tensor) -> torch.Tensor:
    """Return what the rank before has; the last one's comes to the first."""
    rank, size = dist.get_rank(), dist.get_world_size()
    y = torch.empty_like(x)
    work = dist.batch_isend_irecv(
        [dist.P2POp(dist.isend, x, (rank + 1) % size), dist.P2POp(dist.irecv, y, (rank - 1) % size)]
    )
    for each in work:
        each.wait()
    return y


def gathered(world: World, n: int) -> LinearOperator:
    """Return an all-gather whose adjoint takes the own part, and does not add up the others' gradients."""
    k = n // world.size
    S = DistributedSpace(Grid(world, p=world.size), (k * world.size,), p=Split(0))

    def forward(x: torch.Tensor) -> torch.Tensor:
        parts = [torch.empty_like(x) for _ in range(world.size)]
        dist.all_gather(parts, x)
        return torch.cat(parts)

    def backward(y: torch.Tensor) -> torch.Tensor:
        return y[world.rank * k : (world.rank + 1) * k].clone()

    T = S.with_roles(p=Copies())
    return FunctionOperator(S, T, with_torch(forward), with_torch(backward), exact=True)


def halo(world: World, n: int) -> LinearOperator:
    """Return an exchange of halos whose adjoint drops them."""
    S = DistributedSpace(Grid(world, p=world.size), (n,), p=Split(0))
    H = HaloExchange(S, {0: (1, 1)})
    return FunctionOperator(S, H.codomain, H, lambda y: y[..., 1:-1].copy(), exact=True)


DISTRIBUTED: dict[str, tuple[Callable[[World, int], LinearOperator], str]] = {
    "torch.distributed: an all-reduce with the identity for an adjoint": (
        lambda world, n: on_copies(world, n, all_reduced, torch.clone),
        "a missing sum over ranks",
    ),
    "torch.distributed: a replicated sum, reduced once more": (
        lambda world, n: on_copies(world, n, all_reduced, all_reduced, Replicated()),
        "the adjoint is 3 times",
    ),
    "torch.distributed: a mean with the adjoint of a sum": (
        lambda world, n: on_copies(world, n, lambda x: all_reduced(x) / RANKS, all_reduced),
        "the adjoint is 3 times",
    ),
    "torch.distributed: a ring that goes on in the same direction": (
        lambda world, n: on_copies(world, n, passed_on, passed_on),
        "a wrong rank",
    ),
    "torch.distributed: an all-gather without a reduction": (gathered, "a missing sum over ranks"),
    "a halo that is dropped": (halo, "a missing sum over ranks"),
}


def distributed(rank: int, store: str, sizes: list[int], answers: Any) -> None:
    """Check the distributed mistakes on one of the ranks; the first one tells what was found."""
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=RANKS)
    try:
        world = TorchWorld()
        found = {(name, n): told(make(world, n)) for name, (make, _) in DISTRIBUTED.items() for n in sizes}
        if rank == 0:
            answers.put(found)
    finally:
        dist.destroy_process_group()


def told(A: LinearOperator) -> str:
    """Return what the report says; nothing where the check passed."""
    report = check_adjoint(A, trials=2)
    return "" if report else report.detail


def checked(sizes: list[int], *, only_distributed: bool = False) -> dict[tuple[str, int], str]:
    """Return what the reports say of every mistake, by name and size."""
    found: dict[tuple[str, int], str] = {}
    if not only_distributed:
        found = {(name, n): told(make(n)) for name, (make, _) in MISTAKES.items() for n in sizes}
    answers = multiprocessing.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        store = f"file://{folder}/store"
        job = spawn(distributed, (store, sizes, answers), RANKS, join=False)
        assert job is not None
        received: dict[tuple[str, int], str] = answers.get()
        while not job.join():
            pass
    return found | received


def row(name: str, expected: str, texts: list[str]) -> str:
    """Return a row of the table: whether the mistake is found at each size, placed, and as what it is named."""
    placed = [bool(re.search(r"row \d+ .*column \d+", text)) for text in texts]
    kinds = re.findall(r"it looks like ([^;:]*)", texts[0])
    first = kinds[0] if kinds else "one entry"
    alike = all(any(words in text for words in expected.split("|")) for text in texts)
    place = "yes" if all(placed) else "not linear"
    return f"| {name} | {'yes' if all(texts) and alike else 'NO'} | {place} | {first} |"


def false_alarms(runs: int) -> tuple[int, int]:
    """Return how many of so many random right operators fail the check, and how many were diagnosed."""
    generator = np.random.default_rng(0)
    alarms = diagnosed = 0
    for run in range(runs):
        A = random_operator(generator)
        alarms += not check_adjoint(A, seed=run, trials=2)
        diagnosed += bool(diagnose(A, run)) or bool(locate(A, run))
    return alarms, diagnosed


def random_operator(generator: np.random.Generator) -> LinearOperator:
    """Return a product, sum or stack of right operators of random kinds and sizes, real or complex."""
    n, dtype = int(generator.choice([8, 64, 600])), generator.choice(["float64", "complex128", "float32"])
    X = Euclidean(n, dtype)

    def one() -> LinearOperator:
        kind = generator.integers(8)
        if kind == 0:
            return Diagonal(generator.standard_normal(n).astype(X.dtype), X)
        if kind == 1:
            return Correlation(X, generator.standard_normal(3).astype(X.dtype), padding=1)
        if kind == 2:
            return FiniteDifference(X, boundary=BOUNDARIES[generator.integers(4)])
        if kind == 3:
            return Roll(X, int(generator.integers(n)))
        if kind == 4:
            return Flip(X)
        if kind == 5:
            return CumulativeSum(X)
        if kind == 6:
            return DCT(X)
        return Circulant(generator.standard_normal(n).astype(X.dtype), X)

    A = one()
    for _ in range(generator.integers(0, 3)):
        A = A @ one() if generator.integers(2) else A + one()
    return A if generator.integers(3) else VStack(A, one())


def main() -> None:
    """Print the table, and how many false alarms there were."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000, help="random right operators")
    chosen = parser.parse_args()
    texts = checked(SIZES)
    print("| mistake | found and named | placed | looks like |\n|---|---|---|---|")
    for name, (_, expected) in [*MISTAKES.items(), *DISTRIBUTED.items()]:
        print(row(name, expected, [texts[name, n] for n in SIZES]))
    alarms, diagnosed = false_alarms(chosen.runs)
    print(f"\n{chosen.runs} random right operators: {alarms} false alarms, {diagnosed} diagnosed")


if __name__ == "__main__":
    main()
