"""Settings of a mesh that leaves the fixed ports to others, and inference out: it costs seconds.

Nor is anybody told of alerts, or XDP owned, which are tested by themselves."""

from __future__ import annotations

ANY_PORTS = {
    "X0TTA6BL4_GATEWAY_PORT": "0",
    "X0TTA6BL4_DASHBOARD_PORT": "0",
    "X0TTA6BL4_METRICS_PORT": "0",
    "X0TTA6BL4_INFERENCE": "0",
    "X0TTA6BL4_ALERTS": "0",
    "X0TTA6BL4_XDP": "0",
}
