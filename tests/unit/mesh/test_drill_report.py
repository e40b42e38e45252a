"""What a drill of the emulated mesh says in the end."""

from __future__ import annotations

from dataclasses import fields, replace

from actors.mesh.drill.report import LISTED, DrillReport

WELL = DrillReport(
    **{field.name: 0 for field in fields(DrillReport)}  # type: ignore[arg-type]
    | {"scenario": "link", "failed": ["a--b"], "map_changes": []}
)


def test_a_mesh_that_falls_short_is_told() -> None:
    """Each count that must be 0 is one shortcoming."""
    assert WELL.shortcomings == []
    assert replace(WELL, lost_accepted=2, loops=1).shortcomings == [
        "2 accepted messages lost",
        "1 forwarding loops",
    ]


def test_a_map_that_changed_is_all_that_is_told() -> None:
    """By the map of before, what happened is no fault of the mesh."""
    changes = [f"node n{number} is new" for number in range(LISTED + 2)]
    (said,) = replace(WELL, lost_accepted=2, map_changes=changes[:1]).shortcomings
    assert said == "the map changed during the drill: node n0 is new"
    (said,) = replace(WELL, map_changes=changes).shortcomings
    assert said.endswith("node n4 is new; and 2 changes more")


def test_healing_is_measured_where_the_drill_is_a_measure_of_it() -> None:
    """Not by a map that changed, nor after a process was killed, which has to start as well."""
    late = replace(WELL, healed_s=4.0, convergence_bound_s=3.5)
    assert late.healing == (4.0, 3.5)
    assert late.shortcomings == ["healed after the bound of 3.50 s"]
    assert replace(late, healed_s=None).healing == (None, 3.5)
    assert replace(late, scenario="shard-kill").healing is None
    assert replace(late, map_changes=["node a is new"]).healing is None
