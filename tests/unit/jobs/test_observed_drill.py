"""A drill on an observed network: what was predicted, what was seen, and what changed besides."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.observe import answers
from actors.runtime.errors import Conflict, InvalidInput
from actors.topology.errors import UnknownNode
from actors.topology.network import NetworkNode
from jobs.launch.observed_drill import (
    Before,
    Expectation,
    Fault,
    Follower,
    Judgement,
    Turn,
    Verdict,
    standing,
)
from tests.unit.observe.networks import RULES, Run, reading

if TYPE_CHECKING:
    from actors.observe.contract import ObservedNetwork
    from actors.topology.events import EventPage
    from actors.topology.network import Reading

# A ring, and a leaf behind c; e hangs on the leaf.
LINKS = ("ab", "bc", "ac", "cd", "de")
ALL = "abcde"


def map_of(
    silent: str = "", down: tuple[str, ...] = (), nodes: str = ALL, links: tuple[str, ...] = LINKS
) -> Reading:
    """A map in which these nodes are offline and these links missing."""
    rows = [
        NetworkNode(
            node,
            name=f"{node}-town",
            online=node not in silent,
            gateway=node == "a",
            clients=None if node == "b" else 2,
        )
        for node in nodes
    ]
    heard = [each for each in links if each not in down and not set(each) & set(silent)]
    return reading(rows, heard)


class Scripted:
    """An observer to which a map is shown at each question for events."""

    def __init__(self, *maps: Reading) -> None:
        self._run = Run()
        self._run.answer(map_of())
        self._maps = list(maps)

    async def network(self) -> ObservedNetwork:
        return answers.network(self._run.world)

    async def events(self, after: int, most: int) -> EventPage:
        if self._maps:
            self._run.answer(self._maps.pop(0))
        return self._run.world.ring.page(after, most)


def drilled(
    fault: Fault, *maps: Reading, back: bool = False, timeout_s: float = 0.2
) -> tuple[Expectation, Turn, Judgement]:
    """What a drill says while these maps follow each other."""

    async def drill() -> tuple[Expectation, Turn, Judgement]:
        observer = Scripted(*maps)
        follower = Follower(observer, 0.001)
        expected = Expectation.of(await follower.before(), fault)
        turn = await follower.follow(expected.before.event, expected.is_met, timeout_s)
        if back:
            last = turn.timeline[-1].number
            turn = await follower.follow(last, expected.is_over, timeout_s)
        return expected, turn, expected.judge(turn, back=back)

    return asyncio.run(drill())


def before() -> Before:
    return asyncio.run(Follower(Scripted(), 0.001).before())


def test_what_was_predicted_is_seen() -> None:
    """The node is silent, who is behind it is cut off; people are counted; names are told."""
    expected, turn, judgement = drilled(Fault(("c",)), map_of("c"))
    assert judgement == Judgement(Verdict.AS_PREDICTED)
    assert expected.predicted.cut_off == ("d", "e")
    assert expected.predicted.pairs_lost == 4
    assert (expected.predicted.without_gateway, expected.predicted.clients) == (2, 4)
    assert turn.agreed_s is not None
    assert turn.seen_s == 0.0
    assert turn.as_dict()["timeline"][0]["what"] == "c-town (c) is silent"


def test_who_is_cut_off_may_be_out_of_the_collectors_sight() -> None:
    """A map that is made at the gateway shows them as silent."""
    _, turn, judgement = drilled(Fault(("c",)), map_of("c"), map_of("cde"))
    assert judgement.verdict is Verdict.AS_PREDICTED
    _, turn, judgement = drilled(Fault(("c",)), map_of("cd"), map_of("cde"))
    assert judgement == Judgement(Verdict.AS_PREDICTED)
    assert turn.agrees


def test_a_link_fails_and_returns() -> None:
    """The far side is cut off, and then joined again: nothing of that is a change besides."""
    cut = Fault(links=(("d", "c"),))
    _, _, judgement = drilled(cut, map_of(down=("cd",)))
    assert judgement == Judgement(Verdict.AS_PREDICTED)
    for fault, seen in ((cut, map_of(down=("cd",))), (Fault(("d",)), map_of("d"))):
        _, turn, judgement = drilled(fault, seen, map_of(), back=True)
        assert judgement == Judgement(Verdict.AS_PREDICTED)
        assert turn.agrees


@pytest.mark.parametrize(
    ("then", "names"),
    [
        (map_of("cb"), "b-town (b)"),
        (map_of("c", nodes="abcdef"), "f-town (f)"),
        (map_of("c", down=("ab",)), "a-town (a) to b-town (b)"),
        (map_of("c", nodes="acde", links=("ac", "cd", "de")), "b-town (b)"),
    ],
    ids=["another falls silent", "one joins", "another link fails", "one leaves the map"],
)
def test_what_changes_besides_is_named(then: Reading, names: str) -> None:
    """The verdict says so, and what was seen of the fault is explained all the same."""
    _, turn, judgement = drilled(Fault(("c",)), then, timeout_s=20)
    assert judgement.verdict is Verdict.CHANGED
    assert any(names in change for change in judgement.changes)
    assert turn.agrees


def test_a_change_that_is_undone_is_told_too() -> None:
    """At the end all is as predicted, and yet it was no clean drill."""
    _, turn, judgement = drilled(Fault(("c",)), map_of("b"), map_of("c"))
    assert turn.agrees
    assert judgement.verdict is Verdict.CHANGED
    assert [*judgement.differences] == []


def test_nothing_or_something_else_is_seen() -> None:
    """After the time, the verdict says what is not as predicted."""
    _, turn, judgement = drilled(Fault(("c",)))
    assert judgement.verdict is Verdict.UNSEEN
    assert (turn.seen_s, turn.agreed_s) == (None, None)
    assert "c-town (c) is still heard" in judgement.differences
    _, turn, judgement = drilled(Fault(("c",)), map_of(down=("bc",)))
    assert judgement.verdict is Verdict.OTHERWISE
    assert turn.agreed_s is None


def test_people_are_understood_or_told_why_not() -> None:
    """Names and beginnings of names; what is down, no link or too much is refused."""
    known = before()
    assert known.fault([["c-t"], ["d", "e-town"]]) == Fault(("c",), (("d", "e"),))
    with pytest.raises(UnknownNode):
        known.fault([["nobody"]])
    with pytest.raises(InvalidInput, match="not neighbours"):
        known.fault([["a", "e"]])
    with pytest.raises(InvalidInput, match="3 names"):
        known.fault([["a", "b", "c"]])
    run = Run()
    run.answer(map_of("c"))
    with pytest.raises(Conflict, match=r"c-town \(c\) cannot fail"):
        Before(answers.network(run.world)).fault([["c"]])


@given(st.sets(st.sampled_from(ALL), max_size=3), st.sets(st.sampled_from(LINKS), max_size=3))
def test_every_failure_that_is_shown_is_as_predicted(nodes: set[str], links: set[str]) -> None:
    """The twin and the observer mean the same by every set of failures."""
    fault = Fault(tuple(sorted(nodes)), tuple((a, b) for a, b in sorted(links)))
    run = Run(rules=replace(RULES, lost_least=100))  # else such a map is held at first
    run.answer(map_of())
    expected = Expectation.of(Before(answers.network(run.world)), fault)
    events = run.answer(map_of("".join(nodes), tuple(links)))
    now = standing(answers.network(run.world))
    assert expected.is_met(now)
    turn = Turn(None, tuple(events), now, agrees=True)
    assert expected.judge(turn).verdict is Verdict.AS_PREDICTED
