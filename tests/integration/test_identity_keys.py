"""Private keys of identities stay where they are used: nowhere else is a byte of them found."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import signal
import stat
import textwrap
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from actors.identity import control
from actors.identity.actor import IdentityActor
from actors.identity.authority import Authority
from actors.identity.contract import EmbeddedOptions, IdentityOptions, identity_actor
from actors.identity.embedded import EmbeddedAuthority
from actors.identity.places import socket_of
from actors.identity.process_identity import ProcessIdentity
from actors.identity.tls import Peers
from actors.runtime import spawn
from actors.runtime.errors import Unavailable, X0Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.identity.authority import IssuedX509
    from actors.identity.contract import IdentityContract
    from cluster.local import LocalCluster

LONG_S = 120.0
HOST = "keys"
DOMAIN = "canary.example"
SHARED = "/dev/shm/"  # noqa: S108 - where Ray's object store lies
_LARGEST = 2**26  # bytes of a log that are searched, from its end


def forms(pkcs8: bytes) -> list[bytes]:
    """What a key looks like: DER, the lines of its PEM, and its private number, raw and in hex."""
    key = load_der_private_key(pkcs8, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value
    raw = number.to_bytes(32)
    lines = textwrap.wrap(base64.b64encode(pkcs8).decode(), 64)
    return [pkcs8, lines[1].encode(), raw, raw.hex().encode(), str(number).encode()]


def plasma(cluster: LocalCluster) -> Iterator[tuple[str, bytes]]:
    """The object store: memory files of the cluster's processes, as far as they hold data."""
    seen: set[int] = set()
    for pid in cluster.pids:
        for entry in Path(f"/proc/{pid}/map_files").iterdir():
            name = str(entry.readlink())
            found = entry.stat()
            if not name.startswith(SHARED) or found.st_ino in seen:
                continue
            seen.add(found.st_ino)
            with entry.open("rb") as file:
                yield name, written(file.fileno(), found.st_size)


def written(descriptor: int, size: int) -> bytes:
    """The parts of a sparse file that were ever written."""
    parts, at = [], 0
    while at < size:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # no more
            break
        at = os.lseek(descriptor, begin, os.SEEK_HOLE)
        parts.append(os.pread(descriptor, at - begin, begin))
    return b"".join(parts)


def files(*roots: Path) -> Iterator[tuple[str, bytes]]:
    for root in roots:
        for path in root.rglob("*"):
            if path.is_symlink() or not stat.S_ISREG(path.lstat().st_mode):
                continue
            with path.open("rb") as file:
                file.seek(max(0, path.lstat().st_size - _LARGEST))
                yield str(path), file.read()


def holding(needles: list[bytes], places: Iterator[tuple[str, bytes]]) -> set[str]:
    """Places in which one of these is found; one search for all."""
    pattern = re.compile(b"|".join(map(re.escape, needles)))
    return {name for name, content in places if pattern.search(content)}


async def _use(actor: IdentityContract, endpoint: str, authority: EmbeddedAuthority) -> None:
    """All that is done with an identity, mistakes included."""
    async with asyncio.timeout(LONG_S):
        while (await actor.health()).state != "ready":  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)
    tls, holder, supply = ProcessIdentity(endpoint, "gateway").begin()
    supplying = asyncio.ensure_future(supply)
    async with asyncio.timeout(LONG_S):
        while holder.held.default is None:  # noqa: ASYNC110 - a short wait
            await asyncio.sleep(0.02)
    peers = Peers.of([f"spiffe://{DOMAIN}"])
    server = await asyncio.start_server(
        lambda _r, w: w.close(), "127.0.0.1", 0, ssl=tls.server(peers)
    )
    for _ in range(3):
        await actor.sign(b"payload", "canary")
        await actor.jwt(["canary"])
        await actor.public_chain()
        await actor.bundle()
        await actor.status()
        authority.rotate()
        await actor.rotate()
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls.client(peers), server_hostname="localhost"
        )
        writer.close()
    for wrong in (
        actor.sign(bytes(2**21), "canary"),
        actor.bundle("nobody.example"),
        actor.validate_jwt("x", "y"),
        actor.rotate_authority(),
    ):
        with pytest.raises(X0Error):
            await wrong
    server.close()
    supplying.cancel()


@pytest.mark.skipif(os.geteuid() != 0, reason="the memory of Ray's object store needs root")
def test_no_byte_of_a_key_is_found_anywhere(
    cluster: LocalCluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in a log, an object, a temporary file or the state, in any form; the search finds one."""
    assert namespace
    keys: list[bytes] = []
    issue = Authority.issue_x509

    def noted(authority: Authority, *args: Any) -> IssuedX509:
        made = issue(authority, *args)
        keys.append(made.key)
        return made

    monkeypatch.setattr(Authority, "issue_x509", noted)
    options = EmbeddedOptions(tmp_path / "identity", DOMAIN)
    endpoint = f"unix://{socket_of(options.directory)}"
    spawn.detached(IdentityActor, identity_actor(HOST), IdentityOptions(HOST, endpoint, "DEBUG"))

    async def run() -> None:
        authority = await EmbeddedAuthority.opened(options, HOST, pytest.fail)
        keeping = asyncio.ensure_future(authority.keep_up())
        try:
            await _use(control.of_host(HOST), endpoint, authority)
        finally:
            keeping.cancel()
            await authority.close()

    asyncio.run(run())
    assert len(keys) >= 12
    needles = [form for key in keys for form in forms(key)]
    temp = Path(cluster.temp_dir)

    def places() -> Iterator[tuple[str, bytes]]:
        yield from files(temp, tmp_path)
        yield from plasma(cluster)

    assert holding(needles, places()) == set()
    # The search itself: it finds a key in an object, and one in a file.
    canary = ray.put(keys[0] + bytes(2**20))
    leak = tmp_path / f"{uuid.uuid4().hex}.log"
    leak.write_bytes(b"oops: " + forms(keys[1])[3])
    found = holding(needles, places())
    assert str(leak) in found
    assert any(name.startswith(SHARED) for name in found)
    del canary


def test_a_killed_authority_is_back_with_the_same_keys(namespace: str, tmp_path: Path) -> None:
    """SIGKILL of the actor: Ray starts it again, and what it had signed is still trusted."""
    assert namespace
    own = EmbeddedOptions(tmp_path / "identity", DOMAIN)
    endpoint = f"unix://{socket_of(own.directory)}"
    options = IdentityOptions(HOST, endpoint, "INFO", embedded=own)
    spawn.detached(IdentityActor, identity_actor(HOST), options)

    async def ready(before: int) -> int:
        async with asyncio.timeout(LONG_S):
            while True:
                with contextlib.suppress(Unavailable):
                    health = await control.health(HOST)
                    if health.state == "ready" and health.pid != before:
                        return health.pid
                await asyncio.sleep(0.05)

    async def run() -> None:
        pid = await ready(0)
        actor = control.of_host(HOST)
        bundle = (await actor.bundle()).x509_authorities
        os.kill(pid, signal.SIGKILL)
        await ready(pid)
        assert (await actor.bundle()).x509_authorities == bundle
        assert (await actor.sign(b"again", "test")).spiffe_id == f"spiffe://{DOMAIN}/host/{HOST}"

    asyncio.run(run())
