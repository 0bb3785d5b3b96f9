"""Messages between tensors on devices, carried by torch.distributed's own operations (NCCL's, say).

Such an operation knows no tags and cannot be given up: one whose other end never comes waits for ever. So a message of
gloo goes ahead of each, without entries, and tells which operation it belongs to. When all of an exchange have come,
both ends are there, and the tensors follow. They follow in the order in which the exchanges have begun, which is the
same on both ends, whichever of them is waited for first.

The tensors travel on streams of their own. What is sent has been computed on the stream that was current when the
exchange began; whoever waits for the exchange makes the stream that is current then wait for what has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
import torch.distributed as dist

from distdl_ops.worlds.post import Pending

Tensors = Sequence[tuple[int, torch.Tensor]]
"""Ranks of a process group, and what goes to them or comes from them."""


def carried(group: dist.ProcessGroup) -> frozenset[str]:
    """Return the types of device whose tensors a process group sends and receives, host memory aside.

    Gloo's go through host memory, and are left to it.
    """
    backends = dist.BackendConfig(dist.Backend(dist.get_backend_config(group))).get_device_backend_map()
    return frozenset(device for device, backend in backends.items() if device != "cpu" and backend != "gloo")


@final
class Direct:
    """The tensors of a process's exchanges, in the order in which these have begun.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup
        Of which a copy carries them. Collective over its ranks.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        ranks = dist.get_process_group_ranks(group)
        self._group = dist.new_group(ranks, use_local_synchronization=True, sort_ranks=False)
        self._epoch = 0
        self._begun: list[Journey] = []

    def journey(self, epoch: int, headers: Pending, sends: Tensors, receives: Tensors) -> Journey:
        """Return an exchange that has begun; its headers have been sent.

        Parameters
        ----------
        epoch : int
            How often the ranks have had to begin anew. What began before, and has not followed, never will.
        headers : Pending
            The messages that go ahead.
        sends, receives : sequence of (rank, tensor)
            Ranks of the process group, and contiguous tensors.
        """
        if epoch != self._epoch:
            self._epoch = epoch
            self._begun.clear()
        found = Journey(self, headers, sends, receives)
        self._begun.append(found)
        return found

    def follow(self, last: Journey) -> bool:
        """Let tensors follow the headers that have come, up to those of an exchange; say whether that one's have."""
        while last in self._begun:
            first = self._begun[0]
            if not first.ready():
                return False
            first.go(self._group)
            self._begun.pop(0)
        return True


@final
class Journey(Pending):
    """An exchange of tensors; see `Direct.journey`."""

    def __init__(self, direct: Direct, headers: Pending, sends: Tensors, receives: Tensors) -> None:
        self._direct, self._headers, self._sends, self._receives = direct, headers, sends, receives
        self._looks = 0
        self._works: list[dist.Work] = []
        devices = {tensor.device for _, tensor in (*sends, *receives)} - {torch.device("cpu")}
        self._computed = [torch.accelerator.current_stream(device).record_event() for device in devices]

    def ready(self) -> bool:
        """Wait for the headers for a moment; say whether they are here."""
        self._looks += 1
        return self._headers.wait(self._looks - 1)

    def go(self, group: dist.ProcessGroup) -> None:
        """Let the tensors follow."""
        for event in self._computed:
            torch.accelerator.current_stream(event.device).wait_event(event)
        ways = ((dist.irecv, self._receives), (dist.isend, self._sends))
        operations = [
            dist.P2POp(way, _bytes(tensor), group=group, group_peer=rank)
            for way, messages in ways
            for rank, tensor in messages
            if tensor.numel()
        ]
        self._works = dist.batch_isend_irecv(operations) if operations else []

    def wait(self, turn: int) -> bool:  # noqa: ARG002
        """Wait for the headers, then for the tensors; see `Pending.wait`."""
        if not self._direct.follow(self):
            return False
        for work in self._works:
            work.wait()
        return True

    def late(self, peers: Sequence[int]) -> Sequence[int]:
        """Return whose headers are late; see `Pending.late`."""
        return self._headers.late(peers)

    def abandon(self) -> None:
        """Wait for no headers any more; see `Pending.abandon`."""
        self._headers.abandon()


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """Return the entries of a tensor as bytes; all backends know them."""
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8)  # one entry may have any stride
