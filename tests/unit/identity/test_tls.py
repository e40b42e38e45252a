"""Mutual TLS: both ends prove who they are, rotations are followed, strangers are refused."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from spiffe._proto import workload_pb2 as messages

from actors.identity import tls
from actors.identity.authority import Authority
from actors.identity.holder import Holder
from actors.identity.lifecycle import Moment
from actors.identity.tls import MutualTls, Peers
from actors.identity.workload_stream import system_moment
from tests.unit.identity.certificates import Signer, revoked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOME = "mesh.example"


class Party:
    """One end: a holder that is given what an authority signs."""

    def __init__(self, authority: Authority, path: str, hint: str = "") -> None:
        self.path = path
        self.holder = Holder(0.5, random.Random(1))
        self.tls = MutualTls(self.holder, system_moment, hint)
        self.renew(authority)

    def renew(
        self,
        authority: Authority,
        *,
        life_s: float = 3600.0,
        foreign: dict[str, Authority] | None = None,
        crl: tuple[bytes, ...] = (),
    ) -> None:
        now = time.time()
        domain = authority.trust_domain
        entries = [("", f"spiffe://{domain}{self.path}"), ("other", f"spiffe://{domain}/other")]
        svids = []
        for hint, name in entries:
            made = authority.issue_x509(name, now, life_s)
            svids.append(
                messages.X509SVID(
                    spiffe_id=name,
                    x509_svid=made.certificate,
                    x509_svid_key=made.key,
                    bundle=b"".join(authority.certificates()),
                    hint=hint,
                )
            )
        bundles = {
            f"spiffe://{name}": b"".join(one.certificates())
            for name, one in (foreign or {}).items()
        }
        message = messages.X509SVIDResponse(svids=svids, federated_bundles=bundles, crl=crl)
        assert self.holder.take_svids(message, system_moment())


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Answers each connection with the peer's SPIFFE ID."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            found = writer.get_extra_info("ssl_object").getpeercert()
            writer.write(dict(found["subjectAltName"])["URI"].encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def asked(port: int, context: ssl.SSLContext) -> str:
    """What a server says; "" where it refuses after the handshake."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    try:
        return (await reader.read()).decode()
    except ConnectionError:
        return ""
    finally:
        writer.close()


def blind(party: Party) -> ssl.SSLContext:
    """A client that shows its SVID to whomever it speaks to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tls._load(context, party.tls.used()[1])
    return context


def peers(*ids: str) -> Peers:
    return Peers.of(ids)


async def test_both_ends_prove_who_they_are() -> None:
    """Each sees the other's SPIFFE ID; a whole trust domain may be expected, too."""
    authority = Authority.new(HOME, time.time())
    server, client = Party(authority, "/service/a"), Party(authority, "/host/b")
    async with listening(server.tls.server(peers(f"spiffe://{HOME}"))) as port:
        context = client.tls.client(peers(f"spiffe://{HOME}/service/a"))
        assert await asked(port, context) == f"spiffe://{HOME}/host/b"
        hinted = MutualTls(client.holder, system_moment, "other")
        assert await asked(port, hinted.client(peers(f"spiffe://{HOME}"))) == (
            f"spiffe://{HOME}/other"
        )


async def test_a_peer_that_is_not_expected_is_refused_by_either_end() -> None:
    """The right authority is not enough: the ID must be one of those expected."""
    authority = Authority.new(HOME, time.time())
    server, client = Party(authority, "/service/a"), Party(authority, "/host/b")
    open_door = peers(f"spiffe://{HOME}")
    async with listening(server.tls.server(open_door)) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="none of those expected"):
            await asked(port, client.tls.client(peers(f"spiffe://{HOME}/service/z")))
    async with listening(server.tls.server(peers(f"spiffe://{HOME}/host/z"))) as port:
        assert await asked(port, client.tls.client(open_door)) == ""


async def test_strangers_and_clients_without_a_certificate_are_refused() -> None:
    """Another authority of the same name, an old TLS, and no certificate: nothing is exchanged."""
    authority, false = (Authority.new(HOME, time.time()) for _ in range(2))
    server, stranger = Party(authority, "/service/a"), Party(false, "/host/b")
    every = peers(f"spiffe://{HOME}")
    async with listening(server.tls.server(every)) as port:
        with pytest.raises(ssl.SSLError):
            await asked(port, stranger.tls.client(every))
        naked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        naked.check_hostname = False
        naked.verify_mode = ssl.CERT_NONE
        with contextlib.suppress(ssl.SSLError):  # TLS 1.3 tells a client late
            assert await asked(port, naked) == ""
        naked.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asked(port, naked)


async def test_a_trust_domain_vouches_only_for_its_own() -> None:
    """A federated authority that signs an ID of this trust domain is not believed."""
    home, away = Authority.new(HOME, time.time()), Authority.new("away.example", time.time())
    server = Party(home, "/service/a")
    server.renew(home, foreign={"away.example": away})
    both = peers(f"spiffe://{HOME}", "spiffe://away.example")
    async with listening(server.tls.server(both)) as port:
        honest = Party(away, "/host/c")
        assert await asked(port, blind(honest)) == "spiffe://away.example/host/c"
        forged = Party(Authority(HOME, away.generations), "/host/c")
        assert str(forged.tls.used()[1].svid.spiffe_id) == f"spiffe://{HOME}/host/c"
        assert await asked(port, blind(forged)) == ""


