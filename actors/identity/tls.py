"""Mutual TLS with the SVIDs of a holder in this process; both ends prove a SPIFFE ID.

The contexts are given once and follow the holder: each connection is made with what is held when it
begins, so a rotation is seen by the next handshake and disturbs no connection that stands. OpenSSL
checks the peer's chain with all bundles that are held; then, before a byte of the application is
exchanged, the chain is checked again with the bundle of the peer's own trust domain alone
(X509-SVID, section 5), and its ID must be one of those that are expected. Names of hosts do not
matter.

A key comes to OpenSSL through a memory file (memfd_create(2)) that exists for the length of one
call, is in no directory and is not inherited by other programs. Tickets are off: with one, a peer
could come back when its SVID has expired.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actors.identity.errors import IdentityRefused, NoIdentity
from actors.identity.spiffe_id import SpiffeId
from actors.identity.x509_path import verify_peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from actors.identity.holder import Held, Holder
    from actors.identity.lifecycle import Moment
    from actors.identity.private_key import SvidKey
    from actors.identity.workload_message import Credential

_DER: Final = 2  # what `_ssl` calls ENCODING_DER


@dataclass(frozen=True, slots=True)
class Peers:
    """Who may be at the other end.

    Attributes:
        ids: SPIFFE IDs; one without a path stands for all of its trust domain.
    """

    ids: frozenset[SpiffeId]

    @classmethod
    def of(cls, ids: Iterable[str]) -> Self:
        """Those of these IDs.

        Raises:
            IdentityRefused: one is none.
        """
        return cls(frozenset(map(SpiffeId.parse, ids)))

    def admit(self, peer: SpiffeId) -> bool:
        """Whether it is one of them."""
        return peer in self.ids or SpiffeId(peer.trust_domain, "") in self.ids


class MutualTls:
    """Makes contexts from what a holder holds.

    Args:
        holder: in this process.
        moment: tells the time.
        hint: of the SVID to use, where the Workload API gives several; else the default one.
    """

    def __init__(self, holder: Holder, moment: Callable[[], Moment], hint: str = "") -> None:
        self._holder = holder
        self._moment = moment
        self._hint = hint

    def server(self, peers: Peers) -> ssl.SSLContext:
        """A context for servers, whose clients must be among these peers."""
        return _Following(ssl.PROTOCOL_TLS_SERVER, self, peers)

    def client(self, peers: Peers) -> ssl.SSLContext:
        """A context for clients, whose servers must be among these peers."""
        return _Following(ssl.PROTOCOL_TLS_CLIENT, self, peers)

    def used(self) -> tuple[Held, Credential]:
        """What is held now, and which SVID of it is used.

        Raises:
            NoIdentity: none may be used.
        """
        return self._holder.usable(self._moment(), self._hint)

    def now(self) -> float:
        """Unix time, s."""
        return self._moment().wall


class _Following(ssl.SSLContext):
    """A context that makes each connection with a context of the present generation."""

    def __new__(cls, protocol: int, *_: object) -> Self:
        return super().__new__(cls, protocol)

    def __init__(self, protocol: int, tls: MutualTls, peers: Peers) -> None:
        self._side = protocol
        self._tls = tls
        self._peers = peers
        self._alpn: tuple[str, ...] = ()
        self._made: tuple[int, ssl.SSLContext] = (-1, self)
        _restrict(self)  # without a certificate it could not be used past this class

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Offer these protocols in connections to come."""
        wanted = tuple(alpn_protocols)
        if wanted != self._alpn:
            self._alpn, self._made = wanted, (-1, self)

    def wrap_socket(self, *args: Any, **named: Any) -> ssl.SSLSocket:  # noqa: ANN401 - as its base
        """See `ssl.SSLContext.wrap_socket`."""
        return self._present().wrap_socket(*args, **named)

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:  # noqa: ANN401 - as its base
        """See `ssl.SSLContext.wrap_bio`."""
        return self._present().wrap_bio(*args, **named)

    def _present(self) -> ssl.SSLContext:
        try:
            held, used = self._tls.used()
        except NoIdentity as error:
            # Not raised here: event loops expect failures of a handshake from the handshake.
            return _Refusing(self._side, str(error))
        generation, made = self._made
        if generation != held.generation:
            made = _Present(self._side, self._tls, self._peers, held)
            _load(made, used)
            if self._alpn:
                made.set_alpn_protocols(self._alpn)
            self._made = held.generation, made
        return made


