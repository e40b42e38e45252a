# ruff: noqa: N818 - named by condition, as the tree that these belong to
"""What only the gateway refuses.

X0Error
├── Conflict
│   ├── NoAlerts        409  this session tells nobody of alerts
│   └── NoObserver      409  this session observes no network
├── Unavailable
│   ├── ClusterDied     503  the Ray cluster that all of this runs on is ending
│   ├── MeshNotReady    503  the mesh is starting, or a part of it does not answer
│   └── NetworkNotWell  503  what is known of the observed network is old, held or nothing
├── NoRoute             404  the mesh has no path between two nodes now
└── Replaced            410  another route has taken over
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import Conflict, Unavailable, X0Error

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoObserver(Conflict):
    """The session emulates a mesh and observes no network."""

    def __init__(self) -> None:
        super().__init__(
            "no network is observed",
            "this session only emulates a mesh",
            "GET /v1/mesh/status tells of the mesh; `x0 watch` and `x0 up --from-observed` observe"
            " a network.",
        )


class NoAlerts(Conflict):
    """The session has no actor that tells people of alerts."""

    def __init__(self) -> None:
        super().__init__(
            "there are no alerts",
            "this session tells nobody of any",
            "`x0 up` and `x0 watch` start their actor, unless X0TTA6BL4_ALERTS=0 or"
            " X0TTA6BL4_MINIMAL=1.",
        )


class ClusterDied(Unavailable):
    """The control process of the Ray cluster has died, and everything else follows it."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "the Ray cluster has died",
            f"its control process (gcs_server) is gone: {why}; all that runs on it ends within a"
            " minute",
            "`x0 status` on the gateway's host clears what is left and says how to start it again;"
            " what was accepted or known is kept.",
            retry_after_s=30.0,
        )


class NetworkNotWell(Unavailable):
    """What is known of the observed network is not to be trusted as it stands."""

    troubles: tuple[str, ...]

    def __init__(self, troubles: Sequence[str]) -> None:
        super().__init__(
            "the observed network is not well known",
            "; ".join(troubles),
            "GET /v1/network/sources tells how each source is.",
            retry_after_s=30.0,
            troubles=tuple(troubles),
        )


class Replaced(X0Error):
    """The route is no more; `by` has taken over."""

    http_status = 410

    by: str

    def __init__(self, route: str, by: str, why: str) -> None:
        super().__init__(f"{route} is no more", why, f"Use {by}.", by=by)


class MeshNotReady(Unavailable):
    """The mesh cannot be used now; `progress` says what is waited for."""

    progress: str

    def __init__(self, progress: str) -> None:
        super().__init__(
            "the mesh is not ready",
            progress,
            "Retry after the time in Retry-After; GET /readyz shows the progress.",
            retry_after_s=1.0,
            progress=progress,
        )


class NoRoute(X0Error):
    """The mesh has no path between two nodes now."""

    http_status = 404

    source: str
    destination: str

    def __init__(self, source: str, destination: str) -> None:
        super().__init__(
            f"no route from {source} to {destination}",
            "the mesh has no path between them now",
            "Retry later; GET /v1/mesh/nodes shows which nodes are silent.",
            source=source,
            destination=destination,
        )
