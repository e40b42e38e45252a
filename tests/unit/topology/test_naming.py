"""What people write of nodes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.ids import is_node_id
from actors.topology import naming
from actors.topology.errors import AmbiguousNode, UnknownNode
from actors.topology.naming import Naming

NAMES = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ,, ", ["a", "b"]),
        ("", []),
        ('"Tower, south",b', ["Tower, south", "b"]),
        ("Kirchturm Süd", ["Kirchturm Süd"]),
        ('a"b,c', ['a"b', "c"]),
        ('"a"b,c', ['"a"b', "c"]),
        ('"open,c', ['"open', "c"]),
    ],
)
def test_a_list_of_names(text: str, names: list[str]) -> None:
    """Commas part names; quotes keep one together; a quote that closes nothing is a character."""
    assert naming.listed(text) == names


@given(st.lists(NAMES.filter(is_node_id), min_size=1, max_size=5))
def test_what_csv_writes_is_read(names: list[str]) -> None:
    """Any ids can be listed."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    assert naming.listed(line.getvalue()) == names


IDS = ("a1", "a2", "b1", "c1", "Post", "n7", "n70", "x (c1)")
CALLED = ("Kirchturm Süd", "Schule", "Schule", "Kirchplatz", "", "post", "", "")
NAMING = Naming({node: at for at, node in enumerate(IDS)}, CALLED)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a1", "a1"),  # an id
        ("n7", "n7"),  # an id that is the beginning of another
        ("Post", "Post"),  # an id, though it is a name in another spelling
        ("post", "n7"),  # a name
        ("Kirchturm Süd", "a1"),
        ("Kirchturm Süd (a1)", "a1"),  # as tables show it
        ("Schule (b1)", "b1"),
        ("x (c1)", "x (c1)"),
        ("kirchturm süd", "a1"),
        ("KIRCHTURM SU\u0308D", "a1"),  # composed of two characters
        ("kircht", "a1"),  # the beginning of a name
        ("c", "c1"),  # the beginning of an id
    ],
)
def test_a_node_is_found(text: str, found: str) -> None:
    """By id, by what tables show, by name in any spelling, by the beginning of one."""
    assert IDS[NAMING.find(text)] == found


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("Schule", ["Schule (a2)", "Schule (b1)"]),
        ("schule", ["Schule (a2)", "Schule (b1)"]),
        ("POST", ["Post", "post (n7)"]),
        ("kirch", ["Kirchplatz (c1)", "Kirchturm Süd (a1)"]),
        ("a", ["Kirchturm Süd (a1)", "Schule (a2)"]),
    ],
)
def test_what_fits_several_is_refused_with_all_of_them(text: str, candidates: list[str]) -> None:
    """Nothing is guessed; the ids are there to be given instead."""
    with pytest.raises(AmbiguousNode) as caught:
        NAMING.find(text)
    assert sorted(caught.value.why.partition(": ")[2].split(", ")) == sorted(candidates)


@pytest.mark.parametrize("text", ["", "zzz", " ", "Schule (a1)", "Kirchturm Süd (a1) "])
def test_what_fits_none_is_unknown(text: str) -> None:
    """An empty text is not the beginning of everything."""
    with pytest.raises(UnknownNode):
        NAMING.find(text)


def test_a_mistyped_name_is_met_with_the_close_ones() -> None:
    """Names are suggested as ids are."""
    with pytest.raises(UnknownNode, match="Did you mean Kirchturm Süd"):
        NAMING.find("Kirchtrum Süd")


def test_a_program_gives_an_id_or_a_whole_name() -> None:
    """Beginnings and other spellings are for people alone."""
    assert IDS[NAMING.exact("Post")] == "Post"
    assert IDS[NAMING.exact("Kirchplatz")] == "c1"
    for text in ("Kirchpl", "kirchplatz", "c", ""):
        with pytest.raises(UnknownNode):
            NAMING.exact(text)
    with pytest.raises(AmbiguousNode):
        NAMING.exact("Schule")


def test_many_candidates_are_counted() -> None:
    """An error stays short however many nodes it is about."""
    many = Naming({f"n{n}": n for n in range(2000)}, [""] * 2000)
    with pytest.raises(AmbiguousNode, match="2000 nodes begin with it") as caught:
        many.find("n")
    assert len(str(caught.value)) < 300


NODES = st.lists(
    st.tuples(NAMES.filter(is_node_id), st.text("aAbü ", max_size=4).map(str.strip)),
    unique_by=lambda node: node[0],
    min_size=1,
    max_size=12,
)


@given(NODES)
def test_every_node_is_found_by_its_id_and_by_its_label(nodes: list[tuple[str, str]]) -> None:
    """Whatever others are called, an id leads to its node; so does a label that is no other's."""
    ids = [node for node, _ in nodes]
    labels = [naming.label(*node) for node in nodes]
    named = Naming({node: at for at, node in enumerate(ids)}, [name for _, name in nodes])
    for at, node in enumerate(ids):
        assert named.find(node) == named.exact(node) == at
        if labels[at] not in ids and labels.count(labels[at]) == 1:
            assert named.find(labels[at]) == at


@given(NODES, st.text("aAbü", max_size=2))
def test_what_is_found_fits_and_no_other_node_fits_better(
    nodes: list[tuple[str, str]], text: str
) -> None:
    """A name or a beginning leads to a node only if it is that of no other one."""
    named = Naming({node: at for at, (node, _) in enumerate(nodes)}, [name for _, name in nodes])
    try:
        at = named.find(text)
    except (UnknownNode, AmbiguousNode):
        return
    if nodes[at][0] == text:
        return
    assert text
    same = [n for n, (_, name) in enumerate(nodes) if name == text]
    begin = [
        n for n, both in enumerate(nodes) if any(e.lower().startswith(text.lower()) for e in both)
    ]
    assert at in begin
    assert same == [at] or len(begin) == 1 or text.lower() in map(str.lower, nodes[at])


@given(NODES, st.text("aAbü", max_size=2))
def test_what_is_offered_is_found(nodes: list[tuple[str, str]], text: str) -> None:
    """Each completion leads to its node, and there are no more than asked for."""
    named = Naming({node: at for at, (node, _) in enumerate(nodes)}, [name for _, name in nodes])
    offered = named.completions(text, 5)
    assert len(offered) <= 5
    for called, other in offered.items():
        node, name = nodes[named.find(called)]
        assert {called, other} <= {node, name}
