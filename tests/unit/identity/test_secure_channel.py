"""Channels between shards: sealed or not sent, whatever the wire does."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from actors.identity import secure_channel
from actors.identity.enrolment import Enrolment, seed_in
from actors.identity.errors import HandshakeFailed
from actors.identity.pqc_watch import PqcWatch
from actors.identity.secure_channel import SESSION_RECORDS, USE, SecureChannel
from actors.mesh.errors import NothingSealed
from actors.runtime.alerting import Alert, AlertName, send_alerts_to
from actors.runtime.errors import ActorUnavailable
from actors.runtime.metrics import MemoryMetrics

if TYPE_CHECKING:
    from pathlib import Path

Wire = Callable[[bytes], Awaitable[bytes]]


class Shard:
    """A channel with a clock of its own, and what it was given to handle."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.now, self.handled = name, 1_700_000_000.0, []
        self.metrics = MemoryMetrics()
        self.alerts: list[Alert] = []
        watch = PqcWatch(name, self.metrics, lambda: self.now, self.alerts.append)
        self.channel = SecureChannel(name, directory, watch, lambda: self.now)

    def handle(self, peer: str, content: bytes) -> bytes:
        self.handled.append((peer, content))
        return b"answer to " + content

    async def hear(self, message: bytes) -> bytes:
        return await self.channel.take(message, self.handle)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.value(f"x0tta6bl4_pqc_{name}", shard=self.name, **labels)


@pytest.fixture
async def pair(tmp_path: Path) -> tuple[Shard, Shard]:
    shards = Shard("one", tmp_path / "mesh"), Shard("two", tmp_path / "mesh")
    (tmp_path / "mesh").mkdir()
    for shard in shards:
        await shard.channel.open()
    return shards


async def test_what_is_carried_is_handled_once_and_answered(pair: tuple[Shard, Shard]) -> None:
    """One handshake serves many records; none of it can be read on the wire."""
    one, two = pair
    wire: list[bytes] = []

    async def say(message: bytes) -> bytes:
        wire.append(message)
        wire.append(await two.hear(message))
        return wire[-1]

    for content in (b"first secret", b"second secret"):
        assert await one.channel.carry("two", content, say) == b"answer to " + content
    assert two.handled == [("one", b"first secret"), ("one", b"second secret")]
    assert len(wire) == 4 + 4
    assert not any(b"secret" in message for message in wire)
    assert one.count("handshake_success_total") == 1
    assert one.channel.report()["sessions"]["two"]["records"] == 2


async def test_a_peer_that_restarted_is_agreed_with_anew(
    pair: tuple[Shard, Shard], tmp_path: Path
) -> None:
    """It does not know the session, says so, and the content arrives all the same, once."""
    one, two = pair
    await one.channel.carry("two", b"a", two.hear)
    again = Shard("two", tmp_path / "mesh")
    await again.channel.open()
    assert await one.channel.carry("two", b"b", again.hear) == b"answer to b"
    assert again.handled == [("one", b"b")]
    assert one.channel.report()["handshakes_failed"] == {}


async def test_a_session_is_replaced_when_it_is_old_or_worn(pair: tuple[Shard, Shard]) -> None:
    """Keys rotate by time and by use."""
    one, two = pair
    await one.channel.carry("two", b"a", two.hear)
    for shard in pair:
        shard.now += secure_channel.SESSION_S
    await one.channel.carry("two", b"b", two.hear)
    assert one.count("key_rotation_success_total", kind="session") == 1
    one.channel._sending["two"].latest = SESSION_RECORDS
    await one.channel.carry("two", b"c", two.hear)
    assert one.count("key_rotation_success_total", kind="session") == 2
    assert [content for _, content in two.handled] == [b"a", b"b", b"c"]


