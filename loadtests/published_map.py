"""A map such as communities publish, made up, and a server of it on loopback."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from actors.topology import radio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from actors.topology.model import Topology

GATEWAYS: Final = 3
_FORMAT: Final = "%Y-%m-%dT%H:%M:%S+0000"


def document(topology: Topology, at: float) -> dict[str, Any]:
    """A meshviewer map (as yanic writes it) of a topology.

    Args:
        topology: its nodes and links; the first nodes are gateways.
        at: Unix time at which it was made, s.
    """
    said = datetime.fromtimestamp(at, UTC).strftime(_FORMAT)
    nodes = [
        {
            "node_id": node,
            "hostname": f"router-{row:04d}",
            "firstseen": said,
            "lastseen": said,
            "is_online": True,
            "is_gateway": row < GATEWAYS,
            "clients": row % 7,
            "loadavg": 0.25,
            "memory_usage": 0.4,
            "uptime": said,
            "model": "TP-Link Archer C7 v5",
            "firmware": {"release": "v2023.2.3", "base": "gluon-v2023.2.3"},
            "location": {"latitude": 51.0 + row % 97 / 1000, "longitude": 12.0 + row % 89 / 1000},
            "addresses": [f"fd00::{row:x}"],
            "domain": "dom0",
        }
        for row, node in enumerate(topology.ids)
    ]
    rows = zip(topology.ends.tolist(), topology.quality.tolist(), strict=True)
    links = [
        {
            "source": topology.ids[a],
            "target": topology.ids[b],
            "source_tq": there,
            "target_tq": back,
            "type": "wifi",
        }
        for (a, b), (there, back) in rows
    ]
    return {"timestamp": said, "nodes": nodes, "links": links}


@contextlib.contextmanager
def served(nodes: int, seed: int) -> Iterator[tuple[str, Mapping[str, str]]]:
    """A server of a map that is made anew for each request, as a live one is.

    Args:
        nodes: number of nodes.
        seed: of the made-up radio mesh.

    Yields:
        The URL of the map, and the ids of its nodes by host name.
    """
    topology = radio.generate(nodes, seed)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(document(topology, time.time())).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        names = {f"router-{row:04d}": node for row, node in enumerate(topology.ids)}
        yield f"http://127.0.0.1:{server.server_port}/meshviewer.json", names
    finally:
        server.shutdown()
        server.server_close()
