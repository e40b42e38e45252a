"""A topology for other people's tools: networkx, GraphML, GeoJSON, NetJSON.

What is not known is left out, never written as 0. Nodes keep their ids; a name is an attribute
beside. A quality that nobody measured is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.topology.listing import of_topology
from actors.topology.provenance import Network

if TYPE_CHECKING:
    import networkx as nx

    from actors.topology.listing import ListedLink, ListedNode
    from actors.topology.model import Topology

NETJSON_VERSION: Final = "1"


def to_networkx(topology: Topology) -> nx.Graph[str]:
    """A graph of node ids.

    Attributes of nodes: `name`, `gateway`, `clients`, `latitude`, `longitude` (degrees). Of edges:
    `kind`; `a` and `b`, the ids of its ends; `quality_a_to_b` and `quality_b_to_a`, delivery
    probabilities; `etx`; `parallel`, how many links it stands for.
    """
    import networkx as nx  # noqa: PLC0415 - slow to import, and mostly not needed

    listing = of_topology(topology, Network.MAP, "")
    graph: nx.Graph[str] = nx.Graph()
    for node in listing.nodes:
        graph.add_node(node.id, **_of_node(node))
    for link in listing.links:
        graph.add_edge(link.a, link.b, a=link.a, b=link.b, **_of_link(link))
    return graph


def graphml(topology: Topology) -> str:
    """GraphML (graphml.graphdrawing.org), with the attributes of `to_networkx`."""
    import networkx as nx  # noqa: PLC0415 - the same

    return "\n".join(nx.generate_graphml(to_networkx(topology), named_key_ids=True)) + "\n"


def geojson(topology: Topology) -> dict[str, Any]:
    """GeoJSON (RFC 7946): a point a node, a line a link, of what has a place."""
    listing = of_topology(topology, Network.MAP, "")
    places = {node.id: node.location for node in listing.nodes if node.location is not None}
    points = [
        _feature("Point", _position(places[node.id]), {"id": node.id, **_of_node(node)})
        for node in listing.nodes
        if node.id in places
    ]
    lines = [
        _feature(
            "LineString",
            [_position(places[link.a]), _position(places[link.b])],
            {"a": link.a, "b": link.b, **_of_link(link)},
        )
        for link in listing.links
        if link.a in places and link.b in places
    ]
    return {"type": "FeatureCollection", "features": [*points, *lines]}


def netjson(topology: Topology) -> dict[str, Any]:
    """A NetJSON NetworkGraph, each direction of a link an entry.

    The metric is that of batadv-vis, 1 / quality: the only one that tells both directions apart. A
    direction that is not known has no cost.
    """
    listing = of_topology(topology, Network.MAP, "")
    return {
        "type": "NetworkGraph",
        "protocol": "x0tta6bl4",
        "version": NETJSON_VERSION,
        "metric": "TQ",
        "nodes": [_netjson_node(node) for node in listing.nodes],
        "links": [entry for link in listing.links for entry in _netjson_links(link)],
    }


def _of_node(node: ListedNode) -> dict[str, Any]:
    latitude, longitude = node.location or (None, None)
    return _known(
        name=node.name,
        gateway=node.gateway,
        clients=node.clients,
        latitude=latitude,
        longitude=longitude,
    )


def _of_link(link: ListedLink) -> dict[str, Any]:
    forth, back = link.quality
    return _known(
        kind=link.kind,
        quality_a_to_b=forth,
        quality_b_to_a=back,
        etx=link.etx,
        parallel=link.parallel,
    )


def _netjson_node(node: ListedNode) -> dict[str, Any]:
    place = None
    if node.location is not None:
        place = {"lat": node.location[0], "lng": node.location[1]}
    properties = _known(gateway=node.gateway, clients=node.clients, location=place)
    return {"id": node.id, **_known(label=node.name), "properties": properties}


def _netjson_links(link: ListedLink) -> list[dict[str, Any]]:
    ends = ((link.a, link.b), (link.b, link.a))
    properties = {"type": link.kind, "parallel": link.parallel}
    return [
        {
            "source": source,
            "target": target,
            **_known(cost=None if quality is None else 1.0 / quality),
            "properties": properties,
        }
        for (source, target), quality in zip(ends, link.quality, strict=True)
    ]


def _feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - as RFC 7946 nests them
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _position(place: tuple[float, float]) -> list[float]:
    """Longitude first (RFC 7946, section 3.1.1)."""
    return [place[1], place[0]]


def _known(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - of any attribute
    return {name: value for name, value in values.items() if value is not None}
