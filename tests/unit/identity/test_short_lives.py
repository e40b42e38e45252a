"""SVIDs of a few seconds, from the embedded Workload API: their holder never lapses."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import TYPE_CHECKING

from actors.identity.holder import Holder
from actors.identity.jwt_source import JwtSource
from actors.identity.signing import verify
from actors.identity.workload_stream import WorkloadStream, system_moment
from tests.unit.identity.scripted_api import until
from tests.unit.identity.test_workload_server import running

if TYPE_CHECKING:
    from pathlib import Path

LIFE_S = 8.0  # a stall of the machine of half of it costs no SVID


async def test_svids_of_seconds_are_renewed_without_a_lapse(tmp_path: Path) -> None:
    """Through renewals, another authority and a restart of the server, whatever is signed holds."""
    random = Random(1)
    holder = Holder(0.5, random)
    signed: set[str] = set()

    async def use() -> None:
        """Sign and check, all the time; the task fails at the first lapse."""
        await until(lambda: holder.held.default)
        while True:
            now = system_moment()
            one = holder.sign(b"payload", "test", now)
            verify(one, b"payload", "test", holder.held.bundles, now.wall)
            signed.add(holder.held.credentials[0].svid.serial)
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks, contextlib.AsyncExitStack() as stack:
        endpoint = f"unix://{tmp_path / 'agent.sock'}"
        supplying = tasks.create_task(WorkloadStream(holder, endpoint, random).run())
        using = tasks.create_task(use())
        async with running(tmp_path, LIFE_S) as server:
            await until(lambda: holder.renewals == 1)
            authorities = holder.held.bundles["mesh.example"]
            server.api.rotate_authority()
            await until(lambda: len(holder.held.bundles["mesh.example"]) == 2)
            assert set(authorities) < set(holder.held.bundles["mesh.example"])
        renewals = holder.renewals
        await stack.enter_async_context(running(tmp_path, LIFE_S))
        await until(lambda: holder.renewals > renewals)
        source = JwtSource(holder, endpoint, random)
        await until(lambda: holder.held.jwt_authorities)
        token = await source.get(["test"])
        claims = holder.validate_jwt(token.token, "test", system_moment())
        assert claims.spiffe_id == "spiffe://mesh.example/host/a"
        for one in (supplying, using):
            one.cancel()
    assert len(signed) >= 3
