"""A training that ends goes on from its checkpoint: on the same ranks with the same numbers, elsewhere, and alone."""

import enum
import os
import pickle
import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

from distdl_ops import AgreementError, Cyclic, Grid, Replicated, Role, Split, World
from distdl_ops.testing import on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import (
    DistributedTensor,
    distribute,
    distribute_tensor,
    load_checkpoint,
    load_safetensors,
    save_checkpoint,
    save_safetensors,
)
from torch_bridge.state.checkpoint import Checkpoint, write_checkpoint
from torch_bridge.state.stored import Part


def normal(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Return normal numbers, the same on every rank."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# Each step multiplies the roundings of the one before; after a few, they are still far below this.
CLOSE = {"rtol": 1e-10, "atol": 1e-11}
X, TARGET = normal(1, (4, 2, 7, 6)), normal(2, (4, 5, 7, 6))

OPTIMIZERS: dict[str, Any] = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, amsgrad=True),
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
}


class Run:
    """A model in training: distributed in a layout, or sequential without a world."""

    def __init__(self, optimizer: str, world: World | None = None, role: Role | None = None) -> None:
        layers = torch.nn.Conv2d(2, 6, 3, padding=1), torch.nn.BatchNorm2d(6), torch.nn.Conv2d(6, 5, 1)
        self.model = torch.nn.Sequential(OrderedDict(zip(("conv", "norm", "last"), layers, strict=True))).double()
        self.x, self.target = X, TARGET
        if world is not None:
            grid = Grid(world, p=world.size)
            split = {"*.weight": {"p": role or Split(0)}, "*.bias": {"p": Split(0)}, "*mean": {"p": Cyclic(0, 2)}}
            distribute(self.model, grid, split)
            self.x, self.target = (distribute_tensor(x, grid, p=Split(2)) for x in (X, TARGET))
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def steps(self, count: int = 2) -> list[float]:
        """Take some steps, and return the losses."""
        losses = []
        for _ in range(count):
            self.optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(self.model(self.x), self.target)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses


def begin() -> dict[str, torch.Tensor]:
    """Return the state that all trainings begin with, of the sequential model."""
    return {name: normal(k, tuple(v.shape)) if v.ndim else v for k, (name, v) in enumerate(STATE.items())}


STATE = Run("SGD").model.state_dict()
ROLES = st.sampled_from([Split(0), Replicated(), Cyclic(0)])


def kept(run: Run) -> dict[str, dict[str, Any]]:
    """Return the state of an optimizer in whole tensors, by the parameters' names."""
    names = {parameter: name for name, parameter in run.model.named_parameters()}
    return {
        names[p]: {k: v.full_tensor().to_local() if isinstance(v, DistributedTensor) else v for k, v in values.items()}
        for p, values in run.optimizer.state.items()
    }


@pytest.fixture(scope="module")
def folder() -> Any:
    """Return a folder for the whole module: rank 0's, under MPI."""
    with tempfile.TemporaryDirectory() as found:
        yield found


def place(world: World, folder: str) -> str:
    """Return a path that no one has used, the same on every rank."""
    (path, *_) = world.allgather(tempfile.mkdtemp(dir=folder) if world.rank == 0 else "", "where")
    return path


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumes_with_the_same_numbers(ranks: int, optimizer: str, folder: str) -> None:
    """In the same layout, the losses are exactly those of the training that was not interrupted."""

    def main(world: World) -> None:
        path = place(world, folder)
        whole = Run(optimizer, world)
        whole.model.load_state_dict(begin())
        whole.steps()
        save_checkpoint(path, whole.model, whole.optimizer, {"epoch": 3, "losses": [0.5, {"best": 0.25}]})
        expected = whole.steps(3)
        again = Run(optimizer, world)
        assert load_checkpoint(path, again.model, again.optimizer) == {
            "epoch": 3,
            "losses": [0.5, {"best": 0.25}],
        }
        assert again.steps(3) == expected

    on_ranks(ranks, main)


