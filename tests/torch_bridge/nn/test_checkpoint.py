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

from distdl_ops import AgreementError, At, DistributedSpace, Grid, Replicated, Role, Split, World
from distdl_ops.testing import on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.nn.layer import Layer
from torch_bridge.state.checkpoint import Checkpoint, Part, write_checkpoint
from torch_bridge.state.stored import Stored
from torch_bridge.testing import normal

# Each step multiplies the roundings of the one before; after a few, they are still far below this.
CLOSE = {"rtol": 1e-10, "atol": 1e-11}
X, TARGET = normal(1, (4, 2, 7, 6)), normal(2, (4, 5, 7, 6))

OPTIMIZERS: dict[str, Any] = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, amsgrad=True),
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
}


class Run:
    """A model in training: distributed in a layout, or sequential without a world."""

    def __init__(self, optimizer: str, world: World | None = None, roles: dict[str, Role] | None = None) -> None:
        self.loss: Any = torch.nn.functional.mse_loss
        self.x, self.target = X, TARGET
        if world is None:
            layers: list[torch.nn.Module] = [
                torch.nn.Conv2d(2, 6, 3, padding=1),
                torch.nn.BatchNorm2d(6),
                torch.nn.Conv2d(6, 5, 1),
            ]
        else:
            roles = roles or {"p": Split(1)}
            images = DistributedSpace(Grid(world, p=world.size), (2, 7, 6), **roles)
            out = "p" if not isinstance(roles["p"], Split) else None  # blocks of the weight, where space is whole
            conv = nn.Conv2d(2, 6, 3, padding=1, domain=images, out_axis=out)
            norm = nn.BatchNorm2d(6, domain=conv.codomain)
            last = nn.Conv2d(6, 5, 1, domain=conv.codomain, in_axis=out)
            layers = [conv, norm, last]
            self.loss = nn.MSELoss(domain=last.codomain)
            self.x, self.target = images.from_global(X), last.codomain.from_global(TARGET)
        self.model = torch.nn.Sequential(OrderedDict(zip(("conv", "norm", "last"), layers, strict=True)))
        self.model.double()
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def steps(self, count: int = 2) -> list[float]:
        """Take some steps, and return the losses."""
        found = []
        for _ in range(count):
            self.optimizer.zero_grad()
            loss = self.loss(self.model(self.x), self.target)
            loss.backward()
            self.optimizer.step()
            found.append(loss.item())
        return found


def begin() -> dict[str, torch.Tensor]:
    """Return the state that all trainings begin with, of the sequential model."""
    return {name: normal(k, tuple(v.shape)) if v.ndim else v for k, (name, v) in enumerate(STATE.items())}


STATE = Run("SGD").model.state_dict()
ROLES = st.sampled_from([{"p": Split(1)}, {"p": Split(2)}, {"p": Replicated()}, {"p": At(0)}])


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
        nn.load_state(whole.model, begin())
        whole.steps()
        nn.save_checkpoint(path, whole.model, whole.optimizer, {"epoch": 3, "losses": [0.5, {"best": 0.25}]})
        expected = whole.steps(3)
        again = Run(optimizer, world)
        assert nn.load_checkpoint(path, again.model, again.optimizer) == {
            "epoch": 3,
            "losses": [0.5, {"best": 0.25}],
        }
        assert again.steps(3) == expected

    on_ranks(ranks, main)


@settings(max_examples=12)
@given(world_sizes(), st.sampled_from(sorted(OPTIMIZERS)), ROLES, ROLES)
def test_goes_on_elsewhere(folder: str, size: int, optimizer: str, first: Any, second: Any) -> None:
    """From the checkpoint of one layout, and from the gathered states, in another: the sequential training's losses."""
    alone = Run(optimizer)
    alone.model.load_state_dict(begin())
    alone.steps()
    expected = alone.steps()

    def main(world: World) -> None:
        path = place(world, folder)
        run = Run(optimizer, world, first)
        nn.load_state(run.model, begin())
        run.steps()
        nn.save_checkpoint(path, run.model, run.optimizer)
        state, kept = nn.gather_state(run.model), nn.gather_optimizer_state(run.model, run.optimizer)
        found = Run(optimizer, world, second)
        nn.load_checkpoint(path, found.model, found.optimizer)
        for name, value in nn.gather_state(found.model).items():
            assert torch.equal(value, state[name])
        torch.testing.assert_close(found.steps(), expected, **CLOSE)
        found = Run(optimizer, world, second)
        nn.load_state(found.model, state)
        nn.load_optimizer_state(found.model, found.optimizer, kept)
        torch.testing.assert_close(found.steps(), expected, **CLOSE)

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
            run = Run(optimizer, world, {"p": Replicated()} if world.size == 3 else None)
            nn.load_checkpoint(tmp_path / source, run.model, run.optimizer)
            torch.testing.assert_close(run.steps(), losses, **CLOSE)
            nn.save_checkpoint(tmp_path / target, run.model, run.optimizer)

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
        x = DistributedSpace(Grid(world, p=4), (64,), p=Split(0))
        model = nn.Linear(64, 64, domain=x, in_axis="p")
        nn.save_checkpoint(tmp_path / "model", model)

    on_ranks(4, main)
    sizes = [(tmp_path / "model" / f"__{rank}_0.distcp").stat().st_size for rank in range(4)]
    block = 8 * 64 * 16
    assert all(block <= size < 2 * block for size in sizes)  # the format has some bytes of its own


