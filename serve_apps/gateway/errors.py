# ruff: noqa: N818 - named by condition, as the tree that these belong to
"""What only the gateway refuses.

X0Error
├── Unavailable
│   └── MeshNotReady  503  the mesh is starting, or a part of it does not answer
└── NoRoute           404  the mesh has no path between two nodes now
"""

from __future__ import annotations

from actors.runtime.errors import Unavailable, X0Error


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
