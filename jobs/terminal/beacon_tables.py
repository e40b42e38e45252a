"""What `x0 beacons` shows: of each node its epoch and last beacon, of all what was refused."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from jobs.terminal import reporting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

OFF: Final = (
    "nothing has to prove itself in this mesh: it was started without X0TTA6BL4_PQC_BEACONS"
)


def document(shards: Mapping[str, dict[str, Any]], down: Mapping[str, str]) -> dict[str, Any]:
    """The answers of all shards as one document."""
    heard = _heard(shards)
    nodes = [
        {"node": node, "shard": shard, **said, "age_s": heard.get(node)}
        for shard, report in shards.items()
        for node, said in report.get("signing", {}).items()
    ]
    return {
        "pqc_beacons": any(shards.values()) if shards else None,
        "nodes": sorted(nodes, key=lambda row: str(row["node"])),
        "without_key": sorted(_all(shards, "without_key")),
        "refused": _summed(shards, "refused"),
        "handshakes_failed": _summed(shards, "handshakes_failed"),
        "sessions": [
            {"from": shard, "to": peer, **said}
            for shard, report in shards.items()
            for peer, said in report.get("sessions", {}).items()
        ],
        "down": dict(down),
    }


def tables(found: Mapping[str, Any], *, each: bool) -> list[RenderableType | str]:
    """The document for people.

    Args:
        found: the document.
        each: whether each node has a line.
    """
    down = [f"{shard} does not answer: {why}" for shard, why in found["down"].items()]
    if not found["pqc_beacons"]:
        return [*([OFF] if found["pqc_beacons"] is False else []), *down]
    shown: list[RenderableType | str] = [_summary(found)]
    if each:
        columns = ("node", "shard", "epoch begun", "beacons", "last heard, s ago")
        shown.append(reporting.table("Nodes", columns, [_row(row) for row in found["nodes"]]))
    for title, key in (("Refused Hellos", "refused"), ("Failed handshakes", "handshakes_failed")):
        if found[key]:
            rows = sorted(found[key].items(), key=lambda item: -item[1])
            shown.append(reporting.table(title, ("reason", "times"), rows))
    return [*shown, *down]


def _summary(found: Mapping[str, Any]) -> RenderableType:
    ages = [row["age_s"] for row in found["nodes"] if row["age_s"] is not None]
    epochs = [row["epoch"] for row in found["nodes"]]
    sessions = (f"{one['from']} to {one['to']}" for one in found["sessions"])
    without = found["without_key"]
    return reporting.pairs(
        "Signed beacons",
        {
            "nodes that sign": f"{len(epochs):,}",
            "without a key": f"{len(without):,}: {', '.join(without[:3])}" if without else "none",
            "epochs begun": f"{_utc(min(epochs))} to {_utc(max(epochs))}" if epochs else "none",
            "heard by other shards": f"{len(ages):,}",
            "last heard": f"{min(ages):.1f} to {max(ages):.1f} s ago" if ages else "never",
            "sealed sessions": ", ".join(sessions) or "none",
        },
    )


def _row(row: Mapping[str, Any]) -> tuple[object, ...]:
    age = "-" if row["age_s"] is None else f"{row['age_s']:.1f}"
    return row["node"], row["shard"], _utc(row["epoch"]), row["sequence"], age


def _utc(epoch: int) -> str:
    return datetime.fromtimestamp(epoch / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _heard(shards: Mapping[str, dict[str, Any]]) -> dict[str, float]:
    """How long ago each node was last heard by a shard that does not host it, s."""
    heard: dict[str, float] = {}
    for report in shards.values():
        hosted = report.get("signing", {})
        others = {n: said for n, said in report.get("heard", {}).items() if n not in hosted}
        for node, said in others.items():
            heard[node] = min(heard.get(node, said["age_s"]), said["age_s"])
    return heard


def _all(shards: Mapping[str, dict[str, Any]], key: str) -> list[str]:
    return [name for report in shards.values() for name in report.get(key, [])]


def _summed(shards: Mapping[str, dict[str, Any]], key: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for report in shards.values():
        total.update(report.get(key, {}))
    return dict(total)
