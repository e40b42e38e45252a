"""Settings and flags as options of a mesh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from actors.mesh.status_document import flags_of
from actors.runtime.flags import Flags
from jobs.launch.options import absolute, journal_directory, mesh_options
from serve_apps.settings import Settings

if TYPE_CHECKING:
    import pytest

SETTINGS = st.builds(
    lambda **values: Settings(state_dir=Path("/state"), **values),
    topology=st.sampled_from(["radio:144", "radio:14", "radio:144:2", "/a/x.json", "/b/x.json"]),
    vpn=st.booleans(),
    all_components=st.booleans(),
    shards=st.integers(1, 4),
    hello_s=st.sampled_from([0.2, 1.0]),
    seed=st.integers(0, 3),
)
FLAGS = st.sampled_from(
    [
        Flags(),
        Flags(failover=True),
        Flags(minimal=True),
        Flags(pqc_beacons=True),
        Flags(byzantine=True),
    ]
)


def numbering(settings: Settings) -> tuple[object, ...]:
    """All that decides which node has which index and partition."""
    return settings.topology, settings.vpn, settings.all_components, settings.shards


@given(SETTINGS, SETTINGS)
def test_journals_are_shared_exactly_by_equal_numberings(one: Settings, other: Settings) -> None:
    """Two meshes have one journal directory if and only if node indices mean the same in both."""
    same = journal_directory(one) == journal_directory(other)
    assert same == (numbering(one) == numbering(other))


@given(SETTINGS, FLAGS)
def test_flags_survive_the_way_through_options(settings: Settings, flags: Flags) -> None:
    """The flags of a running mesh can be told from its options."""
    assert flags_of(mesh_options(settings, flags)) == flags


def test_a_path_is_made_absolute_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors in other working directories read the same map."""
    monkeypatch.chdir("/tmp")  # noqa: S108 - any directory does
    monkeypatch.setenv("HOME", "/home/someone")
    assert absolute("maps/a.json") == "/tmp/maps/a.json"  # noqa: S108 - the same
    assert absolute("~/a.json") == "/home/someone/a.json"
    assert absolute("radio:9:4") == "radio:9:4"
    assert absolute("https://example.org/m.json") == "https://example.org/m.json"


def test_minimal_polls_no_topology() -> None:
    """MINIMAL leaves everything as it is except that the source is read once."""
    settings = Settings(state_dir=Path("/state"), topology="https://example.org/m.json")
    usual, minimal = (mesh_options(settings, flags) for flags in (Flags(), Flags(minimal=True)))
    assert usual.refresh_s == 30.0
    assert minimal.refresh_s > 10 * 365 * 86400
    assert minimal.shard == usual.shard


def test_credentials_of_a_url_are_not_in_the_name_of_a_directory() -> None:
    """A journal directory is readable and does not repeat what a URL keeps secret."""
    settings = Settings(
        state_dir=Path("/state"), topology="https://me:hunter2@example.org/Map.json?token=s3cret"
    )
    directory = journal_directory(settings)
    assert directory.parent == Path("/state/mesh")
    assert directory.name.startswith("map-json-")
    assert not {"hunter2", "s3cret"} & set(directory.name.split("-"))
    assert len(directory.name) < 64
