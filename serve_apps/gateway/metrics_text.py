"""What the gateway counts, in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import psutil

if TYPE_CHECKING:
    from serve_apps.gateway.service import Gateway

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "x0tta6bl4_gateway_"
_process = psutil.Process()


def exposition(gateway: Gateway) -> str:
    """All metrics of a gateway."""
    counts, picture = gateway.counts, gateway.picture
    lag = counts.lag.largest
    lines = [
        f"# HELP {_PREFIX}requests_total Requests answered, by status",
        f"# TYPE {_PREFIX}requests_total counter",
        *(
            f'{_PREFIX}requests_total{{status="{status}"}} {number}'
            for status, number in sorted(counts.requests.items())
        ),
    ]
    rows: list[tuple[str, str, str, float]] = [
        ("messages_accepted_total", "counter", "Messages accepted", counts.accepted),
        ("messages_refused_total", "counter", "Messages refused alone", counts.refused),
        ("acknowledged_total", "counter", "Messages acknowledged", counts.acknowledged),
        ("reports_total", "counter", "Telemetry reports kept", counts.reports),
        ("ready", "gauge", "1 once the mesh is ready", gateway.ready),
        ("requests_in_flight", "gauge", "Requests under way", gateway.in_flight.taken),
        ("long_polls", "gauge", "Long polls under way", gateway.long_polls.taken),
        ("event_streams", "gauge", "Event streams open", gateway.streams.taken),
        ("inbox_streams", "gauge", "Inbox streams open", gateway.inbox_streams.taken),
        ("uploads", "gauge", "Bodies in lines under way", gateway.uploads.taken),
        ("resident_memory_bytes", "gauge", "Memory of the process", _process.memory_info().rss),
        ("loop_lag_max_seconds", "gauge", "Largest delay of the loop", lag.late_s),
        ("loop_lag_max_starved_seconds", "gauge", "Of it, waiting for a processor", lag.starved_s),
        ("mesh_nodes_up", "gauge", "Nodes that a neighbour hears", int(picture.heard.sum())),
        ("mesh_links_up", "gauge", "Directed links up", int(np.count_nonzero(picture.cost))),
    ]
    for name, kind, text, value in rows:
        lines += [f"# HELP {_PREFIX}{name} {text}", f"# TYPE {_PREFIX}{name} {kind}"]
        shown = f"{float(value):.15g}" if kind == "gauge" else str(value)
        lines.append(f"{_PREFIX}{name} {shown}")
    return "\n".join(lines) + "\n"