@pytest.mark.parametrize("ranks", [1, 3], indirect=True)
def test_optimizer_state_is_the_sequential_one(ranks: int) -> None:
    """The gathered state has the form of torch's own, and torch's own is loaded."""

    def main(world: World) -> None:
        alone, run = Run("Adam"), Run("Adam", world)
        alone.model.load_state_dict(begin())
        nn.load_state(run.model, begin())
        alone.steps()
        run.steps()
        expected = get_optimizer_state_dict(alone.model, alone.optimizer)
        found = nn.gather_optimizer_state(run.model, run.optimizer)
        assert found["param_groups"] == expected["param_groups"]
        torch.testing.assert_close(found["state"], expected["state"], **CLOSE)
        again = Run("Adam", world)
        assert nn.gather_optimizer_state(again.model, again.optimizer)["state"] == {}
        nn.load_optimizer_state(again.model, again.optimizer, expected)
        state = nn.gather_optimizer_state(again.model, again.optimizer)["state"]
        torch.testing.assert_close(state, expected["state"], rtol=0, atol=0)

    on_ranks(ranks, main)


@pytest.mark.parametrize("first", [Split(0), Split(1)], ids=str)
def test_sharded_weights(ranks: int, first: Role, folder: str) -> None:
    """Shards of a data-parallel model, and of Adam's state, are saved as they lie, and load in other shards."""
    x = normal(4, (1, 5))

    def main(world: World) -> None:
        path = place(world, folder)
        runs = []
        for role in (first, Replicated()):
            module = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)).double()
            model = nn.DataParallel(module, grid=Grid(world, p=world.size), p=role)
            runs.append((model, torch.optim.Adam(model.parameters(), lr=0.1)))

        def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()

        step(*runs[0])
        nn.save_checkpoint(path, *runs[0])
        nn.load_checkpoint(path, *runs[1])
        for run in runs:
            step(*run)
        found, expected = (nn.gather_state(model) for model, _ in runs)
        torch.testing.assert_close(found, expected, **CLOSE)

    on_ranks(ranks, main)


class Stack(Layer):
    """Three matrices of 4 x 5, one below the other in the sequential layer, each split by its rows."""

    def __init__(self, world: World, role: Role) -> None:
        super().__init__()
        space = DistributedSpace(Grid(world, p=world.size), (3, 4, 5), p=role)
        self.add_parameters({"weight": space}, lambda device: torch.nn.Linear(5, 12, bias=False, device=device))


