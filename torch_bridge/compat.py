"""Everything that this library uses of torch without torch documenting it; each has a test in ``test_compat.py``.

Torch may rename or change these with any release. Whoever moves this library to another version of torch looks here,
and nowhere else. The rules of `torch_bridge.tensors.rules` name functions of torch that begin with an underscore, too:
these are what torch's own modules call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch._functorch.eager_transforms
import torch._functorch.vmap
import torch.distributed as dist
from torch._C import DisableTorchFunctionSubclass as plain
from torch._C import TensorBase
from torch.autograd.function import _is_setup_context_defined as has_setup_context
from torch.autograd.function import _SingleLevelFunction
from torch.distributed import distributed_c10d as c10d
from torch.overrides import _get_current_function_mode_stack as function_modes
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._python_dispatch import _disable_current_modes as without_dispatch_modes
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack as dispatch_modes
from torch.utils._python_dispatch import _push_mode as push_dispatch_mode

__all__ = [
    "TensorBase",
    "TorchDispatchMode",
    "abort_process_group",
    "after_backward_pass",
    "apply_function",
    "backward_pass",
    "below_autograd",
    "compiler_of",
    "default_store",
    "dispatch_mode",
    "dispatch_modes",
    "forward_and_backward",
    "forward_mode_is_active",
    "function_modes",
    "has_setup_context",
    "is_registered_operator",
    "leave_alone_when_compiling",
    "new_process_group",
    "plain",
    "push_dispatch_mode",
    "push_function_mode",
    "push_saved_tensors_hooks",
    "replace_apply",
    "replace_transforms",
    "saved_tensors_hooks",
    "saved_tensors_of",
    "torch_function_is_enabled",
    "transforms_are_active",
    "will_run",
    "without_autocast",
    "without_dispatch_modes",
]

# -- what torch is doing now -------------------------------------------------------------------------------------------

transforms_are_active: Callable[[], bool] = torch._C._are_functorch_transforms_active
"""Whether the call is inside a transform of `torch.func`."""

torch_function_is_enabled: Callable[[], bool] = torch._C._is_torch_function_enabled
"""Whether subclasses of tensors are asked what a function does; not in a `plain` block."""

saved_tensors_hooks: Callable[[bool], Any] = torch._C._autograd._top_saved_tensors_default_hooks
"""Return the innermost pair of hooks for saved tensors, or None; also disabled ones, with True."""

push_saved_tensors_hooks: Callable[[Any, Any], None] = torch._C._autograd._push_saved_tensors_default_hooks
"""Use a pair of hooks for saved tensors, until the thread ends."""

push_function_mode: Callable[[Any], None] = torch._C._push_on_torch_function_stack
"""Use a `TorchFunctionMode`, until the thread ends."""

_excluded = torch._C._dispatch_tls_is_dispatch_key_excluded


without_autocast = torch._C._DisableAutocast
"""A block in which nothing is cast."""

backward_pass: Callable[[], int] = torch._C._current_graph_task_id
"""Return the number of the backward pass that this thread is in; -1 outside."""


def dispatch_mode() -> Any:
    """Return the innermost `TorchDispatchMode`; None without one."""
    modes = torch._C._len_torch_dispatch_stack()
    return torch._C._get_dispatch_stack_at(modes - 1) if modes else None


def will_run(node: Any) -> bool:
    """Say whether the backward pass that is under way runs a node; False in `torch.autograd.grad`."""
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except RuntimeError:
        return False


def after_backward_pass(callback: Callable[[], None]) -> None:
    """Let the backward pass that is under way call a function at its end."""
    torch.autograd.Variable._execution_engine.queue_callback(callback)


def forward_mode_is_active() -> bool:
    """Say whether derivatives are carried forward, by dual numbers; False where torch does not tell."""
    return getattr(torch.autograd.forward_ad, "_current_level", -1) >= 0


def below_autograd() -> bool:
    """Say whether autograd makes the call: in a backward pass, or below its own part of the dispatcher."""
    return backward_pass() != -1 or _excluded(torch._C.DispatchKey.AutogradFunctionality)


def is_registered_operator(function: Any) -> bool:
    """Say whether a function is an overload of an operator of the dispatcher, as ``torch.ops.aten.add.Tensor`` is."""
    return type(function) is torch._ops.OpOverload


# -- autograd.Function -------------------------------------------------------------------------------------------------


def saved_tensors_of(node: Any) -> tuple[Any, ...]:
    """Return the tensors that a node has saved, whatever its subclass says."""
    saved: tuple[Any, ...] = torch._C._FunctionBase.saved_tensors.__get__(node)  # type: ignore[attr-defined]
    return saved


def apply_function(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Apply an `torch.autograd.Function` as torch does, whatever `replace_apply` has put in place."""
    return super(_SingleLevelFunction, function).apply(*args, **kwargs)


