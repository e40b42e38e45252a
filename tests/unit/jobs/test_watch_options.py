"""What `x0 watch` and `x0 up --from-observed` make of what they are given."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from actors.mesh.live_source import LiveSource
from actors.observe.observed_source import ObservedSource
from actors.runtime.errors import ConfigurationError, InvalidInput
from actors.runtime.flags import Flags
from actors.topology.provenance import Network
from jobs.cli import app
from jobs.launch import companions, sources
from jobs.launch.companion import Plan, Stage
from jobs.launch.options import mesh_options, observer_options
from jobs.launch.record import SessionRecord
from jobs.terminal import exit_codes
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://user:secret@map.example.org/meshviewer.json"


def settings(state: Path, **given: object) -> Settings:
    return Settings.load(state_dir=state, **given)


def test_a_session_has_its_networks_and_companions_watch_one(tmp_path: Path) -> None:
    """The emulated mesh is watched where there is one: a drill is about it."""
    here = settings(tmp_path)
    observe = sources.given([URL], None)
    observer = observer_options(here, Flags(), observe)
    watch = Plan(here, None, own_cluster=True, observer=observer)
    assert watch.networks == (Network.OBSERVED,)
    assert isinstance(watch.watched, ObservedSource)
    both = replace(watch, mesh=mesh_options(here, Flags(), observe))
    assert both.networks == (Network.EMULATED, Network.OBSERVED)
    assert isinstance(both.watched, LiveSource)
    assert isinstance(both.mesh.observed, ObservedSource)


def test_the_observer_is_started_first(tmp_path: Path) -> None:
    """Everything else is about what it observes; no mesh is needed for it."""
    here = settings(tmp_path)
    observer = observer_options(here, Flags(), sources.given([URL], None))
    chosen = companions.wanted(Plan(here, None, own_cluster=True, observer=observer), minimal=False)
    first = [each.name for each in chosen if each.stage is Stage.FIRST]
    assert first == ["observer"]
    assert "observer" not in {
        each.name
        for each in companions.wanted(
            Plan(here, mesh_options(here, Flags()), own_cluster=True), minimal=False
        )
    }


def test_no_credentials_are_in_what_is_kept(tmp_path: Path) -> None:
    """Neither the record nor the directory repeats the password of a source."""
    here = settings(tmp_path)
    observe = sources.given([URL], None)
    options = observer_options(here, Flags(), observe)
    mesh = mesh_options(here, Flags(), observe)
    for said in (str(options.directory), mesh.topology, str(mesh.shard.directory)):
        assert "secret" not in said
    assert "map.example.org" in mesh.topology


def test_what_is_known_belongs_to_its_sources(tmp_path: Path) -> None:
    """Another network has another memory; the same sources have the same one again."""
    here = settings(tmp_path)

    def directory(*texts: str) -> Path:
        return observer_options(here, Flags(), sources.given(texts, None)).directory

    assert directory(URL) == directory(URL)
    assert directory(URL) != directory("https://other.example.org/nodes.json")


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The observer runs in another working directory."""
    monkeypatch.chdir(tmp_path)
    (source,) = sources.given(["map.json"], None)
    assert source.name == str(tmp_path / "map.json")


def test_sources_of_a_file_are_added(tmp_path: Path) -> None:
    """In words for a try, in a file for a service."""
    file = tmp_path / "sources.toml"
    file.write_text('[[sources]]\nsource = "https://a.example.org/nodes.json"\n')
    found = [source.name for source in sources.given([URL], file)]
    assert found[1:] == ["https://a.example.org/nodes.json"]
    with pytest.raises(InvalidInput, match="no source is given"):
        sources.given([], None)


def test_minimal_observes_nothing(tmp_path: Path) -> None:
    """MINIMAL is an emulated mesh alone; asking for both is an error that says so."""
    here = settings(tmp_path)
    with pytest.raises(ConfigurationError, match="MINIMAL"):
        observer_options(here, Flags(minimal=True), sources.given([URL], None))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["watch"], "x0 source kinds"),
        (["watch", "nosuch:x"], "no such kind"),
        (["up", "--source", "a.json"], "--from-observed"),
        (["up", "--from-observed"], "no source is given"),
        (["up", "--from-observed", "--source", "a", "--topology", "radio:9"], "Give one"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    """Exit code 2, and a remedy."""
    monkeypatch.setenv("X0TTA6BL4_STATE_DIR", str(tmp_path / "state"))
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == exit_codes.BAD_INPUT
    error = json.loads(done.stdout)["error"]
    assert words in f"{error['what']} {error['why']} {error['remedy']}"
    assert not (tmp_path / "state").exists()


def test_a_record_says_what_a_session_is(tmp_path: Path) -> None:
    """`x0 down` tells what it has ended by it, whichever it was."""
    record = SessionRecord(
        address="127.0.0.1:1",
        dashboard_url="",
        namespace="x0",
        own_cluster=True,
        source="",
        pid=1,
        started_at=2.5,
        observed="a.json",
    )
    record.save(tmp_path)
    assert SessionRecord.load(tmp_path) == record
    assert record.what == {"observed network": "a.json"}
    assert replace(record, source="a.json").what == {
        "mesh": "a.json",
        "observed network": "a.json",
    }
