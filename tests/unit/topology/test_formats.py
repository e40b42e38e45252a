"""The other formats: each record of each is used, merged or left out, and what it says is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from actors.topology.errors import TopologyError
from actors.topology.formats import content
from actors.topology.formats.content import beside, read

if TYPE_CHECKING:
    from actors.topology.network import Reading


def of(root: object, **options: Any) -> Reading:
    """The reading of a JSON value, all of whose records are accounted for."""
    return accounted(read(json.dumps(root).encode(), "map", **options))


def accounted(reading: Reading) -> Reading:
    told = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
    assert reading.records + reading.implied == told
    return reading


def links(reading: Reading) -> list[tuple[Any, ...]]:
    return [(link.a, link.b, *link.quality) for link in reading.links]


# -- respondd, and yanic's raw ---------------------------------------------------------------------


def answer(name: str, mac: str, **parts: Any) -> dict[str, Any]:
    """What a node says: one radio interface, and one into the VPN."""
    mesh = {"bat0": {"interfaces": {"wireless": [mac], "tunnel": [f"{mac}:ff"]}}}
    return {
        "nodeinfo": {"node_id": name, "hostname": f"host-{name}", "network": {"mesh": mesh}},
        "statistics": {"node_id": name},
        **parts,
    }


def hears(local: str, **tq: int) -> dict[str, Any]:
    return {
        "batadv": {local: {"neighbours": {remote.replace("_", ":"): {"tq": value}
                                          for remote, value in tq.items()}}}
    }  # fmt: skip


A_B = [
    answer("a", "02:0a", neighbours=hears("02:0a", **{"02_0b": 204})),
    answer("b", "02:0b", neighbours=hears("02:0b", **{"02_0a": 255})),
]


def test_each_end_says_its_own_half_of_a_link() -> None:
    """Two answers about one pair of interfaces are one link with both qualities."""
    reading = of({"version": "1.0.0", "updated_at": "2026-11-29T10:00:00+0000", "nodes": A_B})
    assert reading.format == "yanic raw"
    assert links(reading) == [("a", "b", 0.8, 1.0)]
    assert reading.links[0].kind == "wifi"
    assert reading.merged == 1
    assert reading.made_at == 1795946400.0
    assert reading.nodes[0].name == "host-a"


def test_an_end_that_did_not_answer_is_not_zero() -> None:
    """Its direction is not known, and that is said."""
    silent = answer("b", "02:0b")
    reading = of({"nodes": [A_B[0], {**silent, "neighbours": None}]})
    assert links(reading) == [("a", "b", 0.8, None)]
    assert [each.reason for each in reading.altered] == ["one-sided links"]


def test_a_neighbour_that_no_answer_is_from_is_no_fault() -> None:
    """Gateways often have no respondd: the link is left out and counted, but is no fault."""
    alone = answer("a", "02:0a", neighbours=hears("02:0a", **{"02_0b": 204, "02_99": 1}))
    reading = of({"nodes": [alone, A_B[1]]})
    assert [each.reason for each in reading.left_out] == ["links to nodes that did not answer"]
    assert "02:99" in reading.left_out[0].entry
    assert reading.share_left_out == 0.0


def test_a_link_through_a_tunnel_is_vpn_whoever_says_so() -> None:
    """The kind is that of either end's interface."""
    reading = of(
        {
            "nodes": [
                answer("a", "02:0a", neighbours=hears("02:99", **{"02_0b_ff": 255})),
                answer("b", "02:0b"),
            ]
        }
    )
    assert [link.kind for link in reading.links] == ["vpn"]


def test_links_over_two_interfaces_are_two() -> None:
    """Radio and tunnel between one pair are both kept."""
    both = {
        "batadv": {
            "02:0a": {"neighbours": {"02:0b": {"tq": 128}}},
            "02:0a:ff": {"neighbours": {"02:0b:ff": {"tq": 255}}},
        }
    }
    reading = of({"nodes": [answer("a", "02:0a", neighbours=both), answer("b", "02:0b")]})
    assert sorted(link.kind for link in reading.links) == ["vpn", "wifi"]


