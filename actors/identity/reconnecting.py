"""What follows from the end of a call of the Workload API: which fault, and when to try again.

Sources: SPIFFE Workload Endpoint, section 6, and Workload API, section 5 (status codes); full
jitter as in "Exponential backoff and jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

from actors.identity.contract import IdentityFault

if TYPE_CHECKING:
    from random import Random

LEAST_S: Final = 0.1
MOST_S: Final = 5.0
# A local socket that nobody listens on costs nothing to try, and its owner may be back any time.
MOST_UNAVAILABLE_S: Final = 2.0
LONGEST_DETAIL: Final = 200  # characters of what the other side says

_FAULTS: Final = {
    grpc.StatusCode.PERMISSION_DENIED: IdentityFault.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT: IdentityFault.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED: IdentityFault.UNIMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE: IdentityFault.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: IdentityFault.TOO_LARGE,
    grpc.StatusCode.DEADLINE_EXCEEDED: IdentityFault.SILENT,
    grpc.StatusCode.OK: IdentityFault.STREAM_ENDED,
}
_FINAL: Final = frozenset({IdentityFault.INVALID_ARGUMENT, IdentityFault.UNIMPLEMENTED})


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended.

    Attributes:
        fault: the reason.
        why: in words.
    """

    fault: IdentityFault
    why: str

    @property
    def retries(self) -> bool:
        """Whether the same call may succeed later by itself."""
        return self.fault not in _FINAL


def ended(code: grpc.StatusCode, details: str | None) -> Ended:
    """How a call with this status ended."""
    fault = _FAULTS.get(code, IdentityFault.API_ERROR)
    if code is grpc.StatusCode.OK:
        return Ended(fault, "the Workload API closed the stream")
    says = "".join(one if one.isprintable() else " " for one in (details or "")[:LONGEST_DETAIL])
    return Ended(fault, f"the Workload API answered {code.name}: {says or 'without a reason'}")


def unreachable(error: OSError) -> Ended:
    """How a call ended that could not begin."""
    why = error.strerror or type(error).__name__
    return Ended(IdentityFault.UNAVAILABLE, f"nobody listens at the Workload API's socket: {why}")


def pause(attempt: int, fault: IdentityFault, left: float | None, random: Random) -> float:
    """Seconds until the next attempt.

    Args:
        attempt: how many in a row have failed, at least 1.
        fault: why the last one did.
        left: seconds until the SVID that is held ends; not above 0: it has; None: there is none.
        random: draws the jitter.
    """
    most = MOST_UNAVAILABLE_S if fault is IdentityFault.UNAVAILABLE else MOST_S
    drawn = random.uniform(LEAST_S, min(most, LEAST_S * 2.0 ** min(attempt, 10)))
    if left is None or left <= 0:
        return drawn
    return min(drawn, max(left, LEAST_S))
