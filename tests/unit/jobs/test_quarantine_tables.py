"""What `x0 quarantine` shows and tells."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

from rich.console import Console

from jobs.launch.quarantine_questions import Cleared, Quarantine
from jobs.terminal import quarantine_tables

if TYPE_CHECKING:
    from collections.abc import Iterable

REPORT: dict[str, Any] = {
    "proven": ["n2"],
    "suspected": {"n3": {"by": ["n1", "n4"], "for_s": 12.0}},
    "without_key": [],
    "waiting": 1,
    "believed": 20,
    "forged": 3,
    "malformed": 0,
}
NAMES = {"n2": "roof-north"}


def found(**changes: Any) -> dict[str, Any]:
    """The document of two shards that know the same."""
    answers = {
        "shards": {"mesh-shard-00": REPORT, "mesh-shard-01": REPORT},
        "down": {},
        "liars": 1,
        "paths": None,
        "names": NAMES,
    }
    return quarantine_tables.document(Quarantine(**(answers | changes)))


def shown(lines: Iterable[Any]) -> str:
    """As a terminal of 80 columns shows it."""
    console = Console(file=StringIO(), width=80)
    for line in lines:
        console.print(line)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    return str(text)


def test_who_is_in_quarantine_and_why() -> None:
    """The same by all shards is one line; names are shown, ids told."""
    told = found()
    assert told["proven"] == {"n2": ["mesh-shard-00", "mesh-shard-01"]}
    assert told["suspected"]["n3"]["shards"] == ["mesh-shard-00", "mesh-shard-01"]
    assert told["counts"] == {"believed": 40, "forged": 6, "malformed": 0, "waiting": 2}
    text = shown(quarantine_tables.tables(told))
    assert text.count("roof-north") == 1
    assert "n1, n4" in text
    assert "in quarantine" in text


def test_a_mesh_that_believes_everybody_says_so() -> None:
    """Not that nobody lies."""
    told = found(liars=0, shards={"mesh-shard-00": {}})
    assert told["byzantine"] is False
    assert "X0TTA6BL4_BYZANTINE" in shown(quarantine_tables.tables(told))


def test_destinations_that_liars_could_cut_off_are_named() -> None:
    """Those with no more disjoint paths than there may be liars; and if there is none, that."""
    few = found(paths={"n1": 2, "n2": 1, "n3": 0})
    assert few["fewer_paths_than_needed"] == {"n2": 1, "n3": 0}
    text = shown(quarantine_tables.tables(few))
    assert "2 of 3 nodes have fewer than 2 disjoint paths" in text
    enough = found(paths={"n1": 2, "n2": 2})
    assert "At least 2 disjoint paths lead to each of the 2" in shown(
        quarantine_tables.tables(enough)
    )
    assert found()["fewer_paths_than_needed"] is None


def test_a_shard_that_is_down_is_told() -> None:
    """It may know of more."""
    text = shown(quarantine_tables.tables(found(down={"mesh-shard-01": "it restarts"})))
    assert "mesh-shard-01 does not answer: it restarts" in text


def test_what_became_of_each_pardon() -> None:
    """Who has another key, and who needed none."""
    text = shown(quarantine_tables.cleared(Cleared(("n2",), ("n9",), NAMES)))
    assert "roof-north" in text
    assert "has another key" in text
    assert "n9 is not proven to lie" in text
