"""A reply of the twin in words and tables, what matters most first; `--json` has all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.twin import named
from jobs.terminal import (
    advice_tables,
    chance_tables,
    impact_tables,
    ranking_tables,
    which_network,
)
from jobs.terminal import twin_words as words
from jobs.terminal.reporting import pairs

if TYPE_CHECKING:
    from rich.console import RenderableType

    from actors.twin.results import InternetAccess, Reply
    from actors.twin.scenario import Scenario


def readable(scenario: Scenario, reply: Reply) -> list[RenderableType | str]:
    """Everything that was asked, in the order in which a person wants to know it."""
    found = named.labelled(reply.answer, reply.names)
    shown: list[RenderableType | str] = []
    if found.impact is not None:
        shown += impact_tables.impact(reply.about, found.impact)
    else:
        title = scenario.name or "The digital twin"
        shown.append(pairs(title, which_network.lines(reply.about)))
    shown.append(_internet(found.internet))
    if found.cascade is not None:
        shown += chance_tables.cascade(found.cascade)
    if found.single_failures is not None:
        shown += ranking_tables.single(found.single_failures)
    if found.double_failures is not None:
        shown += ranking_tables.double(found.double_failures)
    if found.worst_pairs is not None:
        shown += ranking_tables.worst_pairs(found.worst_pairs)
    if found.random_failures is not None:
        shown += chance_tables.random_failures(found.random_failures)
    if found.random_cascades is not None:
        shown += chance_tables.random_cascades(found.random_cascades)
    if found.availability is not None and scenario.availability is not None:
        shown += chance_tables.availability(scenario.availability, found.availability)
    if found.advice is not None:
        shown += advice_tables.advice(found.advice)
    return shown


def _internet(found: InternetAccess | None) -> str:
    """Who reaches a gateway while nothing has failed."""
    if found is None:
        return "No gateway is known, so who loses the internet is not; name them with --gateway."
    named = "named here" if found.given else "of the map"
    which = words.names(found.gateways, words.NAMES)
    reach = "reaches" if found.reaching.nodes == 1 else "reach"
    gateways = "gateway" if len(found.gateways) == 1 else "gateways"
    return (
        f"{words.people(found.reaching)} {reach} a gateway while nothing has failed."
        f" The {gateways} {named}: {which}."
    )
