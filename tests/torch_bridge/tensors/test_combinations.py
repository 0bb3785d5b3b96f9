"""What people combine when they train: every pair of choices, beside the same program in one process.

The cases are a covering array: each choice of one factor meets each choice of every other factor in some case. A case
is one program of torch, which runs on plain tensors, and then, unchanged, on distributed ones.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from distdl_ops import Grid, Split, World, simulate
from torch_bridge.tensors import DistributedTensor, distribute, distribute_tensor

FACTORS: dict[str, tuple[str, ...]] = {
    "layout": ("data", "space", "data and space", "tensor", "sharded", "sharded, kept", "sharded and tensor"),
    "optimizer": ("sgd", "adam", "adamw foreach", "adamw fused", "muon", "adafactor", "lbfgs"),
    "precision": ("double", "bfloat16", "float16", "scaled"),
    "checkpoint": ("no", "reentrant", "not reentrant"),
    "weights": ("all", "frozen", "tied", "lora"),
    "parametrized": ("no", "weight", "spectral"),
    "hooks": ("no", "of modules", "of tensors"),
    "between": ("nothing", "resume", "deepcopy"),
    "dropout": ("no", "yes"),
    "accumulation": ("no", "yes"),
    "clipping": ("no", "yes"),
    "average": ("no", "yes"),
    "call": ("direct", "functional"),
}
"""Choices by factor."""

Case = dict[str, str]


def covering(factors: Mapping[str, tuple[str, ...]]) -> list[Case]:
    """Return cases in which every pair of choices of two factors occurs, found greedily: always the same ones."""
    names = list(factors)
    missing = {
        (a, p, b, q) for a, b in itertools.combinations(names, 2) for p, q in itertools.product(factors[a], factors[b])
    }
    cases = []
    while missing:
        a, p, b, q = min(missing)
        case = {a: p, b: q}
        for name in names:
            if name in case:
                continue

            new = [
                sum(pair(names, name, choice, other, case[other]) in missing for other in case)
                for choice in factors[name]
            ]
            case[name] = factors[name][new.index(max(new))]
        missing -= {(a, case[a], b, case[b]) for a, b in itertools.combinations(names, 2)}
        cases.append({name: case[name] for name in names})
    return cases


def pair(names: list[str], a: str, p: str, b: str, q: str) -> tuple[str, str, str, str]:
    """Return a pair of choices, the factor that comes first first."""
    return (a, p, b, q) if names.index(a) < names.index(b) else (b, q, a, p)


LAYOUTS: dict[str, tuple[dict[str, int], dict[str, Any], dict[str, dict[str, Any]]]] = {
    "data": ({"data": 2}, {"data": Split(0)}, {}),
    "space": ({"rows": 2}, {"rows": Split(2)}, {}),
    "data and space": ({"data": 2, "rows": 2}, {"data": Split(0, [(0, 3), (3, 4)]), "rows": Split(2)}, {}),
    "tensor": (
        {"model": 2},
        {},
        {"up.*": {"model": Split(0)}, "down.weight": {"model": Split(1)}, "query.weight": {"model": Split(0)}},
    ),
    "sharded": ({"data": 2}, {"data": Split(0)}, {"*": {"data": Split(0)}}),
    "sharded, kept": ({"data": 2}, {"data": Split(0)}, {"*": {"data": Split(0)}}),
    "sharded and tensor": (
        {"data": 2, "model": 2},
        {"data": Split(0)},
        {"up.*": {"model": Split(0), "data": Split(0)}, "down.weight": {"model": Split(1), "data": Split(0)}},
    ),
}
"""Lengths of the grid axes, roles of the samples, roles of the parameters."""


class Net(nn.Module):
    """A convolution, attention over places, two layers at each place, a mean over places."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.stem = nn.Conv1d(3, 4, 3, padding=1, bias=False)  # a bias has no gradient before a norm, only noise
        self.norm = nn.BatchNorm1d(4)
        self.query, self.key, self.value = (nn.Linear(4, 4, bias=False) for _ in range(3))
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
        self.head = nn.Linear(4, 3)
        self.dropout = 0.25 if case["dropout"] == "yes" else 0.0
        self.kept = {"no": None, "reentrant": True, "not reentrant": False}[case["checkpoint"]]
        if case["weights"] == "tied":
            self.right.weight = self.left.weight
        if case["weights"] == "frozen":
            self.stem.requires_grad_(False)
            self.up.weight.requires_grad_(False)
        if case["weights"] == "lora":
            self.left = LowRank(self.left)  # type: ignore[assignment]

    def body(self, x: torch.Tensor) -> torch.Tensor:
        """Return what is computed again in a checkpoint."""
        q, k, v = (layer(x).unflatten(2, (2, 2)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        x = x + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.right(F.gelu(self.left(x)))
        x = F.dropout(x, self.dropout, self.training)
        return x + self.down(F.gelu(self.up(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits, (samples, 3), of samples (samples, 3, places)."""
        x = F.relu(self.norm(self.stem(x))).transpose(1, 2)
        x = self.body(x) if self.kept is None else checkpoint(self.body, x, use_reentrant=self.kept)
        result: torch.Tensor = self.head(x.mean(1))
        return result


class LowRank(nn.Module):
    """A frozen layer and a change of rank one."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(1, base.in_features))
        self.b = nn.Parameter(torch.randn(base.out_features, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's result with the change's added."""
        result: torch.Tensor = self.base(x)
        return result + x @ self.a.T @ self.b.T


def optimizer_of(case: Case, model: nn.Module) -> torch.optim.Optimizer:
    """Return the case's optimizer."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    match case["optimizer"]:
        case "sgd":
            return torch.optim.SGD(parameters, 0.05, momentum=0.9)
        case "adam":
            return torch.optim.Adam(parameters, 0.01, eps=1e-3)
        case "adamw foreach":
            return torch.optim.AdamW(parameters, 0.01, eps=1e-3, foreach=True)
        case "adamw fused":
            return torch.optim.AdamW(parameters, 0.01, eps=1e-3, fused=True)
        case "muon":
            return torch.optim.Muon([p for p in parameters if p.ndim == 2], 0.01)
        case "adafactor":
            return torch.optim.Adafactor(parameters, 0.01)
        case _:
            return torch.optim.LBFGS(parameters, 0.05, max_iter=2)


def hooked(case: Case, model: Any) -> None:
    """Set hooks that change what passes by."""
    if case["hooks"] == "of modules":
        model.right.register_forward_pre_hook(lambda _, args: (args[0] * 0.5,))
        model.right.register_forward_hook(lambda _, args, result: result + args[0])
        model.right.register_full_backward_hook(lambda _, into, out: (into[0] + 0.1 * out[0],))
        model.up.register_full_backward_pre_hook(lambda _, out: (out[0] * 0.5,))
    if case["hooks"] == "of tensors":
        model.down.weight.register_hook(lambda grad: grad * 0.5 + grad.mean())
        model.norm.register_forward_hook(
            lambda _, __, result: result.register_hook(lambda g: g * 0.7) and None if result.requires_grad else None
        )


DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def train(case: Case, grid: Grid | None) -> tuple[list[float], list[dict[str, torch.Tensor]]]:
    """Train for a few steps, on plain tensors or on a grid; return losses, gradients at first, weights in the end."""
    low = case["precision"] in DTYPES
    dtype = torch.float32 if low else torch.float64
    _, roles, parameters = LAYOUTS[case["layout"]] if grid is None or grid.world.size > 1 else ({}, {}, {})

    def given(x: torch.Tensor, roles: dict[str, Any]) -> Any:
        return x if grid is None else distribute_tensor(x, grid, **roles)

    def build() -> tuple[Any, torch.optim.Optimizer]:
        torch.manual_seed(3)
        net: Any = Net(case).to(dtype)
        if grid is not None:
            net = distribute(net, grid, parameters, reshard=case["layout"] != "sharded, kept")
        hooked(case, net)
        if case["parametrized"] != "no":
            torch.manual_seed(4)
            norm = parametrizations.weight_norm if case["parametrized"] == "weight" else parametrizations.spectral_norm
            norm(net.down)
        return net, optimizer_of(case, net)

    generator = torch.Generator().manual_seed(5)
    batches = []
    for _ in range(4):
        x = torch.randn(4, 3, 6, dtype=torch.float64, generator=generator).to(dtype)
        labels = torch.randint(3, (4,), generator=generator)
        batches.append((given(x, roles), given(labels, {n: r for n, r in roles.items() if r.axis == 0})))

    model, optimizer = build()
    average = (
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
        if case["average"] == "yes"
        else None
    )
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, enabled=case["precision"] in ("scaled", "float16"))
    scaling = scaler.is_enabled() and case["optimizer"] != "lbfgs"
    losses, gradients = [], {}
    torch.manual_seed(6)
    for step in range(2):
        some = batches[2 * step : 2 * step + 2] if case["accumulation"] == "yes" else batches[step : step + 1]

        def closure(some: Any = some, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            total = 0.0
            for x, labels in some:
                with torch.autocast("cpu", DTYPES[case["precision"]]) if low else contextlib.nullcontext():
                    if case["call"] == "direct":
                        logits = model(x)
                    else:
                        logits = torch.func.functional_call(model, dict(model.named_parameters()), (x,))
                    loss = F.cross_entropy(logits, labels) / len(some)
                (scaler.scale(loss) if scaling else loss).backward()
                total += loss.item()
            losses.append(total)
            if not gradients:
                gradients.update({n: whole(p.grad) for n, p in model.named_parameters() if p.grad is not None})
            if case["clipping"] == "yes":
                if scaling:
                    scaler.unscale_(optimizer)
                losses.append(nn.utils.clip_grad_norm_(model.parameters(), 0.5).item())
            return torch.tensor(total)

        if case["optimizer"] == "lbfgs":
            optimizer.step(closure)
        else:
            closure()
            if scaling:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
        if average is not None:
            average.update_parameters(model)
        if step == 0 and case["between"] == "resume":
            state, slots = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
            random = torch.get_rng_state()
            model, optimizer = build()
            model.load_state_dict(state)
            optimizer.load_state_dict(slots)
            torch.set_rng_state(random)
        if step == 0 and case["between"] == "deepcopy":
            model = copy.deepcopy(model)
            optimizer = optimizer_of(case, model)
    weights = {name: whole(value) for name, value in model.state_dict().items()}
    averages = {} if average is None else {name: whole(value) for name, value in average.state_dict().items()}
    return losses, [gradients, weights, averages]


def whole(x: torch.Tensor) -> torch.Tensor:
    """Return a tensor's numbers on every rank."""
    return (x.full_tensor().to_local() if isinstance(x, DistributedTensor) else x).detach().clone()


def differences(case: Case, world: World | None = None) -> Iterator[tuple[str, float]]:
    """Yield by how much a case's results differ from one process, on simulated ranks or on those of a world."""
    axes = LAYOUTS[case["layout"]][0]
    if case["dropout"] == "yes":  # masks are a function of the place in the whole tensor: compare with one rank
        expected, results = simulate(1, lambda one: train(case, Grid(one, **dict.fromkeys(axes, 1))))[0]
    else:
        expected, results = train(case, None)

    def main(world: World) -> Any:
        return train(case, Grid(world, **axes))

    for losses, tensors in [main(world)] if world is not None else simulate(ranks_of(case), main):
        assert len(losses) == len(expected)
        yield "losses", max(abs(a - b) for a, b in zip(losses, expected, strict=True))
        for what, one, many in zip(("gradient", "weight", "average"), results, tensors, strict=True):
            assert list(one) == list(many)
            for name in one:
                assert one[name].shape == many[name].shape
                yield f"{what} {name}", float((one[name].double() - many[name].double()).abs().max())


def ranks_of(case: Case) -> int:
    """Return the number of ranks of a case's grid."""
    return math.prod(LAYOUTS[case["layout"]][0].values())


def tolerance(case: Case, what: str) -> float:
    """Return by how much results may differ: rounding, of what is computed in lower precision, or after it."""
    if case["precision"] in DTYPES:  # a step of Adam's, or of Muon's, is of the size of its rate whatever the gradient
        return 0.2 if what.startswith("gradient") and case["precision"] == "float16" else 0.05
    if case["optimizer"] == "muon" and not what.startswith("gradient"):
        return 1e-3  # Muon computes in bfloat16
    return 1e-11


CASES = covering(FACTORS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case.values()))
def test_a_program_trains_on_any_layout_as_in_one_process(case: Case) -> None:
    """Losses, the norm of gradients, gradients, weights and averages are those of one process."""
    for what, difference in differences(case):
        assert difference <= tolerance(case, what), what


def test_every_pair_of_choices_is_tried() -> None:
    """Two choices of different factors meet in some case."""
    for a, b in itertools.combinations(FACTORS, 2):
        assert {(case[a], case[b]) for case in CASES} == set(itertools.product(FACTORS[a], FACTORS[b]))
