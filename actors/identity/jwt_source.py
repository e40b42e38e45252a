"""JWT-SVIDs for audiences: fetched when they are needed, and used until half of their life.

Source: SPIFFE Workload API, section 6.2.1. While the Workload API does not answer, a token that has
not ended yet goes on being used.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc.aio
from spiffe._proto import workload_pb2

from actors.identity.contract import MOST_AUDIENCES, IdentityFault, JwtSvid, SvidState
from actors.identity.errors import IdentityRefused, NoIdentity
from actors.identity.holder import Source
from actors.identity.jwt_svid import read_own
from actors.identity.lifecycle import Life, begin
from actors.identity.reconnecting import ended, unreachable
from actors.identity.workload_api import HEADER, connected
from actors.identity.workload_stream import system_moment
from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from actors.identity.holder import Holder
    from actors.identity.lifecycle import Moment

FETCH_S: Final = 5.0  # for an answer of the Workload API
MOST_TOKENS: Final = 256  # that are kept
LONGEST_AUDIENCE: Final = 1024  # characters
HALF: Final = 0.5

Audience = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    svid: JwtSvid
    life: Life


class JwtSource:
    """The JWT-SVIDs of a process.

    Args:
        holder: holds the keys that check them, and is told of faults.
        endpoint: socket of the Workload API, a URI.
        random: draws the jitter of renewals.
        clock: tells the time.
    """

    def __init__(
        self,
        holder: Holder,
        endpoint: str,
        random: Random,
        clock: Callable[[], Moment] = system_moment,
    ) -> None:
        self._holder = holder
        self._endpoint = endpoint
        self._random = random
        self._clock = clock
        self._kept: dict[Audience, _Kept] = {}
        self._fetching: dict[Audience, asyncio.Task[JwtSvid]] = {}

    async def get(self, audience: Sequence[str]) -> JwtSvid:
        """A token for an audience; see `IdentityContract.jwt`."""
        wanted = _checked(audience)
        if self._holder.held.denied:
            self._kept.clear()
            raise NoIdentity("the Workload API denies it", IdentityFault.PERMISSION_DENIED)
        kept = self._kept.get(wanted)
        if kept is not None and kept.life.state(self._clock()) is SvidState.FRESH:
            return kept.svid
        try:
            return await self._once(wanted)
        except NoIdentity as error:
            usable = kept is not None and kept.life.left(self._clock()) > 0
            if kept is None or not usable or error.fault is IdentityFault.PERMISSION_DENIED:
                raise
            return kept.svid

    async def _once(self, audience: Audience) -> JwtSvid:
        """Fetch; who asks meanwhile waits for the same answer."""
        task = self._fetching.get(audience)
        if task is None:
            task = asyncio.ensure_future(self._fetch(audience))
            self._fetching[audience] = task
            task.add_done_callback(lambda done: self._fetched(audience, done))
        return await asyncio.shield(task)

    def _fetched(self, audience: Audience, done: asyncio.Task[JwtSvid]) -> None:
        del self._fetching[audience]
        if not done.cancelled():
            done.exception()  # whoever waits raises it; nobody may

    async def _fetch(self, audience: Audience) -> JwtSvid:
        try:
            async with connected(self._endpoint) as stub:
                answer = await stub.FetchJWTSVID(
                    workload_pb2.JWTSVIDRequest(audience=audience), metadata=HEADER, timeout=FETCH_S
                )
            return self._take(answer, audience)
        except grpc.aio.AioRpcError as error:
            last = ended(error.code(), error.details())
            fault, why = last.fault, last.why
        except OSError as error:
            last = unreachable(error)
            fault, why = last.fault, last.why
        except IdentityRefused as refused:
            fault, why = refused.fault, refused.why
        if fault is IdentityFault.PERMISSION_DENIED:
            self._kept.clear()
        self._holder.fail(Source.JWT, fault, why, self._clock())
        raise NoIdentity(f"no JWT-SVID can be had: {why}", fault)

    def _take(self, answer: workload_pb2.JWTSVIDResponse | None, audience: Audience) -> JwtSvid:
        now = self._clock()
        if answer is None:
            raise IdentityRefused(IdentityFault.MALFORMED_MESSAGE, "the answer cannot be read")
        if not answer.svids:
            raise IdentityRefused(IdentityFault.NO_SVID, "the answer has no JWT-SVID")
        first = answer.svids[0]
        if not first.svid or not first.spiffe_id:
            raise IdentityRefused(IdentityFault.MISSING_FIELD, "spiffe_id or svid is missing")
        claims = read_own(first.svid, audience, self._holder.held.jwt_authorities, now.wall)
        if claims.spiffe_id != first.spiffe_id:
            raise IdentityRefused(
                IdentityFault.ID_MISMATCH, "its SPIFFE ID is not the subject of its token"
            )
        svid = JwtSvid(first.svid, claims.spiffe_id, claims.audience, claims.expires_at)
        life = begin(now.wall, svid.expires_at, now, threshold=HALF, random=self._random)
        self._keep(audience, _Kept(svid, life))
        self._holder.well(Source.JWT)
        return svid

    def _keep(self, audience: Audience, kept: _Kept) -> None:
        self._kept.pop(audience, None)
        while len(self._kept) >= MOST_TOKENS:
            del self._kept[next(iter(self._kept))]
        self._kept[audience] = kept


def _checked(audience: Sequence[str]) -> Audience:
    """The audience, in an order that does not depend on who asks."""
    given = [audience] if isinstance(audience, str) else audience
    wanted = tuple(sorted(set(given)))
    if not 1 <= len(wanted) <= MOST_AUDIENCES or not all(
        1 <= len(one) <= LONGEST_AUDIENCE for one in wanted
    ):
        raise InvalidInput(
            "no JWT-SVID is asked for",
            f"there are {len(wanted)} audiences, or one is empty or too long",
            f"Name 1 to {MOST_AUDIENCES} of at most {LONGEST_AUDIENCE} characters.",
        )
    return wanted