@settings(max_examples=12)
@given(world_sizes(), st.sampled_from(sorted(OPTIMIZERS)), ROLES, ROLES)
def test_goes_on_elsewhere(folder: str, size: int, optimizer: str, first: Role, second: Role) -> None:
    """From the checkpoint of one layout, in another: the sequential training's losses, and bit by bit its state."""
    alone = Run(optimizer)
    alone.model.load_state_dict(begin())
    alone.steps()
    expected = alone.steps()

    def main(world: World) -> None:
        path = place(world, folder)
        run = Run(optimizer, world, first)
        run.model.load_state_dict(begin())
        run.steps()
        save_checkpoint(path, run.model, run.optimizer)
        again = Run(optimizer, world, second)
        load_checkpoint(path, again.model, again.optimizer)
        torch.testing.assert_close(again.model.state_dict(), run.model.state_dict(), rtol=0, atol=0)
        torch.testing.assert_close(kept(again), kept(run), rtol=0, atol=0)
        torch.testing.assert_close(again.steps(), expected, **CLOSE)

    on_ranks(size, main)


def load_alone(path: str, run: Run) -> None:
    """Load a checkpoint of a sequential model by torch's own functions."""
    state = {"model": run.model.state_dict(), "optimizer": get_optimizer_state_dict(run.model, run.optimizer)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that there is one process
        dcp.load(state, checkpoint_id=path)
    run.model.load_state_dict(state["model"])
    set_optimizer_state_dict(run.model, run.optimizer, state["optimizer"])


@pytest.mark.serial
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_alone_on_four_ranks_on_three_and_alone(optimizer: str, tmp_path: Path) -> None:
    """A training that moves from one process to 4 ranks, to 3 and back, has the losses of one that stays."""
    stays = Run(optimizer)
    stays.model.load_state_dict(begin())
    expected = [stays.steps() for _ in range(4)]

    run = Run(optimizer)
    run.model.load_state_dict(begin())
    assert run.steps() == expected[0]
    state = {"model": run.model.state_dict(), "optimizer": get_optimizer_state_dict(run.model, run.optimizer)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that there is one process
        dcp.save(state, checkpoint_id=tmp_path / "alone")

    def goes_on(source: str, target: str, losses: list[float]) -> Any:
        def main(world: World) -> None:
            run = Run(optimizer, world, Replicated() if world.size == 3 else None)
            load_checkpoint(tmp_path / source, run.model, run.optimizer)
            torch.testing.assert_close(run.steps(), losses, **CLOSE)
            save_checkpoint(tmp_path / target, run.model, run.optimizer)

        return main

    on_ranks(4, goes_on("alone", "four", expected[1]))
    on_ranks(3, goes_on("four", "three", expected[2]))
    run = Run(optimizer)
    load_alone(str(tmp_path / "three"), run)
    torch.testing.assert_close(run.steps(), expected[3], **CLOSE)


@pytest.mark.serial
def test_a_rank_writes_what_it_holds(tmp_path: Path) -> None:
    """Of a weight in blocks, each of 4 ranks writes a quarter; of what is replicated, one of them writes all."""

    def main(world: World) -> None:
        model = distribute(torch.nn.Linear(64, 64).double(), Grid(world, p=4), {"weight": {"p": Split(1)}})
        save_checkpoint(tmp_path / "model", model)

    on_ranks(4, main)
    sizes = [(tmp_path / "model" / f"__{rank}_0.distcp").stat().st_size for rank in range(4)]
    block = 8 * 64 * 16
    assert all(block <= size < 2 * block for size in sizes)  # the format has some bytes of its own


@pytest.mark.parametrize("ranks", [1, 3], indirect=True)
def test_a_module_on_the_meta_device_is_loaded_part_by_part(ranks: int, folder: str) -> None:
    """No rank holds more than its parts; tied weights stay tied, and the optimizer goes on."""

    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(7, 4)
            self.head = torch.nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.head(self.embed(x))
            return scores

    def main(world: World) -> None:
        path = place(world, folder)
        grid, rows = Grid(world, p=world.size), {"*": {"p": Split(0)}}
        torch.manual_seed(0)
        model = distribute(Tied(), grid, rows)
        x = distribute_tensor(torch.arange(7), grid, p=Split(0))
        optimizer = torch.optim.Adam(model.parameters())
        model(x).square().sum().backward()
        optimizer.step()
        save_checkpoint(path, model, optimizer)
        save_safetensors(f"{path}.safetensors", model)
        for load in (load_checkpoint, load_safetensors):
            with torch.device("meta"):
                again = Tied()
            again = distribute(again, grid, rows)
            load(path if load is load_checkpoint else f"{path}.safetensors", again)
            assert again.head.weight is again.embed.weight
            assert again.head.weight.to_local().shape == model.head.weight.to_local().shape
            assert not again.head.weight.is_meta
            torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
        other = torch.optim.Adam(again.parameters())
        load_checkpoint(path, again, other)
        for each, adam in ((model, optimizer), (again, other)):
            adam.zero_grad()
            each(x).square().sum().backward()
            adam.step()
        torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [1, 3], indirect=True)
def test_lists_in_the_state_of_an_optimizer(ranks: int, folder: str) -> None:
    """LBFGS, which keeps lists of tensors, goes on with the same numbers."""

    def main(world: World) -> None:
        path = place(world, folder)
        runs = []
        for _ in range(2):
            torch.manual_seed(0)
            model = distribute(torch.nn.Linear(5, 3).double(), Grid(world, p=world.size), {"weight": {"p": Split(1)}})
            runs.append((model, torch.optim.LBFGS(model.parameters(), max_iter=3)))
        x = distribute_tensor(normal(0, (6, 5)), Grid(world, p=world.size))

        def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> float:
            def closure() -> torch.Tensor:
                optimizer.zero_grad()
                loss: torch.Tensor = model(x).cosh().sum()
                loss.backward()
                return loss

            return float(optimizer.step(closure).detach())  # type: ignore[arg-type]

        step(*runs[0])
        save_checkpoint(path, *runs[0])
        load_checkpoint(path, *runs[1])
        torch.testing.assert_close(step(*runs[1]), step(*runs[0]), **CLOSE)

    on_ranks(ranks, main)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex64, torch.int64, torch.bool], ids=str)
