"""A softmax that sees blocks is the softmax of all of them, in value and gradients."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torch_bridge.nn.online_softmax import OnlineSoftmax
from torch_bridge.testing import normal

pytestmark = pytest.mark.serial


@given(
    st.integers(0, 3),
    st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any),
    st.sampled_from([1.0, 40.0, 1e3]),
    st.data(),
)
def test_blocks(queries: int, blocks: list[int], size: float, data: st.DataObject) -> None:
    """For any blocks, empty ones among them, in any order of sizes, masked or not; scores may be huge."""
    keys = sum(blocks)
    inputs = [normal(k, (2, n, 3)) for k, n in enumerate((queries, keys, keys))]
    inputs[0] *= size
    wholes, parts = ([x.clone().requires_grad_() for x in inputs] for _ in range(2))
    mask = torch.zeros(queries, keys, dtype=torch.float64)
    if data.draw(st.booleans()):
        mask[normal(9, (queries, keys)) > 0] = -torch.inf
        mask[:, data.draw(st.integers(0, keys - 1))] = 1.0  # torch gives NaN where nothing is seen
    expected = ((wholes[0] @ wholes[1].mT) + mask).softmax(-1) @ wholes[2]
    found = OnlineSoftmax(parts[0])
    drop = data.draw(st.sampled_from([None, torch.nn.Identity()]))
    for start, stop in itertools.pairwise(itertools.accumulate(blocks, initial=0)):
        block = slice(start, stop)
        found.see(parts[1][:, block], parts[2][:, block], mask[:, block], drop)
    y, g = found.result(), normal(5, (2, queries, 3))
    y.backward(g)
    expected.backward(g)
    # The exponential of a score of size s has a relative error of s eps; scores are products of three numbers.
    close = {"rtol": 1e-13 * size, "atol": 1e-13 * size**2}
    torch.testing.assert_close(y, expected, **close)
    for part, whole in zip(parts, wholes, strict=True):
        torch.testing.assert_close(part.grad, whole.grad, **close)


def test_nothing_is_seen() -> None:
    """Where every score is left out, or no block is seen, the result is zero, and so are the gradients."""
    q, k, v = (normal(n, (2, 3)).requires_grad_() for n in range(3))
    found = OnlineSoftmax(q)
    found.pass_by(k, v)
    found.see(k, v, torch.full((2, 2), -torch.inf))
    y = found.result()
    y.sum().backward()
    assert not y.any()
    assert all(x.grad is not None and not x.grad.any() for x in (q, k, v))


def test_scores_are_not_kept() -> None:
    """For the backward pass, no tensor is kept that has an entry for each query and key."""
    q, k, v = (normal(n, (50, 3)).requires_grad_() for n in range(3))
    kept: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found = OnlineSoftmax(q)
        found.see(k[:20], v[:20])
        found.see(k[20:], v[20:])
        y = found.result()
    assert kept
    assert max(kept) <= 50 * 3
    y.sum().backward()
    assert q.grad is not None
    assert q.grad.any()
