"""Seeds and the registry of keys: kept, private, first come, and never repaired by guessing."""

from __future__ import annotations

import json
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from actors.identity.enrolment import REGISTRY, Enrolment, derived_seed, fingerprint, seed_in
from actors.identity.errors import EnrolmentUnreadable

if TYPE_CHECKING:
    from pathlib import Path

USE = "ml-dsa-65"


def test_a_seed_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    """The second run finds it; nobody else may read it; no part of it is left beside it."""
    path = tmp_path / "seed"
    seed = seed_in(path)
    assert seed_in(path) == seed
    assert len(seed) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p for p in tmp_path.iterdir() if p != path and seed in p.read_bytes()] == []


def test_a_seed_of_another_size_is_left_as_it_is(tmp_path: Path) -> None:
    """A new one would silently be another identity; the error tells no byte of it."""
    path = tmp_path / "seed"
    path.write_bytes(b"\xa7" * 31)
    with pytest.raises(EnrolmentUnreadable) as caught:
        seed_in(path)
    assert path.read_bytes() == b"\xa7" * 31
    assert "a7a7" not in str(caught.value)


def test_each_name_mesh_and_use_has_a_seed_of_its_own() -> None:
    """No two of them share a key, and moving a boundary between the parts makes another."""
    seeds = {
        derived_seed(bytes(32), mesh, name, use)
        for mesh, name, use in [
            ("m", "a", "x"),
            ("m", "b", "x"),
            ("n", "a", "x"),
            ("m", "a", "y"),
            ("ma", "", "x"),
        ]
    }
    assert len(seeds) == 5


def test_the_first_key_holds_until_it_is_forgotten(tmp_path: Path) -> None:
    """Another is refused by name; other names are enrolled all the same."""
    registry = Enrolment(tmp_path)
    assert registry.enrol({"a": b"first"}, USE) == []
    assert registry.enrol({"a": b"first"}, USE) == []
    assert registry.enrol({"a": b"other", "b": b"new"}, USE) == ["a"]
    assert registry.enrolled("a", USE) == b"first"
    assert registry.enrolled("b", USE) == b"new"
    assert registry.enrolled("a", "ed25519") is None

    assert registry.names() == {"a", "b"}
    assert registry.forget(["a", "nobody"]) == ["a"]
    assert registry.names() == {"b"}
    assert registry.enrolled("a", USE) is None
    assert registry.enrol({"a": b"other"}, USE) == []


def test_what_one_process_enrols_another_sees(tmp_path: Path) -> None:
    """Also when many enrol at once: none is lost."""
    registries = [Enrolment(tmp_path) for _ in range(8)]
    threads = [
        threading.Thread(target=one.enrol, args=({f"node-{n}": bytes([n])}, USE))
        for n, one in enumerate(registries)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in registries:
        assert [one.enrolled(f"node-{n}", USE) for n in range(8)] == [bytes([n]) for n in range(8)]


@pytest.mark.parametrize(
    "content", ["{", "[1]", '{"a": 1}', '{"a": {"x": "zz"}}', '{"a": {"x": 1}}']
)
def test_a_registry_that_is_none_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    """Nothing is known then, and nothing is enrolled over it."""
    (tmp_path / REGISTRY).write_text(content)
    registry = Enrolment(tmp_path)
    for call in (
        lambda: registry.enrolled("a", USE),
        lambda: registry.enrol({"a": b"k"}, USE),
    ):
        with pytest.raises(EnrolmentUnreadable):
            call()
    assert (tmp_path / REGISTRY).read_text() == content


def test_the_registry_holds_no_secret(tmp_path: Path) -> None:
    """It is what others check by."""
    seed = seed_in(tmp_path / "seed")
    Enrolment(tmp_path).enrol({"a": fingerprint(b"public")}, USE)
    content = (tmp_path / REGISTRY).read_text()
    assert seed.hex() not in content
    assert json.loads(content) == {"a": {USE: fingerprint(b"public").hex()}}