def test_every_dtype(ranks: int, folder: str, dtype: torch.dtype) -> None:
    """Buffers of all dtypes are saved bit by bit, what is no number and negative zeros included."""

    def main(world: World) -> None:
        path = place(world, folder)
        values = torch.tensor([0.0, -0.0, 1.0, 3.0, float("nan")]) if dtype.is_floating_point else torch.arange(5)
        models = []
        for numbers in (values.to(dtype), torch.zeros(5, dtype=dtype)):
            model = torch.nn.Module()
            model.register_buffer("numbers", numbers)
            model.register_buffer("same", numbers.clone())
            models.append(distribute(model, Grid(world, p=world.size), {"numbers": {"p": Split(0)}}))
        save_checkpoint(path, models[0])
        save_safetensors(f"{path}.safetensors", models[0])
        for load, file in ((load_checkpoint, path), (load_safetensors, f"{path}.safetensors")):
            load(file, models[1])
            for name in ("numbers", "same"):
                assert torch.equal(
                    models[1].state_dict()[name].view(torch.uint8), models[0].state_dict()[name].view(torch.uint8)
                )
            models[1].numbers.zero_()

    on_ranks(ranks, main)


@pytest.mark.parametrize("first", [Split(0), Split(1)], ids=str)
def test_sharded_weights(ranks: int, first: Role, folder: str) -> None:
    """Shards of a data-parallel model, and of Adam's state, are saved as they lie, and load in other shards."""
    x = normal(4, (ranks, 5))

    def main(world: World) -> None:
        path = place(world, folder)
        runs, grid = [], Grid(world, p=world.size)
        for role in (first, Replicated()):
            module = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)).double()
            model = distribute(module, grid, {"*weight": {"p": role}})
            runs.append((model, torch.optim.Adam(model.parameters(), lr=0.1)))

        def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
            optimizer.zero_grad()
            model(distribute_tensor(x, grid, p=Split(0))).square().sum().backward()
            optimizer.step()

        step(*runs[0])
        save_checkpoint(path, *runs[0])
        load_checkpoint(path, *runs[1])
        for run in runs:
            step(*run)
        torch.testing.assert_close(runs[0][0].state_dict(), runs[1][0].state_dict(), **CLOSE)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_what_is_refused(ranks: int, folder: str) -> None:
    """Other names, shapes, groups and folders are an error on every rank, and change nothing."""

    def main(world: World) -> None:
        path = place(world, folder)
        run = Run("Adam", world)
        run.steps()
        save_checkpoint(path, run.model, run.optimizer)
        before, grid = run.model.state_dict(), Grid(world, p=world.size)
        with pytest.raises(FileExistsError, match="there is a checkpoint in"):
            save_checkpoint(path, run.model)
        with pytest.raises((FileNotFoundError, AgreementError)):
            load_checkpoint(f"{path}/nowhere", run.model)
        with pytest.raises(AgreementError, match="disagree"):
            load_checkpoint(path if world.rank else "nowhere", run.model)
        with pytest.raises(SpaceError, match=r"expected the parameters \['bias', 'weight'\]"):
            load_checkpoint(path, distribute(torch.nn.Conv2d(2, 6, 3), grid))
        wider = Run("Adam", world)
        wider.model.conv = distribute(torch.nn.Conv2d(2, 6, 5, padding=2), grid)
        with pytest.raises(SpaceError, match=r"conv.weight: expected shape \(6, 2, 5, 5\), found \(6, 2, 3, 3\)"):
            load_checkpoint(path, wider.model)
        halves = torch.optim.Adam([{"params": [p]} for p in run.model.parameters()])
        with pytest.raises(SpaceError, match="expected a group of"):
            load_checkpoint(path, run.model, halves)
        strange = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])
        with pytest.raises(SpaceError, match=r"others of shapes \[\(3,\)\]"):
            save_checkpoint(f"{path}-strange", run.model, strange)
        with pytest.raises(SpaceError, match=r"torch_bridge\.distribute has laid out"):
            save_checkpoint(path, torch.nn.Linear(1, 1))
        torch.testing.assert_close(run.model.state_dict(), before, rtol=0, atol=0)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_replicas_that_differ_are_not_saved(ranks: int, folder: str) -> None:
    """A parameter that has drifted apart is named, on every rank."""

    def main(world: World) -> None:
        path = f"{place(world, folder)}/drifted"
        run = Run("SGD", world)
        run.model.norm.running_var.to_local()[0] += world.rank
        with pytest.raises(AgreementError, match=r"model\.norm\.running_var"):
            save_checkpoint(path, run.model)
        with pytest.raises(AgreementError, match=r"norm\.running_var"):
            save_safetensors(f"{path}.safetensors", run.model)
        run = Run("SGD", world)
        run.steps()
        for group in run.optimizer.param_groups:
            group["lr"] = 0.1 * world.rank
        with pytest.raises(AgreementError, match="lr"):
            save_checkpoint(path, run.model, run.optimizer)

    on_ranks(ranks, main)


