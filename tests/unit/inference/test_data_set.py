"""Data sets are read whole, in part, or refused with the reason."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_apps.inference.data_set import read, write
from serve_apps.inference.errors import DataSetUnusable
from tests.unit.inference.made_data_set import made_data_set

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set on disk."""
    write(made_data_set(n_incidents=8), tmp_path / "set")
    return tmp_path / "set"


def test_what_is_written_is_read_again(folder: Path) -> None:
    """Graph, times, every value, every incident; nothing is noted."""
    made, found = made_data_set(n_incidents=8), read(folder)
    assert found.notes == ()
    assert found.incidents == made.incidents
    assert found.telemetry.graph.nodes == made.telemetry.graph.nodes
    np.testing.assert_array_equal(found.telemetry.graph.ends, made.telemetry.graph.ends)
    np.testing.assert_array_equal(found.telemetry.times, made.telemetry.times)
    assert set(found.telemetry.metrics) == set(made.telemetry.metrics)
    for name, metric in made.telemetry.metrics.items():
        again = found.telemetry.metrics[name]
        assert (again.place, again.names) == (metric.place, metric.names)
        np.testing.assert_array_equal(again.at, metric.at)
        np.testing.assert_array_equal(again.values, metric.values)


def test_what_is_bad_costs_itself_alone(folder: Path) -> None:
    """A bad cell, row, column, file, link and incident each; the rest stays; all are told."""
    cpu = folder / "metrics" / "cpu.csv.gz"
    lines = gzip.decompress(cpu.read_bytes()).decode().splitlines()
    lines[1] = lines[1].rsplit(",", 1)[0] + ",inf"
    lines[2] = "yesterday" + lines[2][lines[2].index(",") :]
    lines.append(lines[3])
    lines = [line + (",ghost" if at == 0 else ",1") for at, line in enumerate(lines)]
    lines[4] += ",7"
    cpu.write_bytes(gzip.compress("\n".join(lines).encode()))
    (folder / "metrics" / "broken.csv.gz").write_bytes(b"\x1f\x8b\x08nothing")
    (folder / "metrics" / "notes.txt").write_text("hello")
    told = json.loads((folder / "topology.json").read_text())
    told["links"].append({"id": "ad", "ends": ["a", "nobody"]})
    (folder / "topology.json").write_text(json.dumps(told))
    with (folder / "incidents.csv").open("a") as file:
        file.write("x1,2020-01-01T00:00:00,2020-01-01T00:01:00+00:00,k,a,,1\n")
        file.write("x2,1999-01-01T00:00:00+00:00,1999-01-01T00:01:00+00:00,k,a,,1\n")
        file.write("x3,2020-09-13T12:30:00+00:00,2020-09-13T12:31:00+00:00,k,nobody,,1\n")

    found = read(folder)
    made = made_data_set(n_incidents=8)
    values = found.telemetry.metrics["cpu"].values
    assert np.isnan(values[0, 3])
    assert np.isnan(values[1]).all()
    assert np.isnan(values[3]).all()
    np.testing.assert_array_equal(values[4:], made.telemetry.metrics["cpu"].values[4:])
    assert found.incidents == made.incidents
    assert found.telemetry.graph.links == made.telemetry.graph.links
    notes = "\n".join(found.notes)
    for said in (
        "line 3",
        "ghost",
        "broken",
        "notes.txt",
        "links[4]",
        "ISO 8601",
        "no row of",
        "names a node",
    ):
        assert said in notes
    assert "and 1 more" in notes


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        ("topology.json", b"{"),
        ("topology.json", b"[]"),
        ("topology.json", b'{"nodes": [3, ""]}'),
        ("topology.json", b"\xff\xfe"),
        ("incidents.csv", None),
    ],
)
def test_a_folder_of_which_nothing_is_left_is_refused(
    folder: Path, entry: str, content: bytes | None
) -> None:
    """With the part that is wrong, and what a data set is."""
    (folder / entry).unlink()
    if content is not None:
        (folder / entry).write_bytes(content)
    with pytest.raises(DataSetUnusable, match=r"Give a folder with") as caught:
        read(folder)
    assert caught.value.entry == entry


def test_no_folder_and_no_metrics_are_refused(folder: Path) -> None:
    """Each with its own reason."""
    with pytest.raises(DataSetUnusable, match="no folder"):
        read(folder / "nowhere")
    for path in (folder / "metrics").iterdir():
        path.unlink()
    with pytest.raises(DataSetUnusable, match="no metric"):
        read(folder)
