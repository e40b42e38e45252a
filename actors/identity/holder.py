"""Holds the identities of a process: takes what holds, keeps the last good one, and signs.

Whatever comes is checked as a whole, then swapped in by one assignment, then the generation rises
and the subscribers are told. So a reader in any thread sees one generation or the next, and never
a part of both. What is refused changes nothing but the count of its fault: the last good SVID
stays until it ends.

Time is passed in. The holder does no input or output.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding

from actors.identity.contract import (
    HeldSvid,
    IdentityFault,
    IdentityStatus,
    LastFault,
    PublicChain,
    SignedBytes,
    SvidState,
    TrustBundle,
)
from actors.identity.errors import IdentityRefused, NoIdentity
from actors.identity.jwt_svid import validate
from actors.identity.lifecycle import ClockWatch, RenewalRequests, begin
from actors.identity.signing import to_be_signed
from actors.identity.workload_message import read_jwt_bundles, read_x509_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from cryptography import x509
    from spiffe._proto import workload_pb2

    from actors.identity.bundles import JwtAuthorities
    from actors.identity.contract import JwtClaims
    from actors.identity.lifecycle import Life, Moment
    from actors.identity.workload_message import Credential, X509Context
    from actors.identity.x509_svid import X509Svid

IDLE_S: Final = 1.0  # between two looks while there is no SVID


class Source(StrEnum):
    """Where a fault comes from; it is over when the same source brings something good.

    The most important first.
    """

    SVIDS = "svids"
    JWT_BUNDLES = "jwt-bundles"
    JWT = "jwt"


@dataclass(frozen=True, slots=True)
class Held:
    """All that is held at one time; it never changes.

    Attributes:
        generation: rises with each change.
        credentials: the SVIDs and their keys, the default first; empty: none has come.
        bundles: X.509 authorities by trust domain, the own one first.
        jwt_authorities: keys of JWT-SVIDs by trust domain.
        lives: of the SVIDs, in the same order.
        revocations: lists of revoked certificates.
        denied: whether the Workload API denies the identity.
    """

    generation: int = 0
    credentials: tuple[Credential, ...] = ()
    bundles: Mapping[str, tuple[x509.Certificate, ...]] = field(default_factory=dict)
    jwt_authorities: Mapping[str, JwtAuthorities] = field(default_factory=dict)
    lives: tuple[Life, ...] = ()
    revocations: tuple[x509.CertificateRevocationList, ...] = ()
    denied: bool = False

    @property
    def default(self) -> Credential | None:
        """The SVID that is used where nobody chooses one."""
        return self.credentials[0] if self.credentials else None

    def place(self, hint: str) -> int:
        """Index of the SVID with a hint; of the default one, if none has it."""
        hints = [one.svid.hint for one in self.credentials]
        return hints.index(hint) if hint in hints else 0

    def state(self, now: Moment, place: int = 0) -> SvidState | None:
        """State of an SVID; None: none has come, and none is denied."""
        if self.denied:
            return SvidState.REVOKED
        return self.lives[place].state(now) if self.lives else None

    def due_first(self, now: Moment) -> Life | None:
        """The life that is due first; None: no SVID has come."""
        return min(self.lives, key=lambda one: one.left(now) - one.due_left, default=None)


class Holder:
    """What a process knows of its identities.

    Args:
        threshold: part of an SVID's life after which a new one is due, in (0, 1).
        random: draws the jitter of renewals.
    """

    def __init__(self, threshold: float, random: Random) -> None:
        self._held = Held()
        self._threshold = threshold
        self._random = random
        self._requests = RenewalRequests()
        self._clocks = ClockWatch()
        self._faults: Counter[IdentityFault] = Counter()
        self._lasting: dict[Source, LastFault] = {}
        self._renewals = 0
        self._subscribers: list[Callable[[int], None]] = []

    # what comes

    def take_svids(self, message: workload_pb2.X509SVIDResponse | None, now: Moment) -> bool:
        """Take in a message with SVIDs, which replaces all that came before.

        Args:
            message: as it came; None: it could not be parsed.
            now: the time.

        Returns:
            Whether it was accepted.
        """
        try:
            if message is None:
                raise _unreadable()
            context = read_x509_context(message, now.wall)
        except IdentityRefused as refused:
            self.fail(Source.SVIDS, refused.fault, refused.why, now)
            return False
        self._accept(context, now)
        return True

    def take_jwt_bundles(
        self, message: workload_pb2.JWTBundlesResponse | None, now: Moment
    ) -> bool:
        """Take in a message with the keys of JWT-SVIDs, which replaces all that came before.

        Args:
            message: as it came; None: it could not be parsed.
            now: the time.

        Returns:
            Whether it was accepted.
        """
        try:
            if message is None:
                raise _unreadable()
            authorities = read_jwt_bundles(message)
        except IdentityRefused as refused:
            self.fail(Source.JWT_BUNDLES, refused.fault, refused.why, now)
            return False
        self._lasting.pop(Source.JWT_BUNDLES, None)
        before = {name: of.jwks for name, of in self._held.jwt_authorities.items()}
        if before != {name: of.jwks for name, of in authorities.items()}:
            self._swap(replace(self._held, jwt_authorities=MappingProxyType(authorities)))
        return True

    def deny(self, why: str, now: Moment) -> None:
        """The Workload API denies the identity: it is not used until a new message brings it."""
        self.fail(Source.SVIDS, IdentityFault.PERMISSION_DENIED, why, now)
        if not self._held.denied:
            self._swap(replace(self._held, denied=True))

    def fail(self, source: Source, fault: IdentityFault, why: str, now: Moment) -> None:
        """Count a fault, and tell it until its source brings something good.

        `why` must hold no byte of a message.
        """
        self._faults[fault] += 1
        self._lasting[source] = LastFault(fault, why, now.wall)

    def well(self, source: Source) -> None:
        """The source works: its fault is over."""
        self._lasting.pop(source, None)

    def _accept(self, context: X509Context, now: Moment) -> None:
        self._lasting.pop(Source.SVIDS, None)
        held = self._held
        before, svid = held.default, context.credentials[0].svid
        self._renewals += before is not None and _term(before.svid) != _term(svid)
        if not held.denied and _public(held) == _public(context):
            return
        known = {
            one.svid.der(): life for one, life in zip(held.credentials, held.lives, strict=True)
        }
        self._swap(
            replace(
                held,
                credentials=context.credentials,
                lives=tuple(
                    known.get(one.svid.der()) or self._begin(one.svid, now)
                    for one in context.credentials
                ),
                bundles=MappingProxyType(dict(context.bundles)),
                revocations=context.revocations,
                denied=False,
            )
        )

    def _begin(self, svid: X509Svid, now: Moment) -> Life:
        return begin(
            svid.not_before,
            svid.not_after,
            now,
            threshold=self._threshold,
            random=self._random,
        )

    def _swap(self, held: Held) -> None:
        self._held = replace(held, generation=self._held.generation + 1)
        for tell in tuple(self._subscribers):
            tell(self._held.generation)

    # what is asked

    @property
    def held(self) -> Held:
        """All that is held now."""
        return self._held

    def fault(self, source: Source) -> LastFault | None:
        """What is wrong with a source now; None: nothing."""
        return self._lasting.get(source)

    @property
    def faults(self) -> Mapping[IdentityFault, int]:
        """Number of faults since the start, by kind."""
        return self._faults

    @property
    def renewals(self) -> int:
        """How often another SVID came, the first not counted."""
        return self._renewals

    def state(self, now: Moment) -> SvidState | None:
        """State of the default SVID; None: none has come, and none is denied."""
        return self._held.state(now)

    def left(self, now: Moment) -> float | None:
        """Seconds that are left of the SVID that ends first; None: none has come."""
        return min((one.left(now) for one in self._held.lives), default=None)

    def wake_in(self, now: Moment) -> float:
        """Seconds until `asks` must be called again."""
        return min((one.wake_in(now) for one in self._held.lives), default=IDLE_S)

    def asks(self, now: Moment) -> bool:
        """Whether the Workload API is to be asked for a new SVID now.

        That is once one is due, again and again while none comes, and when the wall clock was set:
        what was valid may no longer be.
        """
        jump = self._clocks.jump(now)
        if jump:
            why = f"the wall clock was set by {jump:+.1f} s"
            self.fail(Source.SVIDS, IdentityFault.CLOCK_JUMP, why, now)
        life = self._held.due_first(now)
        due = life is not None and self._requests.asks(life, now)
        return due or jump != 0.0

    def usable(self, now: Moment, hint: str = "") -> tuple[Held, Credential]:
        """What is held, and an SVID of it, if that may be used.

        Args:
            now: the time.
            hint: which; the default one, if no SVID has this hint.

        Raises:
            NoIdentity: there is none, it has expired, or it is revoked.
        """
        held = self._held
        place = held.place(hint)
        state = held.state(now, place)
        if held.credentials and state not in {SvidState.EXPIRED, SvidState.REVOKED}:
            return held, held.credentials[place]
        last = self._lasting.get(Source.SVIDS)
        why = {
            SvidState.REVOKED: "the Workload API denies it",
            SvidState.EXPIRED: "it has expired and was not renewed",
        }.get(state or SvidState.FRESH, "none has come yet")
        raise NoIdentity(
            why if last is None else f"{why} ({last.why})", None if last is None else last.fault
        )

    def sign(self, payload: bytes, context: str, now: Moment) -> SignedBytes:
        """See `IdentityContract.sign`."""
        data = to_be_signed(payload, context)
        held, used = self.usable(now)
        return SignedBytes(
            str(used.svid.spiffe_id), used.key.sign(data), used.svid.der(), held.generation
        )

    def public_chain(self, now: Moment) -> PublicChain:
        """See `IdentityContract.public_chain`."""
        held, used = self.usable(now)
        return PublicChain(
            str(used.svid.spiffe_id), used.svid.der(), used.svid.not_after, held.generation
        )

    def bundle(self, trust_domain: str | None) -> TrustBundle:
        """See `IdentityContract.bundle`."""
        held = self._held
        if not held.bundles:
            raise NoIdentity("no bundle has come yet")
        domain = next(iter(held.bundles)) if trust_domain is None else trust_domain
        jwt = held.jwt_authorities.get(domain)
        if domain not in held.bundles and jwt is None:
            raise IdentityRefused(
                IdentityFault.UNKNOWN_TRUST_DOMAIN,
                f"there is a bundle of {', '.join(held.bundles)} alone",
            )
        return TrustBundle(
            domain,
            tuple(one.public_bytes(Encoding.DER) for one in held.bundles.get(domain, ())),
            None if jwt is None else jwt.jwks,
            held.generation,
        )

    def validate_jwt(self, token: str, audience: str, now: Moment) -> JwtClaims:
        """See `IdentityContract.validate_jwt`."""
        return validate(token, audience, self._held.jwt_authorities, now.wall)

    def status(
        self, host: str, endpoint: str, now: Moment, *, connected: bool, retries: bool
    ) -> IdentityStatus:
        """See `IdentityStatus`."""
        held = self._held
        lasting = [self._lasting[one] for one in Source if one in self._lasting]
        return IdentityStatus(
            host=host,
            endpoint=endpoint,
            state=held.state(now),
            svids=tuple(_told(one) for one in held.credentials),
            renew_at=held.lives[0].due_at if held.lives else None,
            generation=held.generation,
            connected=connected,
            retries=retries,
            renewals=self._renewals,
            trust_domains=tuple(held.bundles),
            faults=dict(self._faults),
            last_fault=lasting[0] if lasting else None,
        )

    def subscribe(self, tell: Callable[[int], None]) -> Callable[[], None]:
        """Call `tell` with each new generation, in the thread that brings it; it must not block.

        Returns:
            What ends the subscription.
        """
        self._subscribers.append(tell)

        def end() -> None:
            if tell in self._subscribers:
                self._subscribers.remove(tell)

        return end


def _term(svid: X509Svid) -> tuple[str, float]:
    """What tells an SVID from the one before it."""
    return svid.serial, svid.not_after


def _public(of: Held | X509Context) -> object:
    """What two messages must have in common to be the same; keys follow from the certificates."""
    svids = [one.svid for one in of.credentials]
    return svids, dict(of.bundles), list(of.bundles), of.revocations


def _told(credential: Credential) -> HeldSvid:
    svid = credential.svid
    return HeldSvid(str(svid.spiffe_id), svid.hint, svid.serial, svid.not_before, svid.not_after)


def _unreadable() -> IdentityRefused:
    return IdentityRefused(IdentityFault.MALFORMED_MESSAGE, "the message cannot be read")
