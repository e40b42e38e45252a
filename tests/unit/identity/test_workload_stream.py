"""A holder is kept supplied by a Workload API over its socket, whatever that does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from actors.identity import workload_stream
from actors.identity.contract import IdentityFault, SvidState
from actors.identity.errors import NoIdentity
from actors.identity.holder import Holder
from actors.identity.lifecycle import Moment
from actors.identity.workload_api import LARGEST_MESSAGE
from actors.identity.workload_stream import (
    WorkloadStream,
    first_message_s,
    system_moment,
    wait_newer,
)
from tests.unit.identity.certificates import (
    AUTHORITY,
    Rules,
    Signer,
    entry,
    issue,
    message,
    root,
    with_times,
)
from tests.unit.identity.scripted_api import ScriptedApi, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from spiffe._proto import workload_pb2

ROOT = root(rules=with_times(AUTHORITY, time.time() - 60, time.time() + 86_400))
FOREIGN = root("foreign", with_times(AUTHORITY, time.time() - 60, time.time() + 86_400))


def leaf(lives_s: float = 3600, began_s: float = 1) -> Signer:
    now = time.time()
    return issue(ROOT, with_times(Rules(), now - began_s, now + lives_s))


def good(lives_s: float = 3600) -> workload_pb2.X509SVIDResponse:
    return message(entry(leaf(lives_s), ROOT.der))


@dataclass
class Held:
    """A holder and what supplies it."""

    api: ScriptedApi
    holder: Holder
    stream: WorkloadStream
    set_by: float = 0.0  # of the wall clock, s

    def count(self, fault: IdentityFault) -> int:
        return self.holder.faults.get(fault, 0)

    def fault(self) -> IdentityFault | None:
        last = self.status().last_fault
        return None if last is None else last.fault

    def status(self) -> Any:
        return self.holder.status(
            "a",
            self.api.endpoint,
            self.now(),
            connected=self.stream.connected,
            retries=self.stream.retries,
        )

    def now(self) -> Moment:
        now = system_moment()
        return Moment(now.wall + self.set_by, now.monotonic)

    def sign(self) -> None:
        self.holder.sign(b"x", "test", self.now())


@contextlib.asynccontextmanager
async def supplied(api: ScriptedApi) -> AsyncIterator[Held]:
    """A holder that is supplied for the block."""
    holder = Holder(0.5, Random(1))
    held: Held

    def clock() -> Moment:
        return held.now()

    stream = WorkloadStream(holder, api.endpoint, Random(2), clock)
    held = Held(api, holder, stream)
    task = asyncio.create_task(stream.run())
    try:
        yield held
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def api(tmp_path: Path) -> ScriptedApi:
    return ScriptedApi(tmp_path / "api.sock")


@pytest.fixture
async def held(api: ScriptedApi) -> AsyncIterator[Held]:
    """A holder that has its first SVID."""
    api.svids.always(good())
    async with api.running(), supplied(api) as one:
        await until(lambda: one.holder.held.generation and api.jwt_bundles.followers)
        yield one


async def test_each_call_carries_the_security_header(held: Held) -> None:
    """Both streams do, so that no other protocol's request passes for one."""
    assert {name for name, _ in held.api.metadata} == {"FetchX509SVID", "FetchJWTBundles"}
    assert all(said["workload.spiffe.io"] == "true" for _, said in held.api.metadata)


