"""Files of the safetensors format hold the sequential model, and load in any layout."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import AgreementError, DistributedSpace, Grid, Replicated, World
from distdl_ops.testing import on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import normal

WEIGHTS = st.sampled_from([{}, {"out_axis": "p"}, {"in_axis": "q"}, {"out_axis": "q", "in_axis": "p"}])


def model(world: World, p: int, weights: dict[str, Any]) -> torch.nn.Sequential:
    """Return a linear layer with its weight in blocks, and a norm with running statistics."""
    grid = Grid(world, p=p, q=world.size // p)
    x = DistributedSpace(grid, (5,), p=Replicated(), q=Replicated())
    linear = nn.Linear(5, 7, domain=x, **weights)
    return torch.nn.Sequential(linear, nn.BatchNorm1d(7, domain=linear.codomain))


def file_for(world: World) -> Path:
    """Return a path in a new folder, the same on every rank."""
    (folder, *_) = world.allgather(tempfile.mkdtemp() if world.rank == 0 else "", "where")
    return Path(folder) / "model.safetensors"


@settings(max_examples=15)
@given(world_sizes(), WEIGHTS, WEIGHTS, st.data())
def test_files_are_the_sequential_models(size: int, first: Any, second: Any, data: st.DataObject) -> None:
    """What is saved in one layout is the sequential state, bit by bit, and loads in another."""
    lengths = data.draw(st.tuples(st.integers(1, size), st.integers(1, size)))
    plain = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7)).double()
    state = {
        name: normal(k, tuple(v.shape)) if v.ndim else v + 9 for k, (name, v) in enumerate(plain.state_dict().items())
    }

    def main(world: World) -> None:
        file = file_for(world)
        source, target = model(world, lengths[0], first), model(world, lengths[1], second)
        nn.load_state(source, state)
        nn.save_safetensors(file, source)
        found = safetensors.torch.load_file(file)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[name], value) for name, value in state.items())
        nn.load_safetensors(file, target)
        found = nn.gather_state(target)
        assert all(torch.equal(found[name], value) for name, value in state.items())
        world.allgather(None, "all have read")
        if world.rank == 0:
            file.unlink()
            file.parent.rmdir()

    on_ranks(size, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_files_that_do_not_fit(ranks: int) -> None:
    """Files that are missing, or of another model, are an error on every rank, and change nothing."""

    def main(world: World) -> None:
        file = file_for(world)
        own = model(world, 1, {})
        before = nn.gather_state(own)
        if world.rank == 0:
            safetensors.torch.save_file({"weight": torch.ones(1)}, file.with_name("names"))
            wrong = {name: torch.ones(3, 5) if name == "0.weight" else value for name, value in before.items()}
            safetensors.torch.save_file(wrong, file.with_name("shapes"))
        world.allgather(None, "written")
        with pytest.raises(FileNotFoundError):
            nn.load_safetensors(file, own)
        with pytest.raises(SpaceError, match=r"found \['weight'\]"):
            nn.load_safetensors(file.with_name("names"), own)
        with pytest.raises(SpaceError, match=r"0.weight: expected shape \(7, 5\), found \[3, 5\]"):
            nn.load_safetensors(file.with_name("shapes"), own)
        with pytest.raises(AgreementError, match="rank 1: done"):
            nn.save_safetensors(file.parent / "nowhere" / "model", own)
        with pytest.raises(SpaceError, match="distributed layers"):
            nn.load_safetensors(file, torch.nn.Linear(1, 1))
        for name, value in nn.gather_state(own).items():
            assert torch.equal(value, before[name])

    on_ranks(ranks, main)
