"""Normalisations are those of one process, on any layout: values, gradients, running statistics."""

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from harness import Layouts, agrees, layouts, normal
from hypothesis import given

from distdl_ops import Grid, Split, World, simulate
from torch_bridge.tensors import distribute_tensor, explain

SHAPES = [(4, 6), (2, 6, 5), (1, 6, 4, 3), (3, 6, 2, 3, 2), (0, 6, 4)]


@given(st.data())
def test_a_batch_normalisation_is_that_of_one_process(data: st.DataObject) -> None:
    """Moments are over the whole batch, however it is split; running statistics are torch's."""
    shape, training = data.draw(st.sampled_from(SHAPES)), data.draw(st.booleans())
    channel = (shape[1],)
    layout = data.draw(layouts(shape, *[channel] * 4))
    numbers = [normal(*channel, seed=k) for k in range(4)]
    running = [numbers[0].detach(), numbers[1].detach().abs() + 1]

    def normalised(x: Any, w: Any, b: Any, mean: Any, variance: Any) -> Any:
        return F.batch_norm(x, mean, variance, w, b, training, 0.3, 1e-3)

    agrees(layout, normalised, normal(*shape), *numbers[2:], *running, changed=(3, 4), tolerance=1e-11)


@given(st.data())
def test_an_instance_normalisation_is_that_of_one_process(data: st.DataObject) -> None:
    """Moments are those of each channel of each image; running statistics are means over the batch."""
    shape = data.draw(st.sampled_from(SHAPES[1:4]))
    channel, tracked = (shape[1],), data.draw(st.booleans())
    layout = data.draw(layouts(shape, *[channel] * 4))
    running = [normal(*channel).detach(), normal(*channel, seed=1).detach().abs() + 1]

    def normalised(x: Any, w: Any, b: Any, mean: Any, variance: Any) -> Any:
        statistics = (mean, variance) if tracked else (None, None)
        return F.instance_norm(x, *statistics, w, b, True, 0.3, 1e-3)

    agrees(
        layout,
        normalised,
        normal(*shape),
        normal(*channel, seed=2),
        normal(*channel, seed=3),
        *running,
        changed=(3, 4),
        tolerance=1e-11,
    )


@given(st.data())
def test_a_group_normalisation_is_that_of_one_process(data: st.DataObject) -> None:
    """A group of channels may lie on several ranks, and a rank have several groups."""
    shape, groups = data.draw(st.sampled_from(SHAPES)), data.draw(st.sampled_from([1, 2, 3, 6]))
    layout = data.draw(layouts(shape, (6,), (6,)))
    agrees(
        layout,
        lambda x, w, b: F.group_norm(x, groups, w, b, 1e-3),
        normal(*shape),
        normal(6),
        normal(6, seed=1),
        tolerance=1e-11,
    )


@given(st.data())
def test_a_layer_normalisation_is_that_of_one_process(data: st.DataObject) -> None:
    """Layer and root-mean-square normalisations over one axis or several, split or not."""
    shape = data.draw(st.sampled_from(SHAPES))
    last = shape[len(shape) - data.draw(st.integers(1, min(2, len(shape) - 1))) :]
    layout = data.draw(layouts(shape, last, last))
    agrees(
        layout,
        lambda x, w, b: F.layer_norm(x, last, w, b, 1e-3),
        normal(*shape),
        normal(*last),
        normal(*last, seed=1),
        tolerance=1e-11,
    )
    agrees(
        Layouts(layout.size, layout.axes, layout.roles[:2]),
        lambda x, w: F.rms_norm(x, last, w, 1e-3),
        normal(*shape),
        normal(*last),
        tolerance=1e-11,
    )


@given(st.data())
def test_a_local_response_normalisation_is_that_of_one_process(data: st.DataObject) -> None:
    """Each channel sees its neighbours, on other ranks as well."""
    shape, size = data.draw(st.sampled_from(SHAPES[1:4])), data.draw(st.integers(1, 5))
    agrees(data.draw(layouts(shape)), lambda x: F.local_response_norm(x, size, 0.5, 0.75, 2.0), normal(*shape))


