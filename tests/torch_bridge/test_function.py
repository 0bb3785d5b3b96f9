"""An operator as a function of torch: values, gradients of every order, forward mode and vmap are the operator's."""

import contextlib
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from distdl_ops import (
    At,
    Copies,
    DistributedSpace,
    Finish,
    Grid,
    HaloExchange,
    Movement,
    Replicated,
    Split,
    Start,
    World,
)
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from linop import HStack, LinearOperator, Matrix, SpaceError, VStack, arrays
from linop.testing import Expression, any_operator, expressions, spaces_of_a_tree
from torch_bridge import as_function, tied


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    """Return expression trees: between arrays and tuples, real, complex and real spaces of complex arrays."""
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


def vector(space: Any, seed: int, batch: tuple[int, ...] = ()) -> Any:
    return arrays.each(lambda part: torch.from_numpy(np.asarray(part)), space.integers(seed, batch))


def requiring(x: Any) -> Any:
    return arrays.each(lambda part: part.clone().requires_grad_(), x)


def equal(found: Any, expected: Any) -> bool:
    """Say whether two vectors have the same numbers and dtypes."""
    return len(arrays.leaves(found)) == len(arrays.leaves(expected)) and all(
        a.dtype == b.dtype and torch.equal(a.detach(), b)
        for a, b in zip(arrays.leaves(found), arrays.leaves(expected), strict=True)
    )


def gradients(y: Any, x: Any, g: Any, **options: Any) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(arrays.leaves(y), arrays.leaves(x), arrays.leaves(g), **options)


@pytest.mark.serial
@given(st.one_of(trees(), any_operator()), st.sampled_from([(), (2,), (2, 3)]))
def test_value_and_gradient(expression: Expression, batch: tuple[int, ...]) -> None:
    """Forward is A, backward is A*, with a batch, in the dtypes of the spaces; and neither shares memory."""
    A = expression.operator
    x, g = requiring(vector(A.domain, 0, batch)), vector(A.codomain, 1, batch)
    kept = arrays.copy(g)
    y = as_function(A)(x)
    assert equal(y, A(arrays.each(torch.Tensor.detach, x)))
    found = gradients(y, x, g)
    assert equal(found, tuple(arrays.leaves(A.dual(g))))
    assert equal(g, kept)
    memory = [part.untyped_storage().data_ptr() for v in (x, y, g, found) for part in arrays.leaves(v) if part.numel()]
    assert len(set(memory)) == len(memory)


@pytest.mark.serial
@given(st.one_of(trees(), any_operator()))
def test_second_derivatives(expression: Expression) -> None:
    """The gradient is a linear function of the cotangent, and can be differentiated again."""
    A = expression.operator
    x, g = requiring(vector(A.domain, 0)), requiring(vector(A.codomain, 1))
    found = gradients(as_function(A)(x), x, g, create_graph=True)
    h = vector(A.domain, 2)
    assert equal(gradients(found, g, h), tuple(arrays.leaves(A(h))))


@st.composite
def movements(draw: st.DrawFn) -> tuple[int, tuple[Draft, ...]]:
    size = draw(world_sizes())
    return size, draw(drafts_of_one_tensor(size))