# -- what is saved can be loaded, and nothing that is loaded runs ------------------------------------------------------


def small(world: World) -> torch.nn.Module:
    """Return a layer in blocks, the same on every rank."""
    torch.manual_seed(0)
    return distribute(torch.nn.Linear(6, 4), Grid(world, p=world.size), {"weight": {"p": Split(1)}})


READABLE: dict[str, tuple[Any, Any]] = {
    "a number of NumPy": (np.float64(0.1), 0.1),
    "numbers of NumPy inside": ({"loss": [np.float32(2), (np.int64(3), np.bool_(True))]}, {"loss": [2.0, (3, True)]}),
    "text and bytes": (["a", b"b", None, 1 + 2j], ["a", b"b", None, 1 + 2j]),
    "an ordered dict": (OrderedDict(a=1), OrderedDict(a=1)),
    "a large number": (10**40, 10**40),
}


@pytest.mark.parametrize("name", READABLE)
def test_extra_is_loaded_as_it_was(ranks: int, folder: str, name: str) -> None:
    """Numbers of NumPy come back as Python's, everything else as it was."""
    given_value, expected = READABLE[name]

    def main(world: World) -> None:
        path = place(world, folder)
        save_checkpoint(path, small(world), extra={"x": given_value})
        assert load_checkpoint(path, small(world)) == {"x": expected}

    on_ranks(ranks, main)


def test_tensors_in_extra(ranks: int, folder: str) -> None:
    """A tensor in `extra` is saved alone, also when it is a small part of a large one."""

    def main(world: World) -> None:
        path = place(world, folder)
        save_checkpoint(path, small(world), extra={"x": torch.arange(1000.0)[3:5]})
        assert load_checkpoint(path, small(world))["x"].tolist() == [3, 4]
        assert max(file.stat().st_size for file in Path(path).iterdir()) < 8000

    on_ranks(ranks, main)


class Choice(enum.IntEnum):
    """A number that is read by running code."""

    FIRST = 1