@given(st.data())
def test_a_vector_normalisation_is_that_of_one_process(data: st.DataObject) -> None:
    """`normalize`, and the norm of a weight, are compositions."""
    shape = (4, 5, 3)
    dim = data.draw(st.integers(0, 2))
    agrees(data.draw(layouts(shape)), lambda x: F.normalize(x, 2.0, dim), normal(*shape))
    sizes = tuple(n if k == dim else 1 for k, n in enumerate(shape))
    agrees(data.draw(layouts(shape, sizes)), lambda v, g: torch._weight_norm(v, g, dim), normal(*shape), normal(*sizes))


@pytest.mark.parametrize("axis", [0, 2])
def test_a_large_mean_does_not_matter(axis: int) -> None:
    """Variances are of what is left when the mean is taken away: of a mean of 1e6, its rounding alone is seen."""
    x = normal(4, 3, 8, grad=False) + 1e6
    expected = F.batch_norm(x - 1e6, None, None, training=True)

    def main(world: Any) -> float:
        part = distribute_tensor(x, Grid(world, p=2), p=Split(axis))
        result = F.batch_norm(part, None, None, training=True).full_tensor().to_local()
        return float((result - expected).abs().max())

    assert max(simulate(2, main)) < 1e6 * 2**-50


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single_precision(dtype: torch.dtype) -> None:
    """Sums of half-precision numbers are in float32 on every rank and between ranks: results round as torch's do."""
    x = (normal(2, 4, 512, grad=False) * 3 + 20).to(dtype)

    def main(world: Any) -> float:
        part = distribute_tensor(x, Grid(world, p=4), p=Split(2))
        worst = 0.0
        for function in (
            lambda t: F.group_norm(t, 2),
            lambda t: F.layer_norm(t, (512,)),
            lambda t: F.rms_norm(t, (512,)),
        ):
            result, expected = function(part).full_tensor().to_local(), function(x)
            worst = max(worst, float((result.float() - expected.float()).abs().max() / torch.finfo(dtype).eps))
            assert result.dtype == dtype
        return worst

    assert max(simulate(4, main)) <= 4  # results are below 4: one or two units in the last place


NORMS: dict[str, Any] = {
    "batch": lambda x, w: F.batch_norm(x, None, None, w, training=True),
    "instance": lambda x, w: F.instance_norm(x, weight=w),
    "group": lambda x, w: F.group_norm(x, 2, w),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_normalisation_in_space_keeps_its_argument_and_few_numbers(name: str) -> None:
    """As much as torch's kernels keep, and one message goes each way."""

    def main(world: World) -> None:
        grid = Grid(world, rows=2)
        x = distribute_tensor(normal(2, 4, 8, 8, grad=False), grid, rows=Split(2)).requires_grad_()
        w = distribute_tensor(torch.ones(4, dtype=torch.float64), grid)
        kept: list[torch.Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            NORMS[name](x, w)
        sizes = sorted(t.numel() for t in kept)
        assert sizes[-1] == x.to_local().numel()
        assert sum(sizes[:-1]) <= 40
        sent = [(m.forward.messages, m.backward.messages) for m in explain(lambda: NORMS[name](x, w)).moved]
        assert [forward for forward, _ in sent if forward] == [1]
        assert [backward for _, backward in sent if backward] == [1]

    simulate(2, main)


@pytest.mark.parametrize("name", NORMS)
def test_a_normalisation_in_space_has_second_derivatives(name: str) -> None:
    """The gradient of a gradient's size is that of one process."""

    def second(x: Any, w: Any) -> Any:
        (g,) = torch.autograd.grad(NORMS[name](x, w).pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), (x, w))

    x, w = normal(2, 4, 6, 3), normal(4)
    expected = second(x, w)

    def main(world: World) -> None:
        grid = Grid(world, rows=2)
        parts = distribute_tensor(x.detach(), grid, rows=Split(2)).requires_grad_()
        weight = distribute_tensor(w.detach(), grid).requires_grad_()
        for found, one in zip(second(parts, weight), expected, strict=True):
            torch.testing.assert_close(found.full_tensor().to_local(), one, rtol=1e-9, atol=1e-9)

    simulate(2, main)
