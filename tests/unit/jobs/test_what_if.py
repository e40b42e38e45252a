"""`x0 what-if` on maps: answers, pictures, and clear words for what cannot be asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app

if TYPE_CHECKING:
    from pathlib import Path

RADIO = ("--topology", "radio:24")
RING = {  # a - b - c - d - a, e hangs at a, and f - g are apart
    "type": "NetworkGraph",
    "protocol": "x",
    "version": "1",
    "metric": "etx",
    "nodes": [{"id": name} for name in "abcdefg"],
    "links": [
        {"source": a, "target": b, "cost": 1.0} for a, b in ("ab", "bc", "cd", "da", "ae", "fg")
    ],
}


def x0(*arguments: str, code: int = 0) -> tuple[str, str]:
    """Stdout and stderr of `x0 what-if` with these arguments."""
    done = CliRunner().invoke(app, ["what-if", *arguments])
    assert done.exit_code == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def answer(*arguments: str, code: int = 0) -> Any:
    """The one JSON object on stdout."""
    return json.loads(x0(*arguments, "--json", code=code)[0])


@pytest.fixture
def ring(tmp_path: Path) -> str:
    path = tmp_path / "ring.json"
    path.write_text(json.dumps(RING))
    return str(path)


@pytest.fixture
def split(ring: str) -> tuple[str, ...]:
    """Options for the map with both its components."""
    return ("--topology", ring, "--all-components")


def test_nodes_and_links_fail_together(split: tuple[str, ...]) -> None:
    """However they are listed, and the second time like the first."""
    ways = [
        ("--fail", "a", "c", "--link", "f,g"),
        ("--fail", "a,c", "--link", "f,g"),
        ("--fail", "a", "--fail", "c", "--link", "g,f"),
    ]
    found = [answer(*split, *way) for way in ways]
    assert found[0] == found[1] == found[2] == answer(*split, *ways[0])
    impact = found[0]["impact"]
    assert impact["failed_nodes"] == ["a", "c"]
    assert impact["failed_links"] == ["f--g"]
    # Of b, d, e and f, g all pairs that were connected are lost.
    assert (impact["pairs_connected_before"], impact["pairs_lost"]) == (4, 4)
    assert found[0]["mesh"]["live"] is False
    assert found[0]["mesh"]["source"] == split[1]
    assert (found[0]["mesh"]["nodes"], found[0]["picture"]) == (7, None)


def test_text_says_what_matters_first(split: tuple[str, ...]) -> None:
    """The mesh, the verdict, who is cut off on each side, losses, and how long it takes."""
    out, _ = x0(*split, "--fail", "a")
    order = [
        "What if a fails?",
        "a map: 7 nodes, 6 links",
        "1 node, 3 links",
        "3 of 7 connected pairs of other nodes lose each other (42.9%)",
        "(it was in 2 parts before)",
        "Who still reaches whom",
        "b, c, d",
        "All alone: e.",
        "Messages lost",
        "first notice",
        "all routes whole again",
    ]
    places = [out.find(words) for words in order]
    assert places == sorted(places), out
    assert -1 not in places, out
    harmless, _ = x0(*split, "--fail", "c")
    assert "Nobody else is cut off from anybody (it was in 2 parts before)." in harmless
    assert "Who still reaches whom" not in harmless


def test_everything_fails(split: tuple[str, ...]) -> None:
    """A failed set that covers the mesh is answered and drawn like any other."""
    out, _ = x0(*split, "--fail", "a,b,c,d,e,f,g")
    assert "Everything fails: nobody is left to be cut off." in out
    impact = answer(*split, "--fail", "a,b,c,d,e,f,g")["impact"]
    assert (impact["surviving_nodes"], impact["pairs"], impact["loss"]) == (0, 0, None)


def test_who_loses_the_internet(ring: str) -> None:
    """Without a gateway it is not known; with one, each failure says whom it cuts off."""
    out, _ = x0("--topology", ring, "--fail", "a")
    assert "No gateway is known, so who loses the internet is not; name them with" in out
    assert "every gateway" not in out
    out, _ = x0("--topology", ring, "--fail", "a", "--gateway", "b,c")
    words = " ".join(out.split())
    assert "5 nodes (of none of them is it known how many clients it has) reach a" in words
    assert "The gateways named here: b, c." in words
    assert "1 node (of none of them is it known how many clients it has) loses every" in words
    found = answer("--topology", ring, "--fail", "a", "--gateway", "b", "--gateway", "c")
    assert found["impact"]["cut_off"] == {"nodes": 1, "clients": None, "clients_known": 0}
    parts = {tuple(one["nodes"]): one["reaches_gateway"] for one in found["impact"]["components"]}
    assert parts == {("b", "c", "d"): True, ("e",): False}
    ranked = answer("--topology", ring, "--all-single", "--gateway", "e", "--rank-by", "nodes")
    assert [
        (one["node"], one["cut_off"]["nodes"]) for one in ranked["single_failures"]["spof_nodes"]
    ] == [("e", 4), ("a", 3)]
    out, _ = x0("--topology", ring, "--all-single", "--gateway", "e")
    assert "The costliest nodes, by nodes that lose every gateway" in out


def test_advice_says_how_far(tmp_path: Path) -> None:
    """A chain over 30 km: only what a radio bridges is proposed, with its distance."""
    path = tmp_path / "chain.json"
    nodes = [
        {"node_id": name, "location": {"latitude": 0, "longitude": 0.05 * at}}
        for at, name in enumerate("abcdef")
    ]
    links = [
        {"source": a, "target": b, "source_tq": 1, "target_tq": 1}
        for a, b in ("ab", "bc", "cd", "de", "ef", "eg")
    ]
    path.write_text(json.dumps({"nodes": [*nodes, {"node_id": "g"}], "links": links}))
    found = answer("--topology", str(path), "--advise", "1", "--max-km", "12")["advice"]
    (link,) = found["links"]
    assert link["km"] == pytest.approx(11.12, abs=0.01)
    assert (found["max_km"], found["unplaced"], found["placed"]) == (12, 1, 6)
    none = answer("--topology", str(path), "--advise", "1")["advice"]
    assert none["links"] == []
    assert none["max_km"] == 10
    out, _ = x0("--topology", str(path), "--advise", "1", "--max-km", "12")
    assert "No link is longer than 12 km" in out
    assert "1 node without a known place is left out (--anywhere)" in out
    far = answer("--topology", str(path), "--advise", "1", "--anywhere", "--max-km", "50")
    assert (len(far["advice"]["links"]), far["advice"]["unplaced"]) == (1, 0)


def test_which_two_must_not_fail_together(ring: str) -> None:
    """Of the ring, opposite nodes and any two links; the bridge e hangs on is no part of it."""
    out, _ = x0("--topology", ring, "--all-double")
    words = " ".join(out.split())
    assert "2 pairs of nodes, 6 of links and" in words
    for what in ("two nodes", "two links", "a node and a link"):
        assert f"The costliest together, {what}, by pairs lost" in words
    found = answer("--topology", ring, "--all-double", "--gateway", "e", "--rank-by", "pairs")
    double = found["double_failures"]
    assert {(one["a"], one["b"]) for one in double["nodes"]} == {("a", "c"), ("b", "d")}
    assert "a--e" not in {one[end] for one in double["links"] for end in ("a", "b")}
    assert double["ranked_by"] == "pairs"


def test_advice_beside_a_failure_says_over_what_it_counts(ring: str, tmp_path: Path) -> None:
    """A scenario may ask of one failure and for advice against all: the words are those of all."""
    path = tmp_path / "scenario.yaml"
    path.write_text("topology: ring.json\nfail: {nodes: [b]}\nadvice: {links: 1}\n")
    out, _ = x0("--scenario", str(path))
    assert "pairs are apart over all single failures as it is" in out
    assert "by this failure" not in out
    out, _ = x0("--topology", ring, "--fail", "a", "--advise", "1")
    assert "3 pairs are apart by this failure as it is" in out


def test_every_single_failure_and_what_to_add(ring: str) -> None:
    """The cut node and bridge, and the link that spares them."""
    found = answer("--topology", ring, "--all-single", "--advise", "1")
    assert [one["node"] for one in found["single_failures"]["spof_nodes"]] == ["a"]
    assert [one["link"] for one in found["single_failures"]["bridges"]] == ["a--e"]
    added = found["advice"]["links"][0]
    assert "e" in {added["a"], added["b"]}
    assert (added["spof_nodes_after"], added["bridges_after"]) == (0, 0)
    out, _ = x0("--topology", ring, "--all-single", "--advise", "1")
    assert "Any one of 4 of the 5 nodes may fail and nobody else is cut off; 1 may not." in out
    assert "Links to add" in out


def test_advice_is_for_the_failure_if_one_is_given(ring: str) -> None:
    """With --fail, the links advised mend that very failure."""
    found = answer("--topology", ring, "--fail", "a", "--advise", "5")["advice"]
    assert found["separated_pairs"] == 3
    assert len(found["links"]) == 1
    assert found["reason"]


def test_random_failures_depend_on_the_seed_alone() -> None:
    """Equal seeds give equal answers, others do not, and --samples is obeyed."""

    def drawn(seed: str) -> Any:
        return answer(*RADIO, "--random", "3", "--samples", "500", "--seed", seed)

    assert drawn("7") == drawn("7")
    assert drawn("7") != drawn("8")
    assert drawn("7")["random_failures"]["pairs_lost"]["samples"] == 500
    out, _ = x0(*RADIO, "--random", "3", "--samples", "500")
    assert "500 random failures of 3 nodes (seed 1)" in out


def test_availability_says_what_it_assumes(ring: str) -> None:
    """Without times, the assumed ones are said; with them, they are used."""
    out, _ = x0("--topology", ring, "--availability")
    assert "Assumed: each node works 2000 between failures and takes 4 to repair" in out
    found = answer("--topology", ring, "--availability", "--mtbf", "9", "--mttr", "1")
    assert found["availability"]["all_up"] == pytest.approx(0.9**5)
    assert found["availability"]["method"] == "enumeration"


def test_the_picture_is_written(ring: str, tmp_path: Path) -> None:
    """--plot writes a PNG, over an old one too, and says what it shows."""
    path = tmp_path / "night.PNG"
    for options in (("--fail", "a"), ("--all-single",)):
        path.write_bytes(b"old")
        found = answer("--topology", ring, *options, "--plot", str(path))
        assert found["picture"] == {"file": str(path), "fails": ["a"]}
        assert path.read_bytes().startswith(b"\x89PNG")
    assert f"Drawn in {path}" in x0("--topology", ring, "--fail", "a", "--plot", str(path))[0]


def test_a_scenario_file_is_answered_whole(ring: str, tmp_path: Path) -> None:
    """Groups, traffic, capacities, cascade and pairs; the topology lies beside the file."""
    assert ring
    path = tmp_path / "tonight.yaml"
    path.write_text(
        """
        name: the mast of a
        topology: ring.json
        all_components: true
        groups: {mast: {links: [[a, b], [a, e]]}}
        fail: {groups: [mast]}
        pairs: [[a, e], [a, c]]
        traffic: {flows: [{source: a, destination: b, rate: 10}]}
        capacity: {default: 100, links: [{ends: [c, d], value: 9}]}
        cascade: {}
        worst_pairs: 3
        random: {k: 1, of: groups, samples: 10, correlation: 0.5}
        availability: {node: {mtbf: 99, mttr: 1}, groups: {mast: {mtbf: 9, mttr: 1}}}
        singles: true
        """
    )
    found = answer("--scenario", str(path))
    assert found["mesh"]["nodes"] == 7
    assert (found["name"], found["impact"]["failed_links"]) == ("the mast of a", ["a--b", "a--e"])
    assert [one["connected_after"] for one in found["impact"]["pair_impacts"]] == [False, True]
    assert [one["link"] for one in found["impact"]["newly_overloaded"]] == ["c--d"]
    assert [one["overloaded"] for one in found["cascade"]["rounds"]] == [["c--d"], []]
    out, _ = x0("--scenario", str(path))
    for shown in (
        "Overloaded then",
        "The pairs asked for",
        "The cascade",
        "The costliest pairs of nodes",
        "10 random failures of 1 groups",
        "What these set off by overload",
        "a reaches e",
    ):
        assert shown in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*RADIO, "--fail", "n0o1"), "no mesh node n0o1: no node has such an id or name. Did you"),
        ((*RADIO, "--link", "n0000,n0000"), "no link n0000--n0000: these nodes are not"),
        ((*RADIO, "--link", "n0000"), "a link has two ends. Write --link A,B"),
        ((*RADIO, "--link", "n0000,"), "a link has two ends"),
        ((*RADIO, "--random", "25"), "cannot draw 25 nodes: there are 24"),
        ((*RADIO,), "nothing is asked: no option says what"),
        ((*RADIO, "--seed", "3"), "nothing is asked: --seed only say how"),
        ((*RADIO, "--all-single", "--samples", "5"), "nothing is drawn"),
        ((*RADIO, "--all-single", "--mtbf", "5"), "it is for --availability"),
        ((*RADIO, "--availability", "--mtbf", "0"), "mtbf: Input should be greater than 0"),
        ((*RADIO, "--seed", "0"), "--seed only say how"),
        ((*RADIO, "--all-single", "--max-km", "5"), "it is for --advise. Give --advise too"),
        ((*RADIO, "--gateway", "n0000"), "--gateway only say how"),
        ((*RADIO, "--all-single", "--rank-by", "size"), "One of clients, nodes, pairs"),
        ((*RADIO, "--random", "1", "--rank-by", "pairs"), "nothing is ranked"),
        ((*RADIO, "--all-single", "--rank-by", "nodes"), "no gateway is known. Name the gateways"),
        ((*RADIO, "--all-single", "--gateway", "nowhere"), "no mesh node nowhere"),
        (("--topology", "radio:0", "--all-single"), "out of range"),
        (("--topology", "nowhere.json", "--all-single"), "nowhere.json"),
        ((*RADIO, "--fail", "n0000", "--plot", "a.jpg"), "it is drawn as PNG"),
        ((*RADIO, "--fail", "n0000", "--plot", "no/such/a.png"), "cannot be written to"),
        (("--scenario", "nowhere.yaml"), "No such file"),
        (("--scenario", "/"), "Is a directory"),
    ],
)
def test_what_cannot_be_asked_is_said(arguments: tuple[str, ...], said: str) -> None:
    """One line on stderr with the remedy, exit code 1, and with --json an object on stdout too."""
    out, err = x0(*arguments, code=2)
    assert out == ""
    assert said in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("error: ")
    error = answer(*arguments, code=2)["error"]
    assert set(error) == {"type", "what", "why", "remedy"}


def test_a_picture_over_a_directory_is_refused_first(ring: str, tmp_path: Path) -> None:
    """Before anything is computed or read."""
    folder = tmp_path / "dir.png"
    folder.mkdir()
    _, err = x0("--topology", ring, "--fail", "a", "--plot", str(folder), code=2)
    assert "is a directory" in err
    assert "reading" not in err


def test_options_and_files_do_not_contradict_each_other(ring: str, tmp_path: Path) -> None:
    """Questions are in the file or in options, and so is the topology."""
    path = tmp_path / "scenario.yaml"
    path.write_text("fail: {nodes: [a]}\ntopology: ring.json\n")
    _, err = x0("--scenario", str(path), "--fail", "a", code=2)
    assert "cannot use --scenario and --fail: the file says what is asked" in err
    _, err = x0("--scenario", str(path), "--topology", ring, code=2)
    assert "the file names a topology too" in err
    path.write_text("fail: {nodes: [a]}\n")
    found = answer("--scenario", str(path), "--topology", ring)
    assert found["impact"]["pairs_lost"] == 3


def test_wrong_usage_is_exit_code_2() -> None:
    """Numbers out of range and options without a value, as of every command."""
    for arguments in (["--random", "0"], ["--advise", "101"], ["--samples", "1"], ["--fail"]):
        assert CliRunner().invoke(app, ["what-if", *arguments]).exit_code == 2


def test_help_teaches() -> None:
    """--help has examples of the three questions that people come with."""
    out, _ = x0("--help")
    words = " ".join(out.split())
    for shown in ("--fail n0042", "--all-single --advise 3", "--random 5", "tonight"):
        assert shown in words
