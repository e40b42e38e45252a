"""What `x0 quarantine` shows: who is cut off for lying, and whom liars could cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.twin.named import label_of
from jobs.terminal import reporting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from jobs.launch.quarantine_questions import Cleared, Quarantine

OFF: Final = "every node is believed in this mesh: it was started without X0TTA6BL4_BYZANTINE"
LISTED: Final = 20  # most destinations that are named; --json has all


def document(found: Quarantine) -> dict[str, Any]:
    """The answers of all shards as one document."""
    proven: dict[str, list[str]] = {}
    suspected: dict[str, dict[str, Any]] = {}
    for shard, report in found.shards.items():
        for node in report.get("proven", ()):
            proven.setdefault(node, []).append(shard)
        for node, said in report.get("suspected", {}).items():
            known = suspected.setdefault(node, {"shards": [], **said})
            known["shards"].append(shard)
            known["for_s"] = max(known["for_s"], said["for_s"])
    counts = ("believed", "forged", "malformed", "waiting")
    few = None
    if found.paths is not None:
        few = {node: count for node, count in found.paths.items() if count <= found.liars}
    return {
        "byzantine": found.liars > 0,
        "liars_withstood": found.liars,
        "proven": proven,
        "suspected": suspected,
        "without_key": sorted(
            node for report in found.shards.values() for node in report.get("without_key", ())
        ),
        "counts": {
            key: sum(report.get(key, 0) for report in found.shards.values()) for key in counts
        },
        "disjoint_paths": None if found.paths is None else dict(found.paths),
        "fewer_paths_than_needed": few,
        "names": dict(found.names),
        "down": dict(found.down),
    }


def tables(found: Mapping[str, Any]) -> list[RenderableType | str]:
    """The document for people."""
    down = [f"{shard} does not answer: {why}" for shard, why in found["down"].items()]
    if not found["byzantine"]:
        return [OFF, *down]
    names = found["names"]
    counts = found["counts"]
    rows = [
        (label_of(node, names), "two stories", f"proven, known to {len(shards)} shards")
        for node, shards in found["proven"].items()
    ] + [
        (
            label_of(node, names),
            "suspicion",
            _suspicion(said, names),
        )
        for node, said in found["suspected"].items()
    ]
    shown: list[RenderableType | str] = [
        reporting.pairs(
            "Lying nodes",
            {
                "withstood": f"{found['liars_withstood']}",
                "in quarantine": f"{len(rows)}" if rows else "none",
                "without a key": ", ".join(found["without_key"]) or "none",
                "advertisements": f"{counts['believed']:,} believed, {counts['forged']:,} forged,"
                f" {counts['malformed']:,} malformed, {counts['waiting']:,} wait",
            },
        )
    ]
    if rows:
        shown.append(reporting.table("Quarantine", ("node", "for", "by"), rows))
    return [*shown, *_paths(found), *down]


def _suspicion(said: Mapping[str, Any], names: Mapping[str, str]) -> str:
    by = ", ".join(label_of(each, names) for each in said["by"])
    return f"{by}; for {said['for_s']:.0f} s unless renewed"


def _paths(found: Mapping[str, Any]) -> list[RenderableType | str]:
    few, paths = found["fewer_paths_than_needed"], found["disjoint_paths"]
    if paths is None:
        return []
    needed = found["liars_withstood"] + 1
    if not few:
        return [f"At least {needed} disjoint paths lead to each of the {len(paths)} other nodes."]
    rows = [
        (label_of(node, found["names"]), str(count)) for node, count in list(few.items())[:LISTED]
    ]
    title = f"{len(few)} of {len(paths)} nodes have fewer than {needed} disjoint paths:"
    more = [f"and {len(few) - LISTED} more: see --json"] if len(few) > LISTED else []
    return [title, reporting.table("", ("node", "disjoint paths"), rows), *more]


def cleared(done: Cleared) -> list[RenderableType | str]:
    """What became of each node."""
    return [
        *(
            f"{label_of(node, done.names)} has another key: its links count"
            for node in done.cleared
        ),
        *(
            f"{label_of(node, done.names)} is not proven to lie: nothing to clear"
            for node in done.not_proven
        ),
    ]
