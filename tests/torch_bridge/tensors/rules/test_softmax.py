"""Softmax and losses are those of one process, on any layout."""

from __future__ import annotations

import itertools
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from harness import holds, normal
from hypothesis import given

CLASSES, SHAPE = torch.tensor([2, 0, -100, 1]), (4, 3)
SIGNS = torch.tensor([1.0, -1.0, -1.0, 1.0]).double()

SOFTMAXES: dict[str, Any] = {
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "softmin": F.softmin,
    "in single precision": lambda x, dim: F.softmax(x, dim, dtype=torch.float32),
    "of what is hidden": lambda x, dim: x.masked_fill(x < -0.5, -torch.inf).softmax(dim).nan_to_num(0.5),
    "glu": lambda x, dim: F.glu(torch.cat([x, x * 2], dim), dim),
}

LOSSES: dict[str, tuple[Any, ...]] = {
    "mse": (F.mse_loss, SHAPE, SHAPE),
    "l1": (F.l1_loss, SHAPE, SHAPE),
    "smooth l1": (lambda x, y, **k: F.smooth_l1_loss(x, y, beta=0.5, **k), SHAPE, SHAPE),
    "huber": (F.huber_loss, SHAPE, SHAPE),
    "poisson": (F.poisson_nll_loss, SHAPE, SHAPE),
    "binary": (lambda x, y, **k: F.binary_cross_entropy(x.sigmoid(), y.sigmoid(), **k), SHAPE, SHAPE),
    "binary of logits": (
        lambda x, y, w, **k: F.binary_cross_entropy_with_logits(x, y.sigmoid(), pos_weight=w.exp().detach(), **k),
        SHAPE,
        SHAPE,
        (3,),
    ),
    "divergence": (lambda x, y, **k: F.kl_div(x.log_softmax(1), y.softmax(1), **k), SHAPE, SHAPE),
    "gaussian": (lambda x, y, v, **k: F.gaussian_nll_loss(x, y, v * v, **k), SHAPE, SHAPE, SHAPE),
    "soft margin": (lambda x, **k: F.soft_margin_loss(x, SIGNS[:, None].expand(4, 3), **k), SHAPE),
    "hinge": (lambda x, **k: F.hinge_embedding_loss(x, SIGNS[:, None].expand(4, 3), **k), SHAPE),
    "ranking": (lambda x, y, **k: F.margin_ranking_loss(x, y, SIGNS, 0.2, **k), (4,), (4,)),
    "classes": (lambda x, t, **k: F.cross_entropy(x, t, **k), SHAPE, CLASSES),
    "weighted classes": (lambda x, t, w, **k: F.cross_entropy(x, t, w.exp().detach(), **k), SHAPE, CLASSES, (3,)),
    "smoothed classes": (lambda x, t, **k: F.cross_entropy(x, t, label_smoothing=0.2, **k), SHAPE, CLASSES),
    "all of it": (
        lambda x, t, w, **k: F.cross_entropy(x, t, w.exp().detach(), label_smoothing=0.2, ignore_index=1, **k),
        SHAPE,
        CLASSES.clamp(min=0),
        (3,),
    ),
    "probabilities": (lambda x, y, **k: F.cross_entropy(x, y.softmax(1), label_smoothing=0.1, **k), SHAPE, SHAPE),
    "pixels": (
        lambda x, t, **k: F.cross_entropy(x, t, ignore_index=2, **k),
        (2, 3, 2, 2),
        torch.arange(8).reshape(2, 2, 2) % 3,
    ),
    "one sample": (lambda x, t, **k: F.cross_entropy(x, t, **k), (3,), torch.tensor(1)),
    "logarithms": (lambda x, t, **k: F.nll_loss(x.log_softmax(1), t, **k), SHAPE, CLASSES),
    "margin": (lambda x, t, **k: F.multi_margin_loss(x, t.clamp(min=0), **k), SHAPE, CLASSES),
    "margins": (lambda x, **k: F.multilabel_margin_loss(x, torch.tensor([[1, -1, 0]] * 4), **k), SHAPE),
    "soft margins": (lambda x, y, **k: F.multilabel_soft_margin_loss(x, y.sigmoid(), **k), SHAPE, SHAPE),
    "cosine": (lambda x, y, **k: F.cosine_embedding_loss(x, y, SIGNS, 0.1, **k), SHAPE, SHAPE),
    "triplet": (lambda x, y, z, **k: F.triplet_margin_loss(x, y, z, swap=True, **k), SHAPE, SHAPE, SHAPE),
    "triplet of a distance": (F.triplet_margin_with_distance_loss, SHAPE, SHAPE, SHAPE),
}


@pytest.mark.parametrize("name", SOFTMAXES)
@given(st.data())
def test_a_softmax_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Along any axis, split or not."""
    shape = data.draw(st.sampled_from([(3, 4), (2, 3, 4), (1, 5)]))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    tolerance = 1e-6 if "single" in name else 1e-12
    holds(data, lambda x: SOFTMAXES[name](x, dim), shape, tolerance=tolerance)


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
@pytest.mark.parametrize("name", LOSSES)
@given(st.data())
def test_a_loss_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Its sum, its mean with torch's own weights, and its values."""
    function, *given = LOSSES[name]
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    holds(data, lambda *x: function(*x, reduction=reduction), *given)


@pytest.mark.parametrize(("ignored", "reduction"), list(itertools.product([0, 4], ["mean", "sum"])))
@given(st.data())
def test_a_loss_of_nothing_is_that_of_one_process(ignored: int, reduction: str, data: st.DataObject) -> None:
    """Where all samples are ignored, or there is none, a mean is no number, and a sum is zero."""
    target = torch.full((ignored,), -100)
    holds(data, lambda x, t: F.cross_entropy(x, t, reduction=reduction), (ignored, 3), target)


@given(st.data())
def test_similarities_are_those_of_one_process(data: st.DataObject) -> None:
    """Cosines and distances, along any axis, with broadcasting."""
    dim = data.draw(st.integers(0, 1))
    holds(data, lambda x, y: F.cosine_similarity(x, y, dim), (3, 4), (1, 4))
    holds(data, lambda x, y: F.pairwise_distance(x, y, keepdim=True), (3, 4), (3, 4))
    holds(data, F.prelu, (2, 3, 4), (3,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@given(st.data())
def test_a_softmax_of_half_precision_rounds_once(dtype: torch.dtype, data: st.DataObject) -> None:
    """Sums are in single precision."""
    holds(data, lambda x: (x.softmax(0), x.log_softmax(1)), normal(20, 6, dtype=dtype))
