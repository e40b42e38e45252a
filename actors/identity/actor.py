"""The Ray actor that holds the identity of a host: a thin shell around `Holder`.

Where no Workload API is set, it is the authority of this machine as well, and serves a Workload API
that it uses like everybody else.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from actors.identity import exported
from actors.identity.contract import IDENTITY, IdentityContract, Rotation, identity_actor
from actors.identity.embedded import EmbeddedAuthority
from actors.identity.errors import AuthorityUnusable, NoAuthority
from actors.identity.holder import Holder
from actors.identity.jwt_source import JwtSource
from actors.identity.workload_stream import WorkloadStream, system_moment, wait_newer
from actors.runtime.shell import ActorShell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.identity.contract import (
        AuthorityStatus,
        IdentityOptions,
        IdentityStatus,
        JwtClaims,
        JwtSvid,
        PublicChain,
        SignedBytes,
        TrustBundle,
    )
    from actors.runtime.actor_health import ActorHealth
    from actors.runtime.metrics import Metrics

_NOTE_S: Final = 1.0  # between two looks for metrics and alerts
_AGAIN_S: Final = 1.0  # between two tries to become the authority


class IdentityActor(ActorShell):
    """Holds an identity, renews it, and signs.

    Args:
        options: what it is started with.
        metrics: where it counts; None: Ray exports it.
    """

    def __init__(self, options: IdentityOptions, *, metrics: Metrics | None = None) -> None:
        super().__init__(
            identity_actor(options.host),
            log_level=options.log_level,
            context=IDENTITY,
            metrics=metrics,
        )
        self._options = options
        chance = random.SystemRandom()
        self._holder = Holder(options.renewal_threshold, chance)
        self._stream = WorkloadStream(self._holder, options.endpoint, chance)
        self._jwt = JwtSource(self._holder, options.endpoint, chance)
        self._embedded: EmbeddedAuthority | None = None
        self._exported = exported.Exported(self._metrics)
        self._alerts = exported.IdentityAlerts(options.host)
        self._opened = asyncio.Event()
        self._waits_for = "no SVID has come yet"
        self._begin(self._open(), IdentityContract)
        self._vital(self._supply())
        self._vital(self._note())

    # -- tasks -------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Become the authority, if there is no other, and wait for a first SVID."""
        wanted = self._options.embedded
        while wanted is not None and self._embedded is None:
            try:
                self._embedded = await EmbeddedAuthority.opened(
                    wanted, self._options.host, self._log.warning
                )
            except AuthorityUnusable as error:
                self._fails(error)
                await asyncio.sleep(_AGAIN_S)
        if self._embedded is not None:
            self._failure = None
            self._vital(self._embedded.keep_up())
        self._opened.set()
        while self._holder.held.default is None:
            last = self._status().last_fault
            self._waits_for = last.why if last is not None else self._waits_for
            await wait_newer(self._holder, self._holder.held.generation, _NOTE_S)

    async def _supply(self) -> None:
        await self._opened.wait()
        await self._stream.run()

    async def _note(self) -> None:
        while True:
            status, now = self._status(), time.time()
            self._exported.note(status, now)
            self._alerts.note(status, now)
            await wait_newer(self._holder, self._holder.held.generation, _NOTE_S)

    def _status(self) -> IdentityStatus:
        return self._holder.status(
            self._options.host,
            self._options.endpoint,
            system_moment(),
            connected=self._stream.connected,
            retries=self._stream.retries,
        )

    def _check(self) -> None:
        """Raise why it could not become the authority, if it could not."""
        if self._failure is not None:
            raise self._failure

    # -- answers -----------------------------------------------------------------------------------

    async def health(self) -> ActorHealth:
        """Its health; that an SVID ended is no failure of the actor, and is its `why`."""
        found = await super().health()
        if found.state != "ready":
            return found
        return replace(found, why=exported.words(self._status(), time.time()))

    async def sign(self, payload: bytes, context: str) -> SignedBytes:
        """See `IdentityContract.sign`."""
        self._check()
        return self._holder.sign(payload, context, system_moment())

    async def public_chain(self) -> PublicChain:
        """See `IdentityContract.public_chain`."""
        self._check()
        return self._holder.public_chain(system_moment())

    async def bundle(self, trust_domain: str | None = None) -> TrustBundle:
        """See `IdentityContract.bundle`."""
        return self._holder.bundle(trust_domain)

    async def status(self) -> IdentityStatus:
        """See `IdentityContract.status`."""
        return self._status()

    async def jwt(self, audience: Sequence[str]) -> JwtSvid:
        """See `IdentityContract.jwt`."""
        self._check()
        return await self._jwt.get(audience)

    async def validate_jwt(self, token: str, audience: str) -> JwtClaims:
        """See `IdentityContract.validate_jwt`."""
        return self._holder.validate_jwt(token, audience, system_moment())

    async def rotate(self) -> Rotation:
        """See `IdentityContract.rotate`."""
        self._check()
        if self._embedded is not None:
            self._embedded.rotate()
        return await self._stream.rotate()

    async def authority(self) -> AuthorityStatus | None:
        """See `IdentityContract.authority`."""
        self._check()
        return None if self._embedded is None else self._embedded.status()

    async def rotate_authority(self) -> AuthorityStatus:
        """See `IdentityContract.rotate_authority`."""
        self._check()
        if self._embedded is None:
            raise NoAuthority(self._options.endpoint)
        return self._embedded.rotate_authority()

    async def wait_newer(self, generation: int, timeout_s: float) -> IdentityStatus:
        """See `IdentityContract.wait_newer`."""
        await wait_newer(self._holder, generation, timeout_s)
        return self._status()


_KEEPS: type[IdentityContract] = IdentityActor
