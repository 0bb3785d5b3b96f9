"""torch.distributed as an engine: its process groups as worlds, and the state of torch that each simulated rank has."""

from torch_bridge.worlds.world import TorchWorld, start

__all__ = ["TorchWorld", "start"]