async def test_a_push_is_taken_and_a_bad_one_costs_itself_alone(held: Held) -> None:
    """Bad messages change nothing, not even the stream; the next good one is taken from it."""
    opened = held.api.svids.opened
    bad = [
        (b"\xff\xff\xff", IdentityFault.MALFORMED_MESSAGE),
        (message(), IdentityFault.NO_SVID),
        (message(entry(leaf(), ROOT.der, x509_svid=b"0")), IdentityFault.MALFORMED_CERTIFICATE),
        (message(entry(leaf(), ROOT.der, x509_svid_key=leaf().pkcs8)), IdentityFault.KEY_MISMATCH),
        (message(entry(leaf(), FOREIGN.der)), IdentityFault.UNTRUSTED),
        (message(entry(leaf(-1, 60), ROOT.der)), IdentityFault.EXPIRED),
        (
            message(entry(leaf(), ROOT.der, spiffe_id="spiffe://mesh.example/other")),
            IdentityFault.ID_MISMATCH,
        ),
    ]
    serial = held.status().svids[0].serial
    for saying, fault in bad:
        held.api.svids.say(saying)
        await until(lambda fault=fault: held.count(fault) == 1 and held.fault() is fault)
        assert held.status().svids[0].serial == serial
        held.sign()
    held.api.svids.say(good())
    await until(lambda: held.holder.renewals == 1)
    assert held.fault() is None
    assert held.status().svids[0].serial != serial
    assert held.api.svids.opened == opened
    assert held.status().faults == {fault: 1 for _, fault in bad}


async def test_permission_denied_stops_its_use_until_it_is_given_again(held: Held) -> None:
    """The SVID is not used, the API is asked again, and what it gives then is used."""
    held.api.svids.always(grpc.StatusCode.PERMISSION_DENIED)
    await until(lambda: held.count(IdentityFault.PERMISSION_DENIED) >= 2)
    told = held.status()
    assert (told.state, told.connected, told.retries) == (SvidState.REVOKED, False, True)
    with pytest.raises(NoIdentity) as caught:
        held.sign()
    assert caught.value.fault is IdentityFault.PERMISSION_DENIED
    held.api.svids.first = [good()]
    await until(lambda: held.status().state is SvidState.FRESH)
    held.sign()


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, IdentityFault.UNIMPLEMENTED),
        (grpc.StatusCode.INVALID_ARGUMENT, IdentityFault.INVALID_ARGUMENT),
    ],
)
async def test_what_can_never_succeed_is_not_tried_again(
    held: Held, code: grpc.StatusCode, fault: IdentityFault
) -> None:
    """While another stream is tried again and again this one is not; a person can have it tried."""
    held.api.svids.always(code)
    held.api.jwt_bundles.always(grpc.StatusCode.UNAVAILABLE)
    await until(lambda: held.count(fault) == 1)
    opened, others = held.api.svids.opened, held.api.jwt_bundles.opened
    await until(lambda: held.api.jwt_bundles.opened >= others + 4)
    assert held.api.svids.opened == opened
    assert held.count(fault) == 1
    assert (held.status().retries, held.status().state) == (False, SvidState.FRESH)
    held.sign()
    held.api.svids.first = [good()]
    rotation = await held.stream.rotate()
    assert rotation.renewed
    assert held.status().retries


async def test_a_server_that_goes_away_is_found_when_it_is_back(held: Held) -> None:
    """The last SVID stays in use meanwhile; what the server has then is taken."""
    await held.api.stop()
    await until(lambda: held.count(IdentityFault.UNAVAILABLE) >= 6)
    assert held.fault() is IdentityFault.UNAVAILABLE
    assert not held.status().connected
    held.sign()
    held.api.svids.first = [good()]
    await held.api.start()
    await until(lambda: held.holder.renewals == 1)
    assert held.status().connected


async def test_a_server_that_comes_late_is_found(api: ScriptedApi) -> None:
    """A socket that is not there yet is a fault that is told, and no reason to give up."""
    async with supplied(api) as held:
        await until(lambda: held.count(IdentityFault.UNAVAILABLE) >= 3)
        with pytest.raises(NoIdentity, match="No such file"):
            held.sign()
        api.svids.first = [good()]
        async with api.running():
            await until(lambda: held.status().state is SvidState.FRESH)


