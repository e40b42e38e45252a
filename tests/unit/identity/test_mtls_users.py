"""Who uses mutual TLS: the gateway for its peers, and alerts for their webhook."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI

from actors.alerts.channels.configured import configured
from actors.alerts.errors import ChannelUnavailable
from actors.alerts.notice import Change, Notice
from actors.identity.contract import EmbeddedOptions
from actors.identity.embedded import EmbeddedAuthority
from actors.identity.places import socket_of
from actors.identity.process_identity import ProcessIdentity, TlsClient
from actors.identity.tls import MutualTls, Peers
from actors.runtime.alerting import Alert, AlertName, AlertSeverity
from actors.runtime.errors import ConfigurationError
from cluster.ray_start import free_ports
from jobs.launch.alerts_companion import alerts_options
from serve_apps.gateway import mtls_listener
from serve_apps.gateway.settings import GatewayOptions, MtlsOptions
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from actors.identity.holder import Holder

DOMAIN = "mesh.example"
LONG_S = 60.0


class Machine:
    """An authority of its own, and processes with identities from it."""

    def __init__(self, directory: Path) -> None:
        self.options = EmbeddedOptions(directory / "identity", DOMAIN)
        self.endpoint = f"unix://{socket_of(self.options.directory)}"
        self.tasks: list[asyncio.Task[None]] = []
        self.authority: EmbeddedAuthority | None = None

    async def process(self, hint: str) -> tuple[MutualTls, Holder]:
        """Another process's holder, once it has an identity."""
        tls, holder, supply = ProcessIdentity(self.endpoint, hint).begin()
        self.tasks.append(asyncio.ensure_future(supply))
        async with asyncio.timeout(LONG_S):
            while holder.held.default is None:  # noqa: ASYNC110 - of the short way
                await asyncio.sleep(0.01)
        return tls, holder


@contextlib.asynccontextmanager
async def machine(directory: Path) -> AsyncIterator[Machine]:
    made = Machine(directory)
    authority = await EmbeddedAuthority.opened(made.options, "a", pytest.fail)
    made.authority = authority
    made.tasks.append(asyncio.ensure_future(authority.keep_up()))
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        await authority.close()


async def answered(http: httpx.AsyncClient, url: str) -> httpx.Response:
    """The answer of a server that is just being started."""
    async with asyncio.timeout(LONG_S):
        while True:
            try:
                return await http.get(url)
            except httpx.ConnectError as error:
                if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                    raise
            await asyncio.sleep(0.02)


async def test_the_gateway_answers_peers_that_prove_who_they_are(tmp_path: Path) -> None:
    """An expected peer is answered over https, also after a rotation; nobody else is."""
    app = FastAPI()

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    async with machine(tmp_path) as here:
        port = free_ports(1)[0]
        peers = (f"spiffe://{DOMAIN}/service/alerts",)
        options = MtlsOptions(here.endpoint, 0.5, "127.0.0.1", port, peers)
        listening = asyncio.ensure_future(mtls_listener.listen(app, options))
        here.tasks.append(listening)
        gateway = Peers.of([f"spiffe://{DOMAIN}/service/gateway"])
        expected, holder = await here.process("alerts")
        url = f"https://127.0.0.1:{port}/healthz"
        async with httpx.AsyncClient(verify=expected.client(gateway)) as http:
            assert (await answered(http, url)).json() == "ok"
        generation = holder.held.generation
        assert here.authority is not None
        here.authority.rotate()
        async with asyncio.timeout(LONG_S):
            while holder.held.generation == generation:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        async with httpx.AsyncClient(verify=expected.client(gateway)) as http:
            assert (await http.get(url)).status_code == 200
        other, _ = await here.process("host")
        async with httpx.AsyncClient(verify=other.client(gateway)) as http:
            with pytest.raises(httpx.HTTPError):
                await http.get(url)
        async with httpx.AsyncClient(verify=False) as http:  # noqa: S501 - to be refused
            with pytest.raises(httpx.HTTPError):
                await http.get(url)
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.HTTPError):
                await http.get(f"http://127.0.0.1:{port}/healthz")
        assert not listening.done()


async def test_a_webhook_and_alerts_prove_each_other_who_they_are(tmp_path: Path) -> None:
    """The webhook sees the identity of alerts; one with another identity is told nothing."""
    seen: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = writer.get_extra_info("ssl_object").getpeercert()
        seen.append(dict(found["subjectAltName"])["URI"])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with machine(tmp_path) as here:
        hook, _ = await here.process("host")
        every = Peers.of([f"spiffe://{DOMAIN}"])
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=hook.server(every))
        port = server.sockets[0].getsockname()[1]
        settings = Settings.load(
            state_dir=tmp_path,
            identity_trust_domain=DOMAIN,
            alerts_webhook_url=f"https://127.0.0.1:{port}/",
            alerts_webhook_secret="whsec_" + base64.b64encode(bytes(32)).decode(),
            alerts_webhook_peer=f"spiffe://{DOMAIN}/host/a",
        )
        channels = alerts_options(settings).channels
        made = configured(channels)
        here.tasks += [asyncio.ensure_future(work) for work in made.upkeep]
        alert = Alert(AlertName.ALERT_TEST, "k", "A test", time.time(), momentary=True)
        notice = Notice("n", "t", Change.FIRED, AlertSeverity.INFO, (alert,), time.time())
        async with asyncio.timeout(LONG_S):
            while True:
                with contextlib.suppress(ChannelUnavailable):  # its identity has not come yet
                    await made.direct[0].deliver([notice])
                    break
                await asyncio.sleep(0.02)
        assert seen == [f"spiffe://{DOMAIN}/service/alerts"]
        assert isinstance(channels.webhook_tls, TlsClient)
        wrong = TlsClient(channels.webhook_tls.identity, (f"spiffe://{DOMAIN}/host/z",))
        stranger = configured(replace(channels, webhook_tls=wrong))
        here.tasks += [asyncio.ensure_future(work) for work in stranger.upkeep]
        async with asyncio.timeout(LONG_S):
            while True:
                with pytest.raises(ChannelUnavailable) as caught:
                    await stranger.direct[0].deliver([notice])
                if "none of those expected" in str(caught.value):
                    break
                await asyncio.sleep(0.02)
        assert set(seen) == {f"spiffe://{DOMAIN}/service/alerts"}
        for each in (*made.direct, *stranger.direct):
            await each.close()
        server.close()


def test_settings_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """Mutual TLS needs identities, and https."""
    off = Settings.load(state_dir=tmp_path, identity=False, gateway_mtls_port=1)
    with pytest.raises(ConfigurationError, match="GATEWAY_MTLS_PORT"):
        GatewayOptions.of(off)
    peers = "spiffe://b.example, spiffe://a.example/x"
    asked = Settings.load(state_dir=tmp_path, gateway_mtls_port=1, gateway_mtls_peers=peers)
    mtls = GatewayOptions.of(asked).mtls
    assert mtls is not None
    assert mtls.peers == ("spiffe://b.example", "spiffe://a.example/x")
    plain = Settings.load(state_dir=tmp_path, alerts_webhook_peer="spiffe://a.example/b")
    with pytest.raises(ConfigurationError, match="no https URL"):
        alerts_options(plain)
    with pytest.raises(ConfigurationError, match="GATEWAY_MTLS_PEERS"):
        Settings.load(gateway_mtls_port=1, gateway_mtls_peers="gateway")
