"""What a notice says: all of it, in words, within what its channel takes."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.alerts import wording
from actors.alerts.catalogue import CATALOGUE
from actors.alerts.notice import Change
from actors.alerts.wording import Reader, escaped_message, lasting, message, title, visible
from actors.runtime.alerting import AlertName, AlertSeverity
from actors.runtime.rich_text import units
from tests.unit.alerts.told import AT, BREAKING, alert, notice, storm, texts

READER = Reader(ZoneInfo("Europe/Berlin"), "https://mesh.example/")
UTC = Reader(ZoneInfo("UTC"))


def shown(markup: str) -> str:
    """What a reader sees of HTML, by a strict parser: any slip of markup or entity is an error."""
    return "".join(ET.fromstring(f"<m>{markup}</m>").itertext())  # noqa: S314 - our own


def test_a_notice_says_what_since_when_why_who_what_to_do_and_where_to_look() -> None:
    """A storm is one message with a list."""
    text = message(notice(storm(200)), READER).plain()
    entry = CATALOGUE[AlertName.GATEWAY_LOST]
    first, *rest = text.split("\n")
    assert first == "Critical: Gateway gw-3 is lost; 200 nodes behind it have no internet"
    names = ", ".join(f"node_{number}<&>" for number in range(200))
    assert rest == [
        "Since Wed 18 Nov 2026 12:06:40 CET (+01:00), for 1 min 5 s so far",
        f"What it means: {entry.meaning}",
        "Probable cause: Power failure at gw-3, 87 % sure",
        f"Concerned (200): {names}",
        "Clients without internet: 412",
        f"What to do: {entry.remedy}",
        "Evidence: https://mesh.example/v1/incidents/7",
    ]


@pytest.mark.parametrize("count", [1, 200, 213, 500, 20_000])
def test_a_list_that_is_too_long_ends_with_how_many_more(count: int) -> None:
    """Nothing else is lost for its sake, and no name is cut."""
    found = message(notice(storm(count)), READER)
    text = found.plain()
    listed = next(line for line in text.split("\n") if line.startswith("Concerned"))
    names, more = re.fullmatch(
        r"Concerned(?: \([\d,]+\))?: (.*?)(?: and ([\d,]+) more)?", listed
    ).groups()  # type: ignore[union-attr]
    told = names.split(", ")
    assert units(text) <= 4096
    assert told == [f"node_{number}<&>" for number in range(len(told))]
    assert len(told) + int((more or "0").replace(",", "")) == count
    assert "Evidence: https://mesh.example/v1/incidents/7" in text
    assert shown(found.html()) == text
    if count > 500:
        assert units(text) > 4000  # as many as fit


def test_the_rest_of_an_incident_is_listed_with_it() -> None:
    """A thread of many alerts tells the worst in full."""
    others = [alert(key=f"n{number}") for number in range(2, 900)]
    text = message(notice(storm(3), *others), READER).plain()
    assert text.startswith("Critical: Gateway gw-3 is lost")
    assert "(and 898 more)" in text.split("\n")[0]
    assert "- Error: Node n2 is offline" in text
    assert re.search(r"\nand \d+ more$", text)


def test_a_resolved_notice_says_how_long_it_lasted_and_asks_for_nothing() -> None:
    """What is over needs no remedy."""
    over = alert(ended=AT + 2 * 3600 + 300)
    text = message(notice(over, change=Change.RESOLVED), UTC).plain()
    assert text.startswith("Over after 2 h 5 min: Node n1 is offline")
    assert "Lasted: Wed 18 Nov 2026 11:06:40 UTC to Wed 18 Nov 2026 13:11:40 UTC, 2 h 5 min" in text
    assert "What to do" not in text


def test_a_changed_notice_says_what_has_changed() -> None:
    """New, over, worse, another cause, others concerned: each against what was told last."""
    before = (
        alert(key="a", subjects=("x", "y")),
        alert(key="b"),
        alert(key="c", summary="Node c has 1 link"),
        alert(key="d"),
    )
    now = (
        replace(
            before[0],
            severity=AlertSeverity.CRITICAL,
            subjects=("y", "z"),
            probable_cause="Ice, 60 % sure",
        ),
        replace(before[1], ended=AT + 30),
        replace(before[2], summary="Node c has no link"),
        before[3],
        alert(key="e"),
    )
    text = message(notice(*now, change=Change.CHANGED, before=before), UTC).plain()
    assert text.startswith("Critical, changed: Node a is offline (and 4 more)")
    changes = text.split("What changed:\n")[1].split("What it means")[0]
    assert changes == (
        "- Now critical, was error: Node a is offline\n"
        "- Probable cause found: Ice, 60 % sure\n"
        "- Concerned too: z\n"
        "- No longer concerned: x\n"
        "- Over after 30 s: Node b is offline\n"
        "- Now: Node c has no link\n  Before: Node c has 1 link\n"
        "- New: Node e is offline\n"
    )


def test_what_happened_once_has_a_moment_and_no_duration() -> None:
    """An order that was paid does not last."""
    paid = alert(AlertName.ORDER_PAID, "o", summary="Order o is paid", momentary=True)
    text = message(notice(paid), UTC).plain()
    assert "At Wed 18 Nov 2026 11:06:40 UTC\n" in text
    assert "so far" not in text


def test_what_is_sent_again_says_so() -> None:
    """Where the reader may have it already."""
    assert title(notice(), again=True).startswith("Sent again: Error: ")
    assert message(notice(), UTC, again=True).plain().startswith("Sent again: Error: ")


@pytest.mark.parametrize(
    ("link", "base", "told"),
    [
        ("/v1/x", "https://a.b", "https://a.b/v1/x"),
        ("/v1/x", "", "/v1/x"),
        ("https://c.d/e?f=1&g=<h>", "https://a.b", "https://c.d/e?f=1&g=<h>"),
        ("x0 events --node n1", "", "x0 events --node n1"),
        ("", "https://a.b", ""),
    ],
)
def test_evidence_is_a_link_where_one_leads_there(link: str, base: str, told: str) -> None:
    """A path alone is told as it is."""
    text = message(notice(alert(link=link)), Reader(ZoneInfo("UTC"), base)).plain()
    assert (f"Evidence: {told}" in text.split("\n")) if told else ("Evidence" not in text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "less than a second"),
        (0.4, "less than a second"),
        (59.6, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (90_061, "1 d 1 h"),
    ],
)
def test_lengths_of_time_have_two_units_at_most(seconds: float, words: str) -> None:
    """Nobody reads seconds of a day."""
    assert lasting(seconds) == words


@pytest.mark.parametrize("at", [float("nan"), float("inf"), 1e20, -1e20])
def test_a_time_that_is_none_is_told_as_it_is(at: float) -> None:
    """A broken clock costs no alert."""
    assert "Unix time" in message(notice(alert(started=at)), READER).plain()


@given(texts)
@example("".join(BREAKING))
def test_text_passes_unchanged_through_html(text: str) -> None:
    """Title, cause, names and details: each is found in what a strict parser reads."""
    told = alert(
        summary=text, probable_cause=text, subjects=(text, "b"), details=(text,), link=text
    )
    found = message(notice(told), READER)
    read = shown(found.html())
    assert read == found.plain()
    lines = read.split("\n")
    assert lines[0] == f"Error: {visible(text)}"
    assert f"Probable cause: {visible(text)}" in lines
    assert f"Concerned (2): {visible(text)}, b" in lines
    assert visible(text) in lines


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])))
def test_what_can_be_shown_is_shown_as_it_is(text: str) -> None:
    """Only what cannot be shown, reorders a line, or is dropped by a service is replaced."""
    replaced = {char for char in text if visible(char) != char}
    assert replaced <= set("\u030a\u0333\u033f\ufffe\uffff") | set(
        map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
    )
    assert visible(text) == text or replaced


@given(st.text())
def test_what_is_shown_is_one_line_of_valid_unicode(text: str) -> None:
    """No line break, no control character, no half of a pair."""
    found = visible(text)
    assert len(found.splitlines()) <= 1
    found.encode()
    assert not re.search("[\x00-\x1f\x7f-\x9f]", found)
    assert visible(found) == found


@given(
    st.integers(1000, 4096),
    st.lists(st.text(max_size=30), max_size=40),
    st.text(max_size=1500),
    st.integers(0, 5),
)
def test_every_form_keeps_its_limit(most: int, names: list[str], text: str, others: int) -> None:
    """Counted in UTF-16 units, with markup that parses."""
    told = alert(summary=text, subjects=tuple(names), details=tuple(names), probable_cause=text)
    made = notice(told, *(alert(key=str(number), summary=text) for number in range(others)))
    found = message(made, READER, most)
    assert units(found.plain()) <= most
    assert shown(found.html()) == found.plain()
    found.plain().encode("utf-16-le")  # no half of a pair
    assert units(title(made, 200)) <= 200
    assert len(title(made).encode("utf-16-le")) // 2 <= 1024
    assert len(html.escape(escaped_message(made, READER, most))) <= most


def test_every_kind_of_alert_can_be_told() -> None:
    """Of each the catalogue knows what it means and what to do."""
    for name in AlertName:
        text = message(notice(alert(name, severity=None)), READER).plain()
        assert f"What to do: {CATALOGUE[name].remedy}" in text
    assert wording.MAX_TITLE == 1024