@pytest.mark.parametrize("role", [Split(0), Split(1), Split(2), Replicated()], ids=str)
def test_stacks_of_matrices(ranks: int, role: Role, folder: str) -> None:
    """What lies in a space of three axes is saved, with its momentum, as the sequential layer has it."""
    weight = normal(3, (12, 5))

    def main(world: World) -> None:
        path = place(world, folder)
        model, other = Stack(world, role), Stack(world, Split(1))
        nn.load_state(model, {"weight": weight})
        optimizers = [torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (model, other)]
        model.weight.grad = 2 * model.weight.detach()
        optimizers[0].step()
        nn.save_checkpoint(path, model, optimizers[0])
        nn.load_checkpoint(path, other, optimizers[1])
        state = nn.gather_optimizer_state(other, optimizers[1])
        assert torch.equal(state["state"]["weight"]["momentum_buffer"], 2 * weight)
        assert torch.equal(nn.gather_state(other)["weight"], nn.gather_state(model)["weight"])
        nn.load_optimizer_state(model, optimizers[0], state)
        assert torch.equal(optimizers[0].state[model.weight]["momentum_buffer"], model.weight.grad)
        nn.save_safetensors(f"{path}/model.safetensors", model)
        nn.load_state(other, {"weight": weight})
        nn.load_safetensors(f"{path}/model.safetensors", other)
        expected = safetensors.torch.load_file(f"{path}/model.safetensors")["weight"]
        assert torch.equal(nn.gather_state(other)["weight"], expected)
        assert torch.equal(expected, nn.gather_state(model)["weight"])

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_what_is_refused(ranks: int, folder: str) -> None:
    """Other names, shapes, groups and folders are an error on every rank, and change nothing."""

    def main(world: World) -> None:
        path = place(world, folder)
        run = Run("Adam", world)
        run.steps()
        nn.save_checkpoint(path, run.model, run.optimizer)
        before = nn.gather_state(run.model)
        with pytest.raises(FileExistsError, match="there is a checkpoint in"):
            nn.save_checkpoint(path, run.model)
        with pytest.raises((FileNotFoundError, AgreementError)):
            nn.load_checkpoint(f"{path}/nowhere", run.model)
        with pytest.raises(AgreementError, match="disagree"):
            nn.load_checkpoint(path if world.rank else "nowhere", run.model)
        x = DistributedSpace(Grid(world, p=world.size), (2, 7, 6), p=Split(1))
        with pytest.raises(SpaceError, match=r"expected the parameters \['bias', 'weight'\]"):
            nn.load_checkpoint(path, nn.Conv2d(2, 6, 3, domain=x))
        wider = Run("Adam", world)
        wider.model.conv = nn.Conv2d(2, 6, 5, padding=2, domain=x)
        with pytest.raises(SpaceError, match=r"conv.weight: expected shape \(6, 2, 5, 5\), found \(6, 2, 3, 3\)"):
            nn.load_checkpoint(path, wider.model)
        halves = torch.optim.Adam([{"params": [p]} for p in run.model.parameters()])
        state = nn.gather_optimizer_state(run.model, run.optimizer)
        with pytest.raises(SpaceError, match="expected a group of"):
            nn.load_optimizer_state(run.model, halves, state)
        with pytest.raises(SpaceError, match="expected a group of"):
            nn.load_checkpoint(path, run.model, halves)
        state["state"]["conv.bias"]["exp_avg"] = torch.ones(7)
        with pytest.raises(SpaceError, match=r"exp_avg of conv.bias: expected shape \(6,\), found \(7,\)"):
            nn.load_optimizer_state(run.model, run.optimizer, state)
        strange = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])
        with pytest.raises(SpaceError, match=r"others of shapes \[\(3,\)\]"):
            nn.gather_optimizer_state(run.model, strange)
        run.optimizer.state[run.model.last.bias]["exp_avg"] = torch.ones(2)
        with pytest.raises(SpaceError, match="to have the parameter's shape"):
            nn.gather_optimizer_state(run.model, run.optimizer)
        with pytest.raises(SpaceError, match="distributed layers"):
            nn.save_checkpoint(path, torch.nn.Linear(1, 1))
        for name, value in nn.gather_state(run.model).items():
            assert torch.equal(value, before[name])

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_replicas_that_differ_are_not_saved(ranks: int, folder: str) -> None:
    """A parameter that has drifted apart is named, on every rank."""

    def main(world: World) -> None:
        path = f"{place(world, folder)}/drifted"
        run = Run("SGD", world)
        run.model.conv.bias.data[0] += world.rank
        with pytest.raises(AgreementError, match=r"model\.conv\.bias"):
            nn.save_checkpoint(path, run.model)
        with pytest.raises(AgreementError, match=r"conv\.bias"):
            nn.save_safetensors(f"{path}.safetensors", run.model)
        run = Run("SGD", world)
        run.steps()
        for group in run.optimizer.param_groups:
            group["lr"] = 0.1 * world.rank
        with pytest.raises(AgreementError, match="lr"):
            nn.save_checkpoint(path, run.model, run.optimizer)

    on_ranks(ranks, main)


# -- what is saved can be loaded, and nothing that is loaded runs ------------------------------------------------------


def small(world: World) -> torch.nn.Module:
    """Return a layer in blocks, the same on every rank."""
    torch.manual_seed(0)
    x = DistributedSpace(Grid(world, p=world.size), (6,), "float32", p=Split(0))
    return nn.Linear(6, 4, domain=x, in_axis="p")


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
        nn.save_checkpoint(path, small(world), extra={"x": given_value})
        assert nn.load_checkpoint(path, small(world)) == {"x": expected}

    on_ranks(ranks, main)


