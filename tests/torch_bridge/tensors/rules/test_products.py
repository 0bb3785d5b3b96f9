"""Products are those of one process, whatever is split: batch, rows, columns or what is summed over."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from harness import holds, normal
from hypothesis import given

CASES: dict[str, tuple[Any, ...]] = {
    "matrix and matrix": (torch.matmul, (3, 4), (4, 2)),
    "matrix and vector": (torch.mv, (3, 4), (4,)),
    "vector and matrix": (torch.matmul, (4,), (4, 3)),
    "stacks": (torch.bmm, (2, 3, 4), (2, 4, 5)),
    "broadcast stacks": (torch.matmul, (2, 1, 3, 4), (3, 4, 2)),
    "a stack and a matrix": (lambda a, b: a @ b, (2, 3, 4), (4, 2)),
    "nothing": (torch.matmul, (0, 4), (4, 2)),
    "vectors": (lambda a, b: (torch.dot(a, b), torch.vdot(a, b), torch.outer(a, b), torch.inner(a, b)), (4,), (4,)),
    "inner": (torch.inner, (2, 4), (3, 4)),
    "linear": (F.linear, (2, 3, 4), (5, 4), (5,)),
    "linear of a vector": (F.linear, (4,), (5, 4), (5,)),
    "bilinear": (F.bilinear, (2, 3), (2, 4), (5, 3, 4), (5,)),
    "addmm": (lambda x, a, b: torch.addmm(x, a, b, beta=0.5, alpha=2), (2,), (3, 4), (4, 2)),
    "addmv": (torch.addmv, (3,), (3, 4), (4,)),
    "addr": (torch.addr, (3, 4), (3,), (4,)),
    "addbmm": (torch.addbmm, (3, 2), (2, 3, 4), (2, 4, 2)),
    "baddbmm": (lambda x, a, b: torch.baddbmm(x, a, b, beta=0), (2, 3, 2), (2, 3, 4), (2, 4, 2)),
    "attention by letters": (lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k), (2, 2, 3, 4), (2, 2, 5, 4)),
    "a diagonal by letters": (lambda a: torch.einsum("bii->bi", a), (2, 3, 3)),
    "an ellipsis": (lambda a, b: torch.einsum("...ij,jk", a, b), (2, 3, 4), (4, 2)),
    "three factors": (lambda a, b, c: torch.einsum("ij,jk,k->i", a, b, c), (3, 4), (4, 2), (2,)),
    "tensordot": (lambda a, b: torch.tensordot(a, b, ([1, 2], [0, 1])), (2, 3, 4), (3, 4, 2)),
    "chain": (lambda a, b, c: torch.linalg.multi_dot([a, b, c]), (3, 4), (4, 2), (2, 3)),
    "kron": (torch.kron, (2, 3), (3, 2)),
    "cross": (lambda a, b: (torch.cross(a, b, 1), torch.linalg.vecdot(a, b)), (2, 3), (2, 3)),
    "cdist": (torch.cdist, (2, 3, 4), (2, 5, 4)),
    "covariances": (lambda a: (torch.cov(a), torch.corrcoef(a)), (3, 5)),
}


@pytest.mark.parametrize("name", CASES)
@given(st.data())
def test_a_product_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Where operands need to move, they are moved; where a sum is split, it is added up."""
    function, *shapes = CASES[name]
    holds(data, function, *shapes, tolerance=1e-11)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.complex128])
@given(st.data())
def test_products_of_other_dtypes_are_those_of_one_process(dtype: torch.dtype, data: st.DataObject) -> None:
    """Half precision is summed in single precision, also between ranks."""
    x, w = normal(3, 32, dtype=dtype), normal(32, 2, seed=1, dtype=dtype)
    holds(data, torch.matmul, x, w)
