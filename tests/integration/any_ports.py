"""Settings of a mesh that leaves the fixed ports to others, and inference out: it costs seconds."""

from __future__ import annotations

ANY_PORTS = {
    "X0TTA6BL4_GATEWAY_PORT": "0",
    "X0TTA6BL4_DASHBOARD_PORT": "0",
    "X0TTA6BL4_METRICS_PORT": "0",
    "X0TTA6BL4_INFERENCE": "0",
}
