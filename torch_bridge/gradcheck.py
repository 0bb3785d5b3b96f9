r"""A check of gradients that sees all ranks at once.

A function of several ranks takes what all of them hold, x, to what all of them get, :math:`F(x)`. With one direction v
and one cotangent u over all ranks, its derivative J and the gradient that the backward passes find must satisfy

.. math:: \langle J v, u \rangle = \langle v, J^* u \rangle,

where both pairings are sums over all ranks, in which a replicated vector counts once. On the left, :math:`J v` is the
difference of two more forward passes, :math:`(F(x + h v) - F(x - h v)) / 2 h`; on the right stands what ``backward``
gives. A check on each rank by itself would not see data that go to the wrong rank, and would hang where one rank has
more entries than another.

Where the two sides differ, every input of every rank is moved by itself, to find out which one is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from distdl_ops import Copies, DistributedSpace, Role, World
from distdl_ops.worlds.agreement import agreed
from linop import SpaceError
from linop.arguments import Whole, checked
from linop.errors import ArgumentError
from torch_bridge.tensors import DistributedTensor

Place = DistributedSpace | Role
"""How a tensor lies over the ranks: in a space; replicated, as one vector; or each rank's own, by any other role."""


@final
@dataclass(frozen=True)
class WrongGradient:
    """An input whose gradient is not the adjoint's.

    Attributes
    ----------
    rank : int
        Whose.
    name : str
        Of the input.
    ratio : float or None
        The gradient that was found by the one that is right, where there is such a number: the same along several
        directions.
    entry : tuple of int or None
        Index of an entry in which the gradient is wrong; None where roundings hide it.
    found, expected : float
        The derivative along that entry (along one, of complex ones, that is drawn), as the gradient has it, and as the
        function does.
    """

    rank: int
    name: str
    ratio: float | None
    entry: tuple[int, ...] | None = None
    found: float = math.nan
    expected: float = math.nan

    def __str__(self) -> str:
        what = "not what it should be" if self.ratio is None else f"{self.ratio:.6g} times what it should be"
        where = f"; at {self.entry}, {self.found:.6g} and not {self.expected:.6g}" if self.entry is not None else ""
        return f"rank {self.rank}, {self.name}: {what}{where}"


