"""What torch does not document is as this library takes it to be; and nothing else of the kind is used."""

import ast
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

import torch_bridge
from torch_bridge import compat

pytestmark = pytest.mark.serial

FOLDER = Path(inspect.getfile(torch_bridge)).parent


def private_names(tree: ast.AST) -> Iterator[str]:
    """Yield the private names of torch that a module uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            for name in (*(node.module or "").split("."), *(alias.name for alias in node.names)):
                if name.startswith("_") and not name.startswith("__"):
                    yield f"from {node.module} import {name}"
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            text = ast.unparse(node)
            if text.startswith("torch."):
                yield text


def test_private_parts_of_torch_are_in_one_module() -> None:
    """Rules name functions of torch that begin with an underscore: these are what its own modules call."""
    elsewhere = {
        str(path.relative_to(FOLDER)): names
        for path in FOLDER.rglob("*.py")
        if path.name != "compat.py" and path.parent.name != "rules"
        if (names := sorted(set(private_names(ast.parse(path.read_text())))))
    }
    assert elsewhere == {}


def test_each_name_has_a_test() -> None:
    """A test here, or one that uses it, for each name that the module exports."""
    text = Path(__file__).read_text()
    assert [name for name in compat.__all__ if f"compat.{name}" not in text] == []


class Subclass(torch.Tensor):
    """A tensor that notes what is done with it."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with compat.plain():
            return "asked"


def test_plain() -> None:
    """In the block, a subclass is not asked; outside it is."""
    x = torch.ones(2).as_subclass(Subclass)
    assert torch.add(x, x) == "asked"
    assert compat.torch_function_is_enabled()
    with compat.plain():
        assert not compat.torch_function_is_enabled()
        assert torch.add(x, x) is not "asked"  # noqa: F632


def test_attributes_of_tensors() -> None:
    """The class that has the attributes of tensors that are written in C."""
    assert issubclass(torch.Tensor, compat.TensorBase)
    assert type(compat.TensorBase.shape).__name__ == "getset_descriptor"


def test_transforms_are_active() -> None:
    """Inside of `torch.func.grad`, and nowhere else."""
    seen: list[bool] = []

    def f(x: torch.Tensor) -> torch.Tensor:
        seen.append(compat.transforms_are_active())
        return x.sum()

    f(torch.ones(2))
    torch.func.grad(f)(torch.ones(2))
    assert seen == [False, True]


def test_forward_mode_is_active() -> None:
    """Inside of a level of dual numbers, and nowhere else."""
    assert not compat.forward_mode_is_active()
    with torch.autograd.forward_ad.dual_level():
        assert compat.forward_mode_is_active()


def test_below_autograd() -> None:
    """In a backward pass."""
    seen: list[bool] = []
    x = torch.ones(2, requires_grad=True)
    y = 2 * x
    y.register_hook(lambda _: seen.append(compat.below_autograd()))
    seen.append(compat.below_autograd())
    y.sum().backward()
    assert seen == [False, True]


def test_a_backward_pass() -> None:
    """It has a number, says which nodes it runs, and calls a function at its end; no number outside."""
    seen: list[Any] = []
    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    a, b = 2 * x, 2 * y

    def look(_: torch.Tensor) -> None:
        seen.append(compat.backward_pass() >= 0)
        seen.extend(compat.will_run(node) for node in (a.grad_fn, b.grad_fn))
        compat.after_backward_pass(lambda: seen.append("the end"))

    a.register_hook(look)
    (a + 0).sum().backward()
    assert seen == [True, True, False, "the end"]
    assert compat.backward_pass() == -1


def test_without_autocast() -> None:
    """In the block nothing is cast."""
    x = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with compat.without_autocast():
            assert (x @ x).dtype == torch.float32


def test_is_registered_operator() -> None:
    """An overload is one; a function of torch is none."""
    assert compat.is_registered_operator(torch.ops.aten.add.Tensor)
    assert not compat.is_registered_operator(torch.add)


def test_hooks_for_saved_tensors() -> None:
    """The innermost pair is told, and can be put in place in a thread."""
    assert compat.saved_tensors_hooks(False) is None
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        pair = compat.saved_tensors_hooks(True)
    assert compat.saved_tensors_hooks(False) is None
    seen: list[Any] = []

    def run() -> None:
        compat.push_saved_tensors_hooks(*pair)
        seen.append(compat.saved_tensors_hooks(False))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [pair]
    assert compat.saved_tensors_hooks(False) is None


def test_modes_of_a_thread() -> None:
    """Modes are told, and can be put in place in another thread; they end with it."""

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return "a mode"

    class Dispatch(compat.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func(*args, **(kwargs or {}))

    with Functions() as outer, Dispatch() as inner:
        found = compat.function_modes(), compat.dispatch_modes()
        assert compat.dispatch_mode() is inner
        with compat.without_dispatch_modes():
            assert compat.dispatch_mode() is None
    assert compat.dispatch_mode() is None
    assert found == ([outer], [inner])
    seen: list[Any] = []

    def run() -> None:
        compat.push_dispatch_mode(inner)
        seen.append(compat.dispatch_modes())
        compat.push_function_mode(outer)
        seen.append(torch.add(1, 2))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [[inner], "a mode"]
    assert (compat.function_modes(), compat.dispatch_modes()) == ([], [])


class Square(torch.autograd.Function):
    """x -> x x, saving x."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (x,) = compat.saved_tensors_of(ctx)
        return 2 * x * g


def test_functions_of_autograd() -> None:
    """They are applied as torch does it; what they have saved is told."""
    x = torch.tensor(3.0, requires_grad=True)
    compat.apply_function(Square, x).backward()
    assert x.grad == 6
    assert not compat.has_setup_context(Square.setup_context)


def run(program: str) -> None:
    """Run a program in a process of its own: it changes torch."""
    subprocess.run([sys.executable, "-c", f"import torch\nfrom torch_bridge import compat\n{program}"], check=True)


def test_what_is_replaced() -> None:
    """Functions are applied and transforms wrap tensors by what takes their place; a compiler leaves a class alone."""
    run(
        """
seen = []
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x
    @staticmethod
    def backward(ctx, g):
        return 2 * g
def apply(cls, *args):
    seen.append(cls.__name__)
    return compat.apply_function(cls, *args)
compat.replace_apply(apply)
assert Double.apply(torch.ones(())) == 2 and seen == ["Double"]

def around(wrap, name):
    def wrapped(x, *args):
        seen.append(name)
        return wrap(x, *args)
    return wrapped
compat.replace_transforms(around)
torch.func.vmap(torch.func.grad(torch.sin))(torch.ones(2))
assert seen[1:] == ["vmap", "grad"]

class Ours(torch.Tensor):
    __torch_function__ = classmethod(torch.Tensor.__torch_function__.__func__)
compat.leave_alone_when_compiling(Ours)
from torch._dynamo import config
assert Ours in config.nontraceable_tensor_subclasses

assert callable(compat.compiler_of("eager", None, None)) and callable(compat.compiler_of(None, None, None))
assert callable(compat.forward_and_backward)
"""
    )


def test_process_groups() -> None:
    """A group is made under a name, beside others, and given up; the store is that of the processes."""
    run(
        """
import tempfile
from datetime import timedelta
import torch.distributed as dist
with tempfile.NamedTemporaryFile() as file:
    store = dist.FileStore(file.name, 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    compat.default_store().set("key", "value")
    group = compat.new_process_group("ours", [0], "gloo", timedelta(seconds=60))
    x = torch.ones(2)
    dist.all_reduce(x, group=group)
    compat.abort_process_group(group)
    dist.destroy_process_group()
"""
    )
