"""Asks for the identity of a host, from an actor, a job, a notebook or Serve alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.identity.contract import LONGEST_WAIT_S, TIMEOUT_S, IdentityContract, identity_actor
from actors.runtime import remote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.identity.contract import (
        IdentityStatus,
        JwtClaims,
        JwtSvid,
        PublicChain,
        SignedBytes,
        TrustBundle,
    )


async def sign(host: str, payload: bytes, context: str) -> SignedBytes:
    """See `IdentityContract.sign`.

    Raises:
        Unavailable: the host has no identity that may be used, or its actor does not answer.
        InvalidInput: the payload or the context is refused.
    """
    return await _proxy(host).sign(payload, context)


async def public_chain(host: str) -> PublicChain:
    """See `IdentityContract.public_chain`.

    Raises:
        Unavailable: the host has no identity that may be used, or its actor does not answer.
    """
    return await _proxy(host).public_chain()


async def bundle(host: str, trust_domain: str | None = None) -> TrustBundle:
    """See `IdentityContract.bundle`.

    Raises:
        IdentityRefused: there is no bundle of it.
        Unavailable: none has come yet, or the actor does not answer.
    """
    return await _proxy(host).bundle(trust_domain)


async def status(host: str) -> IdentityStatus:
    """See `IdentityContract.status`.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _proxy(host).status()


async def jwt(host: str, audience: Sequence[str]) -> JwtSvid:
    """See `IdentityContract.jwt`.

    Raises:
        Unavailable: it cannot be had now, or the actor does not answer.
        InvalidInput: the audience is refused.
    """
    return await _proxy(host).jwt(audience)


async def validate_jwt(host: str, token: str, audience: str) -> JwtClaims:
    """See `IdentityContract.validate_jwt`.

    Raises:
        IdentityRefused: it breaks a rule.
        Unavailable: the actor does not answer.
    """
    return await _proxy(host).validate_jwt(token, audience)


async def wait_newer(
    host: str, generation: int, timeout_s: float = LONGEST_WAIT_S
) -> IdentityStatus:
    """See `IdentityContract.wait_newer`.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    limit_s = min(timeout_s, LONGEST_WAIT_S) + TIMEOUT_S
    actor = remote.proxy(IdentityContract, identity_actor(host), timeout_s=limit_s, cancels=True)
    return await actor.wait_newer(generation, timeout_s)


def _proxy(host: str) -> IdentityContract:
    return remote.proxy(IdentityContract, identity_actor(host), timeout_s=TIMEOUT_S)
