"""Messages between tensors on devices, carried by torch.distributed's own operations (NCCL's, say).

Such an operation knows no tags. So a message of gloo goes ahead of each, without entries, and tells which operation it
belongs to. When all of an exchange have come, the other ends have begun it, and the tensors follow. They follow in the
order in which the exchanges have begun, which is the same on both ends, whichever of them is waited for first.

An end that has begun may still fail, or wait for a third rank that never comes: then its tensors do not follow, and
those of this rank wait for them. So nobody waits for tensors without looking for notices; and when ranks have
disagreed, the operations under way are given up with the process group that carries them, and another one is made.

The tensors travel on streams of their own. What is sent has been computed on the stream that was current when the
exchange began; whoever waits for the exchange makes the stream that is current then wait for what has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import final

import torch
import torch.distributed as dist

from distdl_ops.worlds.notices import Pending
from torch_bridge.compat import abort_process_group, new_process_group
from torch_bridge.worlds.waiting import Link, Works

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
    name : str
        Of the copies; no other groups have it.
    timeout : timedelta
        After which torch gives up.
    """

    def __init__(self, group: dist.ProcessGroup, name: str, timeout: timedelta) -> None:
        self._name, self._timeout, self._connections = name, timeout, 0
        self._ranks, self._backend = dist.get_process_group_ranks(group), dist.get_backend_config(group)
        self._begun: list[DeviceExchange] = []
        self.link: Link | None = None
        self.connect()

    def connect(self) -> None:
        """Make a process group, in place of one that has been closed. Collective."""
        self._connections += 1
        name = f"{self._name}/{self._connections}"
        group = new_process_group(name, self._ranks, self._backend, self._timeout)
        self.link = Link(group)

    def give_up(self) -> None:
        """End what is under way, with the process group."""
        self._begun.clear()
        group = self.link and self.link.group
        if group is not None and dist.is_initialized():  # otherwise the user has ended all groups
            abort_process_group(group)
        self.close()

    def close(self) -> None:
        """End the thread that waits. Tensors may still be on their way to others."""
        if self.link is not None:
            self.link.close()
            self.link = None

    def exchange(self, headers: Pending, sends: Tensors, receives: Tensors) -> DeviceExchange:
        """Return an exchange that has begun; its headers have been sent.

        Parameters
        ----------
        headers : Pending
            The messages that go ahead.
        sends, receives : sequence of (rank, tensor)
            Ranks of the process group, and contiguous tensors.
        """
        exchange = DeviceExchange(self, headers, sends, receives)
        self._begun.append(exchange)
        return exchange

    def follow(self, last: DeviceExchange) -> bool:
        """Let tensors follow the headers that have come, up to those of an exchange; say whether that one's have."""
        while last in self._begun:
            first = self._begun[0]
            if not first.ready():
                return False
            assert self.link is not None  # it is closed only where nothing can be begun any more
            first.go(self.link)
            self._begun.pop(0)
        return True


@final
class DeviceExchange(Pending):
    """An exchange of tensors; see `Direct.exchange`."""

    def __init__(self, direct: Direct, headers: Pending, sends: Tensors, receives: Tensors) -> None:
        self._direct, self._headers, self._sends, self._receives = direct, headers, sends, receives
        self._looks = self._turns = 0
        self._works: list[dist.Work] = []
        self._tensors: Works | None = None
        devices = {tensor.device for _, tensor in (*sends, *receives)} - {torch.device("cpu")}
        self._computed = [torch.accelerator.current_stream(device).record_event() for device in devices]

    def ready(self) -> bool:
        """Wait for the headers for a moment; say whether they are here."""
        self._looks += 1
        return self._headers.wait(self._looks - 1)

    def go(self, link: Link) -> None:
        """Let the tensors follow."""
        for event in self._computed:
            torch.accelerator.current_stream(event.device).wait_event(event)
        ways = ((dist.irecv, self._receives), (dist.isend, self._sends))
        messages = [(way, rank, tensor) for way, tensors in ways for rank, tensor in tensors if tensor.numel()]
        operations = [dist.P2POp(way, _bytes(x), group=link.group, group_peer=rank) for way, rank, x in messages]
        self._works = dist.batch_isend_irecv(operations) if operations else []
        if not self._computed:  # all in host memory: whoever waits, waits
            ranks = [rank for _, rank, _ in messages]
            self._tensors = Works(link, list(zip(ranks, self._works, strict=True)))

    def wait(self, turn: int) -> bool:  # noqa: ARG002
        """Wait for the headers, then for the tensors; see `Pending.wait`."""
        if not self._direct.follow(self):
            return False
        if self._tensors is not None:
            self._turns += 1
            return self._tensors.wait(self._turns - 1)
        for work in self._works:
            work.wait()  # this thread goes on at once; the current stream waits
        return True

    def late(self, peers: Sequence[int]) -> Sequence[int]:
        """Return whose headers or tensors are late; see `Pending.late`."""
        return (self._headers if self._tensors is None else self._tensors).late(peers)

    def abandon(self) -> None:
        """Wait for nothing any more; see `Pending.abandon`."""
        self._headers.abandon()
        if self._tensors is not None:
            self._tensors.abandon()


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """Return the entries of a tensor as bytes; all backends know them."""
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8)  # one entry may have any stride
