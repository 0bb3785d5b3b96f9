"""What torch makes of an operator's function: derivatives of any order, in both modes, mapped over batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from linop import HStack, LinearOperator, Matrix, arrays, matrix
from torch_bridge import as_function

pytestmark = [
    pytest.mark.serial,
    pytest.mark.filterwarnings("ignore:.*performance drop.*:UserWarning"),  # torch's words on mapping its own functions
]

M = Matrix(np.arange(6.0).reshape(2, 3) - 2)
m = torch.from_numpy(matrix(M))
x3 = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)


def vector(space: Any, seed: int, batch: tuple[int, ...] = ()) -> Any:
    return arrays.each(lambda part: torch.from_numpy(np.asarray(part)), space.integers(seed, batch))


def equal(found: Any, expected: Any) -> bool:
    return all(map(torch.equal, arrays.leaves(found), arrays.leaves(expected)))


def close(found: Any, expected: Any) -> None:
    """Assert that numbers agree to a few roundings: sums of a handful of products of small integers."""
    for a, b in zip(arrays.leaves(found), arrays.leaves(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


def flat(A: LinearOperator) -> tuple[Callable[..., Any], list[torch.Tensor]]:
    """Return the function of an operator as torch's checks want it: tensors in, tensors out; and its arguments."""
    x = vector(A.domain, 0)
    f = as_function(A)

    def rebuild(like: Any, parts: Any) -> Any:
        return tuple(rebuild(part, parts) for part in like) if isinstance(like, tuple) else next(parts)

    def function(*parts: torch.Tensor) -> Any:
        leaves = arrays.leaves(f(rebuild(x, iter(parts))))
        return tuple(leaves) if len(leaves) > 1 else leaves[0]

    return function, [part.requires_grad_() for part in arrays.leaves(x)]


def test_torchs_own_checks(operator: LinearOperator) -> None:
    """Gradcheck and gradgradcheck pass: both modes, and forward over reverse."""
    function, parts = flat(operator)
    if not all(part.numel() for part in parts):
        pytest.skip("gradcheck takes no arrays without entries")
    assert torch.autograd.gradcheck(function, parts, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, parts, check_fwd_over_rev=True)


def test_forward_mode(operator: LinearOperator) -> None:
    """The tangent is A t, by jvp and by dual numbers, and its own tangent vanishes."""
    f = as_function(operator)
    x, t = vector(operator.domain, 0), vector(operator.domain, 1)
    y, tangent = jvp(f, (x,), (t,))
    assert equal(y, operator(x))
    assert equal(tangent, operator(t))
    with forward_ad.dual_level():
        pairs = arrays.leaves(f(arrays.each(forward_ad.make_dual, x, t)))
        tangents = tuple(forward_ad.unpack_dual(pair).tangent for pair in pairs)
    assert equal(tangents, tuple(arrays.leaves(operator(t))))
    _, second = jvp(lambda x: jvp(f, (x,), (t,))[1], (x,), (t,))
    assert not any(part.any() for part in arrays.leaves(second))
    _, mixed = jvp(lambda t: jvp(f, (x,), (t,))[1], (t,), (x,))
    assert equal(mixed, operator(x))


def test_reverse_mode(operator: LinearOperator) -> None:
    """Vjp gives the adjoint; the vjp of that, the operator."""
    f = as_function(operator)
    x, g, h = vector(operator.domain, 0), vector(operator.codomain, 1), vector(operator.domain, 2)
    y, pull = vjp(f, x)
    assert equal(y, operator(x))
    assert equal(pull(g)[0], operator.dual(g))
    _, pull_again = vjp(lambda g: vjp(f, x)[1](g)[0], g)
    assert equal(pull_again(h)[0], operator(h))


def test_vmap(operator: LinearOperator) -> None:
    """A map over an axis applies the operator once, to a batch, and so does a map of a map."""
    f = as_function(operator)
    x = vector(operator.domain, 0, (3, 2))
    assert equal(vmap(vmap(f))(x), operator(x))
    moved = arrays.each(lambda part: part.movedim(0, -1), x)
    close(vmap(vmap(f), in_dims=-1, out_dims=-1)(moved), arrays.each(lambda part: part.movedim(0, -1), operator(x)))
    g = vector(operator.codomain, 1, (3, 2))
    assert equal(vmap(vmap(lambda g: vjp(f, vector(operator.domain, 0))[1](g)[0]))(g), operator.dual(g))
    t = vector(operator.domain, 2, (3, 2))
    assert equal(vmap(vmap(lambda x, t: jvp(f, (x,), (t,))[1]))(x, t), operator(t))


def test_vmap_over_some_parts() -> None:
    """A part that is not mapped over is the same for all."""
    A = HStack(M, Matrix(np.ones((2, 4))))
    a, b = vector(A.domain, 0, (5,))
    expected = A((a, b[0].expand(5, 4)))
    assert torch.equal(vmap(as_function(A), in_dims=((0, None),))((a, b[0])), expected)


def test_jacobians() -> None:
    """Jacrev and jacfwd give the matrix, alone and mapped over a batch."""
    f = as_function(M)
    for jacobian in (jacrev, jacfwd):
        assert torch.equal(jacobian(f)(x3), m)
        assert torch.equal(vmap(jacobian(f))(x3.expand(4, 3)), m.expand(4, 2, 3))
        assert torch.equal(jacobian(vmap(f))(x3.repeat(2, 1))[0, :, 0], m)


def test_hessians() -> None:
    """The second derivatives of sum (Mx)^3 are M* diag(6 Mx) M, whichever modes are nested, and mapped over a batch."""
    f = as_function(M)
    expected = m.T @ torch.diag(6 * m @ x3) @ m
    for outer in (jacfwd, jacrev):
        for inner in (jacfwd, jacrev, grad):
            assert torch.equal(outer(inner(lambda x: (f(x) ** 3).sum()))(x3), expected)
    assert torch.equal(hessian(lambda x: (f(x) ** 3).sum())(x3), expected)
    assert torch.equal(vmap(hessian(lambda x: (f(x) ** 3).sum()))(x3.expand(2, 3)), expected.expand(2, 3, 3))


def test_third_derivatives() -> None:
    """Three backward passes over sum (Mx)^4 give sum 24 (Mx)_k M_ki M_kj M_kl."""
    f = as_function(M)
    expected = torch.einsum("k,ki,kj,kl->ijl", 24 * m @ x3, m, m, m)
    assert torch.equal(jacrev(jacrev(grad(lambda x: (f(x) ** 4).sum())))(x3), expected)


def test_gradients_inside_and_outside_of_a_transform() -> None:
    """What a transform returns can be differentiated by backward()."""
    f = as_function(M)
    x = x3.clone().requires_grad_()
    y, pull = vjp(f, x)
    (pull(y)[0] ** 2).sum().backward()
    assert torch.equal(x.grad, 2 * (m.T @ m) @ (m.T @ m) @ x3)


def test_the_old_vmap_is_refused() -> None:
    """What torch cannot do is an error: its older batching, which is_grads_batched stands on, sees no own functions."""
    x = x3.clone().requires_grad_()
    y = as_function(M)(x)
    with pytest.raises(RuntimeError, match="Batching rule not implemented"):
        torch.autograd.grad(y, x, torch.eye(2, dtype=torch.float64), is_grads_batched=True)