async def test_a_record_is_taken_once(pair: tuple[Shard, Shard]) -> None:
    """A replay is refused, counted by its reason, and not handled."""
    one, two = pair
    wire: list[bytes] = []

    async def say(message: bytes) -> bytes:
        wire.append(message)
        return await two.hear(message)

    await one.channel.carry("two", b"a", say)
    with pytest.raises(HandshakeFailed) as caught:
        await two.hear(wire[-1])
    assert caught.value.reason == "replayed"
    assert two.count("handshake_failure_total", reason="replayed") == 1
    assert len(two.handled) == 1


@pytest.mark.parametrize("at", [1, 17, 28, 29, -1])
async def test_an_altered_record_is_not_handled(pair: tuple[Shard, Shard], at: int) -> None:
    """Head or content; the next record goes under a new session."""
    one, two = pair
    await one.channel.carry("two", b"before", two.hear)
    altered = 0

    async def say(message: bytes) -> bytes:
        nonlocal altered
        if message[:1] == b"\x10" and not altered:
            altered = 1
            place = at % len(message)
            message = message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]
        return await two.hear(message)

    if at == 1:  # another session id: the peer does not know it
        await one.channel.carry("two", b"content", say)
        assert [content for _, content in two.handled] == [b"before", b"content"]
        return
    with pytest.raises(HandshakeFailed) as caught:
        await one.channel.carry("two", b"content", say)
    assert caught.value.reason == "bad_seal"
    assert two.handled == [("one", b"before")]
    assert await one.channel.carry("two", b"content", say) == b"answer to content"
    assert one.count("handshake_success_total") == 2


async def test_an_altered_answer_is_no_answer(pair: tuple[Shard, Shard]) -> None:
    """Neither one of another record nor one that is changed."""
    one, two = pair

    async def say(message: bytes) -> bytes:
        answer = await two.hear(message)
        return answer[:-1] + b"x" if message[:1] == b"\x10" else answer

    with pytest.raises(HandshakeFailed) as caught:
        await one.channel.carry("two", b"content", say)
    assert caught.value.reason == "bad_seal"


async def test_a_peer_that_claims_to_know_no_session_is_not_asked_for_ever(
    pair: tuple[Shard, Shard],
) -> None:
    """Two tries, then a reason; nothing is sent in the clear."""
    one, two = pair
    said: list[bytes] = []

    async def say(message: bytes) -> bytes:
        said.append(message)
        return b"\x12" if message[:1] == b"\x10" else await two.hear(message)

    with pytest.raises(HandshakeFailed) as caught:
        await one.channel.carry("two", b"content", say)
    assert caught.value.reason == "session_lost"
    assert not any(b"content" in message for message in said)


async def test_nothing_is_sent_to_a_peer_that_cannot_be_agreed_with(
    pair: tuple[Shard, Shard],
) -> None:
    """Whatever it answers to the offer, only another offer follows, after a pause."""
    one, _ = pair
    said: list[bytes] = []

    async def say(message: bytes) -> bytes:
        said.append(message)
        return b"let us do without"

    alerts: list[Alert] = []
    send_alerts_to(alerts.append)
    try:
        with pytest.raises(HandshakeFailed) as caught:
            await one.channel.carry("two", b"content", say)
    finally:
        send_alerts_to(lambda _: None)
    assert caught.value.reason == "unexpected_message"
    assert len(said) == 1
    assert one.count("handshake_failure_total", reason="unexpected_message") == 1
    assert [alert.name for alert in alerts] == [AlertName.PQC_HANDSHAKE_FAILURE]
    assert one.channel._pause_until["two"] > one.now


async def test_a_peer_that_is_away_is_no_attack(pair: tuple[Shard, Shard]) -> None:
    """It is counted as unreachable; nobody is alerted, and the caller is told what it was."""
    one, _ = pair

    async def say(_message: bytes) -> bytes:
        raise ActorUnavailable("two")

    alerts: list[Alert] = []
    send_alerts_to(alerts.append)
    try:
        with pytest.raises(ActorUnavailable):
            await one.channel.carry("two", b"content", say)
    finally:
        send_alerts_to(lambda _: None)
    assert one.count("handshake_failure_total", reason="unreachable") == 1
    assert alerts == []


