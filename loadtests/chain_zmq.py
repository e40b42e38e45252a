"""A forwarding chain on pyzmq, PUSH to PULL."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import zmq

from loadtests.chain import PEERS, RECORD, Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadtests.chain import Chain, ChainPlan, Onward

_TOGETHER: Final = 64  # frames taken from a socket before what they become is sent on


def run(plan: ChainPlan, chain: Chain, directory: Path) -> None:
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
    plan: ChainPlan, chain: Chain, directory: Path, context: zmq.Context[zmq.Socket[bytes]]
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
    plan: ChainPlan, chain: Chain, directory: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    """A socket for each node, and one for each hop to a neighbour; inside a process `inproc`."""
    hops = _Hops(plan, chain, directory, context)
    poller = zmq.Poller()
    for pull in hops.listen():
        poller.register(pull, zmq.POLLIN)
    span = Span.agreed(plan)
    time.sleep(max(0.0, span.begin - time.monotonic()))
    while not span.over(chain, now := time.monotonic()):
        may_send = now < span.end and chain.has_room
        if may_send:
            hops.send(chain.spread(chain.fresh()))
        for pull, _ in poller.poll(0 if may_send else 1):
            hops.send(chain.spread(_waiting(pull)))


class _Hops:
    """The sockets of a process's nodes, and those to their neighbours."""

    def __init__(
        self,
        plan: ChainPlan,
        chain: Chain,
        directory: Path,
        context: zmq.Context[zmq.Socket[bytes]],
    ) -> None:
        self._most = plan.batch
        self._near = chain.hops.process == chain.number
        self._directory = directory
        self._context = context
        self._pushes: dict[tuple[int, int], zmq.Socket[bytes]] = {}

    def listen(self) -> Iterator[zmq.Socket[bytes]]:
        """The sockets of the nodes."""
        for node in self._near.nonzero()[0].tolist():
            pull = _socket(self._context, zmq.PULL)
            for scheme in ("inproc", "ipc"):
                pull.bind(self._address(scheme, node))
            yield pull

    def _address(self, scheme: str, node: int) -> str:
        return f"{scheme}://{self._directory}/{node}"

    def send(self, onward: Onward) -> None:
        """Send records one hop on, all of a hop in as few frames as the plan allows."""
        for node, hops in onward.items():
            for following, records in hops.items():
                push = self._push(node, following)
                for first in range(0, len(records), self._most):
                    push.send(b"".join(records[first : first + self._most]))

    def _push(self, node: int, following: int) -> zmq.Socket[bytes]:
        if (node, following) not in self._pushes:
            push = self._pushes[node, following] = _socket(self._context, zmq.PUSH)
            scheme = "inproc" if self._near[following] else "ipc"
            push.connect(self._address(scheme, following))
        return self._pushes[node, following]
