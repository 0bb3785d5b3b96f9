"""What was here is in `torch_bridge.worlds`. The old name says so, for one release."""

from typing import NoReturn


def __getattr__(name: str) -> NoReturn:
    if name not in ("TorchWorld", "start"):
        raise AttributeError(f"module 'torch_bridge.world' has no attribute {name!r}")
    raise ImportError(f"torch_bridge.world is gone: write torch_bridge.worlds.{name}")
