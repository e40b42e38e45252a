"""SPIFFE IDs are read by the standard's rules, and nothing else is one (rule 8)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.spiffe_id import LONGEST, SpiffeId, parse_trust_domain

DOMAINS = st.text(string.ascii_lowercase + string.digits + ".-_", min_size=1, max_size=255)
SEGMENTS = st.text(string.ascii_letters + string.digits + ".-_", min_size=1, max_size=40).filter(
    lambda text: text not in {".", ".."}
)


@given(DOMAINS, st.lists(SEGMENTS, max_size=8))
def test_every_id_that_the_rules_allow_is_read_as_it_is_written(
    domain: str, segments: list[str]
) -> None:
    """Reading and writing an ID changes nothing."""
    text = "/".join([f"spiffe://{domain}", *segments])
    read = SpiffeId.parse(text)
    assert str(read) == text
    assert (read.trust_domain, read.path) == (domain, "".join(f"/{one}" for one in segments))


@given(st.text(max_size=60))
def test_whatever_is_read_is_canonical(rest: str) -> None:
    """No text at all is read as an ID that is written in another way."""
    try:
        read = SpiffeId.parse(f"spiffe://{rest}")
    except IdentityRefused:
        return
    assert str(read) == f"spiffe://{rest}"
    assert "//" not in read.path
    assert set(rest) <= set(string.ascii_letters + string.digits + ".-_/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "spiffe:///host",
        "https://mesh.example/host",
        "SPIFFE://mesh.example/host",
        "spiffe://Mesh.example/host",
        "spiffe://mesh.example:443/host",
        "spiffe://user@mesh.example/host",
        "spiffe://mesh.example/host?x",
        "spiffe://mesh.example/host#x",
        "spiffe://mesh.example/h%6fst",
        "spiffe://mesh.example/",
        "spiffe://mesh.example/host/",
        "spiffe://mesh.example//host",
        "spiffe://mesh.example/./host",
        "spiffe://mesh.example/../host",
        "spiffe://mesh.example/höst",
        "spiffe://mesh.example/host\n",
        "spiffe://mesh.example\n/host",
        " spiffe://mesh.example/host",
        f"spiffe://{'a' * 256}/host",
    ],
)
def test_what_breaks_a_rule_is_no_id(text: str) -> None:
    """Each rule of the standard refuses what breaks it."""
    with pytest.raises(IdentityRefused) as caught:
        SpiffeId.parse(text)
    assert caught.value.fault is IdentityFault.BAD_SPIFFE_ID


def test_an_id_has_at_most_2048_bytes() -> None:
    """2048 bytes are allowed, one more is not."""
    text = "spiffe://mesh.example/".ljust(LONGEST, "x")
    assert str(SpiffeId.parse(text)) == text
    with pytest.raises(IdentityRefused):
        SpiffeId.parse(f"{text}x")


def test_a_trust_domain_is_named_by_its_name_or_its_id() -> None:
    """Both forms are read; an ID with a path names no trust domain."""
    assert parse_trust_domain("mesh.example") == "mesh.example"
    assert parse_trust_domain("spiffe://mesh.example") == "mesh.example"
    for wrong in ("spiffe://mesh.example/host", "Mesh", "", "a/b"):
        with pytest.raises(IdentityRefused):
            parse_trust_domain(wrong)