def test_babel_has_a_cost_a_direction() -> None:
    """txcost is of what arrives there, rxcost of what is heard from there; 65535 is down."""

    def babel(own: str, **costs: int) -> dict[str, Any]:
        remote = "fe80::b" if own == "fe80::a" else "fe80::a"
        heard = {remote: {"reachability": 1, **costs}}
        return {"babel": {"wlan0": {"protocol": "babel", "ll-addr": own, "neighbours": heard}}}

    one = answer("a", "02:0a", neighbours=babel("fe80::a", rxcost=512, txcost=1024, cost=2048))
    reading = of({"nodes": [one, answer("b", "02:0b", neighbours={"babel": {"wlan0": {
        "ll-addr": "fe80::b", "neighbours": {}}}})]})  # fmt: skip
    assert links(reading) == [("a", "b", 0.25, 0.5)]
    assert (reading.links[0].metric, reading.links[0].cost) == ("babel", (2048, None))
    assert reading.links[0].kind == "wifi"
    dead = babel("fe80::b", rxcost=65535, txcost=256, cost=65535)
    reading = of({"nodes": [one, answer("b", "02:0b", neighbours=dead)]})
    assert [link.up for link in reading.links] == [False]


def test_throughputs_are_no_quality() -> None:
    """Under BATMAN_V most tq are above 255."""
    fast = answer("a", "02:0a", neighbours=hears("02:0a", **{"02_0b": 48_100}))
    reading = of({"nodes": [fast, answer("b", "02:0b")]})
    assert links(reading) == [("a", "b", None, None)]
    assert (reading.links[0].metric, reading.links[0].cost[0]) == ("throughput", 48_100)


def test_what_a_node_says_of_itself_is_kept() -> None:
    """Model, place, gateway, clients and figures, each in its unit."""
    record = answer("a", "02:0A")
    record["nodeinfo"] |= {
        "hardware": {"model": "TP-Link"},
        "location": {"latitude": 1.5, "longitude": 2.5},
        "software": {"firmware": {"release": "2026.1"}},
        "system": {"domain_code": "north", "role": "node"},
        "vpn": False,
    }
    record["statistics"] |= {
        "clients": {"total": 0, "wifi24": 3, "wifi5": 4},
        "gateway_nexthop": "02:99",
        "gateway_tq": 204,
        "loadavg": 0.5,
        "memory": {"total": 1000, "free": 100, "buffers": 50, "cached": 100},
        "uptime": 3600.5,
        "traffic": {"rx": {"bytes": 10}, "tx": {"bytes": 20}, "forward": {"bytes": 30}},
        "wireless": {"airtime24": {"chan_util": 44.0}},
    }
    node = of(record).nodes[0]
    assert (node.model, node.location, node.firmware) == ("TP-Link", (1.5, 2.5), "2026.1")
    assert (node.domain, node.role, node.gateway, node.clients) == ("north", "node", False, 7)
    assert node.addresses == ("02:0a", "02:0a:ff")
    assert node.nexthop == "02:99"
    assert node.telemetry == {
        "load": 0.5,
        "memory": 0.75,
        "uptime_s": 3600.5,
        "rx_bytes": 10,
        "tx_bytes": 20,
        "forward_bytes": 30,
        "gateway_tq": 0.8,
        "airtime_24": 0.44,
        "clients_24": 3,
        "clients_5": 4,
    }


def test_a_line_that_cannot_be_read_costs_that_line() -> None:
    """raw-jsonl has a node a line after a first line that says what it is."""
    first = {"version": 1, "updated_at": "2026-11-29T10:00:00Z", "format": "raw-nodes-jsonl"}
    lines = [json.dumps(first), json.dumps(A_B[0]), "{half", "", json.dumps(A_B[1])]
    reading = accounted(read("\n".join(lines).encode(), "nodes.jsonl"))
    assert links(reading) == [("a", "b", 0.8, 1.0)]
    assert [each.entry for each in reading.left_out] == ["line 3"]
    assert reading.made_at == 1795946400.0


# -- nodes.json and graph.json ---------------------------------------------------------------------

OLD_NODE = {
    "nodeinfo": {"hostname": "Turm", "network": {"mac": "02:0a"}},
    "flags": {"online": True, "gateway": True},
    "statistics": {"clients": 5, "memory_usage": 0.5, "uptime": 60.0},
    "lastseen": "2026-11-29T10:00:00",
}
GRAPH = {
    "version": 1,
    "batadv": {
        "directed": False,
        "nodes": [{"id": "02:0a", "node_id": "a"}, {"id": "02:0b"}, {"id": "02:ff"}],
        "links": [
            {"source": 0, "target": 1, "tq": 1.25, "vpn": False, "bidirect": True},
            {"source": 1, "target": 0, "tq": 2.0, "vpn": True, "bidirect": False},
            {"source": 0, "target": 2, "tq": 1.0},
            {"source": 0, "target": 9, "tq": 1.0},
            {"source": 0, "target": 1, "tq": 0},
        ],
    },
}


