"""Small maps with what real ones contain, each with its stated answer, as an operator asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from actors.topology.formats import content
from actors.topology.selection import Wanted, select
from actors.topology.source import read
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.single import single_failures

if TYPE_CHECKING:
    from actors.topology.selection import Imported

MAPS = Path(__file__).parents[2].parent / "shared" / "data" / "maps"

pytestmark = pytest.mark.skipif(not MAPS.is_dir(), reason=f"no small maps at {MAPS}")

UNREADABLE = "links with an unreadable quality"


@dataclass(frozen=True)
class Answer:
    """What is to come of a map.

    Attributes:
        links: as `a-b`, with `?` where nothing is known of their quality and `~` where one
            direction is not.
        left_out: records by reason.
        altered: the same.
        said: a piece of a warning.
    """

    links: str
    left_out: dict[str, int] = field(default_factory=dict)
    altered: dict[str, int] = field(default_factory=dict)
    said: str = ""


ANSWERS = {
    "dangling": Answer("a-b b-c", {"dangling links": 1}),
    "one_sided_zero_mixed": Answer("a-b b-c~", altered={"one-sided links": 1}),
    "one_sided_zero": Answer("a-b~ b-c~", altered={"one-sided links": 2}),
    "null_tq": Answer("a-b~ b-c", altered={UNREADABLE: 1, "one-sided links": 1}),
    "missing_tq": Answer("a-b? b-c", altered={UNREADABLE: 1}),
    "string_tq": Answer("a-b~ b-c", altered={UNREADABLE: 1, "one-sided links": 1}),
    "tq_float32_over1": Answer("a-b b-c"),
    "babel_yanic_cost1024": Answer("a-b b-c", said="costs of Babel"),
    "batmanV_kbps": Answer("a-b? b-c?", said="BATMAN_V"),
    "type_vpn_fastd_novpn": Answer("a-b b-c"),
    "type_tunnel_l2tp_novpn": Answer("a-b b-c"),
    "type_blank": Answer("a-b b-c"),
    "dup_node": Answer("a-b b-c", {"nodes with the id of another": 1}),
    "empty_id_node": Answer("a-b b-c", {"nodes with strange ids": 1}),
    "null_id_node": Answer("a-b b-c", {"nodes with strange ids": 1}),
    "meshtastic_id": Answer("!a1b2c3d4-b"),
    "id_space": Answer("Tower 1-b"),
    "id_umlaut": Answer("Köln-b"),
    "id_zone": Answer("fe80::1%eth0-b"),
    "named": Answer("c46e1fe5a1b2-c46e1fe5a1b3 c46e1fe5a1b3-c46e1fe5a1b4"),
    "latin1_hostname": Answer("a-b b-c", altered={"names that cannot be shown as they are": 1}),
    "offline_endpoint": Answer("a-b b-c", altered={"links of nodes that are offline": 1}),
    "parallel_wifi_vpn": Answer("a-b b-c", said="beside a better one"),
    "equal_components": Answer("a-b c-d"),
    "nj_down": Answer("a-b", {"links that are down": 1}),
    "openwisp_down": Answer("10.0.0.1-10.0.0.2 10.0.0.2-10.0.0.3", {"links that are down": 1}),
    "olsr_broken": Answer("10.0.0.1-10.0.0.2 10.0.0.2-10.0.0.3", {"links that are down": 1}),
    "olsr_ffeth": Answer("10.0.0.1-10.0.0.2 10.0.0.2-10.0.0.3", {"links that are down": 1}),
    "olsr_multi_iface": Answer("10.0.0.1-10.0.0.2 10.0.0.1-10.0.0.3"),
    "nj_alias": Answer("a-b b-c"),
    "nj_no_cost": Answer("a-b? b-c", altered={UNREADABLE: 1}),
    "nj_cost_0": Answer("a-b? b-c", altered={UNREADABLE: 1}),
    "nj_metric_babel": Answer("a-b? b-c?", said="'babel' is no quality"),
    "nj_metric_ospf": Answer("a-b? b-c?", said="'OSPF' is no quality"),
    "nj_metric_missing": Answer("a-b? b-c?", said="no metric"),
    "nj_collection": Answer("a-b?", said="no metric"),
    "nj_no_type": Answer("a-b?", said="does not say its type"),
    "nj_label_dupnames": Answer("a-b"),
}


def imported(name: str, **wanted: Any) -> Imported:
    return read(str(MAPS / f"{name}.json"), **wanted)


def links(found: Imported) -> str:
    """The links in the notation of `Answer`."""
    topology = found.topology
    known = topology.measured.sum(axis=1)
    marks = np.array(["?", "~", ""])[known]
    return " ".join(
        "-".join(topology.ids[end] for end in ends) + mark
        for ends, mark in zip(topology.ends.tolist(), marks, strict=True)
    )


def test_every_map_has_its_answer_here() -> None:
    """None is forgotten."""
    assert {path.stem for path in MAPS.glob("*.json")} == set(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_the_stated_one(name: str) -> None:
    """What is there is kept, what is odd is left out or altered, and both are counted."""
    answer = ANSWERS[name]
    found = imported(name, all_components=True)
    assert links(found) == answer.links
    assert found.left_out == answer.left_out
    assert found.altered == answer.altered
    assert len(found.said) == sum(found.left_out.values()) + sum(found.altered.values()) or (
        "links that are down" in found.left_out
    )
    assert answer.said in " ".join(found.warnings)


@pytest.mark.parametrize("name", ANSWERS)
def test_every_record_is_accounted_for(name: str) -> None:
    """Used, merged or left out."""
    reading = content.read((MAPS / f"{name}.json").read_bytes(), name)
    told = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
    assert reading.records + reading.implied == told
    assert select(reading, Wanted()).records == reading.records


@pytest.mark.parametrize("name", [name for name, answer in ANSWERS.items() if "?" in answer.links])
def test_loss_is_not_known_where_quality_is_not(name: str) -> None:
    """Who reaches whom is answered; a loss of 0 % is not."""
    topology = imported(name).topology
    pairs = [(a, b) for a in topology.ids for b in topology.ids if a != b]
    found = impact(Intact(topology), Failure.at(), pairs)
    assert found.pairs_connected_before > 0
    assert found.loss is None
    assert found.loss_unknown_pairs
    unknown = [one for one in found.pair_impacts if one.loss_unknown]
    assert len(unknown) == found.loss_unknown_pairs
    assert {one.loss_before for one in unknown} == {None}


def test_costs_of_babel_are_etx() -> None:
    """ETX 4 and, for cable, no loss; the costs are kept as they are."""
    reading = content.read((MAPS / "babel_yanic_cost1024.json").read_bytes(), "babel")
    assert [link.cost for link in reading.links] == [(1024, 1024), (96, 96)]
    topology = imported("babel_yanic_cost1024").topology
    assert (1 / topology.quality.prod(axis=1)).tolist() == pytest.approx([4, 1])


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("type_vpn_fastd_novpn", "b-c"),
        ("one_sided_zero_mixed", "a-b"),
        ("parallel_wifi_vpn", "a-b b-c"),
    ],
)
def test_tunnels_are_left_out_on_request(name: str, left: str) -> None:
    """By whatever name; the radio link beside one stays."""
    found = imported(name, vpn=False)
    assert links(found) == left
    assert found.left_out["vpn links"] == 1


def test_a_radio_link_beside_a_tunnel_is_no_bridge() -> None:
    """The failure of one of two links parts nobody."""
    bridges = single_failures(Intact(imported("parallel_wifi_vpn").topology)).bridges
    assert [bridge.link for bridge in bridges] == ["b--c"]
    alone = single_failures(Intact(imported("parallel_wifi_vpn", vpn=False).topology)).bridges
    assert len(alone) == 2


def test_a_link_that_is_down_leaves_bridges() -> None:
    """The triangle with one link down has 2 bridges and 1 cut node."""
    found = single_failures(Intact(imported("openwisp_down").topology))
    assert len(found.bridges) == 2
    assert [node.node for node in found.spof_nodes] == ["10.0.0.2"]


def test_two_parts_stay_two() -> None:
    """With all parts wanted, no route leads from one to the other."""
    topology = imported("equal_components", all_components=True).topology
    assert topology.n_nodes == 4
    found = impact(Intact(topology), Failure.at(), [("a", "c")])
    assert not found.pair_impacts[0].connected_before


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("named", ("Kirche-Turm", "Rathaus", "Schule")),
        ("latin1_hostname", ("", "", "K\N{REPLACEMENT CHARACTER}ln")),
        ("nj_label_dupnames", ("x", "x")),
    ],
)
def test_names_are_kept(name: str, called: tuple[str, ...]) -> None:
    """Host names and labels stand beside the ids."""
    assert imported(name).topology.nodes.names == called
