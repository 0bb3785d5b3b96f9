r"""Data parallelism, with replicated or with sharded weights: an operator on the weights.

.. math:: y_r = f(x_r;\; C w)

Each rank r applies the whole module f to samples of its own. w is one vector, C the movement that makes a copy of it
for every rank. Where every rank stores w, C is ``Replicated -> Copies``: it moves nothing, and its adjoint sums the
gradients of all ranks. Where w is sharded (ZeRO, FSDP), C is ``Split -> Copies``: an all-gather, and backward a
reduce-scatter, so that gradients and the optimizer's state are sharded, too.

The copies live as long as f is computed; its backward pass makes them anew. So a rank has room for the copies of one
module at a time: a deep model is a sequence of `DataParallel` blocks.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch

from distdl_ops import Copies, DistributedSpace, Grid, Replicated, Role, Split
from distdl_ops.worlds.agreement import agreed
from linop import SpaceError
from torch_bridge.nn.layer import Layer, from_rank_0, moving


class View(NamedTuple):
    """What autograd keeps of a copy of a parameter: whose, as it was when, and which entries."""

    name: str
    version: int
    shape: torch.Size
    stride: tuple[int, ...]
    offset: int


@final
class DataParallel(Layer):
    """Any torch module, on samples of each rank's own, with one vector of weights. Collective to build.

    Its parameters have the names of the module's, and, gathered, their shapes: they begin as rank 0's.

    Parameters
    ----------
    module : torch.nn.Module
        The same on every rank. It is used up: its weights are moved out of it. It must keep no statistics in buffers,
        which would become different ones on every rank.
    grid : Grid
        The ranks, all of its world.
    reshard_after_forward : bool, optional
        Whether the copies of the weights are given up after the forward pass, and made again for the backward pass. As
        with torch's ``fully_shard``, all ranks must need the same weights there. Within `torch.func`'s transforms and
        compiled functions, copies are kept.
    **roles : Replicated or Split
        How the weights are stored along the grid's axes; ``Replicated()`` where nothing is said. A parameter without
        the axis that a `Split` names is replicated.

    Raises
    ------
    SpaceError
        When the module has buffers in its state, or a role is none of these, or leaves an entry out, or has one twice.
    AgreementError
        When the modules of the ranks have different parameters.

    Examples
    --------
    >>> from distdl_ops import simulate
    >>> def main(world):
    ...     model = DataParallel(torch.nn.Linear(2, 1, bias=False), grid=Grid(world, p=2), p=Split(1))
    ...     model(torch.tensor([[1.0, 10.0 * world.rank]])).sum().backward()
    ...     return model.weight.shape, model.weight.grad.tolist()
    >>> simulate(2, main)
    [(torch.Size([1, 1]), [[2.0]]), (torch.Size([1, 1]), [[10.0]])]
    """

    def __init__(
        self, module: torch.nn.Module, *, grid: Grid, reshard_after_forward: bool = True, **roles: Role
    ) -> None:
        super().__init__()
        self.reshard_after_forward = reshard_after_forward
        named = dict(module.named_parameters())

        def check() -> None:
            kept = sorted(set(module.state_dict()) - {n for n, _ in module.named_parameters(remove_duplicate=False)})
            if kept:
                raise SpaceError(f"DataParallel: each rank would have buffers of its own, found {', '.join(kept)}")
            for axis, role in roles.items():
                if axis not in grid.axes or not isinstance(role, (Replicated, Split)):
                    raise SpaceError(
                        f"DataParallel: expected Replicated or Split along axes of {grid}, found {axis}={role}"
                    )
            if grid.size != grid.world.size:
                raise SpaceError(f"DataParallel: expected a grid of all {grid.world.size} ranks, found {grid}")

        shapes = [(name, tuple(p.shape), p.dtype, p.requires_grad) for name, p in named.items()]
        agreed(grid.world, "DataParallel", check, describe=lambda _: f"{shapes}, {grid}, {roles}")
        self._module = (module,)  # in a tuple, torch does not look for parameters in it
        self._copies: dict[str, torch.nn.Module] = {}
        for name, parameter in named.items():
            stored = {axis: _stored(roles.get(axis, Replicated()), parameter.ndim) for axis in grid.axes}
            dtype = str(parameter.dtype).removeprefix("torch.")
            space = DistributedSpace(grid, tuple(parameter.shape), dtype, **stored)
            if not space.layout.holds_once or space.size != parameter.numel():
                raise SpaceError(f"DataParallel: expected each entry of {name} on one rank, found {space}")
            self.parameter_spaces[name] = space
            self._copies[name] = moving(space, space.with_roles(**dict.fromkeys(grid.axes, Copies())))
            part = torch.nn.Parameter(from_rank_0(space, parameter), parameter.requires_grad)
            _place(self, name, part)
            parameter.data = parameter.data.new_empty(0)  # the memory of the whole

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the module makes of this rank's samples."""
        own = dict(self.named_parameters())
        copies = {name: copy(own[name]) for name, copy in self._copies.items()}
        kept = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
        if kept or not self.reshard_after_forward:
            return torch.func.functional_call(self._module[0], copies, args, kwargs)
        by_memory = {copy.untyped_storage().data_ptr(): name for name, copy in copies.items() if copy.numel()}

        def pack(saved: torch.Tensor) -> torch.Tensor | View:
            name = by_memory.get(saved.untyped_storage().data_ptr())
            if name is None:
                return saved
            return View(name, own[name]._version, saved.shape, saved.stride(), int(saved.storage_offset()))

        def unpack(saved: torch.Tensor | View) -> torch.Tensor:
            if isinstance(saved, torch.Tensor):
                return saved
            if own[saved.name]._version != saved.version:
                raise RuntimeError(f"DataParallel: {saved.name} has been changed between forward and backward pass")
            with torch.no_grad():
                again: torch.Tensor = self._copies[saved.name](own[saved.name])
            return again.as_strided(saved.shape, saved.stride, saved.offset)

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            return torch.func.functional_call(self._module[0], copies, args, kwargs)

    def train(self, mode: bool = True) -> DataParallel:
        """Set the module to training or evaluation."""
        self._module[0].train(mode)
        super().train(mode)
        return self


def _stored(role: Role, ndim: int) -> Role:
    """Return how a parameter of so many axes is stored: replicated, if it has none to split."""
    return Replicated() if isinstance(role, Split) and role.axis >= ndim else role


def _place(root: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> None:
    """Register a parameter by a name with dots: in modules within modules, as the original has it."""
    *path, last = name.split(".")
    for step in path:
        if step not in root._modules:
            root.add_module(step, torch.nn.Module())
        root = root.get_submodule(step)
    root.register_parameter(last, parameter)
