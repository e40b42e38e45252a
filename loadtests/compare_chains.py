"""Runs the comparators of `loadtests.compare`: forwarding chains, and one Ray actor a node."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actors.runtime import spawn
from actors.runtime.errors import Unavailable
from loadtests import machine, payload
from loadtests.chain import PEERS
from loadtests.chain_process import PLAN
from loadtests.load_plan import Counters, serials
from loadtests.node_actor import NodeActor, NodeSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.benchmark import Progress
    from loadtests.chain import ChainPlan, Hops

BATCHES: Final = (512, 4096, 16384)
TRIAL_S: Final = 1.5
WARM_UP_S: Final = 1.0
ACTOR_WINDOW: Final = 512  # messages under way in the chain of actors
_READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Chained:
    """What a comparator did.

    Attributes:
        msg_per_s: distinct, unaltered messages delivered in a second.
        batch: messages in a frame, the best of the sizes that were tried.
        hops: mean number of hops of its routes.
        cores: busy cores of the machine.
        faults: messages lost, doubled or altered.
    """

    msg_per_s: float
    batch: int
    hops: float
    cores: float
    faults: int

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {
            "msg_per_s": round(self.msg_per_s, 1),
            "hop_messages_per_s": round(self.msg_per_s * self.hops, 1),
            "batch": self.batch,
            "hops_mean": round(self.hops, 3),
            "cpu_cores": round(self.cores, 3),
            "faults": self.faults,
        }


def best(plan: ChainPlan, hops: Hops, hops_mean: float, progress: Progress) -> Chained:
    """Run a chain with the batch that suits it best, found in short trials.

    Raises:
        Unavailable: a process of the chain ended early.
    """
    found: dict[int, float] = {}
    for batch in BATCHES:
        trial = replace(plan, batch=batch, window=8 * batch, seconds=TRIAL_S)
        found[batch] = chain(trial, hops, hops_mean).msg_per_s
        progress(f"{batch} in a frame: {found[batch]:,.0f} messages/s")
    batch = max(found, key=found.__getitem__)
    return chain(replace(plan, batch=batch, window=8 * batch), hops, hops_mean)


def chain(plan: ChainPlan, hops: Hops, hops_mean: float) -> Chained:
    """Run a chain of two processes once.

    Raises:
        Unavailable: a process of it ended early.
    """
    with tempfile.TemporaryDirectory(prefix="x0-chain-") as name, ExitStack() as stack:
        directory = Path(name)
        counters = Counters(directory)
        (directory / PLAN).write_bytes(pickle.dumps((plan, hops)))
        command = [sys.executable, "-m", "loadtests.chain_process", name]
        running = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603 - this project's own module
                    [*command, str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(PEERS)
        ]
        try:
            for process in running:
                _line(process)
            begin = time.monotonic() + 0.2
            for process in running:
                _tell(process, f"{begin}\n")
            time.sleep(max(0.0, begin + plan.warm_s - time.monotonic()))
            first, first_at = int(counters.received.sum()), time.monotonic()
            processors = machine.Processors()
            time.sleep(max(0.0, begin + plan.warm_s + plan.seconds - time.monotonic()))
            last, last_at = int(counters.received.sum()), time.monotonic()
            cores, _ = processors.cores()
            told = [json.loads(_line(process)) for process in running]
        finally:
            for process in running:
                if process.poll() is None:
                    process.kill()
    sent = sum(each["sent"] for each in told)
    came = sum(count for each in told for count, _ in each["delivered"])
    # A message may arrive at either process, but always at the same one: its route is fixed.
    distinct = sum(distinct for each in told for _, distinct in each["delivered"])
    faults = (sent - distinct) + (came - distinct) + sum(each["corrupt"] for each in told)
    return Chained((last - first) / (last_at - first_at), plan.batch, hops_mean, cores, faults)


def _line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise Unavailable(
            "a process of the chain ended",
            f"it exited with {process.wait()}",
            "Its traceback is above.",
            retry_after_s=1.0,
        )
    return line


def _tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(line)
        process.stdin.flush()


async def actor_per_node(path: Sequence[int], seconds: float, progress: Progress) -> Chained:
    """One Ray actor for each node of one route, one call a hop, in the cluster joined.

    Raises:
        Unavailable: the actors did not start.
    """
    progress(f"starting {len(path)} actors, one for each node")
    names = [f"node-{node}" for node in path]
    sink: Any = spawn.detached(NodeSink, "node-sink")
    handles: list[Any] = []
    for place in range(0, len(path), 4):  # Ray warns of more at once, and is no faster
        handles += [
            spawn.detached(NodeActor, name, node)
            for name, node in zip(names[place : place + 4], path[place : place + 4], strict=True)
        ]
        await asyncio.to_thread(spawn.wait_ready, handles, timeout_s=_READY_S)
    last = path[-1]
    for name, following in zip(names, [*names[1:], "node-sink"], strict=True):
        await spawn.find(name).learn.remote({last: following})
    sent = 0
    begin = time.monotonic()
    measured, end = begin + WARM_UP_S, begin + WARM_UP_S + seconds
    first: int | None = None
    first_at, came, processors = measured, 0, machine.Processors()
    while (now := time.monotonic()) < end:
        came = await sink.count.remote()
        if now >= measured and first is None:
            first, first_at, processors = came, time.monotonic(), machine.Processors()
        for _ in range(max(0, ACTOR_WINDOW - (sent - came))):
            serial = serials(0, sent, sent + 1)
            handles[0].forward.remote(sent, last, payload.write(serial).tobytes())
            sent += 1
        await asyncio.sleep(0.02)
    stop, stop_at = await sink.count.remote(), time.monotonic()
    cores, _ = processors.cores()
    while (came := await sink.count.remote()) < sent and time.monotonic() < end + 30.0:
        progress(f"draining: {sent - came:,} messages under way")
        await asyncio.sleep(0.05)
    distinct, corrupt = await sink.account.remote()
    rate = (stop - (first or 0)) / (stop_at - first_at)
    faults = (sent - distinct) + (came - distinct) + corrupt
    return Chained(rate, 1, len(path) - 1.0, cores, faults)
