"""What people are told of alerts, and when: a thread and a time in, a notice out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.alerts.alert_thread import MOMENTARY_S, AlertThread, with_alert
from actors.alerts.contract import Silence, SilenceRequest
from actors.alerts.notice import Change, Notice
from actors.alerts.quiet_hours import QuietHours
from actors.alerts.router import CHANGE_S, FIRES, FIRES_S, Rules, decided
from actors.runtime.alerting import Alert, AlertSeverity
from tests.unit.alerts.routing_examples import NOON, fired, over

if TYPE_CHECKING:
    from collections.abc import Iterator

NIGHT = QuietHours.of("22:00-07:00 UTC")
HOUR = 3_600.0


@dataclass
class People:
    """What was told, by a router that is asked whenever it wants to be."""

    rules: Rules = field(default_factory=Rules)
    now: float = NOON
    told: list[Notice] = field(default_factory=list)
    thread: AlertThread | None = None
    begun: dict[str, list[float]] = field(default_factory=dict)
    due: float | None = None
    episodes: Iterator[int] = field(default_factory=itertools.count)

    def hear(self, alert: Alert) -> None:
        self.thread = with_alert(self.thread, alert, self.now, f"e{next(self.episodes)}")
        self.decide()

    def decide(self) -> None:
        if self.thread is None:
            return
        decision = decided(self.thread, self.now, self.rules, self.begun)
        for key in decision.began:
            self.begun.setdefault(key, []).append(self.now)
        if decision.notice is not None:
            self.told.append(decision.notice)
        self.due = decision.due
        self.thread = None if decision.thread.closed else decision.thread

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.thread is not None and self.due is not None and self.due <= until:
            self.now = max(self.now, self.due)
            self.decide()
        self.now = until

    def changes(self) -> list[Change]:
        return [notice.change for notice in self.told]


def test_a_fault_is_told_when_it_begins_and_when_it_is_over() -> None:
    """Repetitions of the same are told nobody."""
    people = People()
    for _ in range(5):
        people.hear(fired())
        people.pass_time(120)
    people.hear(over())
    people.hear(over())
    assert people.changes() == [Change.FIRED, Change.RESOLVED]
    assert people.told[-1].alerts[0].ended is not None
    assert people.told[0].id != people.told[1].id
    assert people.thread is None


def test_the_end_of_what_nobody_raised_is_told_nobody() -> None:
    """An end without a beginning opens nothing."""
    people = People()
    people.hear(over())
    assert (people.told, people.thread) == ([], None)


def test_changes_of_a_thread_are_told_together() -> None:
    """200 nodes of one incident are two messages: the first, and one that lists them all."""
    people = People()
    for number in range(200):
        people.hear(fired(f"node-{number:03}", thread="storm"))
        people.pass_time(0.01)
    people.pass_time(CHANGE_S)
    assert people.changes() == [Change.FIRED, Change.CHANGED]
    assert len(people.told[1].alerts) == 200


def test_what_gets_worse_is_told_at_once() -> None:
    """A change for the worse does not wait for the pause between two notices."""
    people = People()
    people.hear(fired("a", severity=AlertSeverity.WARNING, thread="t"))
    people.hear(fired("b", severity=AlertSeverity.CRITICAL, thread="t"))
    assert people.changes() == [Change.FIRED, Change.CHANGED]
    assert people.told[1].severity is AlertSeverity.CRITICAL
    assert people.told[1].alerts[0].key == "b"


def test_a_thread_is_over_when_all_of_it_is() -> None:
    """One of two faults that ends is a change, the other one is the end."""
    people = People()
    people.hear(fired("a", thread="t"))
    people.hear(fired("b", thread="t"))
    people.pass_time(CHANGE_S)
    people.hear(over("a", thread="t"))
    people.pass_time(CHANGE_S)
    people.hear(over("b", thread="t"))
    assert people.changes() == [Change.FIRED, Change.CHANGED, Change.CHANGED, Change.RESOLVED]


def test_a_fault_that_comes_and_goes_is_told_a_few_times_only() -> None:
    """Of a fault that flaps, people hear so often in ten minutes, and then how it has ended."""
    people = People()
    for _ in range(50):
        people.hear(fired(at=people.now))
        people.pass_time(5)
        people.hear(over(at=people.now))
        people.pass_time(5)
    assert people.changes() == [Change.FIRED, Change.RESOLVED] * FIRES
    people.hear(fired(at=people.now))
    people.pass_time(FIRES_S)
    assert people.changes()[-1] is Change.FIRED


@given(st.lists(st.floats(0, 700), min_size=1, max_size=40))
def test_the_same_fault_is_told_so_often_at_most(waits: list[float]) -> None:
    """However a fault comes and goes, in ten minutes people hear of three beginnings at most."""
    people = People()
    for place, wait_s in enumerate(waits):
        people.hear((fired, over)[place % 2](at=people.now))
        people.pass_time(wait_s)
    began = [notice.at for notice in people.told if notice.change is Change.FIRED]
    assert all(b - a >= FIRES_S for a, b in zip(began, began[FIRES:], strict=False))


def test_warnings_wait_for_the_morning_and_errors_do_not() -> None:
    """In quiet hours only what cannot wait is told; what is over by then is not told at all."""
    people = People(Rules(NIGHT), now=NOON + 11 * HOUR)
    people.hear(fired(severity=AlertSeverity.WARNING))
    assert people.told == []
    people.pass_time(8 * HOUR - 1)
    assert people.told == []
    people.pass_time(2)
    assert people.changes() == [Change.FIRED]
    urgent = People(Rules(NIGHT), now=NOON + 11 * HOUR)
    urgent.hear(fired(severity=AlertSeverity.ERROR))
    assert urgent.changes() == [Change.FIRED]
    passed = People(Rules(NIGHT), now=NOON + 11 * HOUR)
    passed.hear(fired(severity=AlertSeverity.INFO))
    passed.hear(over(severity=AlertSeverity.INFO))
    passed.pass_time(24 * HOUR)
    assert passed.told == []


def test_what_has_no_end_is_told_once_and_not_resolved() -> None:
    """An order that was paid in the night is told in the morning, and nothing follows."""
    people = People(Rules(NIGHT), now=NOON + 11 * HOUR)
    people.hear(fired(severity=AlertSeverity.INFO, momentary=True))
    people.pass_time(20 * HOUR)
    assert people.changes() == [Change.FIRED]
    assert people.thread is None
    people.hear(fired(severity=AlertSeverity.INFO, momentary=True))
    people.pass_time(MOMENTARY_S + 1)
    assert people.changes() == [Change.FIRED] * 2
    assert people.thread is None


def test_what_is_silenced_is_told_when_the_silence_ends() -> None:
    """And what ends before is not told; another alert of the thread is told meanwhile."""
    silence = Silence("s", SilenceRequest(NOON, NOON + HOUR, "work", "me", subjects=frozenset("a")))
    people = People(Rules(silences=[silence]))
    people.hear(fired("a", subjects=("a",), thread="t"))
    assert people.told == []
    people.hear(fired("b", subjects=("a", "b"), thread="t"))
    assert [alert.key for alert in people.told[0].alerts] == ["b"]
    people.pass_time(HOUR + 1)
    assert [alert.key for alert in people.told[1].alerts] == ["a", "b"]
    quiet = People(Rules(silences=[silence]))
    quiet.hear(fired("a", subjects=("a",)))
    quiet.hear(over("a", subjects=("a",)))
    quiet.pass_time(2 * HOUR)
    assert (quiet.told, quiet.thread) == ([], None)


class Routing(RuleBasedStateMachine):
    """Whatever is raised in whatever order, what people were told is true and not too much."""

    keys = st.sampled_from("abc")

    @initialize(quiet=st.booleans())
    def start(self, quiet: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
        self.people = People(Rules(NIGHT if quiet else None), now=NOON + 9 * HOUR)
        self.raised = 0

    @rule(key=keys, severity=st.sampled_from(AlertSeverity), text=st.sampled_from("xy"))
    def fire(self, key: str, severity: AlertSeverity, text: str) -> None:
        self.people.hear(fired(key, self.people.now, severity=severity, summary=text, thread="t"))

    @rule(key=keys)
    def happen(self, key: str) -> None:
        self.people.hear(fired(f"m{key}", self.people.now, momentary=True, thread="t"))

    @rule(key=keys)
    def end(self, key: str) -> None:
        self.people.hear(over(key, self.people.now, self.people.now, thread="t"))

    @rule(seconds=st.sampled_from([0.5, 30.0, 61.0, 601.0, 8 * HOUR]))
    def wait(self, seconds: float) -> None:
        self.people.pass_time(seconds)

    @rule()
    def silence(self) -> None:
        now = self.people.now
        request = SilenceRequest(now, now + 300, "work", "me", labels={}, names=frozenset())
        self.people.rules = Rules(self.people.rules.quiet, silences=[Silence("s", request)])
        self.people.decide()

    @invariant()
    def an_end_follows_a_beginning(self) -> None:
        if not hasattr(self, "people"):
            return
        is_open = False
        for notice in self.people.told:
            if notice.change is Change.FIRED:
                assert not is_open or all(a.momentary for a in self._before(notice).alerts)
            else:
                assert is_open
            is_open = notice.change is not Change.RESOLVED

    def _before(self, notice: Notice) -> Notice:
        return self.people.told[self.people.told.index(notice) - 1]

    @invariant()
    def nothing_is_told_twice(self) -> None:
        if hasattr(self, "people"):
            assert len({each.id for each in self.people.told}) == len(self.people.told)

    def teardown(self) -> None:
        """When everything is over and time passes, people have been told so."""
        people = self.people
        for key in "abc":
            people.hear(over(key, people.now, people.now, thread="t"))
        people.pass_time(24 * HOUR)
        assert people.thread is None
        last = people.told[-1:] or [None]
        momentary = last[0] is None or all(alert.momentary for alert in last[0].alerts)
        assert momentary or last[0].change is Change.RESOLVED


TestRouting = Routing.TestCase
TestRouting.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
