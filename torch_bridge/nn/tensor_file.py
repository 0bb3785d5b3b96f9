"""Parameters and buffers in one file of the safetensors format, as of the sequential model."""

from __future__ import annotations

from os import PathLike

import torch

from distdl_ops import At, DistributedSpace, Grid, Movement
from distdl_ops.worlds.agreement import AgreementError, agreed
from linop import SpaceError
from torch_bridge.nn.parameters import Stored, set_parts, stored_in, world_of


def save_safetensors(path: str | PathLike[str], model: torch.nn.Module) -> None:
    """Save the sequential model's ``state_dict``, which ``safetensors.torch.load_file`` returns. Collective.

    Rank 0 writes, and must have the memory for it: each tensor is gathered there, and nowhere else.

    Parameters
    ----------
    path : path
        Of the file.
    model : torch.nn.Module
        The distributed model.

    Raises
    ------
    AgreementError
        On every rank, when the replicas of a tensor differ, or rank 0 cannot write.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from safetensors.torch import load_file
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (6,), "float32", p=Split(0))
    ...     save_safetensors(file, Linear(6, 4, domain=x, in_axis="p"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "model.safetensors"
    ...     _ = simulate(2, main)
    ...     sorted((name, tuple(value.shape)) for name, value in load_file(file).items())
    [('bias', (4,)), ('weight', (4, 6))]
    """
    from safetensors.torch import save_file

    world, stored = world_of(model), stored_in(model)
    state = {name: value.detach() for name, value in model.state_dict().items()}
    differ = [name for name, tensor in stored.items() if not tensor.space.consistent(state[name])]
    if differ:
        raise AgreementError(f"save_safetensors: the replicas of {', '.join(differ)} differ")
    whole = {name: _on_rank_0(stored[name], value) if name in stored else value for name, value in state.items()}

    def write() -> None:
        if world.rank == 0:
            save_file({name: value.contiguous().clone() for name, value in whole.items()}, path)

    agreed(world, "save_safetensors", write, describe=lambda _: "done")


def load_safetensors(path: str | PathLike[str], model: torch.nn.Module) -> None:
    """Load a distributed model from a file of the sequential model's ``state_dict``. Collective.

    Each rank reads what it needs.

    Parameters
    ----------
    path : path
        Of a file that `save_safetensors` or ``safetensors.torch.save_file`` has written.
    model : torch.nn.Module
        The distributed model, in any layout.

    Raises
    ------
    SpaceError
        On every rank, when names or shapes are not the model's. Nothing is changed then.
    AgreementError
        When some ranks cannot read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from safetensors.torch import save_file
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (6,), "float32", p=Split(0))
    ...     model = Linear(6, 4, domain=x, in_axis="p")
    ...     load_safetensors(file, model)
    ...     return model.weight[0].tolist()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "model.safetensors"
    ...     save_file({"weight": torch.arange(24.0).reshape(4, 6), "bias": torch.zeros(4)}, file)
    ...     simulate(2, main)
    [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """
    from safetensors import safe_open

    world, stored = world_of(model), stored_in(model)

    def read() -> dict[str, torch.Tensor]:
        with safe_open(path, framework="pt") as file:
            own = model.state_dict()
            if set(file.keys()) != set(own):
                raise SpaceError(
                    f"load_safetensors: expected the parameters {sorted(own)}, found {sorted(file.keys())}"
                )
            parts = {}
            for name, value in own.items():
                shape = stored[name].shape if name in stored else tuple(value.shape)
                found = file.get_slice(name)
                if tuple(found.get_shape()) != shape:
                    raise SpaceError(f"load_safetensors: {name}: expected shape {shape}, found {found.get_shape()}")
                if not shape or name not in stored:
                    parts[name] = file.get_tensor(name)
                    continue
                parts[name] = torch.empty_like(value)
                for box, where in stored[name].boxes():
                    parts[name][where] = found[tuple(slice(*interval) for interval in box)]
            return parts

    set_parts(model, agreed(world, "load_safetensors", read, describe=lambda _: "done"))


def _on_rank_0(stored: Stored, part: torch.Tensor) -> torch.Tensor:
    """Return the whole tensor on rank 0, and nothing on the others. Collective."""
    space, world = stored.space, stored.space.grid.world
    if not space.global_shape:  # a number is the same everywhere
        return part
    target = DistributedSpace(Grid(world, ranks=world.size), space.global_shape, space.dtype, ranks=At(0))
    whole: torch.Tensor = Movement(space, target)(part)
    return whole.reshape(stored.shape) if world.rank == 0 else whole