async def test_a_stream_that_ends_is_opened_again(held: Held) -> None:
    """Also one that the server closes without an error, or that carries more than it may."""
    held.api.svids.say(grpc.StatusCode.OK)
    await until(lambda: held.count(IdentityFault.STREAM_ENDED) == 1 and held.api.svids.followers)
    held.api.svids.say(bytes(LARGEST_MESSAGE + 1))
    await until(lambda: held.count(IdentityFault.TOO_LARGE) == 1 and held.api.svids.followers)
    await until(lambda: held.fault() is None)
    assert held.holder.renewals == 0


async def test_a_server_that_says_nothing_is_not_waited_for(
    api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that opens and brings nothing is opened anew."""
    monkeypatch.setattr(workload_stream, "FIRST_S", 0.2)
    async with api.running(), supplied(api) as held:
        await until(lambda: held.count(IdentityFault.SILENT) >= 2)
        api.svids.first = [good()]
        await until(lambda: held.status().state is SvidState.FRESH)


def test_a_silent_server_is_given_up_while_there_is_time_for_another_attempt() -> None:
    """The wait for a first message is at most half of what is left of the SVID."""
    assert first_message_s(None) == first_message_s(-1) == first_message_s(3600) == 10
    assert first_message_s(8) == 4
    assert first_message_s(0.1) == 0.5


async def test_an_svid_that_is_due_is_asked_for(api: ScriptedApi) -> None:
    """A server that does not push is asked again and again, by a new stream, without a lapse."""
    api.svids.always(good(4))
    async with api.running(), supplied(api) as held:
        await until(lambda: held.holder.held.generation)
        await until(lambda: held.status().state in {SvidState.DUE, SvidState.STALE})
        await until(lambda: api.svids.opened >= 3)
        assert held.holder.renewals == 0
        api.svids.first = [good()]
        await until(lambda: held.holder.renewals == 1)
        assert held.status().state is SvidState.FRESH
        held.sign()


async def test_a_clock_that_is_set_makes_it_ask(api: ScriptedApi) -> None:
    """The present state is fetched, the fault is told, and what has ended is not used."""
    api.svids.always(good(20))
    async with api.running(), supplied(api) as held:
        await until(lambda: held.holder.held.generation)
        await until(lambda: held.holder._clocks._looked)  # at the clock, before it is set
        opened = api.svids.opened
        held.set_by = 3600
        with pytest.raises(NoIdentity, match="expired"):
            held.sign()
        await until(lambda: held.count(IdentityFault.CLOCK_JUMP) == 1)
        await until(lambda: api.svids.opened > opened)
        # For the new time the server's SVID has ended long ago.
        await until(lambda: held.count(IdentityFault.EXPIRED) >= 1)
        api.svids.always(good(2 * 3600))
        await until(lambda: held.status().state is not SvidState.EXPIRED)
        held.sign()


async def test_a_rotation_says_what_came_of_it(held: Held) -> None:
    """Renewed means another SVID; the same one again is none; no answer is told with its reason."""
    rotation = await held.stream.rotate()
    assert (rotation.renewed, rotation.generation) == (False, held.holder.held.generation)
    assert "held already" in rotation.why
    held.api.svids.first = [good()]
    rotation = await held.stream.rotate()
    assert (rotation.renewed, rotation.why) == (True, "")
    held.api.svids.first = [message()]
    rotation = await held.stream.rotate()
    assert not rotation.renewed
    assert "no SVID" in rotation.why


async def test_who_waits_is_told_of_a_change_by_any_thread(held: Held) -> None:
    """Waiting ends at once for an old generation, at a change, and when the time is over."""
    generation = held.holder.held.generation
    await wait_newer(held.holder, generation - 1, 3600)
    await wait_newer(held.holder, generation + 7, 3600)  # of an actor that was started anew
    await wait_newer(held.holder, generation, 0.01)
    assert held.holder.held.generation == generation
    waits = asyncio.create_task(wait_newer(held.holder, generation, 3600))
    await asyncio.sleep(0)
    await asyncio.to_thread(held.holder.take_svids, good(), held.now())
    await asyncio.wait_for(waits, 60)
    assert held.holder.held.generation == generation + 1
