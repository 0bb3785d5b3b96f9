"""Operators in compiled and exported graphs: right, without a graph break, or refused by name."""

import copy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

from distdl_ops import At, DistributedSpace, Grid, HaloExchange, Movement, Split, World
from distdl_ops.testing import on_ranks
from linop import LinearOperator, Matrix, arrays, matrix
from torch_bridge import Operator, as_function

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),  # torch's compiler uses what torch deprecates
    pytest.mark.filterwarnings("ignore::FutureWarning:torch.*"),
]

COMPILER = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
BACKENDS = [
    "eager",
    "aot_eager",
    pytest.param("inductor", marks=pytest.mark.skipif(COMPILER is None, reason="inductor needs a C++ compiler")),
]

M = Matrix(np.arange(6.0).reshape(2, 3) - 2)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Forget what was compiled before."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def vector(space: Any, seed: int, batch: tuple[int, ...] = ()) -> Any:
    return arrays.each(lambda part: torch.from_numpy(np.asarray(part)), space.integers(seed, batch))


def requiring(x: Any) -> Any:
    return arrays.each(lambda part: part.clone().requires_grad_(), x)


def scaled(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that does something before and after."""
    return lambda x: arrays.each(lambda part: part * 2, f(arrays.each(lambda part: part * 3, x)))


@pytest.mark.serial
def test_every_operator(operator: LinearOperator) -> None:
    """Value and gradient of the compiled function are those of the function, in one graph; for a batch, too."""
    f = scaled(as_function(operator))
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    for batch in [(), (2,), (3,)]:
        x, g = vector(operator.domain, 0, batch), vector(operator.codomain, 1, batch)
        results = []
        for function in (f, compiled):
            own = requiring(x)
            y = function(own)
            found = torch.autograd.grad(arrays.leaves(y), arrays.leaves(own), arrays.leaves(g))
            results.append([*arrays.leaves(y), *found])
        for a, b in zip(*results, strict=True):
            assert a.dtype == b.dtype
            torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)  # the same numbers; some FFTs round differently
        assert not any(part.requires_grad for part in arrays.leaves(compiled(x)))


@pytest.mark.serial
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend(backend: str) -> None:
    """A network with two operators, one of them in a module, trains in one graph as it does without."""
    model = torch.nn.Sequential(Operator(M), torch.nn.Tanh(), torch.nn.Linear(2, 3), Operator(M)).double()
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True, backend=backend)
    x = vector(M.domain, 0, (4,))
    for function in (model, compiled):
        function(x).square().sum().backward()
    for a, b in zip(model.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-12)  # a few roundings, in another order


@pytest.mark.serial
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_precision_and_autocast(operator: LinearOperator, dtype: torch.dtype) -> None:
    """A compiled graph has the dtypes that the function has, under autocast as well."""
    x = vector(operator.domain, 0)
    if any(part.is_complex() for part in arrays.leaves(x)):
        dtype = torch.complex64
    x = arrays.each(lambda part: part.to(dtype), x)
    f = as_function(operator)
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for a, b in zip(arrays.leaves(f(x)), arrays.leaves(compiled(x)), strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)


@pytest.mark.serial
def test_operators_are_told_apart() -> None:
    """A compiled function of an operator takes another operator for what it is."""
    compiled = torch.compile(lambda f, x: f(x), fullgraph=True, backend="eager")
    x = vector(M.domain, 0)
    for c in (1, 2, 3):
        assert torch.equal(compiled(as_function(c * M), x), c * M(x))


@pytest.mark.serial
def test_second_derivatives() -> None:
    """Without AOT they are right; with it, torch raises."""
    x = vector(M.domain, 0).requires_grad_()
    f = as_function(M)

    def third_power(x: torch.Tensor) -> torch.Tensor:
        return (f(x) ** 3).sum() + (x**2).sum()

    def second(function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        (g,) = torch.autograd.grad(function(x), x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x)
        return h

    assert torch.equal(second(torch.compile(third_power, fullgraph=True, backend="eager")), second(third_power))
    with pytest.raises(RuntimeError, match="double backward"):
        second(torch.compile(third_power, fullgraph=True, backend="aot_eager"))


@pytest.mark.serial
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_transforms_inside(backend: str) -> None:
    """Vmap is compiled, to one application to a batch; the derivatives that torch cannot compile are refused."""
    f = as_function(M)
    x = vector(M.domain, 0, (4,))

    def compiled(function: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], Any]:
        return torch.compile(function, fullgraph=True, backend=backend)

    assert torch.equal(compiled(torch.func.vmap(f))(x), M(x))
    for function in (
        lambda x: torch.func.jvp(f, (x,), (x,))[1],
        lambda x: torch.func.vjp(f, x)[1](x[:2]),
        torch.func.grad(lambda x: f(x).sum()),
        torch.func.jacrev(f),
        torch.func.jacfwd(f),
        torch.func.hessian(lambda x: (f(x) ** 2).sum()),
    ):
        with pytest.raises((RuntimeError, NotImplementedError)):
            compiled(function)(x[0])


@pytest.mark.serial
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_transforms_outside(backend: str) -> None:
    """A compiled function under a transform, compiled before or not, is right or refused: no derivative is lost."""
    f = as_function(M)
    x, t = vector(M.domain, 0), vector(M.domain, 1)
    for before in (False, True):
        torch._dynamo.reset()
        compiled = torch.compile(f, fullgraph=True, backend=backend)
        if before:
            compiled(x)
        right_or_refused(lambda compiled=compiled: torch.func.jvp(compiled, (x,), (t,))[1], M(t))
        right_or_refused(lambda compiled=compiled: torch.func.vjp(compiled, x)[1](M(t))[0], M.H(M(t)))
        right_or_refused(lambda compiled=compiled: torch.func.vmap(compiled)(x.expand(2, 3)), M(x.expand(2, 3)))
        right_or_refused(lambda compiled=compiled: torch.func.jacfwd(compiled)(x), torch.from_numpy(matrix(M)))
        with forward_ad.dual_level(), pytest.raises((NotImplementedError, RuntimeError)):
            compiled(forward_ad.make_dual(x, t))
        with torch.no_grad(), forward_ad.dual_level(), pytest.raises((NotImplementedError, RuntimeError)):
            compiled(forward_ad.make_dual(x, t))


def right_or_refused(derivative: Callable[[], torch.Tensor], expected: torch.Tensor) -> None:
    try:
        found = derivative()
    except (RuntimeError, NotImplementedError, AssertionError):
        return
    assert torch.equal(found, expected)


@pytest.mark.serial
def test_export(operator: LinearOperator) -> None:
    """An exported program computes the same, for batches of other sizes, and keeps its operators alive."""
    x = vector(operator.domain, 0, (3,))
    expected = operator(vector(operator.domain, 1, (5,)))
    batch = torch.export.Dim("batch", min=2)
    shapes = ((arrays.each(lambda _: {0: batch}, x)),)
    program = torch.export.export(Operator(operator), (x,), dynamic_shapes=shapes)
    found = program.module()(vector(operator.domain, 1, (5,)))
    assert all(map(torch.equal, arrays.leaves(found), arrays.leaves(expected)))
    assert "torch_bridge.apply" in str(program.graph)


@pytest.mark.serial
def test_gradients_of_an_exported_program() -> None:
    """They are the adjoint; and forward mode is refused."""
    f = torch.export.export(Operator(M), (vector(M.domain, 0),)).module()
    x, g = vector(M.domain, 0).requires_grad_(), vector(M.codomain, 1)
    f(x).backward(g)
    assert torch.equal(x.grad, M.H(g))
    with pytest.raises((NotImplementedError, RuntimeError)):
        torch.func.jvp(f, (x.detach(),), (x.detach(),))


@pytest.mark.serial
def test_a_program_in_another_process(tmp_path: Path) -> None:
    """The operator does not travel with a saved program, and the error says so."""
    program = torch.export.export(Operator(M), (vector(M.domain, 0),))
    torch.export.save(program, tmp_path / "program.pt2")
    code = (
        "import sys, torch, torch_bridge\n"
        "program = torch.export.load(sys.argv[1]).module()\n"
        "try: program(torch.ones(3, dtype=torch.float64))\n"
        "except RuntimeError as error: print(error)"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "program.pt2")]
    told = subprocess.run(run, capture_output=True, check=True, text=True, timeout=120).stdout
    assert "does not exist in this process" in told


def test_between_ranks(ranks: int) -> None:
    """Compiled movements cross process boundaries, forward and backward, with a result that a rank needs no part of."""

    def main(world: World) -> None:
        grid = Grid(world, rows=ranks)
        S = DistributedSpace(grid, (6, 2), rows=Split(0))
        for A in (HaloExchange(S, {0: (1, 1)}), Movement(S, S.with_roles(rows=At(0)))):
            compiled = torch.compile(scaled(as_function(A)), fullgraph=True, backend="aot_eager")
            x, g = vector(S, 0, (2,)).requires_grad_(world.rank == 0), vector(A.codomain, 1, (2,))
            y = compiled(x)
            assert torch.equal(y, 6 * A(x.detach()))
            assert y.requires_grad == (ranks > 1 or world.rank == 0)
            y.backward(g)  # also on ranks whose own part requires no gradient
            assert (x.grad is None) == (world.rank > 0)
            expected = 6 * A.H(g)
            assert x.grad is None or torch.equal(x.grad, expected)

    on_ranks(ranks, main)
