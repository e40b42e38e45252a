"""Alerts and notices for tests of what people are told, and texts that break markup."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from actors.alerts.notice import Change, Notice
from actors.alerts.wording import visible
from actors.runtime.alerting import Alert, AlertName, AlertSeverity

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = 1_795_000_000.0  # Wed 18 Nov 2026 11:06:40 UTC

# What legacy Markdown, HTML, JSON, mail headers and dot-stuffing trip over.
BREAKING = (
    "_*`[]()~>#+-=|{}.!\\",
    '<b>&amp;</b> <a href="x">&#60; &nope; <!-- <3 </x> <',
    "\"\\\" \\n \\u0041 {} [] 'null'",
    "\r\nBcc: a@b.c\r\n\r\n.\r\n..x",
    "{{ .Labels }} {{ range }} %s %(x)s ${y}",
    "=?utf-8?q?x?= =20 =\t\x00\x1b[31m\x7f\x85",
    "😀👩\u200d👩\u200d👧 Straße Ж عربى אב e\u0301 a\u030a \u202egpj.exe \u2028x\u2066",
)

# Any text, and texts of what breaks things: hypothesis alone finds the combinations too rarely.
texts = st.one_of(
    st.text(min_size=1, max_size=60),
    st.lists(
        st.one_of(st.sampled_from([*"_*`[]<>&\"'\\{}=.\r\n\t\x00"]), st.sampled_from(BREAKING)),
        min_size=1,
        max_size=8,
    ).map("".join),
).filter(lambda text: bool(visible(text[:30]).strip()))


def alert(name: AlertName = AlertName.NODE_OFFLINE, key: str = "n1", **changes: Any) -> Alert:
    """An alert with what all of them have."""
    known = Alert(name, key, f"Node {key} is offline", AT, severity=AlertSeverity.ERROR)
    return replace(known, **changes)


def notice(*alerts: Alert, change: Change = Change.FIRED, **changes: Any) -> Notice:
    """A notice about some alerts, a minute and five seconds after they began."""
    told = alerts or (alert(),)
    severity = told[0].severity or AlertSeverity.ERROR
    made = Notice("n-1", "incident-1", change, severity, told, AT + 65)
    return replace(made, **changes)


def storm(count: int) -> Alert:
    """A gateway that has died with many nodes behind it."""
    nodes = [f"node_{number}<&>" for number in range(count)]
    return alert(
        AlertName.GATEWAY_LOST,
        "gw-3",
        summary=f"Gateway gw-3 is lost; {count} nodes behind it have no internet",
        severity=AlertSeverity.CRITICAL,
        probable_cause="Power failure at gw-3, 87 % sure",
        subjects=tuple(nodes),
        details=("Clients without internet: 412",),
        link="/v1/incidents/7",
    )


def lines_of(text: str, leads: Sequence[str]) -> dict[str, str]:
    """What follows each lead in a message."""
    return {
        lead: next(
            (line.removeprefix(lead) for line in text.split("\n") if line.startswith(lead)), ""
        )
        for lead in leads
    }
