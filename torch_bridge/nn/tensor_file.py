"""Parameters and buffers in one file of the safetensors format, as of the sequential model."""

from __future__ import annotations

from os import PathLike

import torch

from torch_bridge.nn.parameters import set_parts, stored_in, world_of
from torch_bridge.state.tensor_file import read_tensors, write_tensors


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
        On every rank, when paths or the replicas of a tensor differ, or rank 0 cannot write. A file that was there
        before is as it was then.

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
    state = {name: value.detach() for name, value in model.state_dict().items()}
    write_tensors("save_safetensors", path, world_of(model), state, stored_in(model))


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
    FileNotFoundError, ValueError
        When the file is missing or cannot be read.
    AgreementError
        When ranks name different paths, or some of them cannot read.

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
    world = world_of(model)
    set_parts(model, read_tensors("load_safetensors", path, world, model.state_dict(), stored_in(model)))