@given(movements())
def test_gradient_of_a_movement(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """Across ranks: the gradient of M(S, T) is M(T, S) of the cotangent, exactly, and replicas agree."""
    size, (s, t) = drawn

    def main(world: World) -> list[str]:
        A = Movement(s.on(world), t.on(world))
        x, g = vector(A.domain, 0, (2,)).requires_grad_(), vector(A.codomain, 1, (2,))
        y = as_function(A)(x)
        (gradient,) = torch.autograd.grad(y, x, g)
        faults = {
            "value": np.array_equal(y.detach().numpy(), A(x.detach().numpy())),
            "gradient": np.array_equal(gradient.numpy(), A.H(g.numpy())),
            "replicas": A.domain.consistent(gradient.numpy()),
        }
        return [fault for fault, fine in faults.items() if not fine]

    assert on_ranks(size, main) == [[]] * size


def test_arguments_that_are_not_contiguous(ranks: int) -> None:
    """Transposed inputs, stride-0 cotangents and lazily conjugated ones are read in the right order."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (4, 6), "complex128", rows=Split(0))
        for role in (Split(1), Copies(), At(0), Replicated()):
            A = Movement(S, S.with_roles(rows=role))
            x = vector(S, 0, (3,)).transpose(1, 2).contiguous().transpose(1, 2).conj().requires_grad_()
            assert x.is_conj()
            y = as_function(A)(x)
            np.testing.assert_array_equal(y.detach().resolve_conj().numpy(), A(x.detach().resolve_conj().numpy()))
            y.backward(torch.ones((), dtype=y.dtype).expand(y.shape))  # a cotangent of stride 0
            ones = np.ones(y.shape, complex)
            np.testing.assert_array_equal(x.grad.resolve_conj().numpy(), A.H(ones))

    on_ranks(ranks, main)


def test_nothing_is_changed_or_aliased(ranks: int) -> None:
    """Writing into the result leaves the argument alone, and the gradient right; so does an in-place ReLU after it."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (8, 3), rows=Split(0))
        for A in (HaloExchange(S, {0: (1, 1)}), Movement(S, S), HaloExchange(S, {0: (0, 0)})):
            x = vector(S, 0, (2,)).requires_grad_()
            before = x.detach().clone()
            y = torch.relu_(as_function(A)(x))
            g = vector(A.codomain, 1, (2,))
            kept = g.clone()
            y.backward(g)
            assert torch.equal(x.detach(), before)
            assert torch.equal(g, kept)
            mask = (A(before.numpy()) > 0).astype(float)
            np.testing.assert_array_equal(x.grad.numpy(), A.H(mask * g.numpy()))

    on_ranks(ranks, main)


@pytest.mark.serial
def test_real_vectors_of_a_complex_space() -> None:
    """They are taken for complex ones; the gradient is the real part of the adjoint."""
    entries = np.array([[1 + 2j, 3j], [2, 1 - 1j]])
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    y = as_function(Matrix(entries))(x)
    y.backward(torch.tensor([1j, 2], dtype=torch.complex128))
    np.testing.assert_array_equal(x.grad.numpy(), (entries.conj().T @ np.array([1j, 2])).real)


@pytest.mark.serial
def test_an_unused_output_is_worth_zero() -> None:
    """Of several outputs, those that the loss ignores have the cotangent zero."""
    A = VStack(Matrix(np.ones((2, 3))), Matrix(np.eye(3)))
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    as_function(A)(x)[1].sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.serial
def test_inputs_without_gradient() -> None:
    """Of several inputs, those that require no gradient get none, and the result of none requires none."""
    A = HStack(Matrix(np.ones((2, 3))), Matrix(np.eye(2)))
    f = as_function(A)
    x, c = torch.ones(3, dtype=torch.float64, requires_grad=True), torch.ones(2, dtype=torch.float64)
    f((x, c)).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    assert c.grad is None
    assert not f((x.detach(), c)).requires_grad
    with torch.no_grad():
        assert not f((x, c)).requires_grad
    with torch.inference_mode():
        assert f((x, c)).tolist() == [4.0, 4.0]


HALF = [torch.float16, torch.bfloat16]
PRECISIONS = [*HALF, torch.float32, torch.float64]


@pytest.mark.serial
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_precision_follows_the_argument(operator: LinearOperator, dtype: torch.dtype) -> None:
    """Results have the argument's precision, single where half meets complex numbers; gradients, the argument's."""
    wide = torch.complex64 if dtype in HALF else dtype.to_complex()
    x = arrays.each(
        lambda part: part.to(wide if part.is_complex() else dtype).requires_grad_(), vector(operator.domain, 0)
    )
    y = as_function(operator)(x)
    complex_there = any(p.is_complex() for p in (*arrays.leaves(vector(operator.codomain, 0)), *arrays.leaves(x)))
    real = torch.float32 if dtype in HALF and complex_there else dtype
    assert {part.dtype.to_real() for part in arrays.leaves(y)} == {real}
    expected = operator(vector(operator.domain, 0))
    for found, part in zip(arrays.leaves(y), arrays.leaves(expected), strict=True):
        scale = max(1.0, float(part.abs().max())) if part.numel() else 1.0
        assert (found.detach().to(part.dtype) - part).abs().sum() <= 64 * torch.finfo(real).eps * scale * part.numel()
    g = arrays.each(torch.ones_like, y)
    for gradient, part in zip(gradients(y, x, g), arrays.leaves(x), strict=True):
        assert gradient.dtype == part.dtype


@pytest.mark.serial
def test_parts_of_different_precision() -> None:
    """The result has the finest; each gradient has its own argument's."""
    f = as_function(HStack(Matrix(np.ones((2, 3))), Matrix(np.eye(2))))
    x = torch.ones(3, dtype=torch.float32, requires_grad=True), torch.ones(2, dtype=torch.float64, requires_grad=True)
    y = f(x)
    assert y.dtype == torch.float64
    y.sum().backward()
    assert [part.grad.dtype for part in x] == [torch.float32, torch.float64]


@pytest.mark.serial
@pytest.mark.parametrize("dtype", HALF)
def test_autocast_leaves_operators_alone(dtype: torch.dtype) -> None:
    """Under autocast, forward and backward, an operator computes in the precision of its argument."""
    entries = np.array([[1 + 2.0**-20, 1.0]])
    x = torch.ones(2, requires_grad=True)
    with torch.autocast("cpu", dtype=dtype):
        y = as_function(Matrix(entries))(x)
        assert torch.nn.functional.linear(x, x[None]).dtype == dtype
        y.backward(torch.ones(1))
    assert (y.dtype, x.grad.dtype) == (torch.float32, torch.float32)
    assert x.grad.tolist() == [1 + 2.0**-20, 1.0]
    half = torch.nn.functional.linear(x, x[None])
    with torch.autocast("cpu", dtype=dtype):
        assert as_function(Matrix([[2.0]]))(torch.nn.functional.linear(x, x[None])).dtype == dtype
    assert half.dtype == torch.float32


@pytest.mark.serial
def test_whole_numbers_and_arrays_of_other_libraries() -> None:
    """Integers become doubles; NumPy's arrays become constants."""
    f = as_function(Matrix([[2.0, 1.0]]))
    assert torch.equal(f(torch.tensor([1, 2])), torch.tensor([4.0], dtype=torch.float64))
    assert torch.equal(f(np.array([1.0, 2.0])), torch.tensor([4.0], dtype=torch.float64))


@pytest.mark.serial
@pytest.mark.parametrize("x", [torch.ones(3), [1.0, 2.0], (torch.ones(2), torch.ones(2)), torch.ones(2, dtype=bool)])
def test_what_is_no_vector(x: Any) -> None:
    """The operator refuses it by name."""
    with pytest.raises(SpaceError, match=r"Matrix\(1x2\)"):
        as_function(Matrix([[2.0, 1.0]]))(x)


def test_what_is_no_vector_of_a_distributed_space(ranks: int) -> None:
    """One rank's wrong argument is refused on all ranks."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (8,), rows=Split(0))
        f = as_function(HaloExchange(S, {0: (1, 1)}))
        for wrong in (torch.ones(99), "text", (torch.ones(S.shape),), torch.ones(S.shape, dtype=torch.complex64)):
            with pytest.raises(SpaceError, match="HaloExchange"):  # noqa: PT012
                f(wrong if world.rank == ranks - 1 else torch.ones(S.shape))
                world.allgather(0, "the next operation")  # where a rank learns of it that has not waited for the last

    on_ranks(ranks, main)


@pytest.mark.serial
def test_negative_and_conjugate_views() -> None:
    """Views that are negated or conjugated lazily are read as the numbers they stand for, forward and backward."""
    z = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex128)
    lazy = z.conj().imag
    assert lazy.is_neg()
    f = as_function(Matrix([[1.0, 2.0]]))
    assert f(lazy).tolist() == [-2.0 + 8.0]
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    f(x).backward(lazy[:1])
    assert x.grad.tolist() == [-2.0, -4.0]
    w = z.clone().requires_grad_()
    as_function(Matrix([[1j, 2.0]]))(w).backward(z[:1].conj())
    assert w.grad.tolist() == [(1 - 2j) * -1j, 2 * (1 - 2j)]


@pytest.mark.serial
def test_changes_in_place() -> None:
    """Input and output may be overwritten after the call: nothing that the gradient needs is in them."""
    f = as_function(Matrix([[2.0, 1.0], [0.0, 3.0]]))
    w = torch.ones(2, dtype=torch.float64, requires_grad=True)
    x = w * 1
    y = f(x)
    x.zero_()
    y.mul_(2).add_(1)
    assert y.tolist() == [7.0, 7.0]
    y.sum().backward()
    assert w.grad.tolist() == [4.0, 8.0]


@pytest.mark.serial
def test_no_tensor_is_saved() -> None:
    """Neither forward nor backward, and no gradient is lost by it."""
    saved: list[torch.Tensor] = []
    f = as_function(Matrix([[2.0, 1.0]]))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        x = torch.ones(2, dtype=torch.float64, requires_grad=True)
        y = f(x)
        (g,) = torch.autograd.grad(y, x, torch.ones(1, dtype=torch.float64), create_graph=True)
    assert saved == []
    assert g.tolist() == [2.0, 1.0]


def test_memory_is_released(ranks: int) -> None:
    """When the last reference is gone, so are argument, result, gradient, and everything upstream: no cycle is left."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (8,), rows=Split(0))
        f = as_function(HaloExchange(S, {0: (1, 1)}))
        leaf = torch.ones(S.shape, requires_grad=True)

        def step() -> list[weakref.ref[torch.Tensor]]:
            x = torch.tanh(leaf)
            with tied(world) as tie:
                y = f(x)
                tie(torch.tanh(y).sum()).backward()
            return [weakref.ref(x), weakref.ref(y), weakref.ref(y.grad_fn)]

        gc.disable()
        try:
            assert [found() for found in step()] == [None, None, None]
            y = f(torch.tanh(leaf))  # no backward pass at all
            gone = weakref.ref(y)
            del y
            assert gone() is None
        finally:
            gc.enable()

    on_ranks(ranks, main)


@pytest.mark.serial
def test_hooks() -> None:
    """Hooks on the argument, the result and the node see the gradients, and may replace them."""
    f = as_function(Matrix([[2.0, 1.0]]))
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    seen = []
    y = f(x)
    y.register_hook(lambda g: seen.append(g.tolist()) or 3 * g)
    y.grad_fn.register_hook(lambda _, outputs: seen.append(outputs[0].tolist()))
    x.register_hook(lambda g: -g)
    y.backward(torch.ones(1, dtype=torch.float64))
    assert seen == [[1.0], [3.0]]
    assert x.grad.tolist() == [-6.0, -3.0]


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant: bool, ranks: int) -> None:
    """A part of the network that is run again in the backward pass gives the same gradients, threaded and not."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (8,), rows=Split(0))
        f = as_function(HaloExchange(S, {0: (1, 1)}))
        leaf = vector(S, 0).requires_grad_()

        def block(x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(f(torch.sin(x)))

        (expected,) = torch.autograd.grad(block(leaf).sum(), leaf)
        for threaded in (False, True):
            leaf.grad = None
            with tied(world) if threaded else contextlib.nullcontext(lambda loss: loss) as tie:
                tie(checkpoint(block, leaf, use_reentrant=reentrant).sum()).backward()
            assert torch.equal(leaf.grad, expected)

    on_ranks(ranks, main)


def test_retained_graphs(ranks: int) -> None:
    """A graph that is kept can be gone through twice; gradients add up."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (8,), rows=Split(0))
        A = HaloExchange(S, {0: (1, 1)})
        x, g = vector(S, 0).requires_grad_(), vector(A.codomain, 1)
        y = as_function(A)(x)
        y.backward(g, retain_graph=True)
        y.backward(g)
        assert torch.equal(x.grad, 2 * A.H(g))

    on_ranks(ranks, main)


