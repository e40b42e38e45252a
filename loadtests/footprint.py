"""What processes take: memory now, its peak since they started, and processor time.

Resident memory counts pages that processes share (the interpreter, Ray's libraries) once in each;
unique memory counts only what would be freed if the process ended. Both are given, because either
alone misleads about many processes.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from actors.runtime.errors import Unavailable
from cluster import processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster.local import LocalCluster


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory of several processes together, in MiB.

    Attributes:
        processes: number of processes.
        resident: sum of their resident sets.
        unique: sum of their unique sets.
        peak: sum of the largest resident set that each ever had.
    """

    processes: int
    resident: float
    unique: float
    peak: float


def actors(cluster: LocalCluster, kinds: Sequence[str]) -> list[psutil.Process]:
    """The processes of a cluster that run actors of these classes.

    Ray writes the class into the command line of an actor's process: `ray::CLASS` or, during a
    call, `ray::CLASS.method`.

    Raises:
        Unavailable: there is none.
    """
    found = []
    for process in processes.members(Path(cluster.temp_dir), cluster.session):
        try:
            title = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        kind = title.removeprefix("ray::").partition(" ")[0].partition(".")[0]
        if title.startswith("ray::") and kind in kinds:
            found.append(process)
    if not found:
        raise Unavailable(
            f"no process of {' or '.join(kinds)}",
            "the cluster runs no such actor",
            "Run it again; the actor's log says why it ended.",
            retry_after_s=1.0,
        )
    return found


def everything(cluster: LocalCluster) -> list[psutil.Process]:
    """All processes of a cluster, Ray's daemons included."""
    return processes.members(Path(cluster.temp_dir), cluster.session)


def footprint(members: Sequence[psutil.Process]) -> Footprint:
    """Memory of living processes."""
    full = [process.memory_full_info() for process in members]
    return Footprint(
        processes=len(members),
        resident=sum(info.rss for info in full) / 2**20,
        unique=sum(info.uss for info in full) / 2**20,
        peak=sum(_peak_kib(process.pid) for process in members) / 2**10,
    )


async def cores_used(members: Sequence[psutil.Process], seconds: float) -> float:
    """Processor time per second that processes take, in cores, while this call waits."""
    before, start = cpu_s(members), time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu_s(members) - before) / (time.monotonic() - start)


def cpu_s(members: Sequence[psutil.Process]) -> float:
    """Processor time that living processes have taken since they started, s."""
    times = [process.cpu_times() for process in members]
    return sum(spent.user + spent.system for spent in times)


class CoresUsed:
    """Processor time per second of wall time, summed over the blocks that it is entered for.

    Args:
        groups: living processes by kind.
    """

    def __init__(self, groups: Mapping[str, Sequence[psutil.Process]]) -> None:
        self._groups = groups
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._wall = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()
        self._add(-1)

    def __exit__(self, *_exception: object) -> None:
        self._add(1)
        self._wall += time.monotonic() - self._began

    def _add(self, sign: int) -> None:
        for name, group in self._groups.items():
            self._spent[name] += sign * cpu_s(group)

    def cores(self) -> dict[str, float]:
        """Cores used by each kind."""
        return {name: round(spent / self._wall, 3) for name, spent in self._spent.items()}


def _peak_kib(pid: int) -> int:
    # VmHWM of proc(5): kept by the kernel, so no peak falls between two samples.
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise ValueError(f"the kernel tells no VmHWM of process {pid}")