async def test_a_peer_that_seals_nothing_is_a_fallback_attempt(pair: tuple[Shard, Shard]) -> None:
    """It is refused and alerted; what was to be sent is not."""
    one, _ = pair

    async def say(message: bytes) -> bytes:
        assert b"content" not in message
        raise NothingSealed("two")

    with pytest.raises(NothingSealed):
        await one.channel.carry("two", b"content", say)
    assert one.count("fallback_attempts_total", reason="declined") == 1
    assert [alert.name for alert in one.alerts] == [AlertName.PQC_FALLBACK_ATTEMPTED]


async def test_a_session_is_not_heard_for_ever(pair: tuple[Shard, Shard]) -> None:
    """A peer that goes on with an old one has to agree anew."""
    one, two = pair
    await one.channel.carry("two", b"a", two.hear)
    one.now, two.now = one.now + 1.0, two.now + 2 * secure_channel.SESSION_S
    one.channel._clock = lambda: one.now if one.channel._sending else two.now
    await one.channel.carry("two", b"b", two.hear)
    assert one.count("handshake_success_total") == 2
    assert [content for _, content in two.handled] == [b"a", b"b"]


async def test_who_has_another_key_than_the_enrolled_one_does_not_start(
    pair: tuple[Shard, Shard], tmp_path: Path
) -> None:
    """A seed that was lost is another identity, until an operator has the old one forgotten."""
    (tmp_path / "mesh" / "one.seed").unlink()
    impostor = Shard("one", tmp_path / "mesh")
    with pytest.raises(HandshakeFailed) as caught:
        await impostor.channel.open()
    assert caught.value.reason == "key_not_enrolled"
    Enrolment(tmp_path / "mesh").forget(["one"])
    await impostor.channel.open()
    assert await impostor.channel.carry("two", b"a", pair[1].hear) == b"answer to a"


async def test_an_envelope_as_it_is_counts_as_a_fallback_attempt(
    pair: tuple[Shard, Shard],
) -> None:
    """It is refused, counted, and alerted once a minute at most; the state ends by itself."""
    one, _ = pair
    for _ in range(3):
        assert one.channel.unsealed("two").reason == "unsealed"
    assert one.count("fallback_attempts_total", reason="unsealed") == 3
    assert one.count("fallback_state") == 1
    assert [alert.name for alert in one.alerts] == [AlertName.PQC_FALLBACK_ATTEMPTED]
    one.now += 61.0
    one.channel._watch.tick()
    assert one.count("fallback_state") == 0
    one.channel.unsealed("two")
    assert len(one.alerts) == 2


async def test_handshakes_that_others_leave_unfinished_are_bounded(
    pair: tuple[Shard, Shard],
) -> None:
    """The oldest goes; one that is finished in time is not disturbed by the others."""
    one, two = pair

    async def lose(message: bytes) -> bytes:
        await two.hear(message)
        raise ActorUnavailable("two")

    for _ in range(secure_channel.MOST_UNFINISHED + 3):
        with pytest.raises(ActorUnavailable):
            await one.channel.carry("two", b"a", lose)
    assert len(two.channel._unfinished) == secure_channel.MOST_UNFINISHED
    assert await one.channel.carry("two", b"a", two.hear) == b"answer to a"


async def test_no_key_is_logged_or_shown(
    pair: tuple[Shard, Shard], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither seeds nor session keys, in what is logged, reported or printed."""
    one, two = pair
    with caplog.at_level(logging.DEBUG):
        await one.channel.carry("two", b"a", two.hear)
        with pytest.raises(HandshakeFailed):
            await two.hear(b"\x13" + bytes(40))
    session = one.channel._sending["two"].session
    seed = seed_in(tmp_path / "mesh" / "one.seed")
    shown = caplog.text + repr(one.channel._sending) + repr(one.channel.report())
    for secret in (seed, session.seal_key, session.open_key):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
    assert Enrolment(tmp_path / "mesh").enrolled("one", USE) is not None
