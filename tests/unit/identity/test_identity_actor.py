"""The actor of a host: identities out of the box, renewed, told, and gone when they are not."""

from __future__ import annotations

import asyncio
import stat
import time
from typing import TYPE_CHECKING

import pytest

from actors.identity.actor import IdentityActor
from actors.identity.contract import (
    EmbeddedOptions,
    IdentityFault,
    IdentityOptions,
    IdentityStatus,
    SvidState,
)
from actors.identity.errors import AuthorityUnusable, NoAuthority, NoIdentity
from actors.identity.places import socket_of
from actors.runtime import alerting
from actors.runtime.alerting import Alert, AlertName
from actors.runtime.metrics import MemoryMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from actors.runtime.actor_health import ActorHealth

DOMAIN = "mesh.example"
LONG_S = 60.0


@pytest.fixture
def raised() -> Iterator[list[Alert]]:
    """Alerts of this process."""
    found: list[Alert] = []
    alerting.send_alerts_to(found.append)
    yield found
    alerting._sinks.clear()


async def eventually(holds: Callable[[], object]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(LONG_S):
        while not holds():  # noqa: ASYNC110 - of something that tells nobody
            await asyncio.sleep(0.02)


class Living:
    """An actor in this process, which ends with the test."""

    def __init__(self, directory: Path, *, life_s: float = 3600.0, embedded: bool = True) -> None:
        self.metrics = MemoryMetrics()
        own = EmbeddedOptions(directory / "identity", DOMAIN, life_s)
        endpoint = f"unix://{socket_of(own.directory)}"
        options = IdentityOptions(
            "köln 1", endpoint, "CRITICAL", embedded=own if embedded else None
        )
        self.actor = IdentityActor(options, metrics=self.metrics)

    async def end(self) -> None:
        for task in tuple(self.actor._tasks):
            task.cancel()
        await asyncio.gather(*self.actor._tasks, return_exceptions=True)
        if self.actor._embedded is not None:
            await self.actor._embedded.close()

    async def state(self, expected: str) -> ActorHealth:
        """Its health, once it has this state."""
        async with asyncio.timeout(LONG_S):
            while (found := await self.actor.health()).state != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            return found

    async def until(self, holds: Callable[[IdentityStatus], bool]) -> IdentityStatus:
        async with asyncio.timeout(LONG_S):
            status = await self.actor.status()
            while not holds(status):
                status = await self.actor.wait_newer(status.generation, 0.05)
            return status


async def test_identities_are_there_out_of_the_box(tmp_path: Path) -> None:
    """It is its own authority, signs, gives tokens, rotates, and tells how it is."""
    living = Living(tmp_path)
    actor = living.actor
    status = await living.until(lambda now: bool(now.svids) and len(now.trust_domains) > 0)
    assert status.state is SvidState.FRESH
    assert [one.hint for one in status.svids] == ["host", "gateway", "alerts"]
    assert status.svids[0].spiffe_id == f"spiffe://{DOMAIN}/host/k-ln-1"
    signed = await actor.sign(b"payload", "test")
    bundle = await actor.bundle()
    chain = await actor.public_chain()
    assert chain.certificates == signed.chain
    token = await actor.jwt(["gateway"])
    await living.until(lambda _: actor._holder.held.jwt_authorities != {})
    assert (await actor.validate_jwt(token.token, "gateway")).spiffe_id == token.spiffe_id
    generation = (await actor.status()).generation
    rotation = await actor.rotate()
    assert rotation.renewed
    assert rotation.generation > generation
    assert (await actor.public_chain()).certificates != chain.certificates
    assert (await actor.bundle()).x509_authorities == bundle.x509_authorities
    health = await actor.health()
    assert health.state == "ready"
    assert "fresh, 60 min left" in health.why
    directory = tmp_path / "identity"
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in directory.iterdir()}
    assert modes == {"authority.json": 0o600, "authority.lock": 0o600, "agent.sock": 0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    await living.end()
    again = Living(tmp_path)  # a second run has the same authority
    await again.until(lambda now: bool(now.svids))
    assert (await again.actor.bundle()).x509_authorities == bundle.x509_authorities
    await again.end()


async def test_metrics_follow(tmp_path: Path) -> None:
    """What Prometheus is told is what is held."""
    living = Living(tmp_path)
    await living.until(lambda now: bool(now.svids))
    await living.actor.rotate()
    await eventually(lambda: living.metrics.value("x0tta6bl4_svid_renewals_total"))
    assert 3500 < living.metrics.value("x0tta6bl4_svid_seconds_left") <= 3600
    assert living.metrics.value("x0tta6bl4_svid_usable") == 1
    assert living.metrics.value("x0tta6bl4_svid_life_left_ratio") > 0.9
    assert living.metrics.value("x0tta6bl4_svid_generation") >= 2
    await living.end()


async def test_new_keys_of_the_authority_interrupt_nobody(tmp_path: Path) -> None:
    """Old and new authority are both in the bundle, before anything is signed by the new one."""
    living = Living(tmp_path)
    await living.until(lambda now: bool(now.svids))
    old = (await living.actor.bundle()).x509_authorities
    made = await living.actor.rotate_authority()
    assert len(made.keys) == 2
    assert made.keys[0].kept_until is not None
    assert made.keys[1].kept_until is None
    await eventually(lambda: len(living.actor._holder.held.bundles[DOMAIN]) == 2)
    found = await living.actor.authority()
    assert found is not None
    assert found.trust_domain == DOMAIN
    assert found.streams >= 2
    assert set(old) < set((await living.actor.bundle()).x509_authorities)
    await living.end()


async def test_a_damaged_authority_is_told_and_mended_while_it_runs(tmp_path: Path) -> None:
    """The actor has failed, says what to do, and goes on by itself when that is done."""
    directory = tmp_path / "identity"
    directory.mkdir()
    path = directory / "authority.json"
    path.write_bytes(b"{")
    path.chmod(0o600)
    living = Living(tmp_path)
    health = await living.state("failed")
    assert str(path) in health.why
    assert "move it away" in health.why
    for call in (
        living.actor.sign(b"", "test"),
        living.actor.rotate(),
        living.actor.rotate_authority(),
        living.actor.jwt(["a"]),
    ):
        with pytest.raises(AuthorityUnusable, match="damaged"):
            await call
    path.unlink()
    await living.until(lambda now: bool(now.svids))
    assert (await living.actor.health()).state == "ready"
    await living.end()


async def test_two_processes_are_not_one_authority(tmp_path: Path) -> None:
    """The second says why it cannot be, and is the authority when the first has ended."""
    first = Living(tmp_path)
    await first.until(lambda now: bool(now.svids))
    second = Living(tmp_path)
    assert "another process is this authority" in (await second.state("failed")).why
    await first.end()
    await second.until(lambda now: bool(now.svids))
    await second.end()


async def test_without_a_workload_api_it_starts_and_says_what_it_waits_for(
    tmp_path: Path, raised: list[Alert]
) -> None:
    """Nothing is signed, no authority is made beside the one that is set, and an alert tells."""
    living = Living(tmp_path, embedded=False)
    await eventually(lambda: [one for one in raised if one.name is AlertName.SVID_RENEWAL_FAILED])
    health = await living.actor.health()
    assert health.state == "starting"
    assert health.why
    with pytest.raises(NoIdentity):
        await living.actor.sign(b"", "test")
    with pytest.raises(NoAuthority):
        await living.actor.rotate_authority()
    assert await living.actor.authority() is None
    await living.end()


async def test_lives_of_seconds_never_lapse(tmp_path: Path) -> None:
    """Under calls, an SVID of a few seconds is always one that may be used."""
    living = Living(tmp_path, life_s=3.0)
    await living.until(lambda now: bool(now.svids))
    end = time.monotonic() + 5.0
    states = set()
    while time.monotonic() < end:
        await living.actor.sign(b"x", "load")
        states.add((await living.actor.status()).state)
        await asyncio.sleep(0.01)
    assert (await living.actor.status()).renewals >= 2
    assert states <= {SvidState.FRESH, SvidState.DUE, SvidState.STALE}
    await living.end()


async def test_an_identity_that_ends_is_told_and_told_to_be_over(
    tmp_path: Path, raised: list[Alert]
) -> None:
    """Without its Workload API an SVID goes stale and expires: alerts say so, and say the end."""
    serving = Living(tmp_path, life_s=3.0)
    await serving.until(lambda now: bool(now.svids))
    living = Living(tmp_path, embedded=False)
    await living.until(lambda now: bool(now.svids))
    await serving.end()

    def of(name: AlertName, *, over: bool) -> list[Alert]:
        return [one for one in raised if one.name is name and (one.ended is not None) == over]

    raised.clear()
    await living.until(lambda now: now.state is SvidState.EXPIRED)
    await eventually(
        lambda: [one for one in of(AlertName.SVID_EXPIRING, over=False) if one.severity]
    )
    assert of(AlertName.SVID_RENEWAL_FAILED, over=False)
    with pytest.raises(NoIdentity, match="expired"):
        await living.actor.sign(b"", "test")
    assert living.metrics.value("x0tta6bl4_svid_usable") == 0
    assert living.metrics.value("x0tta6bl4_svid_life_left_ratio") == 0
    raised.clear()
    again = Living(tmp_path)
    await living.until(lambda now: now.state is SvidState.FRESH)
    both = (AlertName.SVID_EXPIRING, AlertName.SVID_RENEWAL_FAILED)
    await eventually(lambda: all(of(name, over=True) for name in both))
    failures = living.metrics.value(
        "x0tta6bl4_svid_failures_total", reason=str(IdentityFault.UNAVAILABLE)
    )
    assert failures
    await again.end()
    await living.end()


def test_a_long_state_directory_has_its_socket_elsewhere(tmp_path: Path) -> None:
    """A path that no socket may have is not used; the other one is the same each time."""
    far = tmp_path / ("x" * 120) / "identity"
    place = socket_of(far)
    assert len(str(place).encode()) <= 107
    assert place == socket_of(far) != socket_of(tmp_path / ("y" * 120))
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert socket_of(tmp_path / "identity").parent == tmp_path / "identity"