@pytest.mark.parametrize("version", [1, 2])
def test_the_old_map_is_two_documents(version: int) -> None:
    """Nodes by id or in a list; links between positions of the graph's nodes."""
    other = {"nodeinfo": {"node_id": "b", "network": {"mac": "02:0b"}}}
    listed = [{**OLD_NODE, "nodeinfo": {**OLD_NODE["nodeinfo"], "node_id": "a"}}, other]
    nodes = {"a": OLD_NODE, "b": other} if version == 1 else listed
    body = json.dumps({"version": version, "nodes": nodes}).encode()
    graph = json.dumps(GRAPH).encode()
    for one, two in ((body, graph), (graph, body)):
        reading = accounted(read(one, "nodes.json", companion=two))
        assert links(reading) == [("a", "b", 0.8, 0.8), ("b", "a", 0.5, None),
                                  ("a", "b", None, None)]  # fmt: skip
        assert [link.kind for link in reading.links] == ["other", "vpn", "other"]
        assert [each.entry for each in reading.left_out] == ["batadv.links[2]", "batadv.links[3]"]
    node = reading.nodes[0]
    assert (node.name, node.online, node.gateway, node.clients) == ("Turm", True, True, 5)
    assert node.telemetry == {"memory": 0.5, "uptime_s": 60.0}


@pytest.mark.parametrize(
    ("location", "body", "expected"),
    [
        ("data/nodes.json", {"nodes": {"a": OLD_NODE}}, "data/graph.json"),
        ("graph.json", GRAPH, "nodes.json"),
        ("/maps/ffl-nodes.json", {"nodes": [OLD_NODE]}, "/maps/ffl-graph.json"),
        ("https://u:p@h/nodes/nodes.json?x=1", {"nodes": [OLD_NODE]},
         "https://u:p@h/nodes/graph.json?x=1"),
        ("/maps/leipzig", {"nodes": [OLD_NODE]}, "/maps/graph.json"),
        ("meshviewer.json", {"nodes": [], "links": []}, None),
        ("raw.json", {"nodes": A_B}, None),
    ],
)  # fmt: skip
def test_the_second_document_is_beside_the_first(
    location: str, body: object, expected: str | None
) -> None:
    """It has the usual name, in the same folder."""
    found = beside(json.dumps(body).encode(), location)
    assert (found and found.location) == expected


def test_one_of_two_documents_is_refused() -> None:
    """What is lacking is named."""
    with pytest.raises(TopologyError, match=r"graph\.json"):
        of({"nodes": {"a": OLD_NODE}})
    with pytest.raises(TopologyError, match=r"nodes\.json"):
        of(GRAPH)
    with pytest.raises(TopologyError, match="the two documents are not"):
        read(json.dumps(GRAPH).encode(), "map", companion=json.dumps(GRAPH).encode())


# -- olsrd -----------------------------------------------------------------------------------------


def edge(source: str, target: str, cost: float, lq: float = 0, nlq: float = 0) -> dict[str, Any]:
    return {
        "lastHopIP": source, "destinationIP": target, "tcEdgeCost": cost,
        "linkQuality": lq, "neighborLinkQuality": nlq,
    }  # fmt: skip


@pytest.mark.parametrize("newer", [False, True])
def test_jsoninfo_of_olsrd(newer: bool) -> None:  # noqa: FBT001 - the version
    """A quality a direction, aliases joined, broken links down, gateways by default route."""
    main: dict[str, Any] = (
        {"main": {"ipAddress": "10.0.0.1"}} if newer else {"ipAddress": "10.0.0.1"}
    )
    root = {
        "topology": [
            edge("10.0.0.1", "10.0.0.2", 2048, lq=0.5, nlq=1.0),
            edge("10.0.0.2", "10.0.0.1", 2048, lq=1.0, nlq=0.5),
            edge("10.0.1.1", "10.0.0.3", 4096),
            edge("10.0.0.2", "10.0.0.3", 4194304),
            3,
        ],
        "mid": [{**main, "aliases": [{"ipAddress": "10.0.1.1"}]}],
        "hna": [{"gateway": "10.0.0.2", "destination": "::", "genmask": 0}],
        "systemTime": 1430572557,
    }
    reading = of(root)
    assert links(reading)[:2] == [
        ("10.0.0.1", "10.0.0.2", 1.0, 0.5),
        ("10.0.0.1", "10.0.0.3", 0.5, 0.5),
    ]
    assert [link.up for link in reading.links] == [True, True, False]
    assert (reading.merged, reading.implied, len(reading.left_out)) == (1, 2, 1)
    assert [node.id for node in reading.nodes if node.gateway] == ["10.0.0.2"]
    assert reading.made_at == 1430572557


# -- batman-adv ------------------------------------------------------------------------------------


