"""The Workload API serves clients of others: the `spiffe` package is one, plain gRPC another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography import x509
from spiffe import WorkloadApiClient
from spiffe._proto import workload_pb2 as messages
from spiffe._proto import workload_pb2_grpc as stubs

from actors.identity import workload_server
from actors.identity.authority import Authority
from actors.identity.authority_file import KeptAuthority
from actors.identity.contract import TrustBundle
from actors.identity.documents import bundle_document
from actors.identity.workload_server import HEADER, Lives, Registration, WorkloadApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

REGISTRATIONS = (Registration("/host/a", "host"), Registration("/service/gateway", "gateway"))


class Running:
    """A server, its authority's file, and a client without any library of SPIFFE's."""

    def __init__(self, directory: Path, life_s: float = 3600.0) -> None:
        self.socket = directory / "agent.sock"
        self.told: list[str] = []
        self.federated = directory / "federated"
        self.authority = KeptAuthority(directory / "authority.json", "mesh.example", life_s)
        self.api = WorkloadApi(
            self.authority,
            REGISTRATIONS,
            Lives(life_s, 300.0),
            self.federated,
            self.told.append,
            look_s=0.1,
        )
        self.channel = grpc.aio.insecure_channel(f"unix:{self.socket}")
        self.stub = stubs.SpiffeWorkloadAPIStub(self.channel)

    def svids(self) -> AsyncIterator[messages.X509SVIDResponse]:
        stream = self.stub.FetchX509SVID(messages.X509SVIDRequest(), metadata=(HEADER,))
        return aiter(stream)  # type: ignore[no-any-return]


@contextlib.asynccontextmanager
async def running(directory: Path, life_s: float = 3600.0) -> AsyncIterator[Running]:
    made = Running(directory, life_s)
    server = await workload_server.serve(made.api, made.socket)
    upkeep = asyncio.create_task(made.api.keep_up())
    try:
        yield made
    finally:
        upkeep.cancel()
        await made.channel.close()
        await server.stop(0)


async def next_of(stream: AsyncIterator[messages.X509SVIDResponse]) -> messages.X509SVIDResponse:
    async with asyncio.timeout(60):
        return await anext(stream)


def serial(answer: messages.X509SVIDResponse) -> int:
    return x509.load_der_x509_certificate(answer.svids[0].x509_svid).serial_number


async def test_a_client_of_others_is_served(tmp_path: Path) -> None:
    """The `spiffe` package accepts SVIDs, bundles and tokens, and tells identities by hints."""
    async with running(tmp_path) as server:
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600
        client = WorkloadApiClient(f"unix://{server.socket}")

        def ask() -> None:
            context = client.fetch_x509_context()
            ids = [str(each.spiffe_id) for each in context.x509_svids]
            assert ids == [
                "spiffe://mesh.example/host/a",
                "spiffe://mesh.example/service/gateway",
            ]
            token = client.fetch_jwt_svid({"alerts"})
            assert str(token.spiffe_id) == "spiffe://mesh.example/host/a"
            bundle = client.fetch_jwt_bundles().get_bundle_for_trust_domain(
                token.spiffe_id.trust_domain
            )
            assert bundle is not None
            assert client.fetch_x509_bundles()

        await asyncio.to_thread(ask)
        client.close()


async def test_without_the_header_nothing_is_answered(tmp_path: Path) -> None:
    """A caller that was tricked into its call gets InvalidArgument, from every method."""
    async with running(tmp_path) as server:
        calls = [
            server.stub.FetchX509SVID(messages.X509SVIDRequest()).read(),
            server.stub.FetchX509Bundles(messages.X509BundlesRequest()).read(),
            server.stub.FetchJWTSVID(messages.JWTSVIDRequest(audience=["a"])),
            server.stub.FetchJWTBundles(messages.JWTBundlesRequest()).read(),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_token_is_checked_for_others(tmp_path: Path) -> None:
    """A token of ours holds for its audience; for another, or changed, the reason is told."""
    async with running(tmp_path) as server:
        issued = await server.stub.FetchJWTSVID(
            messages.JWTSVIDRequest(audience=["alerts"]), metadata=(HEADER,)
        )
        token = issued.svids[0].svid
        request = messages.ValidateJWTSVIDRequest(audience="alerts", svid=token)
        found = await server.stub.ValidateJWTSVID(request, metadata=(HEADER,))
        assert found.spiffe_id == "spiffe://mesh.example/host/a"
        assert found.claims["aud"] == ["alerts"]
        other = Authority.new("mesh.example", 0.0).issue_jwt("x", ["y"], 0.0, 1.0)
        forged = ".".join([*token.split(".")[:2], other.split(".")[2]])
        for bad, why in (
            (messages.ValidateJWTSVIDRequest(audience="x", svid=token), "wrong-audience"),
            (messages.ValidateJWTSVIDRequest(audience="alerts", svid=forged), "bad-signature"),
            (messages.ValidateJWTSVIDRequest(audience="alerts", svid="x"), "malformed"),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match=why) as caught:
                await server.stub.ValidateJWTSVID(bad, metadata=(HEADER,))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_cannot_be_had_is_refused_by_its_own_code(tmp_path: Path) -> None:
    """No audience is the caller's fault; an ID that is not registered is not given."""
    async with running(tmp_path) as server:
        for request, code in (
            (messages.JWTSVIDRequest(), grpc.StatusCode.INVALID_ARGUMENT),
            (messages.JWTSVIDRequest(audience=["a"] * 17), grpc.StatusCode.INVALID_ARGUMENT),
            (
                messages.JWTSVIDRequest(audience=["a"], spiffe_id="spiffe://mesh.example/x"),
                grpc.StatusCode.PERMISSION_DENIED,
            ),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await server.stub.FetchJWTSVID(request, metadata=(HEADER,))
            assert caught.value.code() is code


async def test_a_push_reaches_each_stream_with_keys_of_its_own(tmp_path: Path) -> None:
    """After a push each stream has other keys than before, and than the other stream."""
    async with running(tmp_path) as server:
        one, two = server.svids(), server.svids()
        first = [await next_of(one), await next_of(two)]
        server.api.push()
        second = [await next_of(one), await next_of(two)]
        assert len({serial(each) for each in first + second}) == 4
        keys = {each.svids[0].x509_svid_key for each in first + second}
        assert len(keys) == 4


async def test_short_lives_are_renewed_before_their_half_is_long_over(tmp_path: Path) -> None:
    """An SVID of a second is followed by the next, again and again, without being asked."""
    async with running(tmp_path, life_s=1.0) as server:
        stream = server.svids()
        seen = {serial(await next_of(stream)) for _ in range(4)}
        assert len(seen) == 4


async def test_new_keys_of_the_authority_come_first_as_a_bundle(tmp_path: Path) -> None:
    """Streams hear of the new authority while the old one signs, and then SVIDs of the new one."""
    async with running(tmp_path) as server:
        stream = server.svids()
        first = await next_of(stream)
        made = server.api.rotate_authority()
        both = b"".join(made.certificates())
        announced = await next_of(stream)
        assert announced.svids[0].bundle == both
        assert issuer(announced) == issuer(first)
        signed = await next_of(stream)
        while issuer(signed) == issuer(first):
            signed = await next_of(stream)
        assert signed.svids[0].bundle == both


async def test_a_bundle_of_another_trust_domain_is_handed_on(tmp_path: Path) -> None:
    """A file that appears reaches open streams; one that cannot be used is told once."""
    async with running(tmp_path) as server:
        stream = server.svids()
        assert not (await next_of(stream)).federated_bundles
        other = Authority.new("other.example", 1_800_000_000.0)
        server.federated.mkdir()
        (server.federated / "bad.example.json").write_text("{")
        (server.federated / "other.example.json").write_text(json.dumps(exported(other)))
        found = await next_of(stream)
        while not found.federated_bundles:
            found = await next_of(stream)
        assert dict(found.federated_bundles) == {
            "spiffe://other.example": b"".join(other.certificates())
        }
        assert [line for line in server.told if "bad.example" in line]


async def test_after_its_end_another_server_answers_at_the_same_place(tmp_path: Path) -> None:
    """A socket that a killed process has left is no obstacle, and the authority is the same."""
    async with running(tmp_path) as server:
        first = await next_of(server.svids())
    server.socket.touch()
    async with running(tmp_path) as server:
        assert (await next_of(server.svids())).svids[0].bundle == first.svids[0].bundle


def exported(authority: Authority) -> dict[str, Any]:
    """What is handed to another trust domain."""
    found = TrustBundle(
        authority.trust_domain, authority.certificates(), json.dumps(authority.jwks()), 0
    )
    return bundle_document(found)


def issuer(answer: messages.X509SVIDResponse) -> x509.Name:
    return x509.load_der_x509_certificate(answer.svids[0].x509_svid).issuer
