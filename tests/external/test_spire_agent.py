"""The holder against a real SPIRE agent, where SPIFFE_ENDPOINT_SOCKET names its socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
from random import Random

import pytest

from actors.identity.contract import SvidState
from actors.identity.endpoint import VARIABLE
from actors.identity.holder import Holder
from actors.identity.jwt_source import JwtSource
from actors.identity.signing import verify
from actors.identity.workload_stream import WorkloadStream, system_moment
from tests.unit.identity.scripted_api import until

ENDPOINT = os.environ.get(VARIABLE, "")

pytestmark = pytest.mark.skipif(not ENDPOINT, reason=f"{VARIABLE} names no SPIRE agent")


async def test_an_agent_supplies_the_holder() -> None:
    """It gives an SVID that signs, a bundle that vouches for it, and tokens that its keys check."""
    random = Random()
    holder = Holder(0.5, random)
    stream = WorkloadStream(holder, ENDPOINT, random)
    task = asyncio.create_task(stream.run())
    try:
        await until(lambda: holder.held.default and holder.held.jwt_authorities)
        now = system_moment()
        assert holder.state(now) in {SvidState.FRESH, SvidState.DUE, SvidState.STALE}
        signed = holder.sign(b"payload", "test", now)
        assert str(verify(signed, b"payload", "test", holder.held.bundles, now.wall))
        token = await JwtSource(holder, ENDPOINT, random).get(["x0-test"])
        claims = holder.validate_jwt(token.token, "x0-test", system_moment())
        assert claims.spiffe_id == token.spiffe_id
        rotation = await stream.rotate()
        assert rotation.renewed or "held already" in rotation.why
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
