"""A SPIFFE Workload API for one machine, over a Unix socket (SPIFFE Workload API 1.0).

Whoever may open the socket is given every identity that is registered here, each with a hint that
says what it is for; the caller takes the one that it needs. gRPC does not hand the kernel's word on
the caller (SO_PEERCRED) to Python, so callers are not told apart: the socket has mode 0600 in a
directory of mode 0700, and is for this user's processes on this machine alone.

Each stream gets keys of its own, which are kept here no longer than it takes to send them. A new
SVID is sent when half of the life of the last one is over (a tenth of it more or less, drawn once
per SVID), when somebody asks for a rotation, when a bundle changes, and when the clock was set.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.struct_pb2 import Struct
from spiffe._proto import workload_pb2 as messages
from spiffe._proto import workload_pb2_grpc as stubs

from actors.identity import federation
from actors.identity.bundles import read_jwks
from actors.identity.errors import IdentityRefused
from actors.identity.jwt_svid import validate
from actors.identity.spiffe_id import parse_trust_domain
from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from actors.identity.authority import Authority
    from actors.identity.authority_file import KeptAuthority
    from actors.identity.federation import Federation

HEADER: Final = ("workload.spiffe.io", "true")
MOST_CALLS: Final = 512  # at once; each stream is one
MOST_AUDIENCES: Final = 16
LONGEST_AUDIENCE: Final = 2048  # characters
_MODE: Final = 0o600
LOOK_S: Final = 5.0
_JUMP_S: Final = 1.0  # of the wall clock against the monotonic one, which counts as a jump
_JITTER: Final = 0.1  # of half a life
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.max_ping_strikes", 0),  # who watches over its stream may ping
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
    ("grpc.max_receive_message_length", 2**16),
)


@dataclass(frozen=True, slots=True)
class Registration:
    """An identity that is given out.

    Attributes:
        path: of its SPIFFE ID, such as "/service/gateway".
        hint: what it is for.
    """

    path: str
    hint: str


@dataclass(frozen=True, slots=True)
class Lives:
    """How long SVIDs live, s."""

    x509_s: float
    jwt_s: float


class WorkloadApi(stubs.SpiffeWorkloadAPIServicer):
    """Answers the methods of the Workload API.

    Args:
        authority: signs.
        registrations: what is given out; the first is the default.
        lives: of what it signs.
        federated: directory of other trust domains' bundles.
        tell: is told what goes wrong, a line each.
        now: tells Unix time, s.
        look_s: between two looks at the files of other trust domains, s.
    """

    def __init__(
        self,
        authority: KeptAuthority,
        registrations: Sequence[Registration],
        lives: Lives,
        federated: Path,
        tell: Callable[[str], None],
        now: Callable[[], float] = time.time,
        look_s: float = LOOK_S,
    ) -> None:
        self._authority = authority
        self._registrations = tuple(registrations)
        self._lives = lives
        self._directory = federated
        self._tell = tell
        self._now = now
        self._look_s = look_s
        self._streams: set[asyncio.Event] = set()
        self._woken = asyncio.Event()
        self._closing = False
        self._own = authority.at(now()).trust_domain
        self._federation = federation.read(federated, self._own)
        self._tell_refused({})

    @property
    def streams(self) -> int:
        """Number of streams that are open."""
        return len(self._streams)

    @property
    def refused(self) -> dict[str, str]:
        """Why bundles of other trust domains are not used, by name of their file."""
        return dict(self._federation.refused)

    # -- what changes ------------------------------------------------------------------------------

    def push(self) -> None:
        """Send everybody new SVIDs and the present bundles."""
        for changed in self._streams:
            changed.set()

    def close(self) -> None:
        """End all streams."""
        self._closing = True
        self.push()

    def rotate_authority(self) -> Authority:
        """Make new keys of the authority; SVIDs are signed with them a little later.

        Raises:
            AuthorityBusy: too many former keys are still trusted.
            AuthorityUnusable: they cannot be kept.
        """
        made = self._authority.rotate(self._now())
        self._woken.set()  # `keep_up` tells everybody
        return made

    async def keep_up(self) -> None:
        """Send what changes by time, by files, and by the clock, until cancelled."""
        said = None
        trouble = ""
        ahead = self._now() - time.monotonic()
        while True:
            now = self._now()
            try:
                present = self._authority.at(now)
            except X0Error as error:
                if str(error) != trouble:
                    trouble = str(error)
                    self._tell(trouble)
                await asyncio.sleep(self._look_s)
                continue
            trouble = ""
            jumped = abs(now - time.monotonic() - ahead) > _JUMP_S
            ahead = now - time.monotonic()
            found = await asyncio.to_thread(federation.read, self._directory, self._own)
            signs = [each.key_id for each in present.generations if each.signs_at(now)]
            what = ([each.key_id for each in present.generations], signs, found.bundles)
            before, self._federation = self._federation, found
            self._tell_refused(before.refused)
            if jumped or (said is not None and what != said):
                self.push()
            said = what
            await _until(self._woken, min(self._look_s, present.changes_at(now) - now + 0.01))
            self._woken.clear()

    # -- X.509 -------------------------------------------------------------------------------------

    async def FetchX509SVID(  # noqa: N802 - the method's name in the standard
        self, _request: messages.X509SVIDRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[messages.X509SVIDResponse]:
        """Send all identities now, and again whenever something changes."""
        await _checked(context)
        with self._changes() as changed:
            while not self._closing:
                changed.clear()
                present = await self._present(context)
                now = self._now()
                issued = [
                    (each, present.issue_x509(self._id(each), now, self._lives.x509_s))
                    for each in self._registrations
                ]
                bundle = b"".join(present.certificates())
                yield messages.X509SVIDResponse(
                    svids=[
                        messages.X509SVID(
                            spiffe_id=svid.spiffe_id,
                            x509_svid=svid.certificate,
                            x509_svid_key=svid.key,
                            bundle=bundle,
                            hint=each.hint,
                        )
                        for each, svid in issued
                    ],
                    federated_bundles=self._foreign(self._federation),
                )
                del issued  # the keys
                await _until(changed, self._half_life())

    async def FetchX509Bundles(  # noqa: N802 - as above
        self, _request: messages.X509BundlesRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[messages.X509BundlesResponse]:
        """Send all bundles now, and again whenever something changes."""
        await _checked(context)
        with self._changes() as changed:
            sent = None
            while not self._closing:
                changed.clear()
                own = b"".join((await self._present(context)).certificates())
                bundles = {self._domain(): own, **self._foreign(self._federation)}
                if bundles != sent:
                    yield messages.X509BundlesResponse(bundles=bundles)
                    sent = bundles
                await changed.wait()

    # -- JWT ---------------------------------------------------------------------------------------

    async def FetchJWTSVID(  # noqa: N802 - as above
        self, request: messages.JWTSVIDRequest, context: grpc.aio.ServicerContext
    ) -> messages.JWTSVIDResponse:
        """Sign tokens for an audience, of all identities or of one."""
        await _checked(context)
        audience = list(request.audience)
        if not 1 <= len(audience) <= MOST_AUDIENCES or not all(
            1 <= len(each) <= LONGEST_AUDIENCE for each in audience
        ):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"an audience has 1 to {MOST_AUDIENCES} names of at most {LONGEST_AUDIENCE}"
                " characters",
            )
        meant = [
            each
            for each in self._registrations
            if not request.spiffe_id or self._id(each) == request.spiffe_id
        ]
        if not meant:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, "no identity of this ID is registered"
            )
        present = await self._present(context)
        now = self._now()
        return messages.JWTSVIDResponse(
            svids=[
                messages.JWTSVID(
                    spiffe_id=self._id(each),
                    svid=present.issue_jwt(self._id(each), audience, now, self._lives.jwt_s),
                    hint=each.hint,
                )
                for each in meant
            ]
        )

    async def FetchJWTBundles(  # noqa: N802 - as above
        self, _request: messages.JWTBundlesRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[messages.JWTBundlesResponse]:
        """Send the keys of tokens now, and again whenever they change."""
        await _checked(context)
        with self._changes() as changed:
            sent = None
            while not self._closing:
                changed.clear()
                bundles = self._jwks(await self._present(context))
                if bundles != sent:
                    yield messages.JWTBundlesResponse(bundles=bundles)
                    sent = bundles
                await changed.wait()

    async def ValidateJWTSVID(  # noqa: N802 - as above
        self, request: messages.ValidateJWTSVIDRequest, context: grpc.aio.ServicerContext
    ) -> messages.ValidateJWTSVIDResponse:
        """Check a token for an audience."""
        await _checked(context)
        sets = self._jwks(await self._present(context))
        try:
            keys = {parse_trust_domain(name): read_jwks(text) for name, text in sets.items()}
            found = validate(request.svid, request.audience, keys, self._now())
        except IdentityRefused as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{error.fault}: {error.why}")
            raise
        claims = Struct()
        claims.update(dict(found.claims))
        return messages.ValidateJWTSVIDResponse(spiffe_id=found.spiffe_id, claims=claims)

    # -- parts -------------------------------------------------------------------------------------

    async def _present(self, context: grpc.aio.ServicerContext) -> Authority:
        try:
            return self._authority.at(self._now())
        except X0Error as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, error.why)
            raise

    @contextlib.contextmanager
    def _changes(self) -> Iterator[asyncio.Event]:
        changed = asyncio.Event()
        self._streams.add(changed)
        try:
            yield changed
        finally:
            self._streams.discard(changed)

    def _half_life(self) -> float:
        part = 0.5 * (1.0 + random.uniform(-_JITTER, _JITTER))
        return self._lives.x509_s * part

    def _domain(self) -> str:
        return f"spiffe://{self._own}"

    def _id(self, registration: Registration) -> str:
        return f"{self._domain()}{registration.path}"

    def _jwks(self, present: Authority) -> dict[str, bytes]:
        """JWK Sets by SPIFFE ID of the trust domain."""
        sets = {self._domain(): present.jwks()}
        sets |= {f"spiffe://{name}": each.jwks for name, each in self._federation.bundles.items()}
        return {name: json.dumps(each).encode() for name, each in sets.items() if each["keys"]}

    @staticmethod
    def _foreign(found: Federation) -> Mapping[str, bytes]:
        return {
            f"spiffe://{name}": b"".join(each.x509_authorities)
            for name, each in found.bundles.items()
            if each.x509_authorities
        }

    def _tell_refused(self, before: Mapping[str, str]) -> None:
        for name, why in self._federation.refused.items():
            if before.get(name) != why:
                self._tell(f"the bundle {name} of another trust domain is not used: {why}")


async def serve(api: WorkloadApi, socket: Path) -> grpc.aio.Server:
    """Answer at a Unix socket, whose directory is this user's alone.

    Raises:
        OSError: the socket cannot be made.
    """
    server = grpc.aio.server(maximum_concurrent_rpcs=MOST_CALLS, options=_OPTIONS)
    stubs.add_SpiffeWorkloadAPIServicer_to_server(api, server)
    await asyncio.to_thread(_bind, server, socket)
    await server.start()
    return server


def _bind(server: grpc.aio.Server, socket: Path) -> None:
    socket.unlink(missing_ok=True)
    try:
        server.add_insecure_port(f"unix:{socket}")
    except RuntimeError as error:
        raise OSError(f"no socket can be made at {socket}: {error}") from error
    socket.chmod(_MODE)


async def _checked(context: grpc.aio.ServicerContext) -> None:
    """Refuse a caller that may have been tricked into its call (section 3.1: SSRF)."""
    given = context.invocation_metadata() or ()
    if HEADER not in [(key, value) for key, value in given]:
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT, "security header missing from request"
        )


async def _until(changed: asyncio.Event, at_most_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await changed.wait()
