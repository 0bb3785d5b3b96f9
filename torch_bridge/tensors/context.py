"""What surrounds a call: whether it is recorded, whether what has no rule is gathered, and how a refusal is said."""

from __future__ import annotations

import contextlib
import functools
import linecache
import sys
import types
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional

from distdl_ops import Replicated
from torch_bridge.compat import dispatch_mode, plain

recorder: ContextVar[Any] = ContextVar("recorder", default=None)
"""Notes every call; see `torch_bridge.explain`."""

gathering: ContextVar[bool] = ContextVar("gathering", default=False)
"""Whether functions without a rule gather their arguments; see `replicated`."""


def recording() -> Any:
    """Return who records a program (see `torch_bridge.tensors.program`); None where nobody does."""
    mode = dispatch_mode()
    return mode if getattr(mode, "records", False) else None


_HOME = str(Path(__file__).parent)
_TORCH = str(Path(torch.__file__).parent)


class UnsupportedError(RuntimeError):
    """A function cannot be computed on these layouts, or no rule says how. All ranks raise it.

    Examples
    --------
    >>> issubclass(UnsupportedError, RuntimeError)
    True
    """


@contextlib.contextmanager
def replicated() -> Iterator[None]:
    """Within this context, functions that have no rule gather their arguments and run on every rank.

    The result is replicated: exact, with the right gradient, at the price of the memory of whole tensors.

    Examples
    --------
    >>> with replicated():
    ...     pass
    """
    token = gathering.set(True)
    try:
        yield
    finally:
        gathering.reset(token)


def autocast() -> torch.dtype | None:
    """Return the dtype that autocast computes in on the host; None without it."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


def refused(message: str) -> UnsupportedError:
    """Return the error of a call that cannot be carried out, with the user's line and the module's path."""
    return UnsupportedError(f"{message}{_where()}")


def refusal(call: Any, reason: str) -> UnsupportedError:
    """Return the error of a function on layouts for which it cannot be carried out."""
    layouts = "; ".join(str(spec.placement) for spec in call.operands)
    split = {
        name: None
        for spec in call.operands
        for name, role in spec.placement.roles.items()
        if not isinstance(role, Replicated)
    }
    whole = ", ".join(f"{name}=Replicated()" for name in split)
    return refused(
        f"{call.name} of distributed tensors ({layouts}): {reason}. Redistribute the tensors first "
        f"(x.redistribute({whole})), register a rule (torch_bridge.rule), or call it "
        "within torch_bridge.replicated(), which gathers them"
    )


def _where() -> str:
    """Return the path of the innermost module that is being called, and the user's own line."""
    return place_of(_callers())


def place_of(frames: Iterable[tuple[Any, int]]) -> str:
    """Return the path of the first module among frames, innermost first, and the user's own line."""
    module = line = ""
    for frame, number in frames:
        name = frame.f_code.co_filename
        if not line and not name.startswith((_HOME, _TORCH)):
            line = f"{name}, line {number}: {linecache.getline(name, number).strip()}"
        module = module or _module_of(frame)
        if module and line:
            break
    return (f"; in module {module!r}" if module else "") + (f"; at {line}" if line else "")


def module_path() -> str:
    """Return the path of the innermost module that is being called; an empty text outside of modules."""
    return next((path for frame, _ in _callers() if (path := _module_of(frame))), "")


def _callers() -> Iterator[tuple[Any, int]]:
    """Yield the frames of the callers and their lines, innermost first."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        yield frame, frame.f_lineno
        frame = frame.f_back


def _module_of(frame: Any) -> str:
    """Return the path of the module whose method a frame is; an empty text otherwise."""
    owner = frame.f_locals.get("self")
    if not isinstance(owner, torch.nn.Module):
        return ""
    return str(owner.__dict__.get("_distributed_path", type(owner).__name__))


def assign(changed: Any, result: Any) -> Any:
    """Copy a distributed result into a tensor that lies in another way, or into a plain one; return that."""
    if not hasattr(changed, "_placement"):  # a plain tensor; the class of distributed ones imports what calls this
        changed.copy_(result.full_tensor().to_local() if hasattr(result, "_placement") else result)
        return changed
    if changed._placement.partial:
        summed = changed.redistribute(changed._placement.finished())
        with plain():
            torch.Tensor.copy_(changed, summed)
        changed._placement = summed._placement
    return changed.copy_(result)


@functools.cache
def composite(function: Any) -> Any:
    """Return a function of torch that is written in Python as it is written: its body calls functions that have rules.

    None where it is not one.
    """
    if not isinstance(function, types.FunctionType) or not (function.__module__ or "").startswith("torch"):
        return None
    inner = dict(function.__globals__)
    for name in ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"):
        inner[name] = _no
    if "overrides" in function.__code__.co_names:  # it asks torch.overrides, as torch.nn.init does
        inner["torch"] = _Torch("torch")
    copy = types.FunctionType(function.__code__, inner, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


class _Torch(types.ModuleType):
    """Torch, whose ``has_torch_function*`` answer False."""

    overrides = types.SimpleNamespace(
        has_torch_function=lambda *_: False,
        has_torch_function_unary=lambda *_: False,
        has_torch_function_variadic=lambda *_: False,
    )

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def _no(*_: Any) -> bool:
    return False
