"""Files of the safetensors format hold the sequential model, and load in any layout."""

import tempfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import AgreementError, Cyclic, Grid, Role, Split, World
from distdl_ops.testing import on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import distribute, load_safetensors, save_safetensors

WEIGHTS = st.sampled_from(
    [{}, {"p": Split(0)}, {"q": Split(1)}, {"q": Split(0), "p": Split(1)}, {"p": Cyclic(0), "q": Split(0)}]
)


def sequential() -> torch.nn.Sequential:
    """Return a linear layer, and a norm with running statistics."""
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7)).double()


def model(world: World, p: int, weights: dict[str, Role]) -> torch.nn.Sequential:
    """Return the same with the weight in blocks."""
    return distribute(sequential(), Grid(world, p=p, q=world.size // p), {"0.weight": weights})


def file_for(world: World) -> Path:
    """Return a path in a new folder, the same on every rank."""
    (folder, *_) = world.allgather(tempfile.mkdtemp() if world.rank == 0 else "", "where")
    return Path(folder) / "model.safetensors"


@settings(max_examples=15)
@given(world_sizes(), WEIGHTS, WEIGHTS, st.data())
def test_files_are_the_sequential_models(
    size: int, first: dict[str, Role], second: dict[str, Role], data: st.DataObject
) -> None:
    """What is saved in one layout is the sequential state, bit by bit, and loads in another."""
    lengths = data.draw(st.tuples(st.integers(1, size), st.integers(1, size)))
    state = {
        name: torch.randn(v.shape, dtype=v.dtype, generator=torch.Generator().manual_seed(k)) if v.ndim else v + 9
        for k, (name, v) in enumerate(sequential().state_dict().items())
    }

    def main(world: World) -> None:
        file = file_for(world)
        source, target = model(world, lengths[0], first), model(world, lengths[1], second)
        source.load_state_dict(state)
        save_safetensors(file, source)
        saved = safetensors.torch.load_file(file)
        torch.testing.assert_close(saved, state, rtol=0, atol=0)
        load_safetensors(file, target)
        torch.testing.assert_close(dict(target.state_dict()), state, rtol=0, atol=0)
        world.allgather(None, "all have read")
        if world.rank == 0:
            file.unlink()
            file.parent.rmdir()

    if all(size % length == 0 for length in lengths):
        on_ranks(size, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_one_name_of_a_tied_weight_is_enough(ranks: int) -> None:
    """Files often contain a tied weight once, by any of its names."""

    def main(world: World) -> None:
        file = file_for(world)
        if world.rank == 0:
            safetensors.torch.save_file({"1.weight": torch.eye(3)}, file)
        world.allgather(None, "written")
        for device in ("cpu", "meta"):
            tied = torch.nn.Sequential(*(torch.nn.Linear(3, 3, bias=False, device=device) for _ in range(2)))
            tied[1].weight = tied[0].weight
            tied = distribute(tied, Grid(world, p=world.size), {"*": {"p": Split(0)}})
            load_safetensors(file, tied)
            assert tied[0].weight is tied[1].weight
            assert torch.equal(tied.state_dict()["0.weight"], torch.eye(3))

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_files_that_do_not_fit(ranks: int) -> None:
    """Files that are missing, or of another model, are an error on every rank, and change nothing."""

    def main(world: World) -> None:
        file = file_for(world)
        own = model(world, 1, {})
        before = own.state_dict()
        if world.rank == 0:
            safetensors.torch.save_file({"weight": torch.ones(1)}, file.with_name("names"))
            wrong = {name: torch.ones(3, 5) if name == "0.weight" else value for name, value in before.items()}
            safetensors.torch.save_file(wrong, file.with_name("shapes"))
        world.allgather(None, "written")
        with pytest.raises(FileNotFoundError):
            load_safetensors(file, own)
        with pytest.raises(SpaceError, match=r"found \['weight'\]"):
            load_safetensors(file.with_name("names"), own)
        with pytest.raises(SpaceError, match=r"0.weight: expected shape \(7, 5\), found \[3, 5\]"):
            load_safetensors(file.with_name("shapes"), own)
        with pytest.raises(AgreementError, match="rank 1: done"):
            save_safetensors(file.parent / "nowhere" / "model", own)
        with pytest.raises(SpaceError, match=r"torch_bridge\.distribute has laid out"):
            load_safetensors(file, torch.nn.Linear(1, 1))
        torch.testing.assert_close(own.state_dict(), before, rtol=0, atol=0)

    on_ranks(ranks, main)
