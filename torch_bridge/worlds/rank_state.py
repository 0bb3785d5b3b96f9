"""State of torch that each simulated rank has of its own; see `distdl_ops.worlds.rank_state`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import torch

from distdl_ops.worlds.rank_state import State
from torch_bridge import compat

DEVICES = ("cpu", "cuda", "xpu", "mps")
"""Types of devices whose autocast a caller may have switched on."""


@final
class TorchState(State):
    """Whether gradients are recorded, autocast, modes, the default dtype, and the default generators."""

    def __init__(self) -> None:
        self._grad, self._inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        devices = [name for name in DEVICES if torch.amp.is_autocast_available(name)]
        self._autocast = [(name, torch.is_autocast_enabled(name), torch.get_autocast_dtype(name)) for name in devices]
        self._cache = torch.is_autocast_cache_enabled()
        self._function_modes = compat.function_modes()
        self._dispatch_modes = compat.dispatch_modes()
        self._hooks = compat.saved_tensors_hooks(True)
        self._callers = self.take()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Let the caller's thread-local state hold, in the thread of a rank. It ends with the thread."""
        with torch.inference_mode(self._inference):
            torch.set_grad_enabled(self._grad)
            # A rank's backward pass belongs to its thread, also where tensors are on a device.
            torch.autograd.set_multithreading_enabled(False)
            for name, enabled, dtype in self._autocast:
                torch.set_autocast_enabled(name, enabled)
                torch.set_autocast_dtype(name, dtype)
            torch.set_autocast_cache_enabled(self._cache)
            torch.autocast_increment_nesting()
            if self._hooks is not None:
                compat.push_saved_tensors_hooks(*self._hooks)
            for mode in self._function_modes:
                compat.push_function_mode(mode)
            for mode in self._dispatch_modes:
                compat.push_dispatch_mode(mode)
            yield

    def first(self) -> Any:
        """Return the caller's dtype and streams of random numbers."""
        return self._callers

    def take(self) -> Any:
        """Return what is in place."""
        devices = torch.cuda.default_generators if torch.cuda.is_initialized() else ()
        generators = [torch.default_generator, *devices]
        return torch.get_default_dtype(), [(generator, generator.get_state()) for generator in generators]

    def put(self, state: Any) -> None:
        """Put a dtype and streams in place."""
        dtype, streams = state
        if dtype != torch.get_default_dtype():
            torch.set_default_dtype(dtype)
        for generator, stream in streams:
            generator.set_state(stream)
