"""The actor that the spawn tests start; workers import it from here."""

from __future__ import annotations

import asyncio
import os

from actors.mesh.errors import MailboxFull
from actors.runtime import remote, spawn


class Probe:
    """Says what it is, counts, refuses, and ticks on its own loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ticks = 0
        self._told = spawn.ray_metrics().counter(
            "x0tta6bl4_probe_told_total", "Words told to the probe", ("kind",)
        )
        self._ticking = asyncio.get_running_loop().create_task(self._tick())

    def __repr__(self) -> str:
        return self._name

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self._ticks += 1

    async def ticks(self) -> int:
        return self._ticks

    async def pid(self) -> int:
        return os.getpid()

    async def tell(self, count: int) -> None:
        self._told.inc(count, kind="word")

    async def refuse(self) -> None:
        raise MailboxFull("n1", capacity=3, retry_after_s=0.5)


class Broken:
    """Cannot be constructed."""

    def __init__(self) -> None:
        raise MailboxFull("n1", capacity=0, retry_after_s=0.5)

    async def pid(self) -> int:
        return os.getpid()


class Lined:
    """Answers over a line too, as something else, so that callers see which way their call went."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    async def open(self) -> None:
        self._door = await remote.serve(self._name, _Directly(), _Directly)

    async def way(self) -> str:
        return "through Ray"

    async def pid(self) -> int:
        return os.getpid()

    async def refuse(self) -> None:
        raise MailboxFull("n1", capacity=3, retry_after_s=0.5)


class _Directly:
    async def way(self) -> str:
        return "directly"

    async def pid(self) -> int:
        return os.getpid()

    async def refuse(self) -> None:
        raise MailboxFull("n1", capacity=3, retry_after_s=0.5)
