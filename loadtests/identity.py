"""Identities: how soon a rotation is seen, what a signature costs, and that nothing ever lapses."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from actors.identity.actor import IdentityActor
from actors.identity.contract import (
    EmbeddedOptions,
    IdentityContract,
    IdentityOptions,
    identity_actor,
)
from actors.identity.embedded import EmbeddedAuthority
from actors.identity.places import socket_of
from actors.identity.process_identity import ProcessIdentity
from actors.identity.tls import Peers
from actors.runtime import remote, spawn
from actors.runtime.errors import X0Error
from loadtests import private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence

    from actors.identity.contract import IdentityStatus

DOMAIN: Final = "mesh.example"
ROTATIONS: Final = 200
CALLS: Final = 2_000
MINUTES: Final = 5.0
SHORT_S: Final = 10.0  # life of an SVID under load
OUTAGE_S: Final = 75.0
ROTATION_BOUND_S: Final = 0.010
SIGN_BOUND_S: Final = 0.003
BACK_BOUND_S: Final = 3.0
_NAMESPACE: Final = "loadtests-identity"
_LONG_S: Final = 60.0
_PAUSE_S: Final = 0.02
_NEW_KEYS_S: Final = 60.0  # between two changes of the authority's keys under load
_METHOD: Final = """\
The actor of a host holds its identity in a Ray worker; the Workload API and the authority run in \
the process of the benchmark, so that both ends of a push are read off one clock. A rotation is \
seen when a caller in another process than the holder's, which waits for it, has the answer. \
{calls:,} signatures of 64 bytes were asked for one after the other, over the actor's socket and \
over Ray. Under load, SVIDs live {short:g} s for {minutes:g} minutes, while one client after the \
other opens a connection of mutual TLS and another signs without a pause, and the authority \
changes its keys each minute. In the outage the Workload API is gone for {outage:g} s; it is back \
when a caller sees the first new SVID. SPIRE itself was not run."""


@dataclass(slots=True)
class Load:
    """What happened under load."""

    signatures: int = 0
    lapses: int = 0
    handshakes: int = 0
    failures: list[str] = field(default_factory=list)
    renewals: int = 0
    authorities: int = 0
    states: set[str] = field(default_factory=set)


@benchmark("identity", "Identities", ("spiffe", "cryptography", "grpcio", "ray"))
def measure(
    progress: Progress,
    *,
    rotations: Annotated[int, typer.Option(min=5, max=10_000)] = ROTATIONS,
    calls: Annotated[int, typer.Option(min=10, max=1_000_000, help="Signatures.")] = CALLS,
    minutes: Annotated[float, typer.Option(min=0.1, max=600, help="Under load.")] = MINUTES,
    outage_s: Annotated[float, typer.Option(min=1, max=3600, help="Of the server.")] = OUTAGE_S,
) -> Findings:
    """Measure rotations, signatures, SVIDs of ten seconds under load, and an outage."""
    with (
        private_cluster.started(progress) as cluster,
        private_cluster.namespace(cluster, _NAMESPACE),
    ):
        return asyncio.run(_measured(progress, rotations, calls, minutes, outage_s))


async def _measured(
    progress: Progress, rotations: int, calls: int, minutes: float, outage_s: float
) -> Findings:
    with tempfile.TemporaryDirectory(prefix="x0-") as place:
        async with _machine(Path(place) / "hour", "hour", 3600.0) as hour:
            progress(f"{rotations} rotations")
            seen = [await _rotation(hour) for _ in range(rotations)]
            progress(f"{calls} signatures by socket")
            by_socket = await _signatures(hour.actor, calls)
            progress(f"{calls} signatures by Ray")
            by_ray = await _signatures(hour.by_ray, calls)
            progress(f"{outage_s:g} s without a Workload API")
            back_s, refused = await _outage(hour, outage_s)
        async with _machine(Path(place) / "short", "short", SHORT_S) as short:
            load = await _under_load(short, minutes * 60.0, progress)
    return _found(
        (rotations, calls, minutes, outage_s), seen, by_socket, by_ray, back_s, refused, load
    )


class _Machine:
    """A Workload API in this process, and the actor of a host in another."""

    def __init__(self, directory: Path, host: str, life_s: float) -> None:
        self.options = EmbeddedOptions(directory, DOMAIN, life_s)
        self.endpoint = f"unix://{socket_of(directory)}"
        self.authority: EmbeddedAuthority | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._host = f"{platform.node()}-{host}"
        name = identity_actor(self._host)
        self.actor = remote.proxy(IdentityContract, name, timeout_s=_LONG_S)
        self.by_ray = remote.proxy(IdentityContract, name, timeout_s=_LONG_S, over_ray=True)

    async def begin(self) -> None:
        await self.open()
        options = IdentityOptions(self._host, self.endpoint, "ERROR")
        await asyncio.to_thread(spawn.detached, IdentityActor, identity_actor(self._host), options)
        async with asyncio.timeout(_LONG_S):
            while (await self.actor.health()).state != "ready":  # noqa: ASYNC110 - a short wait
                await asyncio.sleep(_PAUSE_S)

    async def open(self) -> None:
        self.authority = await EmbeddedAuthority.opened(self.options, self._host, _wrong)
        self._keeping = asyncio.ensure_future(self.authority.keep_up())

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        if self.authority is not None:
            await self.authority.close()
            self.authority = None


@contextlib.asynccontextmanager
async def _machine(directory: Path, host: str, life_s: float) -> AsyncIterator[_Machine]:
    made = _Machine(directory, host, life_s)
    await made.begin()
    try:
        yield made
    finally:
        await made.close()


def _wrong(line: str) -> None:
    raise defect(line)


async def _rotation(machine: _Machine) -> float:
    """Seconds from a push until a caller sees what it brought."""
    assert machine.authority is not None  # noqa: S101 - it is open
    before = (await machine.actor.status()).generation
    waiting = asyncio.ensure_future(machine.actor.wait_newer(before, _LONG_S))
    await asyncio.sleep(_PAUSE_S)  # it waits at the actor
    pushed = time.perf_counter()
    machine.authority.rotate()
    status = await waiting
    seen_s = time.perf_counter() - pushed
    if status.generation == before:
        raise defect("a push brought nothing")
    return seen_s


async def _signatures(actor: IdentityContract, calls: int) -> list[float]:
    """Seconds of each call."""
    payload = bytes(64)
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        await actor.sign(payload, "loadtests")
        took.append(time.perf_counter() - began)
    return took


async def _outage(machine: _Machine, outage_s: float) -> tuple[float, int]:
    """Seconds from the return of the Workload API to a new SVID, and refused signatures."""
    await machine.close()
    refused = 0
    end = time.monotonic() + outage_s
    while time.monotonic() < end:
        try:
            await machine.actor.sign(b"outage", "loadtests")
        except X0Error:
            refused += 1
        await asyncio.sleep(0.1)
    before = (await machine.actor.status()).generation
    waiting = asyncio.ensure_future(machine.actor.wait_newer(before, _LONG_S))
    await asyncio.sleep(_PAUSE_S)
    await machine.open()
    returned = time.perf_counter()
    status: IdentityStatus = await waiting
    if status.generation == before:
        raise defect(f"nothing came in {_LONG_S:g} s after the Workload API had returned")
    return time.perf_counter() - returned, refused


# -- under load ------------------------------------------------------------------------------------


async def _under_load(machine: _Machine, during_s: float, progress: Progress) -> Load:
    load = Load()
    supplies, contexts = [], []
    for hint in ("gateway", "alerts"):
        tls, holder, supply = ProcessIdentity(machine.endpoint, hint).begin()
        supplies.append(asyncio.ensure_future(supply))
        async with asyncio.timeout(_LONG_S):
            while holder.held.default is None:  # noqa: ASYNC110 - a short wait
                await asyncio.sleep(_PAUSE_S)
        contexts.append(tls)
    every = Peers.of([f"spiffe://{DOMAIN}"])
    server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=contexts[0].server(every))
    port = server.sockets[0].getsockname()[1]
    end = time.monotonic() + during_s
    first = (await machine.actor.status()).renewals
    await asyncio.gather(
        _sign_on(machine, load, end),
        _connect_on(port, contexts[1].client(every), load, end),
        _change_keys(machine, load, end, progress),
    )
    load.renewals = (await machine.actor.status()).renewals - first
    server.close()
    for supplying in supplies:
        supplying.cancel()
    return load


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        writer.write(await reader.readexactly(1))
        await writer.drain()
        writer.close()


async def _sign_on(machine: _Machine, load: Load, end: float) -> None:
    while time.monotonic() < end:
        try:
            await machine.actor.sign(b"load", "loadtests")
            load.signatures += 1
        except X0Error:
            load.lapses += 1
        if load.signatures % 100 == 0:
            load.states.add(str((await machine.actor.status()).state))
        await asyncio.sleep(0.002)


async def _connect_on(port: int, context: ssl.SSLContext, load: Load, end: float) -> None:
    while time.monotonic() < end:
        try:
            async with asyncio.timeout(10.0):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=context, server_hostname="localhost"
                )
                writer.write(b"x")
                if await reader.read(1) != b"x":
                    load.failures.append("closed by the server")
                writer.close()
            load.handshakes += 1
        except (OSError, TimeoutError) as error:
            load.failures.append(f"{type(error).__name__}: {error}")
        await asyncio.sleep(0.005)


async def _change_keys(machine: _Machine, load: Load, end: float, progress: Progress) -> None:
    began = time.monotonic()
    while (now := time.monotonic()) < end:
        progress(f"under load: {now - began:.0f} of {end - began:.0f} s")
        await asyncio.sleep(min(_NEW_KEYS_S, (end - began) / 3, end - now))
        assert machine.authority is not None  # noqa: S101 - it is open
        if time.monotonic() < end:
            machine.authority.rotate_authority()
            load.authorities += 1


# -- what it says ----------------------------------------------------------------------------------


def _found(
    asked: tuple[int, int, float, float],
    seen: Sequence[float],
    by_socket: Sequence[float],
    by_ray: Sequence[float],
    back_s: float,
    refused: int,
    load: Load,
) -> Findings:
    rotations, calls, minutes, outage_s = asked
    rows = [
        _row("a push until a caller sees it", seen, ROTATION_BOUND_S),
        _row("sign, over the actor's socket", by_socket, SIGN_BOUND_S),
        _row("sign, by a plain call of Ray", by_ray, None),
    ]
    short = [
        what
        for what, broken in (
            ("a push is seen later than 10 ms (p95)", _p95(seen) > ROTATION_BOUND_S),
            ("a signature takes more than 3 ms (p95)", _p95(by_socket) > SIGN_BOUND_S),
            (f"it took {back_s:.1f} s to be back", back_s > BACK_BOUND_S),
            (f"{refused} signatures were refused in the outage", refused > 0),
            (f"{load.lapses} signatures were refused under load", load.lapses > 0),
            (f"{len(load.failures)} handshakes failed", bool(load.failures)),
            ("an SVID expired under load", bool({"expired", "None"} & load.states)),
        )
        if broken
    ]
    under = (
        f"Under load for {minutes:g} minutes with SVIDs of {SHORT_S:g} s: {load.signatures:,}"
        f" signatures, {load.lapses} refused; {load.handshakes:,} handshakes of mutual TLS,"
        f" {len(load.failures)} failed; {load.renewals} renewals,"
        f" {load.authorities} new keys of the authority."
    )
    after = (
        f"After {outage_s:g} s without a Workload API a new SVID was there {back_s:.2f} s after"
        f" its return; {refused} signatures were refused meanwhile."
    )
    values = {
        "rotations": rotations,
        "calls": calls,
        "rotation_s": _percentiles(seen),
        "sign_by_socket_s": _percentiles(by_socket),
        "sign_by_ray_s": _percentiles(by_ray),
        "back_s": back_s,
        "refused_in_outage": refused,
        "load": {
            "minutes": minutes,
            "svid_s": SHORT_S,
            "signatures": load.signatures,
            "lapses": load.lapses,
            "handshakes": load.handshakes,
            "failed_handshakes": load.failures[:20],
            "renewals": load.renewals,
            "authorities": load.authorities,
            "states": sorted(load.states),
        },
    }
    method = _METHOD.format(calls=calls, short=SHORT_S, minutes=minutes, outage=outage_s)
    table = Table(["what", "n", "p50, ms", "p95, ms", "p99, ms", "bound of p95, ms"], rows)
    kept = "All bounds were kept: no lapse, no failed handshake."
    return Findings(method, [table], [under, after], values, short, kept)


def _row(what: str, took: Sequence[float], bound_s: float | None) -> list[str]:
    p50, p95, p99 = (f"{1e3 * float(np.percentile(took, q)):.2f}" for q in (50, 95, 99))
    bound = "" if bound_s is None else f"{1e3 * bound_s:g}"
    return [what, f"{len(took):,}", p50, p95, p99, bound]


def _p95(took: Sequence[float]) -> float:
    return float(np.percentile(took, 95))


def _percentiles(took: Sequence[float]) -> dict[str, float]:
    return {f"p{q}": float(np.percentile(took, q)) for q in (50, 95, 99)}


if __name__ == "__main__":
    measure.main()
