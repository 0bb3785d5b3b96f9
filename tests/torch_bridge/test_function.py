"""An operator as a function of torch: values, gradients of every order, forward mode and vmap are the operator's."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import At, Copies, DistributedSpace, Grid, HaloExchange, Movement, Replicated, Split, World
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from linop import Euclidean, Matrix
from linop.testing import Expression, expressions
from torch_bridge import Operator, as_function


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    dtype = draw(st.sampled_from(["float64", "complex128"]))
    spaces = st.sampled_from([Euclidean(shape, dtype) for shape in [(), (3,), (2, 2), (0,)]])
    return draw(expressions(draw(spaces), draw(spaces)))


def vector(space: Any, seed: int, batch: tuple[int, ...] = ()) -> torch.Tensor:
    return torch.from_numpy(np.asarray(space.integers(seed, batch)))


@pytest.mark.serial
@given(trees(), st.sampled_from([(), (2,), (2, 3)]))
def test_value_and_gradient(tree: Expression, batch: tuple[int, ...]) -> None:
    """Forward is A, backward is A*: exactly, on integers, with a batch."""
    A = tree.operator
    x, g = vector(A.domain, 0, batch).requires_grad_(), vector(A.codomain, 1, batch)
    y = as_function(A)(x)
    np.testing.assert_array_equal(y.detach().numpy(), A(x.detach().numpy()))
    (gradient,) = torch.autograd.grad(y, x, g)
    np.testing.assert_array_equal(gradient.numpy(), A.H(g.numpy()))
    assert gradient.dtype == x.dtype


@pytest.mark.serial
@given(trees())
def test_second_derivatives_and_forward_mode(tree: Expression) -> None:
    """The gradient is a linear function of the cotangent, and can be differentiated again; jvp is A itself."""
    A = tree.operator
    f = as_function(A)
    x, g = vector(A.domain, 0).requires_grad_(), vector(A.codomain, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(f(x), x, g, create_graph=True)
    h = vector(A.domain, 2)
    (second,) = torch.autograd.grad(gradient, g, h)
    np.testing.assert_array_equal(second.numpy(), A(h.numpy()))
    _, tangent = torch.func.jvp(f, (x.detach(),), (h,))
    np.testing.assert_array_equal(tangent.numpy(), A(h.numpy()))


@pytest.mark.serial
@given(trees(), st.integers(0, 1))
def test_vmap(tree: Expression, where: int) -> None:
    """Vmap over any axis applies the operator once, to a batch."""
    A = tree.operator
    x = vector(A.domain, 0, (2, 3)).movedim(0, where)
    found = torch.func.vmap(torch.func.vmap(as_function(A)), in_dims=where)(x)
    np.testing.assert_array_equal(found.numpy(), A(x.movedim(where, 0).numpy()))


@pytest.mark.serial
def test_gradcheck() -> None:
    """Torch's own checks of first and second derivatives pass, in forward and in reverse mode."""
    A = Matrix(np.arange(6.0).reshape(2, 3)) @ (0.5 * Matrix(np.eye(3) + 1))
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(as_function(A), x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(as_function(A), x)


@pytest.mark.serial
def test_jacobian() -> None:
    """Jacrev and jacfwd give the matrix."""
    entries = np.arange(6.0).reshape(2, 3)
    f = as_function(Matrix(entries))
    x = torch.ones(3, dtype=torch.float64)
    np.testing.assert_array_equal(torch.func.jacrev(f)(x).numpy(), entries)
    np.testing.assert_array_equal(torch.func.jacfwd(f)(x).numpy(), entries)


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


def test_module(ranks: int) -> None:
    """Operator is the function as a module, without parameters."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (8,), rows=Split(0))
        A = HaloExchange(S, {0: (1, 1)})
        module = Operator(A)
        assert not list(module.parameters())
        assert repr(module) == f"Operator({A!r})"
        x = vector(S, 0)
        assert torch.equal(module(x), as_function(A)(x))

    on_ranks(ranks, main)


@pytest.mark.serial
def test_real_vectors_of_a_complex_space() -> None:
    """They are taken for complex ones; the gradient is the real part of the adjoint."""
    entries = np.array([[1 + 2j, 3j], [2, 1 - 1j]])
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    y = as_function(Matrix(entries))(x)
    y.backward(torch.tensor([1j, 2], dtype=torch.complex128))
    np.testing.assert_array_equal(x.grad.numpy(), (entries.conj().T @ np.array([1j, 2])).real)