async def test_a_peer_whose_svid_is_revoked_is_refused() -> None:
    """The list that came with the newest message counts at the next handshake."""
    authority = Authority.new(HOME, time.time())
    (signs,) = authority.generations
    server, client = Party(authority, "/service/a"), Party(authority, "/host/b")
    every = peers(f"spiffe://{HOME}")
    context = client.tls.client(every)
    async with listening(server.tls.server(every)) as port:
        assert await asked(port, context) == f"spiffe://{HOME}/host/b"
        void = Signer(client.holder.held.credentials[0].svid.leaf, None)
        server.renew(authority, crl=(revoked(Signer(signs.certificate, signs.key), void),))
        assert await asked(port, context) == ""
        client.renew(authority)
        assert await asked(port, context) == f"spiffe://{HOME}/host/b"


async def test_contexts_follow_rotations_of_svid_and_authority() -> None:
    """One context, given once, goes on over new SVIDs and new keys of the authority."""
    now = time.time()
    old = Authority.new(HOME, now)
    server, client = Party(old, "/service/a"), Party(old, "/host/b")
    every = peers(f"spiffe://{HOME}")
    given = client.tls.client(every)
    async with listening(server.tls.server(every)) as port:
        assert await asked(port, given)
        both = old.rotated(now, 3600.0, lead_s=0.0)
        for party in (client, server):  # one after the other: between them both must work
            party.renew(old.rotated(now, 3600.0))
        client.renew(both)
        server.renew(both)
        assert await asked(port, given)
        new = Authority(HOME, both.generations[-1:])
        client.renew(new)
        server.renew(new)
        assert await asked(port, given) == f"spiffe://{HOME}/host/b"


async def test_without_an_identity_no_handshake_succeeds() -> None:
    """A holder that has none, or whose SVID has expired, fails the handshake and says why."""
    authority = Authority.new(HOME, time.time())
    server, client = Party(authority, "/service/a"), Party(authority, "/host/b")
    every = peers(f"spiffe://{HOME}")
    late = Moment(time.time() + 7200.0, time.monotonic() + 7200.0)
    expired = MutualTls(client.holder, lambda: late)
    async with listening(server.tls.server(every)) as port:
        with pytest.raises(ssl.SSLError, match="no identity"):
            await asked(port, expired.client(every))
        nobody = MutualTls(Holder(0.5, random.Random(1)), system_moment)
        with pytest.raises(ssl.SSLError, match="none has come yet"):
            await asked(port, nobody.client(every))
    async with listening(MutualTls(server.holder, lambda: late).server(every)) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asked(port, client.tls.client(every))


def test_blocking_sockets_are_checked_as_well() -> None:
    """What `ssl` makes of a plain socket, as `urllib` and `smtplib` do, has the same check."""
    authority = Authority.new(HOME, time.time())
    server, client = Party(authority, "/service/a"), Party(authority, "/host/b")
    every = peers(f"spiffe://{HOME}")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with contextlib.suppress(OSError):
                    secured = server.tls.server(every).wrap_socket(connection, server_side=True)
                    secured.sendall(b"hello")
                    secured.close()

        thread = threading.Thread(target=serve)
        thread.start()
        plain = socket.create_connection(listener.getsockname())
        with client.tls.client(every).wrap_socket(plain) as secured:
            assert secured.recv(5) == b"hello"
        plain = socket.create_connection(listener.getsockname())
        with pytest.raises(ssl.SSLCertVerificationError, match="none of those expected"):
            client.tls.client(peers(f"spiffe://{HOME}/z")).wrap_socket(plain)
        assert plain.fileno() == -1
        thread.join()


async def test_a_client_of_http_uses_the_context_as_any_other() -> None:
    """httpx takes the context, and a new SVID is used by its next connection."""
    authority = Authority.new(HOME, time.time())
    server, client = Party(authority, "/service/a"), Party(authority, "/host/b")
    every = peers(f"spiffe://{HOME}")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        serial = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(serial)}\r\nconnection: close\r\n\r\n"
        writer.write(f"{head}{serial}".encode())
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server.tls.server(every))
    port = listener.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(verify=client.tls.client(every)) as http:
        seen = []
        for _ in range(2):
            seen.append((await http.get(f"https://127.0.0.1:{port}/")).text)
            client.renew(authority)
        assert len(set(seen)) == 2
    listener.close()


def open_files() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


def test_a_key_touches_no_file() -> None:
    """A context is made with no more open files than before, and none in any directory."""
    authority = Authority.new(HOME, time.time())
    party = Party(authority, "/service/a")
    before = open_files()
    context = party.tls.server(peers(f"spiffe://{HOME}"))
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert open_files() == before
