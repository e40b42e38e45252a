"""Identities as people read them, in 80 columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from actors.identity.exported import span
from jobs.terminal import moments, reporting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from actors.identity.contract import AuthorityStatus, IdentityStatus


def status(
    found: IdentityStatus, embedded: AuthorityStatus | None, failed: str, now: float
) -> Iterator[RenderableType | str]:
    """How the identity of a host is.

    Args:
        found: what it holds.
        embedded: the session's own authority; None: there is none.
        failed: why the authority cannot be used, or "".
        now: Unix time, s.
    """
    yield f"{found.host}: {found.state or 'no SVID has come yet'}"
    if failed:
        yield f"NOT WELL: {failed}"
    if found.svids:
        rows = [
            [
                each.spiffe_id,
                each.hint,
                moments.short(each.not_after),
                span(each.not_after - now) if each.not_after > now else "expired",
            ]
            for each in found.svids
        ]
        yield reporting.table("SVIDs", ["SPIFFE ID", "for", "until", "left"], rows)
    due = "" if found.renew_at is None else f", the next is due {moments.short(found.renew_at)}"
    yield f"generation {found.generation}, {found.renewals} renewals{due}"
    stream = "connected" if found.connected else "not connected"
    yield f"Workload API: {found.endpoint} ({stream})"
    if found.trust_domains:
        yield f"trusted: {', '.join(found.trust_domains)}"
    if found.last_fault is not None:
        yield f"fault: {found.last_fault.fault}, {found.last_fault.why}"
    if embedded is not None:
        yield from authority(embedded, now)


def authority(found: AuthorityStatus, now: float) -> Iterator[RenderableType | str]:
    """How the session's own authority is at a Unix time, s."""
    rows = [
        [
            each.key_id[:12],
            "signs" if each.kept_until is None and each.signs_from <= now else _role(each, now),
            moments.short(each.not_after),
        ]
        for each in found.keys
    ]
    yield reporting.table(
        f"authority of {found.trust_domain}", ["key", "now", "certificate until"], rows
    )
    yield f"its files: {found.directory}"
    yield from (f"not used: {name}: {why}" for name, why in found.refused.items())


def _role(each: Any, now: float) -> str:  # noqa: ANN401 - AuthorityKeys
    if each.kept_until is None:
        return f"signs in {each.signs_from - now:.0f} s"
    return f"trusted until {moments.short(each.kept_until)}"


def as_text(document: dict[str, Any]) -> str:
    """A document as a file holds it."""
    return json.dumps(document, indent=2)