CYCLE: list[Any] = []
CYCLE.append(CYCLE)
UNREADABLE = {
    "an array": np.arange(3),
    "a date": np.datetime64("2026-01-01"),
    "a function": len,
    "a lambda": lambda: 0,
    "an enumeration": Choice.FIRST,
    "a class inside": [{"deep": Path("x")}],
    "a list that contains itself": CYCLE,
    "a model": torch.nn.Linear(1, 1),
    "a set": {1},
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_extra_that_could_not_be_read_is_refused(ranks: int, folder: str, name: str) -> None:
    """All ranks raise a TypeError that says where it is, and nothing is written."""

    def main(world: World) -> None:
        path = f"{place(world, folder)}/new"
        with pytest.raises(TypeError, match="save_checkpoint: extra"):
            save_checkpoint(path, small(world), extra={"x": UNREADABLE[name]})
        world.allgather(0, "all have looked")
        assert not Path(path).exists()

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_values_that_differ_between_ranks_are_refused(ranks: int, folder: str) -> None:
    """Paths, `extra` and buffers that are the same on every rank, or an error on every rank, which names them."""

    def main(world: World) -> None:
        path, odd = f"{place(world, folder)}/new", world.rank == ranks - 1
        with pytest.raises(AgreementError, match="path: the ranks disagree"):
            save_checkpoint(f"{path}-{odd}", small(world))
        with pytest.raises(AgreementError, match="path: the ranks disagree"):
            save_safetensors(f"{path}-{odd}", small(world))
        with pytest.raises(AgreementError, match="found that extra differ"):
            save_checkpoint(path, small(world), extra={"seed": world.rank})
        with pytest.raises(AgreementError, match="disagree"):
            save_checkpoint(path, small(world), extra={"x": len if odd else 0})
        run = Run("SGD", world)
        run.model.norm.num_batches_tracked.to_local().add_(world.rank)
        for save in (save_checkpoint, save_safetensors):
            with pytest.raises(AgreementError, match="num_batches_tracked"):
                save(path, run.model)
        assert not Path(path).exists()

    on_ranks(ranks, main)


def save_alone(state: dict[str, Any], path: Path) -> None:
    """Save a checkpoint by torch's own function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is one process
        dcp.save(state, checkpoint_id=path)


class Bad:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def test_loading_runs_no_code(ranks: int, folder: str) -> None:
    """Neither the catalogue, nor a tensor, nor `extra`; the error names the file, on every rank."""

    def main(world: World) -> None:
        path = Path(place(world, folder))
        ran = str(path / "it-ran")
        save_checkpoint(path, small(world), extra={"epoch": 1})
        for file in (*path.glob("*.distcp"), path / ".metadata"):
            content = file.read_bytes()
            world.allgather(0, "all have read")
            if world.rank == 0:
                file.write_bytes(pickle.dumps(Bad(ran)) if file.name == ".metadata" else b"\x80" * len(content))
            world.allgather(0, "it is written")
            with pytest.raises((ValueError, AgreementError), match=file.name):
                load_checkpoint(path, small(world))
            world.allgather(0, "all have looked")
            if world.rank == 0:
                file.write_bytes(content)
        assert not Path(ran).exists()

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("torch.serialization", "load"),
        ("pathlib", "Path.home"),
    ],
)
def test_a_catalogue_names_no_function(module: str, name: str, tmp_path: Path) -> None:
    """Only what torch writes into a catalogue is known."""
    (tmp_path / ".metadata").write_bytes(f"c{module}\n{name}\n.".encode())
    with pytest.raises(ValueError, match=rf"\.metadata cannot be read.*names {module}\.{name}"):
        Checkpoint(str(tmp_path))


@pytest.mark.parametrize("outside", ["../secret", "/etc/passwd", "..\\secret", "C:secret"])
def test_a_catalogue_names_no_file_elsewhere(outside: str, tmp_path: Path) -> None:
    """Files of a checkpoint lie in its folder."""
    save_alone({"x": torch.ones(2)}, tmp_path)
    found = pickle.loads((tmp_path / ".metadata").read_bytes())
    for info in found.storage_data.values():
        info.relative_path = outside
    (tmp_path / ".metadata").write_bytes(pickle.dumps(found))
    with pytest.raises(ValueError, match="expected a file in the folder of the checkpoint"):
        Checkpoint(str(tmp_path))


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_damaged_file_is_named(ranks: int, folder: str, damage: str) -> None:
    """A file that is missing or has lost its end is named in the error, and the model is as it was."""

    def main(world: World) -> None:
        path = Path(place(world, folder))
        save_checkpoint(path, small(world))
        save_safetensors(path / "model.safetensors", small(world))
        model = small(world)
        torch.nn.init.zeros_(model.weight)
        world.allgather(0, "saved")
        if world.rank == 0:
            for file in (path / "__0_0.distcp", path / "model.safetensors"):
                if damage == "missing":
                    file.unlink()
                else:
                    file.write_bytes(file.read_bytes()[:50])
        world.allgather(0, "damaged")
        with pytest.raises((ValueError, FileNotFoundError), match=r"__0_0\.distcp"):
            load_checkpoint(path, model)
        with pytest.raises((ValueError, FileNotFoundError), match=r"model\.safetensors"):
            load_safetensors(path / "model.safetensors", model)
        assert not bool(model.weight.any())

    on_ranks(ranks, main)


def test_model_and_optimizer_load_without_extra(ranks: int, folder: str) -> None:
    """Where `extra` cannot be read, a warning says so; everything else is loaded."""

    def main(world: World) -> None:
        path = Path(place(world, folder))
        if world.rank == 0:
            whole = torch.nn.Linear(6, 4)
            torch.nn.init.ones_(whole.weight)
            save_alone({"model": whole.state_dict(), "extra": (np.arange(3),)}, path)
        world.allgather(0, "saved")
        model = small(world)
        with pytest.warns(RuntimeWarning, match="load_checkpoint: extra is left out"):
            assert load_checkpoint(path, model) == {}
        assert bool((model.weight == 1).all())

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_a_checkpoint_is_whole_when_all_its_files_are_there(
    ranks: int, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a file of another rank is not to be seen on rank 0, all ranks raise, and there is no checkpoint."""
    write = dcp.FileSystemWriter.write_data

    def lose(self: Any, plan: Any, planner: Any) -> Any:
        done = write(self, plan, planner)
        if plan.storage_data.prefix == "__1_":  # rank 1's own: nobody else writes or looks at these yet
            for file in Path(self.path).glob("__1_*.distcp"):
                file.unlink()
        return done

    def main(world: World) -> None:
        path = Path(place(world, folder))
        with pytest.raises(AgreementError, match=r"__1_0\.distcp, which rank 1 has written, is not there"):
            save_checkpoint(path, small(world))
        assert not (path / ".metadata").exists()

    monkeypatch.setattr(dcp.FileSystemWriter, "write_data", lose)
    on_ranks(ranks, main)


def test_a_file_is_replaced_when_the_new_one_is_whole(ranks: int, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails, the old file is as it was, and nothing else is left."""
    full = []
    write = safetensors.torch.save_file

    def save_file(tensors: Any, file: Path) -> None:
        write(tensors, file)
        if full:
            raise OSError("the disk is full")

    def main(world: World) -> None:
        path = Path(place(world, folder)) / "model.safetensors"
        model = small(world)
        save_safetensors(path, model)
        before = path.read_bytes()
        full.append(world.allgather(world.rank, "from now on"))
        with pytest.raises((OSError, AgreementError), match="the disk is full"):
            save_safetensors(path, model)
        world.allgather(0, "all have looked")
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    monkeypatch.setattr(safetensors.torch, "save_file", save_file)
    on_ranks(ranks, main)


def test_a_nested_state_of_parts(ranks: int, folder: str) -> None:
    """Any nested state can be written, with parts of tensors, and read in other layouts."""

    def main(world: World) -> None:
        path, grid = place(world, folder), Grid(world, p=world.size)
        whole = torch.arange(12.0).reshape(4, 3)
        source, target = (distribute_tensor(whole, grid, p=role) for role in (Split(0), Cyclic(1)))
        state = {"a": [Part(source.to_local(), source._placement), 5], "b": {"c": "text"}}
        write_checkpoint("a test", path, world, state)
        saved = Checkpoint(path)
        assert torch.equal(saved.read(("a", 0), target._placement), target.to_local())
        assert torch.equal(saved.read(("a", 0)), whole)
        assert saved.read(("b", "c")) == "text"

    on_ranks(ranks, main)
