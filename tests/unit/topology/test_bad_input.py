"""Bad maps: each is refused with the file, the entry and a remedy, whatever is wrong."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.topology.errors import TopologyError
from actors.topology.fetch import fetch_file, shown
from actors.topology.selection import Wanted
from actors.topology.source import TopologyFeed, parse, read

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {
    "timestamp": "2020-03-03T14:26:09+0100",
    "nodes": [{"node_id": "a"}, {"node_id": "b"}, {"node_id": "c"}],
    "links": [
        {"source": "a", "target": "b", "source_tq": 1, "target_tq": 0.5, "type": "wifi"},
        {"source": "b", "target": "c", "source_tq": 0.9, "target_tq": 0.8, "type": "wifi"},
    ],
}
GONE = object()


def broken(path: list[str | int], value: object) -> bytes:
    """GOOD with one value replaced, or taken out where `value` is GONE."""
    root = copy.deepcopy(GOOD)
    holder: Any = root
    for step in path[:-1]:
        holder = holder[step]
    if value is GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return json.dumps(root).encode()


@pytest.mark.parametrize(
    ("path", "value", "entry", "why"),
    [
        (["nodes"], {}, "nodes", "no node"),
        (["nodes"], [], "nodes", "no node"),
        (["nodes"], 3, "nodes", "a number"),
        (["nodes"], [{"node_id": ""}], "nodes", "no node ('' is not a node id)"),
        (["links"], [], "links", "no usable link"),
        (["links"], None, "links", "null"),
        (["links"], {"a": 1}, "links", "an object"),
    ],
)
def test_a_faulty_document_is_refused(
    tmp_path: Path, path: list[str | int], value: object, entry: str, why: str
) -> None:
    """A map without nodes or without links is refused, and the place is named."""
    file = tmp_path / "map.json"
    file.write_bytes(broken(path, value))
    with pytest.raises(TopologyError) as caught:
        read(str(file))
    assert caught.value.source == str(file)
    assert caught.value.entry == entry
    text = str(caught.value)
    assert str(file) in text
    assert f" at {entry}" in text
    assert why in caught.value.why
    assert caught.value.remedy in text
    assert pickle.loads(pickle.dumps(caught.value)).entry == entry  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("path", "value", "reason", "entry", "why"),
    [
        (["nodes", 2], "c", "records that are no objects", "nodes[2]", "a string"),
        (["nodes", 2, "node_id"], GONE, "nodes with strange ids", "nodes[2].node_id", "null"),
        (["nodes", 2, "node_id"], 1.5, "nodes with strange ids", "nodes[2].node_id", "a number"),
        (["nodes", 2, "node_id"], "x\n", "nodes with strange ids", "nodes[2].node_id", "'x"),
        (["nodes", 2, "node_id"], "x" * 129, "nodes with strange ids", "nodes[2].node_id", "..."),
        (["nodes", 2, "node_id"], "b", "nodes with the id of another", "nodes[2].node_id", "b"),
        (["links", 1], [], "records that are no objects", "links[1]", "a list"),
        (["links", 1, "source"], GONE, "dangling links", "links[1]", "null"),
        (["links", 1, "source"], 5, "dangling links", "links[1]", "a number"),
        (["links", 1, "source"], ["a"], "dangling links", "links[1]", "a list"),
        (["links", 1, "target"], "zz", "dangling links", "links[1]", "'zz' is not among the nodes"),
        (["links", 1, "target"], "b", "links from a node to itself", "links[1]", "b"),
    ],
)
def test_an_odd_record_costs_that_record(
    path: list[str | int], value: object, reason: str, entry: str, why: str
) -> None:
    """It is left out, counted and named, and the rest of the map is read."""
    imported = parse(broken(path, value), "map.json", Wanted())
    assert imported.left_out[reason] == 1
    said = next(each for each in imported.said if each.reason == reason)
    assert said.entry == entry
    assert why in said.why
    assert imported.topology.ids == ("a", "b")
    assert imported.topology.quality.tolist() == [[1.0, 0.5]]


@pytest.mark.parametrize(
    "value", [GONE, None, True, "1", -0.1, 1.01, 255, float("nan"), float("inf"), 10**400, [], {}]
)
def test_a_quality_that_cannot_be_read_is_not_known(value: object) -> None:
    """The other direction stands for it, it is no measurement, and it is said."""
    many = [
        {"source": "a", "target": "b", "source_tq": 1, "target_tq": 0.5, "type": "wifi"}
    ] * 20  # so that one value above 1 is no sign of throughputs
    root = copy.deepcopy(GOOD)
    root["links"] += many
    if value is GONE:
        del root["links"][1]["target_tq"]
    else:
        root["links"][1]["target_tq"] = value
    imported = parse(json.dumps(root).encode(), "map.json", Wanted())
    topology = imported.topology
    assert topology.quality[1].tolist() == [0.9, 0.9]
    assert topology.measured[1].tolist() == [True, False]
    assert imported.altered["links with an unreadable quality"] == 1
    said = next(each for each in imported.said if "quality" in each.reason)
    assert said.entry.startswith("links[1]")


@pytest.mark.parametrize("value", [3, [], {}])
def test_a_kind_that_is_no_text_is_another(value: object) -> None:
    """The link stays, and its kind is `other`."""
    imported = parse(broken(["links", 1, "type"], value), "map.json", Wanted())
    assert imported.altered == {"unreadable fields": 1}
    assert imported.said[0].entry == "links[1].type"
    topology = imported.topology
    assert [topology.kinds[kind] for kind in topology.kind] == ["wifi", "other"]


def test_the_unbroken_map_reads() -> None:
    """The map that these tests break is good."""
    assert parse(json.dumps(GOOD).encode(), "map.json", Wanted()).topology.n_links == 2


@pytest.mark.parametrize(
    ("body", "entry", "why"),
    [
        (b"", "", "empty"),
        (b" \n", "", "empty"),
        (b"<!DOCTYPE html>", "line 1 column 1", "not JSON"),
        (b'{"nodes": [],\n "links": [}', "line 2 column 12", "not JSON"),
        (b"\x1f\x8b\x08\x00", "line 1 column 1", "not UTF-8"),
        (b"[" * 200_000, "", "nested too deeply"),
        (b'{"nodes":' * 200_000, "", "nested too deeply"),
        (b'{"x": ' + b"9" * 5000 + b"}", "", "thousands of digits"),
        (b"[]", "", "no format"),
        (b"null", "", "no format"),
        (b"{}", "", "no format"),
        (b'{"timestamp": "2020", "nodes": {}}', "", "no format"),
        (b'{"type": "NetworkRoutes", "routes": []}', "", "no format"),
        (b'{"type": "NetworkGraph", "metric": "ETX"}', "nodes", "missing"),
        (b'{"type": "NetworkGraph", "nodes": [], "links": []}', "nodes", "no node"),
        (b'{"type": "NetworkGraph", "nodes": [{}], "links": []}', "nodes", "no node"),
    ],
)  # fmt: skip
def test_what_is_no_map_is_refused(body: bytes, entry: str, why: str) -> None:
    """Bodies that are not JSON, not a map or empty are refused and say where it went wrong."""
    with pytest.raises(TopologyError) as caught:
        parse(body, "map.json", Wanted())
    assert caught.value.entry == entry
    assert why in caught.value.why
    assert "map.json" in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
STEPS = st.sampled_from(
    [
        ["nodes"], ["links"], ["nodes", 0], ["nodes", 0, "node_id"], ["links", 0],
        ["links", 0, "source"], ["links", 0, "target"], ["links", 0, "source_tq"],
        ["links", 0, "target_tq"], ["links", 0, "type"], ["type"], ["timestamp"],
    ]
)  # fmt: skip


@given(STEPS, JSON)
def test_any_value_anywhere_reads_or_is_refused(path: list[str | int], value: object) -> None:
    """Whatever stands in any place, the outcome is a topology or a TopologyError."""
    with contextlib.suppress(TopologyError):
        assert parse(broken(path, value), "map.json", Wanted()).topology.n_links >= 1


@given(st.binary(max_size=60))
def test_any_bytes_read_or_are_refused(body: bytes) -> None:
    """No bytes at all make the reader fail in another way."""
    with pytest.raises(TopologyError):
        parse(body, "map.json", Wanted())


def test_what_is_not_a_readable_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a directory and a FIFO are refused at once, by their names."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, why in [
        (tmp_path / "none.json", "no such file"),
        (tmp_path, "a directory"),
        (fifo, "not a regular file"),
        ("nul\0byte", "embedded null"),
        ("~no-such-user-here/map.json", "home directory"),
    ]:
        with pytest.raises(TopologyError) as caught:
            read(str(path))
        assert why in caught.value.why
        assert str(path) in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    """A file that this user may not read is refused by name."""
    file = tmp_path / "map.json"
    file.write_bytes(json.dumps(GOOD).encode())
    file.chmod(0)
    with pytest.raises(TopologyError, match="permission denied"):
        read(str(file))


def test_an_error_while_reading_is_refused() -> None:
    """A file that opens and then cannot be read (no memory is mapped at 0) is refused."""
    with pytest.raises(TopologyError, match="input/output error") as caught:
        read("/proc/self/mem")
    assert "may read" in caught.value.remedy


def test_a_file_of_a_gigabyte_is_refused(tmp_path: Path) -> None:
    """A file beyond the bound is refused without being read whole."""
    file = tmp_path / "map.json"
    with file.open("wb") as body:
        body.truncate(2**30)
    with pytest.raises(TopologyError, match="larger than 64 MiB"):
        read(str(file))


def test_the_bound_itself_is_allowed(tmp_path: Path) -> None:
    """A file of exactly the bound reads; one byte more does not."""
    file = tmp_path / "map.json"
    file.write_bytes(b"x" * 100)
    fetched = fetch_file(str(file), max_bytes=100)
    assert fetched is not None
    assert len(fetched.body) == 100
    with pytest.raises(TopologyError, match="larger"):
        fetch_file(str(file), max_bytes=99)


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    """A file of known inode, size and time gives None; a file put in its place gives its body."""
    file = tmp_path / "map.json"
    file.write_bytes(b"one")
    fetched = fetch_file(str(file))
    assert fetched is not None
    assert fetch_file(str(file), fetched.validators) is None
    (tmp_path / "new.json").write_bytes(b"two")
    (tmp_path / "new.json").replace(file)
    again = fetch_file(str(file), fetched.validators)
    assert again is not None
    assert again.body == b"two"


async def test_a_file_feed_says_only_what_is_new(tmp_path: Path) -> None:
    """A feed on a file gives it once, again after a change, and survives a bad version."""
    file = tmp_path / "map.json"
    file.write_bytes(json.dumps(GOOD).encode())
    feed = TopologyFeed(str(file))
    first = await feed.poll()
    assert first is not None
    assert await feed.poll() is None

    file.write_bytes(json.dumps(GOOD | {"timestamp": "2020-03-03T15:00:00+0100"}).encode())
    assert await feed.poll() is None  # another time stamp, the same mesh

    file.write_bytes(b"half a m")
    with pytest.raises(TopologyError, match="not JSON"):
        await feed.poll()
    with pytest.raises(TopologyError, match="not JSON"):
        await feed.poll()  # still bad: it is not taken for an unchanged good one

    file.write_bytes(broken(["links", 0, "source_tq"], 0.25))
    second = await feed.poll()
    assert second is not None
    assert second.topology != first.topology

    file.write_bytes(broken(["nodes", 0, "hostname"], "belfry"))
    await feed.poll()
    file.write_bytes(broken(["nodes", 0, "hostname"], "church"))
    third = await feed.poll()
    assert third is not None
    assert "church" in third.topology.nodes.names


async def test_a_made_up_feed_never_changes() -> None:
    """A generated mesh is new once."""
    feed = TopologyFeed("radio:20")
    first = await feed.poll()
    assert first is not None
    assert (first.format, first.topology.n_nodes) == ("radio", 20)
    assert await feed.poll() is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("maps/a.json", "maps/a.json"),
        ("https://example.org/m.json", "https://example.org/m.json"),
        ("https://me:canary@example.org:8443/m.json?token=canary", "https://example.org:8443/m.json?..."),
        ("http://canary@[::1]:80/m.json#canary", "http://[::1]:80/m.json"),
        ("http://me:canary/canary@host/m.json", "http://..."),
    ],
)  # fmt: skip
def test_shown_sources_carry_no_credentials(source: str, expected: str) -> None:
    """User, password, query and fragment are not shown, also where they break the URL."""
    assert shown(source) == expected


@pytest.mark.parametrize(
    "source",
    ["ftp://me:canary@host/x", "http://me:canary/canary@host/x", "http://", "file:///etc/passwd",
     "http://me:canary@host:99999/x"],
)  # fmt: skip
def test_urls_that_are_not_http_are_refused(source: str) -> None:
    """Other schemes and malformed URLs are refused before anything is opened, secrets unseen."""
    with pytest.raises(TopologyError) as caught:
        read(source)
    assert "canary" not in str(caught.value)
    assert "canary" not in caught.value.source
    assert "http(s)" in caught.value.remedy