@final
@dataclass(frozen=True)
class GradientReport:
    """What `spmd_gradcheck` found; the same on every rank. True when the gradients are right.

    Attributes
    ----------
    forward, backward : float
        The two pairings, ``<J v, u>`` and ``<v, J* u>``.
    error, tolerance : float
        How far they are apart and how far they may be, relative to the sizes of both.
    wrong : tuple of WrongGradient
        The inputs whose gradients are wrong.
    differing : tuple of str
        What should be one replicated vector, and is not.
    """

    forward: float
    backward: float
    error: float
    tolerance: float
    wrong: tuple[WrongGradient, ...] = ()
    differing: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the gradients are right."""
        return self.error <= self.tolerance and not self.wrong and not self.differing

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        faults = [*map(str, self.wrong), *self.differing]
        return (
            f"gradient: {verdict} (<J v, u> = {self.forward:.9g}, <v, J* u> = {self.backward:.9g}, "
            f"error {self.error:.1e}, tolerance {self.tolerance:.1e})" + "".join(f"\n  {line}" for line in faults)
        )


@checked
def spmd_gradcheck(
    f: Callable[..., Any],
    inputs: Sequence[torch.Tensor],
    world: World,
    *,
    domains: Sequence[Place] | None = None,
    codomains: Sequence[Place] | None = None,
    parameters: Mapping[str, Place] | None = None,
    seed: Whole = 0,
) -> GradientReport:
    """Check the gradient of a function of all ranks: one backward pass, and two more forward passes. Collective.

    Parameters
    ----------
    f : callable
        Takes this rank's tensors to a tensor or several. A module's parameters are inputs as well. Between calls, it
        must not change what it computes (as random dropout would).
    inputs : sequence of tensor
        This rank's, of any shape, real or complex; as many on every rank. Those that require a gradient on a rank are
        checked; give them double precision.
    world : World
        All ranks that call `f`.
    domains, codomains : sequence of DistributedSpace or Role, optional
        How each input, and each output, lies over the ranks. Without, every rank has its own: independent vectors, as
        `Copies` are. ``Replicated()`` means one vector that all ranks of the world store: its copies must be equal, it
        counts once, and each rank gets the whole gradient.
    parameters : mapping of name to DistributedSpace or Role, optional
        The same for a module's parameters. Of distributed tensors, inputs, outputs and parameters alike, it is known.
    seed : int, optional
        Where the direction and the cotangent are drawn from.

    Returns
    -------
    GradientReport
        True when the gradients are right to the cube root of the precision: the error of a central difference is h**2
        and its roundings are 1 / h, relative to the precision, so that this step is best.

    Raises
    ------
    SpaceError
        When there are not as many places as inputs or outputs.
    AgreementError
        When the ranks have different seeds.

    Examples
    --------
    An all-reduce adds up copies. What comes back is the same gradient for every copy, if the sum is one replicated
    vector; if the sums are copies of their own, it is the sum of their gradients:

    >>> import torch
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Movement, Replicated, simulate
    >>> from torch_bridge import as_function
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (3,), p=Copies())
    ...     f = as_function(Movement(S, S.with_roles(p=Replicated())))
    ...     x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    ...     right = spmd_gradcheck(f, [x], world, codomains=[Replicated()])
    ...     wrong = spmd_gradcheck(f, [x], world, codomains=[Copies()])
    ...     return right.passed, wrong.passed
    >>> simulate(2, main)[0]
    (True, False)
    """
    agreed(world, "spmd_gradcheck: seed", lambda: seed)
    check = _Check(f, inputs, world, domains, codomains, parameters or {}, seed)
    return check.report()


class _Check:
    """The passes, and the pairings between them."""

    def __init__(
        self,
        f: Callable[..., Any],
        inputs: Sequence[torch.Tensor],
        world: World,
        domains: Sequence[Place] | None,
        codomains: Sequence[Place] | None,
        parameters: Mapping[str, Place],
        seed: int,
    ) -> None:
        parameters_of_module = dict(f.named_parameters()) if isinstance(f, torch.nn.Module) else {}
        self.f, self.world, self.seed = f, world, seed
        self.count = len(inputs)
        self.names = [*(f"input {k}" for k in range(len(inputs))), *parameters_of_module]
        self.spaces = [_space(x) for x in (*inputs, *parameters_of_module.values())]
        self.values = [_plain(x).clone() for x in (*inputs, *parameters_of_module.values())]
        self.wanted = [x.requires_grad for x in (*inputs, *parameters_of_module.values())]
        places = [*_places("domains", domains, len(inputs)), *(parameters.get(name) for name in parameters_of_module)]
        self.places = [given or space or Copies() for given, space in zip(places, self.spaces, strict=True)]
        self.codomains = codomains
        self.directions = [
            self.draw(x, place, k) for k, (x, place) in enumerate(zip(self.values, self.places, strict=True))
        ]
        precision = max([torch.finfo(x.dtype).eps for x in self.values], default=2.0**-52)
        self.step = max(world.allgather(precision ** (1 / 3), "spmd_gradcheck"))

    def call(self, *values: torch.Tensor) -> list[torch.Tensor]:
        """Return the outputs."""
        given = [
            x if space is None else DistributedTensor.from_local(x, space)
            for x, space in zip(values, self.spaces, strict=True)
        ]
        inputs = tuple(given[: self.count])
        parameters = dict(zip(self.names[self.count :], given[self.count :], strict=True))
        if parameters:
            assert isinstance(self.f, torch.nn.Module)
            results = torch.func.functional_call(self.f, parameters, inputs)
        else:
            results = self.f(*inputs)
        outputs = [results] if isinstance(results, torch.Tensor) else list(results)
        self.known = [_space(y) for y in outputs]
        return [y.to_local() if isinstance(y, DistributedTensor) else y for y in outputs]

    def backward(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return the cotangents, and the gradients that the backward pass finds."""
        leaves = [x.clone().requires_grad_(wanted) for x, wanted in zip(self.values, self.wanted, strict=True)]
        outputs = self.call(*(x.clone() for x in leaves))  # a function may change its arguments
        places = _places("codomains", self.codomains, len(outputs))
        self.targets = [given or space or Copies() for given, space in zip(places, self.known, strict=True)]
        cotangents = [
            self.draw(y, place, -1 - k) for k, (y, place) in enumerate(zip(outputs, self.targets, strict=True))
        ]
        pairs = [(y, u) for y, u in zip(outputs, cotangents, strict=True) if y.requires_grad]
        if pairs:
            torch.autograd.backward([y for y, _ in pairs], [u for _, u in pairs])
        return cotangents, [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]

    def forward(self, moved: Sequence[bool], directions: Sequence[torch.Tensor] | None = None) -> list[torch.Tensor]:
        """Return the derivative of the outputs along the direction of some of this rank's inputs."""
        along = self.directions if directions is None else directions
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                values = [
                    x + sign * self.step * v if move else x.clone()
                    for x, v, move in zip(self.values, along, moved, strict=True)
                ]
                ends.append(self.call(*values))
        return [(above - below) / (2 * self.step) for above, below in zip(*ends, strict=True)]

    def report(self) -> GradientReport:
        """Compare the two sides; where they differ, look for the inputs that are wrong."""
        cotangents, gradients = self.backward()
        derivatives = self.forward(self.wanted)
        self.gradients = gradients
        left = [_pair(u, w) for u, w in zip(cotangents, derivatives, strict=True)]
        right = [_pair(g, v) * wanted for g, v, wanted in zip(gradients, self.directions, self.wanted, strict=True)]
        sizes = sum(_pair(w, w) for w in derivatives), sum(_pair(g, g) for g in gradients)
        everyone = self.world.allgather((left, right, self.wanted, sizes), "spmd_gradcheck")
        if not any(any(record[2]) and record[0] for record in everyone):  # on all ranks alike
            raise ArgumentError(
                "spmd_gradcheck: expected inputs to have a tensor that requires a gradient, on some rank, and f to "
                "return one; there is nothing to check"
            )
        forward = sum(self.counted([record[0] for record in everyone], self.targets))
        backward = sum(self.counted([record[1] for record in everyone], self.places))
        scale = math.sqrt(max(sum(record[3][k] for record in everyone) for k in range(2))) or 1.0
        error = abs(forward - backward) / scale
        allowed = self.step * scale
        differing = [
            *self.differing([record[0] for record in everyone], self.targets, "output {}", allowed),
            *self.differing([record[1] for record in everyone], self.places, "the gradient of {}", allowed),
        ]
        wrong: list[WrongGradient] = []
        if not error <= self.step or differing:
            for k, name in enumerate(self.names):
                for rank in range(self.world.size):
                    if everyone[rank][2][k] and self.owner(self.places[k], rank) == rank:
                        numbers = [record[1][k] for record in everyone]
                        wrong += self.compare(k, name, rank, cotangents, gradients, numbers, allowed)
        return GradientReport(forward, backward, error, self.step, tuple(wrong), tuple(differing))

    def compare(
        self,
        k: int,
        name: str,
        rank: int,
        cotangents: list[torch.Tensor],
        gradients: list[torch.Tensor],
        differences: list[float],
        allowed: float,
    ) -> list[WrongGradient]:
        """Compare both sides for one input of one rank, with all its replicas."""
        owners = [self.owner(self.places[k], other) for other in range(self.world.size)]
        size = max(self.world.allgather(self.values[k].numel() if self.world.rank == rank else 0, "spmd_gradcheck"))
        expected, _ = self.along(k, owners[self.world.rank] == rank, range(size), cotangents, gradients)
        return [
            WrongGradient(other, name, *self.place(k, other, owners, size, cotangents, gradients, allowed))
            for other in range(self.world.size)
            if owners[other] == rank and not abs(differences[other] - expected) <= allowed
        ]

    def along(
        self, k: int, moves: bool, entries: range, cotangents: list[torch.Tensor], gradients: list[torch.Tensor]
    ) -> tuple[float, list[float]]:
        """Return the derivative along some entries of an input, as the function has it and as each rank's gradient."""
        v = torch.zeros_like(self.directions[k])
        if moves:
            v.view(-1)[entries.start : entries.stop] = self.directions[k].reshape(-1)[entries.start : entries.stop]
        directions = [v if i == k else x for i, x in enumerate(self.directions)]
        derivatives = self.forward([i == k and moves for i in range(len(self.values))], directions)
        left = [_pair(u, w) for u, w in zip(cotangents, derivatives, strict=True)]
        everyone = self.world.allgather((left, _pair(gradients[k], v)), "spmd_gradcheck")
        return sum(self.counted([each[0] for each in everyone], self.targets)), [each[1] for each in everyone]

    def place(
        self,
        k: int,
        rank: int,
        owners: list[int],
        size: int,
        cotangents: list[torch.Tensor],
        gradients: list[torch.Tensor],
        allowed: float,
    ) -> tuple[float | None, tuple[int, ...] | None, float, float]:
        """Return a factor, if there is one, and an entry of a rank's gradient that is wrong, by halving."""
        moves = owners[self.world.rank] == owners[rank]

        def sides(entries: range) -> tuple[float, float]:
            expected, measured = self.along(k, moves, entries, cotangents, gradients)
            return expected, measured[rank]

        expected, measured = sides(range(size))
        pairs = [(expected, measured)]
        entries = range(size)
        while len(entries) > 1:
            middle = (entries.start + entries.stop) // 2
            halves = range(entries.start, middle), range(middle, entries.stop)
            both = [sides(half) for half in halves]
            pairs += both
            apart = [abs(one - other) for one, other in both]
            worse = 0 if apart[0] >= apart[1] or apart[1] != apart[1] else 1
            entries, (expected, measured) = halves[worse], both[worse]
        shape = self.world.allgather(tuple(self.values[k].shape), "spmd_gradcheck")[rank]
        index = tuple(int(i) for i in np.unravel_index(entries.start, shape)) if size else None
        wrong_entries = [(one, other) for one, other in pairs if abs(one) > allowed]
        ratio = wrong_entries[0][1] / wrong_entries[0][0] if wrong_entries else None
        if ratio is not None and any(abs(other - ratio * one) > 4 * (1 + abs(ratio)) * allowed for one, other in pairs):
            ratio = None  # no number explains all halves
        direction = self.world.allgather(self.direction_at(k, entries.start, size), "spmd_gradcheck")[rank]
        shown = direction if direction else 1.0
        clear = abs(measured - expected) > allowed / max(size, 1)
        return ratio, index if clear else None, measured / shown, expected / shown

    def direction_at(self, k: int, place: int, size: int) -> float:
        """Return the direction's entry there, if it is real."""
        v = self.directions[k]
        return float(v.reshape(-1)[place]) if place < v.numel() and size and not v.is_complex() else 0.0

    def owner(self, place: Place, rank: int) -> int:
        """Return the rank that counts for what a rank holds: the first replica, of a replicated vector."""
        if isinstance(place, DistributedSpace):
            return place.layout.counted_rank(rank)
        return 0 if place.replicated else rank

    def counted(self, numbers: list[list[float]], places: list[Place]) -> list[float]:
        """Return the numbers of all ranks that count."""
        return [
            number
            for rank, numbers_of_rank in enumerate(numbers)
            for number, place in zip(numbers_of_rank, places, strict=True)
            if self.owner(place, rank) == rank
        ]

    def differing(self, numbers: list[list[float]], places: list[Place], what: str, allowed: float) -> list[str]:
        """Return what differs between the replicas of one vector."""
        names = self.names if "gradient" in what else [str(k) for k in range(len(places))]
        return [
            f"{what.format(name)} differs between the replicas on ranks {self.owner(place, rank)} and {rank}"
            for rank in range(self.world.size)
            for k, (name, place) in enumerate(zip(names, places, strict=True))
            if not abs(numbers[rank][k] - numbers[self.owner(place, rank)][k]) <= allowed
        ]

    def draw(self, like: torch.Tensor, place: Place, stream: int) -> torch.Tensor:
        """Return normal numbers, the same for all replicas of a vector."""
        generator = np.random.default_rng((self.seed, stream + 2**16, self.owner(place, self.world.rank)))
        drawn = generator.standard_normal((2, *like.shape))
        numbers = drawn[0] + 1j * drawn[1] if like.is_complex() else drawn[0]
        return torch.from_numpy(np.asarray(numbers)).to(like)


def _pair(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the real part of ``sum(conj(x) * y)``, in double precision."""
    wide = torch.complex128 if x.is_complex() or y.is_complex() else torch.float64
    return float((x.detach().to(wide).conj() * y.detach().to(wide)).sum().real)


def _space(x: torch.Tensor) -> DistributedSpace | None:
    """Return the space of a distributed tensor; None of others."""
    return x.space if isinstance(x, DistributedTensor) else None


def _plain(x: torch.Tensor) -> torch.Tensor:
    """Return this rank's part, apart from any graph."""
    return (x.to_local() if isinstance(x, DistributedTensor) else x).detach()


def _places(name: str, given: Sequence[Place] | None, count: int) -> Sequence[Place | None]:
    """Return a place for each tensor, None where it is not said."""
    if given is None:
        return [None] * count
    if len(given) != count or not all(isinstance(place, DistributedSpace | Role) for place in given):
        raise SpaceError(f"spmd_gradcheck: expected {count} {name}, each a DistributedSpace or a Role, found {given!r}")
    return list(given)
