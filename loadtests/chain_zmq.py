"""A forwarding chain on pyzmq, PUSH to PULL."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import zmq

from loadtests.chain import PEERS, RECORD, Span

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from loadtests.chain import ChainPlan, ForwardingChain, Onward

_TOGETHER: Final = 64  # frames taken from a socket before what they become is sent on


def run(plan: ChainPlan, chain: ForwardingChain, directory: Path) -> None:
    """Be one process of the chain until it is over."""
    context = zmq.Context()
    try:
        if plan.merged:
            _by_process(plan, chain, directory, context)
        else:
            _by_node(plan, chain, directory, context)
    finally:
        context.destroy(linger=0)


def _socket(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    socket.set_hwm(0)  # the window bounds what is under way; two full pipes would wait for ever
    return socket


def _waiting(pull: zmq.Socket[bytes]) -> bytes:
    """The frames that have come, as one."""
    frames: list[bytes] = []
    with contextlib.suppress(zmq.Again):
        while len(frames) < _TOGETHER:
            frames.append(pull.recv(zmq.NOBLOCK))
    return frames[0] if len(frames) == 1 else b"".join(frames)


def _by_process(
    plan: ChainPlan,
    chain: ForwardingChain,
    directory: Path,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    """One socket for all nodes: every hop goes to the other process, whoever has the node."""
    pull, push = _socket(context, zmq.PULL), _socket(context, zmq.PUSH)
    pull.bind(f"ipc://{directory}/to-{chain.number}")
    push.connect(f"ipc://{directory}/to-{(chain.number + 1) % PEERS}")
    size = RECORD.itemsize * plan.batch

    def send(frame: bytes) -> None:
        for at in range(0, len(frame), size):
            push.send(frame[at : at + size])

    span = Span.agreed(plan)
    time.sleep(max(0.0, span.begin - time.monotonic()))
    while not span.over(chain, now := time.monotonic()):
        frame = _waiting(pull)
        if frame:
            send(chain.forward(frame))
        if now < span.end and chain.has_room:
            send(chain.forward(chain.fresh()))
        elif not frame:
            pull.poll(1)


def _by_node(
    plan: ChainPlan,
    chain: ForwardingChain,
    directory: Path,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    """A socket for each node, and one for each hop to a neighbour; inside a process `inproc`."""
    near = chain.hops.process == chain.number
    hops = _Hops(context, directory, near)
    poller = zmq.Poller()
    for node in near.nonzero()[0].tolist():
        pull = _socket(context, zmq.PULL)
        for scheme in ("inproc", "ipc"):
            pull.bind(f"{scheme}://{directory}/{node}")
        poller.register(pull, zmq.POLLIN)
    span = Span.agreed(plan)
    time.sleep(max(0.0, span.begin - time.monotonic()))
    while not span.over(chain, now := time.monotonic()):
        may_send = now < span.end and chain.has_room
        if may_send:
            hops.send(chain.spread(chain.fresh()), plan.batch)
        for pull, _ in poller.poll(0 if may_send else 1):
            hops.send(chain.spread(_waiting(pull)), plan.batch)


class _Hops(dict[tuple[int, int], "zmq.Socket[bytes]"]):
    """The sockets of hops, from node to neighbour; each is connected when it is first used."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], directory: Path, near: NDArray[np.bool_]
    ) -> None:
        self._context, self._directory, self._near = context, directory, near

    def __missing__(self, hop: tuple[int, int]) -> zmq.Socket[bytes]:
        scheme = "inproc" if self._near[hop[1]] else "ipc"
        push = self[hop] = _socket(self._context, zmq.PUSH)
        push.connect(f"{scheme}://{self._directory}/{hop[1]}")
        return push

    def send(self, onward: Onward, most: int) -> None:
        """Send records one hop on, at most `most` in a frame."""
        for node, hops in onward.items():
            for following, records in hops.items():
                for first in range(0, len(records), most):
                    self[node, following].send(b"".join(records[first : first + most]))
