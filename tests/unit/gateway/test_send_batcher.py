"""Which single messages travel together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh.partition import Acceptance
from serve_apps.gateway import send_batcher
from serve_apps.gateway.decoding import One
from serve_apps.gateway.send_batcher import CROWD, SendBatcher

if TYPE_CHECKING:
    import pytest

    from actors.mesh.batch import MessageBatch

MESSAGE = One(0, 1, b"x", 0)


class Ferry:
    """Takes what is there every 2 ms."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def send_batch(self, batch: MessageBatch) -> Acceptance:
        self.sizes.append(len(batch))
        await asyncio.sleep(0.002)
        return Acceptance(np.arange(1, len(batch) + 1, dtype=np.uint64), np.zeros(len(batch), int))


async def _send(batcher: SendBatcher, times: int, pause_s: float = 0.0) -> None:
    for _ in range(times):
        await batcher.one(MESSAGE, "a")
        await asyncio.sleep(pause_s)


async def test_a_crowd_stays_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that were answered together are waited for: a round of all of them is one call."""
    monkeypatch.setattr(send_batcher, "GATHER_S", 1.0)
    ferry = Ferry()
    batcher = SendBatcher(lambda: ferry, most=1000, answer_s=5)
    clients = (_send(batcher, 10, pause_s=n / 8000) for n in range(2 * CROWD))  # 4 ms at most
    await asyncio.gather(*clients)
    assert sum(ferry.sizes) == 20 * CROWD
    assert ferry.sizes.count(2 * CROWD) >= 7


async def test_few_wait_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message goes at once, after others that were few."""
    monkeypatch.setattr(send_batcher, "GATHER_S", 3600.0)
    ferry = Ferry()
    batcher = SendBatcher(lambda: ferry, most=1000, answer_s=5)
    async with asyncio.timeout(120):
        for _ in range(20):
            await asyncio.gather(_send(batcher, 1), _send(batcher, 1), _send(batcher, 1))
            await _send(batcher, 1)


async def test_a_crowd_that_has_gone_holds_nobody_up() -> None:
    """A message after a crowd that does not come back still goes soon."""
    ferry = Ferry()
    batcher = SendBatcher(lambda: ferry, most=1000, answer_s=5)
    await asyncio.gather(*(_send(batcher, 1) for _ in range(2 * CROWD)))
    async with asyncio.timeout(60):
        await _send(batcher, 1)
