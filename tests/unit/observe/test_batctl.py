"""What batctl prints, and that its queries are run as they should be."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from actors.observe.sources import batctl_answers
from actors.observe.sources.batctl import BatctlSource
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from pathlib import Path

    from actors.topology.network import Reading

HOST = {
    "algo_name": "BATMAN_IV",
    "gw_mode": "client",
    "hard_address": "02:BA:de:af:fe:01",
    "hard_ifname": "enp0s1",
    "mesh_address": "3e:dc:94:68:80:e8",
}
HARDIFS = [
    {"hard_address": "4a:97:a4:b8:fc:17", "hard_ifname": "dummy0", "active": True},
    {"hard_address": "02:ba:de:af:fe:01", "hard_ifname": "enp0s1", "active": True},
]
NEAR, OTHER, FAR = "16:7b:3c:c2:bf:b8", "ae:1b:bf:52:25:58", "12:6d:7d:6f:f9:03"


def originator(orig: str, neigh: str, on: str = "enp0s1", **more: Any) -> dict[str, Any]:
    heard = {"hard_ifname": on, "last_seen_msecs": 4380}
    return {"orig_address": orig, "neigh_address": neigh, **heard, **more}


ORIGINATORS = [
    originator(NEAR, OTHER, tq=236),
    originator(NEAR, NEAR, tq=204, best=True),
    originator(FAR, OTHER, tq=77, best=True),
    originator(OTHER, OTHER, tq=255, best=True),
]
NEIGHBOURS = [
    {"hard_ifname": "enp0s1", "last_seen_msecs": 708, "neigh_address": NEAR},
    {"hard_ifname": "enp0s1", "last_seen_msecs": 1872, "neigh_address": OTHER},
]
GATEWAYS = [{"orig_address": OTHER, "router": OTHER, "best": True, "tq": 236}]


def read(**answers: Any) -> Reading:
    given = {"mesh_json": HOST, "originators_json": ORIGINATORS} | answers
    reading = batctl_answers.read(
        {query: json.dumps(answer).encode() for query, answer in given.items()}, "batctl:test"
    )
    everything = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
    assert reading.records + reading.implied == everything
    return reading


def test_the_host_and_its_neighbours() -> None:
    """A neighbour's quality is that of the way straight to it, not of the way round."""
    reading = read(hardifs_json=HARDIFS, neighbors_json=NEIGHBOURS, gateways_json=GATEWAYS)
    host, near, other = reading.nodes
    assert host.id == "02:ba:de:af:fe:01"
    assert host.addresses == ("02:ba:de:af:fe:01", "3e:dc:94:68:80:e8", "4a:97:a4:b8:fc:17")
    assert (host.gateway, host.nexthop, host.online) == (False, OTHER, True)
    assert (near.id, near.gateway) == (NEAR, False)
    assert (other.id, other.gateway) == (OTHER, True)
    assert [(link.b, link.quality, link.metric) for link in reading.links] == [
        (NEAR, (0.8, None), "tq"),
        (OTHER, (1.0, None), "tq"),
    ]
    assert any("1 nodes behind" in note for note in reading.notes)


def test_without_the_optional_answers_it_is_read_too() -> None:
    """Older versions of batctl lack them."""
    reading = read()
    assert [link.b for link in reading.links] == [NEAR, OTHER]
    assert reading.nodes[0].nexthop == ""


def test_batman_v_has_no_quality() -> None:
    """Throughput is kept as a cost, and said to be no quality."""
    record = originator(NEAR, NEAR, throughput=1000)
    reading = read(mesh_json=HOST | {"algo_name": "BATMAN_V"}, originators_json=[record])
    (link,) = reading.links
    assert link.quality == (None, None)
    assert (link.metric, link.cost) == ("throughput", (1000.0, None))
    assert any("BATMAN_V" in note for note in reading.notes)


def test_a_neighbour_on_two_interfaces_has_two_links() -> None:
    """One of them may be a tunnel."""
    records = [originator(NEAR, NEAR, tq=255), originator(NEAR, NEAR, "mesh-vpn", tq=255)]
    reading = read(originators_json=records)
    assert [link.kind for link in reading.links] == ["other", "vpn"]
    assert len(reading.nodes) == 2


def test_a_neighbour_that_was_not_heard_for_a_minute_is_down() -> None:
    """batman-adv purges it only later."""
    reading = read(originators_json=[originator(NEAR, NEAR, tq=99, last_seen_msecs=150_000)])
    assert not reading.links[0].up


def test_odd_records_cost_themselves() -> None:
    """A quality out of range is not known, and said; an address that is none is left out."""
    records = [
        originator(NEAR, NEAR, tq=999),
        originator("", ""),
        17,
        originator(OTHER, OTHER, tq=255),
    ]
    reading = read(originators_json=records)
    assert [link.quality for link in reading.links] == [(None, None), (1.0, None)]
    assert [each.entry for each in reading.left_out] == ["[1]", "[2]"]
    assert any("tq" in each.entry for each in reading.altered)


@pytest.mark.parametrize("host", [{}, [], {"hard_address": None}, {"hard_address": 7}])
def test_without_the_host_there_is_no_reading(host: Any) -> None:
    """Nobody would know whose neighbours they are."""
    with pytest.raises(TopologyError, match="hard_address"):
        read(mesh_json=host)


FAKE = """
import json, sys
answers = json.load(open({path!r}))
assert sys.argv[1:-1] == ["meshif", "bat 0"], sys.argv
if sys.argv[-1] not in answers:
    sys.exit("batctl: unknown query " + sys.argv[-1])
print(json.dumps(answers[sys.argv[-1]]))
"""


async def test_queries_are_appended_to_the_command(tmp_path: Path) -> None:
    """A program of that kind is run; what it does not know and is optional is done without."""
    answers = {"mesh_json": HOST, "originators_json": ORIGINATORS, "gateways_json": GATEWAYS}
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    program = tmp_path / "batctl"
    program.write_text(f"#!{sys.executable}\n" + FAKE.format(path=str(tmp_path / "answers.json")))
    program.chmod(0o755)
    source = BatctlSource(f"{program} meshif 'bat 0'")
    reading = await source.poll()
    assert len(reading.links) == 2
    (tmp_path / "answers.json").write_text(json.dumps({"originators_json": ORIGINATORS}))
    with pytest.raises(TopologyError, match="unknown query mesh_json"):
        await source.poll()