def replace_apply(apply: Callable[..., Any]) -> None:
    """Let every `torch.autograd.Function` be applied by another function, of its class and the arguments."""
    _SingleLevelFunction.apply = classmethod(apply)  # type: ignore[attr-defined]


# -- transforms and compilers ------------------------------------------------------------------------------------------


def replace_transforms(around: Callable[[Any, str], Any]) -> None:
    """Replace how `torch.func` wraps tensors, for "grad" and for "vmap", by what is made of it."""
    gradients: Any = torch._functorch.eager_transforms
    batches: Any = torch._functorch.vmap
    gradients._wrap_for_grad = around(gradients._wrap_for_grad, "grad")
    batches._add_batch_dim = around(batches._add_batch_dim, "vmap")


@functools.cache
def leave_alone_when_compiling(kind: Any) -> None:
    """Let `torch.compile` look neither into tensors of a class nor into their functions.

    To import the compiler takes longer than all of this library, so it is imported when this is called.
    """
    import torch._dynamo
    from torch._dynamo import config

    config.nontraceable_tensor_subclasses.add(kind)
    as_it_is: Any = torch._dynamo.disable(kind.__torch_function__.__func__)
    kind.__torch_function__ = classmethod(as_it_is)


def compiler_of(backend: Any, mode: Any, options: Any) -> Callable[..., Any]:
    """Return torch's compiler of graphs of a name; "inductor" by default."""
    if backend in (None, "inductor"):
        mode = "default" if mode is None and options is None else mode
        return torch._TorchCompileInductorWrapper(mode, options, False)
    return torch._TorchCompileWrapper(backend, mode, options, False)


def forward_and_backward(joint: Any, outputs: int) -> tuple[Any, Any]:
    """Return the two graphs of a graph of both passes, of which the first has so many outputs beside what it saves.

    To import this takes as long as to import the compiler.
    """
    from torch._functorch.partitioners import min_cut_rematerialization_partition

    forward, backward = min_cut_rematerialization_partition(joint, None, num_fwd_outputs=outputs)
    return forward, backward


# -- process groups ----------------------------------------------------------------------------------------------------

default_store: Callable[[], c10d.Store] = c10d._get_default_store
"""Return the store at which the processes of the default group have met."""

abort_process_group: Callable[[Any], None] = c10d._abort_process_group
"""End what is under way in a process group, and the group."""


def new_process_group(name: str, ranks: list[int], backend: str, timeout: timedelta) -> Any:
    """Return a process group of this name. Collective.

    ``dist.new_group`` would number it among those that live, and so take the name, and the addresses, of one that was
    given up.
    """
    group, _ = c10d._new_process_group_helper(
        len(ranks),
        ranks.index(dist.get_rank()),
        ranks,
        backend,
        c10d._get_default_store(),
        name,  # type: ignore[arg-type]
        timeout=timeout,
        device_id=c10d._get_default_group().bound_device_id,
    )
    c10d._world.pg_group_ranks[group] = {rank: number for number, rank in enumerate(ranks)}
    return group