def test_tensors_in_extra(ranks: int, folder: str) -> None:
    """A tensor in `extra` is saved alone, also when it is a small part of a large one."""

    def main(world: World) -> None:
        path = place(world, folder)
        nn.save_checkpoint(path, small(world), extra={"x": torch.arange(1000.0)[3:5]})
        assert nn.load_checkpoint(path, small(world))["x"].tolist() == [3, 4]
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
            nn.save_checkpoint(path, small(world), extra={"x": UNREADABLE[name]})
        world.allgather(0, "all have looked")
        assert not Path(path).exists()

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_values_that_differ_between_ranks_are_refused(ranks: int, folder: str) -> None:
    """Paths, `extra` and buffers that are the same on every rank, or an error on every rank, which names them."""

    def main(world: World) -> None:
        path, odd = f"{place(world, folder)}/new", world.rank == ranks - 1
        with pytest.raises(AgreementError, match="path: the ranks disagree"):
            nn.save_checkpoint(f"{path}-{odd}", small(world))
        with pytest.raises(AgreementError, match="path: the ranks disagree"):
            nn.save_safetensors(f"{path}-{odd}", small(world))
        with pytest.raises(AgreementError, match="found that extra differ"):
            nn.save_checkpoint(path, small(world), extra={"seed": world.rank})
        with pytest.raises(AgreementError, match="disagree"):
            nn.save_checkpoint(path, small(world), extra={"x": len if odd else 0})
        run = Run("SGD", world)
        run.model.norm.num_batches_tracked += world.rank
        for save in (nn.save_checkpoint, nn.save_safetensors):
            with pytest.raises(AgreementError, match="num_batches_tracked"):
                save(path, run.model)
        with pytest.raises(AgreementError, match="num_batches_tracked"):
            nn.gather_state(run.model)
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
        nn.save_checkpoint(path, small(world), extra={"epoch": 1})
        for file in (*path.glob("*.distcp"), path / ".metadata"):
            content = file.read_bytes()
            world.allgather(0, "all have read")
            if world.rank == 0:
                file.write_bytes(pickle.dumps(Bad(ran)) if file.name == ".metadata" else b"\x80" * len(content))
            world.allgather(0, "it is written")
            with pytest.raises((ValueError, AgreementError), match=file.name):
                nn.load_checkpoint(path, small(world))
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
        nn.save_checkpoint(path, small(world))
        nn.save_safetensors(path / "model.safetensors", small(world))
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
            nn.load_checkpoint(path, model)
        with pytest.raises((ValueError, FileNotFoundError), match=r"model\.safetensors"):
            nn.load_safetensors(path / "model.safetensors", model)
        assert not model.weight.any()

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
            assert nn.load_checkpoint(path, model) == {}
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
        for file in Path(self.path).glob("__1_*.distcp"):
            file.unlink()
        return done

    def main(world: World) -> None:
        path = Path(place(world, folder))
        with pytest.raises(AgreementError, match=r"__1_0\.distcp, which rank 1 has written, is not there"):
            nn.save_checkpoint(path, small(world))
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
        nn.save_safetensors(path, model)
        before = path.read_bytes()
        full.append(world.allgather(world.rank, "from now on"))
        with pytest.raises((OSError, AgreementError), match="the disk is full"):
            nn.save_safetensors(path, model)
        world.allgather(0, "all have looked")
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    monkeypatch.setattr(safetensors.torch, "save_file", save_file)
    on_ranks(ranks, main)


def test_a_nested_state_of_parts(ranks: int, folder: str) -> None:
    """Any nested state can be written, with parts of spaces, and read into other spaces."""

    def main(world: World) -> None:
        path = place(world, folder)
        whole = torch.arange(12.0).reshape(4, 3)
        S = DistributedSpace(Grid(world, p=world.size), (4, 3), "float32", p=Split(0))
        T = S.with_roles(p=Split(1))
        state = {"a": {"b": Part(S.from_global(whole), Stored(S, (4, 3))), "steps": [1, 2.5]}, "plain": whole}
        write_checkpoint("test", path, world, state)
        saved = Checkpoint(path)
        assert saved.shapes["a", "b"] == (4, 3)
        assert torch.equal(saved.read(("a", "b"), Stored(T, (4, 3))), T.from_global(whole))
        assert torch.equal(saved.read(("a", "b")), whole)
        assert torch.equal(saved.read(("plain",)), whole)

    on_ranks(ranks, main)