def halves(H: HaloExchange) -> tuple[Any, Any]:
    """Return the two halves of a halo exchange, as functions."""
    return as_function(Start(H.domain, H.codomain)), as_function(Finish(H.domain, H.codomain))


def test_halves_of_a_movement(ranks: int) -> None:
    """Apart or composed, they are differentiated twice as the movement is, and mapped over a batch as it is."""

    def main(world: World) -> None:
        H = halo_exchange(world)
        start, finish = halves(H)
        x = vector(H.domain, 0).requires_grad_()

        def found(f: Callable[[torch.Tensor], torch.Tensor]) -> list[torch.Tensor]:
            y = f(x)
            (slope,) = torch.autograd.grad((y**3).sum(), x, create_graph=True)
            (curvature,) = torch.autograd.grad((slope**2).sum(), x)
            batch = torch.stack([x.detach(), 2 * x.detach()])
            return [y, slope, curvature, torch.func.vmap(f)(batch)]

        for f in (lambda x: finish(start(x)), as_function(finish.operator @ start.operator)):
            for a, b in zip(found(f), found(as_function(H)), strict=True):
                assert torch.equal(a, b)

    on_ranks(ranks, main)


def test_work_between_the_halves(ranks: int) -> None:
    """What is computed while messages travel forward has its backward pass while they travel back."""

    def main(world: World) -> None:
        H = halo_exchange(world)
        start, finish = halves(H)
        x = vector(H.domain, 0).requires_grad_()
        placeholder = start(x)
        assert not placeholder.departed.arrived
        middle = 3 * x
        flying: list[torch.Tensor] = []
        arrived: list[bool] = []
        middle.register_hook(lambda _: arrived.append(flying[0].departed.arrived))
        y = finish(placeholder)
        y.grad_fn.register_hook(lambda inputs, _: flying.append(inputs[-1]))
        (y.sum() + middle.sum()).backward()
        assert arrived == [False]
        assert flying[0].departed.arrived
        assert torch.equal(x.grad, H.H(torch.ones_like(y)) + 3)

    on_ranks(ranks, main)


def test_tickets_are_good_for_one_journey(ranks: int) -> None:
    """What is no placeholder, has been used, or is for another journey, is refused on every rank."""

    def main(world: World) -> None:
        H = halo_exchange(world)
        start, finish = halves(H)
        _, back = halves(H.H)
        x = vector(H.domain, 0)
        used = start(x)
        finish(used)
        for placeholder, complaint in ((used, "has arrived already"), (used.clone(), "expected what Start returns")):
            with pytest.raises(SpaceError, match=complaint):
                finish(placeholder)
        with pytest.raises(SpaceError, match="in flight by HaloExchange"):
            back(start(x))

    on_ranks(ranks, main)


def halo_exchange(world: World) -> HaloExchange:
    """Return one of eight entries."""
    return HaloExchange(DistributedSpace(Grid(world, rows=world.size), (8,), rows=Split(0)), {0: (1, 1)})
