"""The identity of a process that speaks TLS: a holder of its own, supplied while it lives.

Keys never leave their holder, so each process that proves who it is has one. What is handed to such
a process, and may be pickled, is where the Workload API is and which identity is meant.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.identity.holder import Holder
from actors.identity.tls import MutualTls, Peers
from actors.identity.workload_stream import WorkloadStream, system_moment

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine
    from typing import Any


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Which identity a process has.

    Attributes:
        endpoint: socket of the Workload API, `unix:///path`.
        hint: of the SVID, where the Workload API gives several; else the default one is used.
        renewal_threshold: part of an SVID's life after which a new one is due, in (0, 1).
    """

    endpoint: str
    hint: str = ""
    renewal_threshold: float = 0.5

    def begin(self) -> tuple[MutualTls, Holder, Coroutine[Any, Any, None]]:
        """Make a holder in a running loop.

        Returns:
            Contexts of TLS from it, the holder, and what supplies it and is to be run.
        """
        chance = random.SystemRandom()
        holder = Holder(self.renewal_threshold, chance)
        stream = WorkloadStream(holder, self.endpoint, chance)
        return MutualTls(holder, system_moment, self.hint), holder, stream.run()


@dataclass(frozen=True, slots=True)
class TlsClient:
    """A client that proves who it is, and expects certain peers.

    Attributes:
        identity: who it is.
        peers: SPIFFE IDs of whom it may speak to; one without a path is a whole trust domain.
    """

    identity: ProcessIdentity
    peers: tuple[str, ...]

    def begin(self) -> tuple[ssl.SSLContext, Coroutine[Any, Any, None]]:
        """A context in a running loop, and what supplies it and is to be run.

        Raises:
            IdentityRefused: a peer is no SPIFFE ID.
        """
        tls, _, supply = self.identity.begin()
        try:
            return tls.client(Peers.of(self.peers)), supply
        except BaseException:
            supply.close()
            raise