class _Present(ssl.SSLContext):
    """The context of one generation."""

    def __new__(cls, protocol: int, *_: object) -> Self:
        return super().__new__(cls, protocol)

    def __init__(self, _: int, tls: MutualTls, peers: Peers, held: Held) -> None:
        self._tls = tls
        self._peers = peers
        self._bundles = held.bundles
        self._revocations = held.revocations
        self.sslobject_class = _CheckedObject
        self.sslsocket_class = _CheckedSocket
        _restrict(self)
        authorities = [one for bundle in held.bundles.values() for one in bundle]
        self.load_verify_locations(
            cadata=b"".join(one.public_bytes(Encoding.DER) for one in authorities)
        )

    def check(self, chain: Sequence[bytes]) -> None:
        """Refuse a peer that OpenSSL has accepted and that is none of those expected.

        Raises:
            ssl.SSLCertVerificationError: it is none; the error says why.
        """
        try:
            peer = verify_peer(chain, self._bundles, self._tls.now(), self._revocations).spiffe_id
        except IdentityRefused as error:
            raise _refused(f"the peer is refused ({error.fault}): {error.why}") from None
        if not self._peers.admit(peer):
            raise _refused(f"the peer is {peer}, which is none of those expected")


class _Refusing(ssl.SSLContext):
    """A context with which no handshake succeeds: there is no identity."""

    def __new__(cls, protocol: int, *_: object) -> Self:
        return super().__new__(cls, protocol)

    def __init__(self, _: int, why: str) -> None:
        self._why = why
        self.sslobject_class = _RefusedObject
        self.sslsocket_class = _RefusedSocket
        _restrict(self)

    def refuse(self) -> None:
        """Fail the handshake.

        Raises:
            ssl.SSLError: always.
        """
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, self._why)


class _CheckedObject(ssl.SSLObject):
    """Ends the handshake with a check of the peer."""

    _sslobj: Any

    def do_handshake(self) -> None:
        super().do_handshake()
        cast("_Present", self.context).check(_chain(self._sslobj))


class _CheckedSocket(ssl.SSLSocket):
    """Ends the handshake with a check of the peer."""

    _sslobj: Any

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as its base
        super().do_handshake(block)
        cast("_Present", self.context).check(_chain(self._sslobj))


class _RefusedObject(ssl.SSLObject):
    """Has no handshake."""

    def do_handshake(self) -> None:
        cast("_Refusing", self.context).refuse()


class _RefusedSocket(ssl.SSLSocket):
    """Has no handshake."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - as its base
        cast("_Refusing", self.context).refuse()


def _restrict(context: ssl.SSLContext) -> None:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0


def _load(context: ssl.SSLContext, used: Credential) -> None:
    """Give a context an SVID and its key."""
    certificates = b"".join(one.public_bytes(Encoding.PEM) for one in used.svid.chain)
    descriptor = os.memfd_create("svid", os.MFD_CLOEXEC)

    def write(key: SvidKey) -> None:
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        os.write(descriptor, certificates + secret)

    try:
        used.key.lend(write)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _chain(sslobj: Any) -> list[bytes]:  # noqa: ANN401 - of C
    """What the peer has presented, DER; Python has it in public from version 3.13 on."""
    return [one.public_bytes(_DER) for one in sslobj.get_unverified_chain() or ()]


def _refused(why: str) -> ssl.SSLCertVerificationError:
    return ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, why)
