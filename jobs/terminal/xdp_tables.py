"""How `x0 xdp` shows attachments, counters and rules to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.xdp.contract import MODE_WORDS
from actors.xdp.layout import GAP_BOUNDS_S
from jobs.terminal import reporting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from actors.xdp.contract import Attached, Attempt, KernelCounters, Rules, XdpCounters

_SHOWN_DENIED = 20  # networks


def attached(found: Attached) -> list[RenderableType | str]:
    """Where a program is attached, and why in no better mode."""
    shown: dict[str, object] = {
        "interface": f"{found.interface} (index {found.ifindex})",
        "mode": f"{found.mode} ({MODE_WORDS[found.mode]})",
        "program": f"{found.program_id}, tag {found.tag}",
        "takes large packets": "yes, in several buffers" if found.frags else "no",
        "stays without a process": f"yes, by {found.pin}" if found.pin else "no",
    }
    shown |= {f"not {attempt.mode}": attempt.reason for attempt in _failed(found.attempts)}
    return [reporting.pairs("Attached", shown)]


def _failed(attempts: Sequence[Attempt]) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.errno != 0]


def status(rows: Sequence[Mapping[str, Any]], unavailable: str) -> list[RenderableType | str]:
    """The interfaces and what is attached to them."""
    cells = [
        [row["interface"], _updown(row), row["mtu"], row["state"], row["mode"] or "-", _what(row)]
        for row in rows
    ]
    columns = ["interface", "is", "MTU", "XDP", "mode", "program"]
    parts: list[RenderableType | str] = [reporting.table("XDP", columns, cells)]
    for row in rows:
        parts += _details(row)
    if unavailable:
        parts.append(f"disabled: {unavailable}")
    return parts


def _updown(row: Mapping[str, Any]) -> str:
    return "up" if row["up"] else "down"


def _what(row: Mapping[str, Any]) -> str:
    if row["program_id"] is None:
        return "-"
    return f"{row['program_id']} {row['name'] or ''}".strip()


def _details(row: Mapping[str, Any]) -> list[str]:
    said = []
    if row["pin"]:
        said.append(f"{row['interface']}: pinned as {row['pin']}")
    if row["state"] == "foreign":
        said.append(f"{row['interface']}: not of this project, tag {row['tag']}; it stays")
    if row["state"] == "attached":
        said += [
            f"{row['interface']}: not {mode}: {why}" for mode, why in row["not_better"].items()
        ]
    if rules := row["rules"]:
        said.append(f"{row['interface']}: {rule_words(rules)}")
    return said


def rule_words(rules: Mapping[str, Any]) -> str:
    """What is dropped, in a phrase."""
    denied = list(rules["denied"])
    more = f" and {len(denied) - _SHOWN_DENIED} more" if len(denied) > _SHOWN_DENIED else ""
    words = f"denies {', '.join(denied[:_SHOWN_DENIED])}{more}" if denied else "denies nobody"
    if rules["limit_pps"] is None:
        return f"{words}, no rate limit"
    pps, burst = rules["limit_pps"], rules["limit_burst"]
    return f"{words}, each source may send {pps:,.10g} packets a second, {burst:,} at once"


def counters(found: XdpCounters) -> list[RenderableType | str]:
    """What the program counted on one interface."""
    parts: list[RenderableType | str] = [
        reporting.table(
            f"{found.interface}: received since the program was attached",
            ["", "packets", "bytes"],
            [[name, tally.packets, tally.bytes] for name, tally in found.actions.items()],
        )
    ]
    if found.peers:
        rows = [
            [peer.address, peer.packets, peer.bytes, _typical(peer.gaps)] for peer in found.peers
        ]
        columns = ["peer", "packets", "bytes", "between packets"]
        parts.append(reporting.table("Peers of most bytes", columns, rows))
    churn = found.churn
    parts.append(
        f"{churn.peers:,} peers and {churn.flows:,} flows are known; {churn.evicted_flows:,} flows"
        f" made room, {churn.untabled:,} packets were of too many new ones"
    )
    return parts


def _typical(gaps: Sequence[int]) -> str:
    """In which bucket the median gap lies, in a few characters."""
    half, seen = sum(gaps) / 2, 0
    if not half:
        return "-"
    for at, count in enumerate(gaps):
        seen += count
        if seen >= half:
            return f"< {_time(GAP_BOUNDS_S[at])}" if at < len(GAP_BOUNDS_S) else "longer"
    raise AssertionError(gaps)


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def kernel(found: KernelCounters) -> list[RenderableType | str]:
    """What the kernel counted by itself."""
    shown = {
        "received": f"{found.received.packets:,} packets, {found.received.bytes:,} bytes",
        "dropped": f"{found.dropped:,} packets, for want of room",
        "counted by": "the kernel, not XDP",
    }
    return [reporting.pairs(found.interface, shown), f"XDP does not count: {found.reason}"]


def rules(interface: str, found: Rules, words: str) -> list[RenderableType | str]:
    """What is dropped on an interface after a change."""
    from dataclasses import asdict

    return [words, f"{interface} {rule_words(asdict(found))}"]
