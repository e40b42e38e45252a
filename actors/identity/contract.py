"""What others may know of the identity of a host: its name, its answers, its faults, its actor.

No answer holds a private key, and no method gives one out. The tokens that `jwt` answers are
secrets as well, but of their bearer: they are made to be sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from actors.runtime.actor_health import ActorContract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

IDENTITY: Final = "identity"
TIMEOUT_S: Final = 10.0  # for an answer
LONGEST_WAIT_S: Final = 30.0  # that `wait_newer` waits
LARGEST_PAYLOAD: Final = 2**20  # bytes that `sign` takes
MOST_AUDIENCES: Final = 16  # of one JWT-SVID
_LONGEST: Final = 100  # characters of a name of an actor


def identity_actor(host: str) -> str:
    """Name of the actor of a host."""
    return f"{IDENTITY}-{re.sub('[^A-Za-z0-9-]+', '-', host)}"[:_LONGEST]


class SvidState(StrEnum):
    """How an SVID is. Lives are counted from NotBefore to NotAfter."""

    FRESH = "fresh"
    DUE = "due"  # so much of its life is over that a new one should have come
    STALE = "stale"  # at most a quarter of its life is left
    EXPIRED = "expired"  # nothing is signed with it
    REVOKED = "revoked"  # the Workload API denies this process an identity; nothing is signed


class IdentityFault(StrEnum):
    """Why a certificate, key, bundle, token or message is refused, or the Workload API is not used.

    Each is one rule, so that it can be counted and told.
    """

    # SPIFFE IDs
    BAD_SPIFFE_ID = "bad-spiffe-id"
    ID_MISMATCH = "id-mismatch"  # the message names another ID than its certificate
    # messages
    MALFORMED_MESSAGE = "malformed-message"
    TOO_LARGE = "too-large"
    NO_SVID = "no-svid"
    MISSING_FIELD = "missing-field"
    # certificates
    NO_CERTIFICATE = "no-certificate"
    MALFORMED_CERTIFICATE = "malformed-certificate"
    NO_URI_SAN = "no-uri-san"
    MANY_URI_SANS = "many-uri-sans"
    LEAF_IS_CA = "leaf-is-ca"
    LEAF_WITHOUT_KEY_USAGE = "leaf-without-key-usage"
    KEY_USAGE_NOT_CRITICAL = "key-usage-not-critical"
    LEAF_WITHOUT_DIGITAL_SIGNATURE = "leaf-without-digital-signature"
    LEAF_SIGNS_CERTIFICATES = "leaf-signs-certificates"
    LEAF_SIGNS_CRLS = "leaf-signs-crls"
    EXTENDED_KEY_USAGE = "extended-key-usage"  # there, and not for both ends of TLS
    UNSUPPORTED_KEY = "unsupported-key"
    # the key of a certificate
    NO_KEY = "no-key"
    MALFORMED_KEY = "malformed-key"
    KEY_MISMATCH = "key-mismatch"
    # paths of certificates
    ISSUER_NOT_CA = "issuer-not-ca"
    ISSUER_MAY_NOT_SIGN = "issuer-may-not-sign"
    UNTRUSTED = "untrusted"  # no path leads to the bundle
    PATH_TOO_LONG = "path-too-long"
    NAME_NOT_PERMITTED = "name-not-permitted"
    UNKNOWN_CRITICAL_EXTENSION = "unknown-critical-extension"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    REVOKED = "revoked"  # by a list of revoked certificates
    # bundles
    EMPTY_BUNDLE = "empty-bundle"
    MALFORMED_BUNDLE = "malformed-bundle"
    MISSING_KEY_ID = "missing-key-id"
    UNKNOWN_TRUST_DOMAIN = "unknown-trust-domain"  # there is no bundle of it
    # tokens
    MALFORMED_TOKEN = "malformed-token"  # noqa: S105 - a reason
    TOKEN_ALGORITHM = "token-algorithm"  # noqa: S105 - the same
    NO_SUBJECT = "no-subject"
    WRONG_AUDIENCE = "wrong-audience"
    NO_EXPIRY = "no-expiry"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    # the Workload API
    PERMISSION_DENIED = "permission-denied"
    INVALID_ARGUMENT = "invalid-argument"
    UNIMPLEMENTED = "unimplemented"
    UNAVAILABLE = "unavailable"
    STREAM_ENDED = "stream-ended"
    SILENT = "silent"  # nothing came in the time in which something must
    API_ERROR = "api-error"  # any other status of gRPC
    # clocks
    CLOCK_JUMP = "clock-jump"


@dataclass(frozen=True, slots=True)
class PublicChain:
    """The certificates that prove an identity, without its key.

    Attributes:
        spiffe_id: whose.
        certificates: DER, the SVID first, then intermediates towards the authority.
        not_after: Unix time at which the SVID ends, s.
        generation: of the holder, with which the chain came.
    """

    spiffe_id: str
    certificates: tuple[bytes, ...]
    not_after: float
    generation: int


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """What vouches for the identities of one trust domain.

    Attributes:
        trust_domain: its name, such as "mesh.example".
        x509_authorities: certificates, DER.
        jwks: keys of JWT-SVIDs as a JWK Set (RFC 7517), or None: none was given.
        generation: of the holder, with which it came.
    """

    trust_domain: str
    x509_authorities: tuple[bytes, ...]
    jwks: str | None
    generation: int


@dataclass(frozen=True, slots=True)
class SignedBytes:
    """A signature with the key of an SVID; `signing.verify` checks it.

    Attributes:
        spiffe_id: who signed.
        signature: over the context and the payload, see `signing.to_be_signed`.
        chain: DER, the SVID first.
        generation: of the holder that signed.
    """

    spiffe_id: str
    signature: bytes
    chain: tuple[bytes, ...]
    generation: int


@dataclass(frozen=True, slots=True)
class JwtSvid:
    """A JWT-SVID, which proves an identity to some audience.

    Attributes:
        token: compact JWS; who has it may use it until it expires.
        spiffe_id: whose.
        audience: to whom.
        expires_at: Unix time, s.
    """

    token: str = field(repr=False)
    spiffe_id: str
    audience: tuple[str, ...]
    expires_at: float


@dataclass(frozen=True, slots=True)
class JwtClaims:
    """What a JWT-SVID that holds says.

    Attributes:
        spiffe_id: whose it is, `sub`.
        audience: to whom, `aud`.
        expires_at: Unix time, s.
        claims: all of them.
    """

    spiffe_id: str
    audience: tuple[str, ...]
    expires_at: float
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HeldSvid:
    """One SVID as it is told.

    Attributes:
        spiffe_id: whose.
        hint: what the authority says that it is for; "" if nothing.
        serial: of the certificate, hexadecimal.
        not_before, not_after: Unix times between which it holds, s.
    """

    spiffe_id: str
    hint: str
    serial: str
    not_before: float
    not_after: float


@dataclass(frozen=True, slots=True)
class LastFault:
    """The newest fault, kept until it is over.

    Attributes:
        fault: which rule or status.
        why: what was wrong, in words, without any byte of the message.
        at: Unix time, s.
    """

    fault: IdentityFault
    why: str
    at: float


@dataclass(frozen=True, slots=True)
class IdentityStatus:
    """How the identity of a host is.

    Attributes:
        host: its name.
        endpoint: socket of the Workload API, a URI.
        state: of the default SVID; None: none has come yet.
        svids: all that are held, the default first.
        renew_at: Unix time from which a new one is due, s; None: there is none.
        generation: rises with each accepted change; 0: none yet.
        connected: whether the stream of SVIDs is open and has brought something.
        retries: whether a lost stream is opened again; False: its last status forbids that.
        renewals: new SVIDs (another serial or end) since the start, the first not counted.
        trust_domains: those that have a bundle, the own one first.
        faults: number of faults since the start, by kind; absent: none.
        last_fault: what is wrong now, with the SVIDs before all else, or None.
    """

    host: str
    endpoint: str
    state: SvidState | None
    svids: tuple[HeldSvid, ...]
    renew_at: float | None
    generation: int
    connected: bool
    retries: bool
    renewals: int
    trust_domains: tuple[str, ...]
    faults: Mapping[IdentityFault, int]
    last_fault: LastFault | None


@dataclass(frozen=True, slots=True)
class Rotation:
    """What came of a wish for a new SVID.

    Attributes:
        renewed: whether an SVID with another serial or end has come.
        generation: of the holder afterwards.
        why: why not, or ""; a Workload API need not give a new one when it is asked.
    """

    renewed: bool
    generation: int
    why: str


@dataclass(frozen=True, slots=True)
class AuthorityKeys:
    """One generation of keys of the embedded authority.

    Attributes:
        key_id: of the key that signs its JWT-SVIDs.
        signs_from: Unix time from which it signs, s.
        not_after: Unix time at which its certificate ends, s.
        kept_until: Unix time at which it is trusted no more, s; None: it has no successor.
    """

    key_id: str
    signs_from: float
    not_after: float
    kept_until: float | None


@dataclass(frozen=True, slots=True)
class AuthorityStatus:
    """How the embedded authority is.

    Attributes:
        trust_domain: its name.
        directory: where its files are.
        keys: generations of keys, the oldest first.
        streams: open streams of its Workload API.
        refused: why bundles of other trust domains are not used, by name of their file.
    """

    trust_domain: str
    directory: str
    keys: tuple[AuthorityKeys, ...]
    streams: int
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """What an authority of the session's own is made from.

    Attributes:
        directory: of its files.
        trust_domain: its name.
        x509_s, jwt_s: how long SVIDs live, s.
    """

    directory: Path
    trust_domain: str
    x509_s: float = 3600.0
    jwt_s: float = 300.0


@dataclass(frozen=True, slots=True)
class IdentityOptions:
    """What the actor of a host is started with.

    Attributes:
        host: its name, as people use it.
        endpoint: socket of the Workload API, `unix:///path`.
        log_level: least severe line to log.
        renewal_threshold: part of an SVID's life after which it is due, in (0, 1).
        embedded: the authority that the actor is, too; None: the endpoint is another program's.
    """

    host: str
    endpoint: str
    log_level: str
    renewal_threshold: float = 0.5
    embedded: EmbeddedOptions | None = None


class IdentityContract(ActorContract, Protocol):
    """The methods of the actor of a host.

    Those that need an identity raise `NoIdentity` while there is none that may be used.
    """

    async def sign(self, payload: bytes, context: str) -> SignedBytes:
        """Sign with the key of the default SVID.

        Args:
            payload: at most `LARGEST_PAYLOAD` bytes.
            context: what it is signed for; a signature for one context holds in no other.

        Raises:
            NoIdentity: there is none, it has expired, or it is revoked.
            InvalidInput: the payload or the context is too long, or the context is empty.
        """
        ...

    async def public_chain(self) -> PublicChain:
        """The certificates of the default SVID.

        Raises:
            NoIdentity: there is none, it has expired, or it is revoked.
        """
        ...

    async def bundle(self, trust_domain: str | None = None) -> TrustBundle:
        """The bundle of a trust domain, or of the own one.

        Raises:
            IdentityRefused: there is no bundle of it (`UNKNOWN_TRUST_DOMAIN`).
            NoIdentity: none has come yet.
        """
        ...

    async def status(self) -> IdentityStatus:
        """How the identity is. Answers also while there is none."""
        ...

    async def jwt(self, audience: Sequence[str]) -> JwtSvid:
        """A JWT-SVID for an audience; one that has half of its life before it is used again.

        Raises:
            NoIdentity: it cannot be had now.
            InvalidInput: there is no audience, or there are more than `MOST_AUDIENCES`.
        """
        ...

    async def validate_jwt(self, token: str, audience: str) -> JwtClaims:
        """Check a token that somebody presented, with the bundles that are held.

        Raises:
            IdentityRefused: it breaks a rule; the fault says which.
        """
        ...

    async def rotate(self) -> Rotation:
        """Ask for a new SVID, and wait until one has come or a few seconds are over."""
        ...

    async def authority(self) -> AuthorityStatus | None:
        """How the authority is that the actor is, too; None: it is none.

        Raises:
            AuthorityUnusable: a change that is due cannot be kept.
        """
        ...

    async def rotate_authority(self) -> AuthorityStatus:
        """Make new keys of the authority; SVIDs are signed with them a little later.

        Raises:
            NoAuthority: this actor is none.
            AuthorityBusy: too many former keys are still trusted.
            AuthorityUnusable: they cannot be kept.
        """
        ...

    async def wait_newer(self, generation: int, timeout_s: float) -> IdentityStatus:
        """Answer as soon as the generation is another than `generation`, or after `timeout_s`.

        This tells subscribers in other processes of a new generation: they ask again with the
        generation of the answer. After a restart of the actor it begins anew, so another one may
        be a lower one. `timeout_s` above `LONGEST_WAIT_S` counts as that.
        """
        ...