def test_the_jsondoc_of_batadv_vis() -> None:
    """A metric is 255 / TQ of its direction, secondary addresses are the node's."""
    root = {
        "source_version": "2014.3.0",
        "vis": [
            {
                "primary": "02:0a",
                "neighbors": [
                    {"router": "02:0a", "neighbor": "02:0b:01", "metric": "2.000"},
                    {"router": "02:0a", "neighbor": "02:0c", "metric": "none"},
                ],
            },
            {
                "primary": "02:0b",
                "secondary": ["02:0b:01"],
                "neighbors": [{"router": "02:0b:01", "neighbor": "02:0a", "metric": "1.000"}],
            },
        ],
    }
    reading = of(root)
    assert links(reading) == [("02:0a", "02:0b", 0.5, 1.0), ("02:0a", "02:0c", None, None)]
    assert (reading.merged, reading.implied) == (1, 1)


def test_what_is_no_list_of_neighbours_costs_these() -> None:
    """The node stays, and its neighbours say that they hear it."""
    heard = [{"router": "02:0b", "neighbor": "02:0a", "metric": "1.000"}]
    reading = of(
        {"vis": [{"primary": "02:0a", "neighbors": 3}, {"primary": "02:0b", "neighbors": heard}]}
    )
    assert links(reading) == [("02:0b", "02:0a", 1.0, None)]
    assert reading.altered[0].entry == "vis[0].neighbors"


def test_lists_of_batctl() -> None:
    """Direct neighbours are links of the node that asked; routes to others are none."""
    rows = [
        {"hard_ifname": "mesh0", "orig_address": "02:0b", "neigh_address": "02:0b", "tq": 204,
         "best": True},
        {"hard_ifname": "mesh0", "orig_address": "02:0c", "neigh_address": "02:0b", "tq": 77},
        {"hard_ifname": "mesh0", "neigh_address": "02:0d", "throughput": 50_000},
        {"hard_ifname": "mesh0", "orig_address": "02:0b", "router": "02:0b", "bandwidth_down": 10},
        "?",
    ]  # fmt: skip
    reading = of(rows)
    assert links(reading) == [("local", "02:0b", 0.8, None), ("local", "02:0d", None, None)]
    assert reading.links[1].metric == "throughput"
    assert [node.id for node in reading.nodes if node.gateway] == ["02:0b"]
    assert len(reading.left_out) == 1
    assert any("1 nodes behind" in note for note in reading.notes)


# -- tables ----------------------------------------------------------------------------------------

LINKS_CSV = """Source;Target;Quality;Kind;Status
Turm 1;Rathaus;90 %;wifi;up
Rathaus;Schule;0,5;vpn;
Schule;Turm 1;;;down
Schule;Bad;1.5;;
"""
NODES_CSV = """id,name,latitude,longitude,gateway,clients
Turm 1,"Turm, alt",1.5,2.5,yes,7
Rathaus,,,,no,
Schule,,x,1,maybe,
Schule,,,,,
Bad,,,,,-1
"""


def test_tables_for_everybody_else() -> None:
    """Cells may be empty, have decimal commas and percents; what cannot be read is said."""
    reading = accounted(read(LINKS_CSV.encode(), "links.csv"))
    assert [node.id for node in reading.nodes] == ["Turm 1", "Rathaus", "Schule", "Bad"]
    assert links(reading) == [
        ("Turm 1", "Rathaus", 0.9, 0.9),
        ("Rathaus", "Schule", 0.5, 0.5),
        ("Schule", "Turm 1", None, None),
        ("Schule", "Bad", None, None),
    ]
    assert [link.up for link in reading.links] == [True, True, False, True]
    assert [each.entry for each in reading.altered] == ["links line 5, quality"]
    whole = read(NODES_CSV.encode(), "nodes.csv", companion=LINKS_CSV.encode())
    assert whole == read(LINKS_CSV.encode(), "nodes.csv", companion=NODES_CSV.encode())
    tower = accounted(whole).nodes[0]
    assert (tower.name, tower.location, tower.gateway, tower.clients) == (
        "Turm, alt", (1.5, 2.5), True, 7,
    )  # fmt: skip
    assert [each.reason for each in whole.left_out] == ["nodes with the id of another"]
    assert {each.entry for each in whole.altered} >= {
        "nodes line 4, latitude", "nodes line 4, gateway", "nodes line 6.clients",
    }  # fmt: skip


def test_a_table_of_nodes_needs_its_links() -> None:
    """A table of links may stand alone, one of nodes may not."""
    assert beside(LINKS_CSV.encode(), "a/links.csv") == content.Companion(
        "a/nodes.csv", needed=False
    )
    assert beside(NODES_CSV.encode(), "a/nodes.csv") == content.Companion(
        "a/links.csv", needed=True
    )
    with pytest.raises(TopologyError, match=r"links\.csv"):
        read(NODES_CSV.encode(), "nodes.csv")
