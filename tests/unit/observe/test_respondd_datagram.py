"""One answer: what is read, and what is refused for which reason."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.observe.sources.respondd_datagram import (
    MAX_DATAGRAM,
    MAX_JSON,
    REQUEST,
    UnreadableAnswer,
    decode,
)
from loadtests.respondd_nodes import deflated, sections

GOOD = sections(3, 10)


def refused(datagram: bytes) -> str:
    with pytest.raises(UnreadableAnswer) as caught:
        decode(datagram)
    return caught.value.reason


def outcome(datagram: bytes) -> str:
    """The reason for which an answer is refused; `whole` if it is all of the good one."""
    try:
        found = decode(datagram)[1]
    except UnreadableAnswer as fault:
        return fault.reason
    return "whole" if found == GOOD else "part"


def test_the_request() -> None:
    """All sections in one datagram; `GET` asks for a compressed answer."""
    assert REQUEST == b"GET nodeinfo statistics neighbours"


@pytest.mark.parametrize("ended", [True, False])
def test_an_answer_with_and_without_the_end_marker(ended: bool) -> None:  # noqa: FBT001
    """The final block of the deflate stream may be missing."""
    node_id, found = decode(deflated(GOOD, ended=ended))
    assert node_id == "000000000003"
    assert found == GOOD


def test_a_section_may_be_missing() -> None:
    """Some nodes do not answer all; what is unknown is skipped."""
    only = {"statistics": GOOD["statistics"], "wifi": {"node_id": "other"}, "neighbours": None}
    assert decode(deflated(only)) == ("000000000003", {"statistics": GOOD["statistics"]})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_cut_answer_is_truncated(share: float) -> None:
    """Wherever it was cut."""
    whole = deflated(GOOD)
    assert refused(whole[: int(share * len(whole))]) == "truncated answers"


@given(st.integers(min_value=0, max_value=len(deflated(GOOD)) - 1))
def test_no_cut_answer_passes_for_another(length: int) -> None:
    """It is whole, or refused as truncated."""
    cut = deflated(GOOD)[:length]
    assert outcome(cut) in {"whole", "truncated answers"}


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"x" * (MAX_DATAGRAM + 1), "oversized answers"),
        (deflated(" " * (MAX_JSON + 1)), "oversized answers"),
        (b"\xff\xff\xff", "unreadable answers"),
        (json.dumps(GOOD).encode(), "unreadable answers"),
        (deflated([1]), "unreadable answers"),
        (deflated("[" * 100), "unreadable answers"),
        (deflated({}), "answers without one node id"),
        (deflated({"nodeinfo": {"node_id": 7}}), "answers without one node id"),
        (deflated({"nodeinfo": {"node_id": ""}}), "answers without one node id"),
        (deflated({"nodeinfo": {"node_id": "x" * 129}}), "answers without one node id"),
        (
            deflated({"nodeinfo": {"node_id": "a"}, "statistics": {"node_id": "b"}}),
            "answers without one node id",
        ),
    ],
)
def test_what_cannot_be_used(datagram: bytes, reason: str) -> None:
    """Each has its reason."""
    assert refused(datagram) == reason


@pytest.mark.parametrize("text", ["[" * 5000, '{"nodeinfo": ' + "9" * 5000 + "}", '{"a": tru}'])
def test_json_beyond_measure(text: str) -> None:
    """Nesting and numbers that Python's parser refuses in ways of its own."""
    packer = zlib.compressobj(wbits=-15)
    reason = refused(packer.compress(text.encode()) + packer.flush())
    assert reason in {"unreadable answers", "truncated answers"}


def test_a_name_in_another_encoding_costs_that_name() -> None:
    """The rest of the answer is used."""
    text = b'{"nodeinfo": {"node_id": "a", "hostname": "M\xfcller"}}'
    packer = zlib.compressobj(wbits=-15)
    _, found = decode(packer.compress(text) + packer.flush())
    assert found["nodeinfo"]["hostname"] == "M\N{REPLACEMENT CHARACTER}ller"


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(datagram: bytes) -> None:
    """Nothing else happens."""
    assert outcome(datagram)
