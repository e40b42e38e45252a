"""Answers all questions of a scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from actors.runtime.errors import InvalidInput, close_matches
from actors.twin import progress
from actors.twin.advice import advise, reconnect
from actors.twin.availability import Outages, availability, unavailability
from actors.twin.conditions import Conditions, Traffic, capacities
from actors.twin.doubles import double_failures
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.internet import Internet
from actors.twin.results import (
    Advice,
    Availability,
    ScenarioAnswer,
)
from actors.twin.sets import Draws, cascade, random_cascades, random_failures
from actors.twin.single import single_failures, worst_pairs
from actors.twin.spans import MAX_KM, Spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.model import Topology
    from actors.twin.scenario import Reliability, Scenario, Times

DEFAULT_HELLO_S = 1.0  # used where neither the scenario nor a live mesh gives one


def answer(
    scenario: Scenario,
    topology: Topology,
    hello_s: float = DEFAULT_HELLO_S,
    known: Intact | None = None,
) -> ScenarioAnswer:
    """Answer all questions of `scenario` about this mesh.

    Args:
        scenario: the questions.
        topology: the mesh, read from the source that the scenario names.
        hello_s: Hello interval of the mesh, s, unless the scenario names one.
        known: the same mesh with results of earlier questions, which are used where they hold
            under the conditions of the scenario.

    Raises:
        UnknownNode: a name belongs to no node.
        InvalidInput: two ends are not neighbours, a group is unknown, or what is asked for is
            impossible.
    """
    groups = _groups(scenario, topology)
    conditions = _conditions(scenario, topology, hello_s)
    intact = Intact(topology, conditions)
    if known is not None and known.conditions.same(conditions):
        intact = known
    failure = failing(scenario, topology)
    internet = Internet.of(topology, scenario.gateways)
    draws = _draws(scenario, groups)
    progress.step("routes" if failure is not None else "the mesh")
    tolerance = scenario.cascade.tolerance if scenario.cascade else None
    falling = scenario.cascade is not None
    return ScenarioAnswer(
        name=scenario.name,
        nodes=topology.n_nodes,
        links=topology.n_links,
        internet=internet.access if internet else None,
        impact=impact(intact, failure, scenario.pairs, internet) if failure is not None else None,
        single_failures=single_failures(intact, internet, scenario.rank_by)
        if scenario.singles
        else None,
        double_failures=double_failures(intact, scenario.doubles, internet, scenario.rank_by)
        if scenario.doubles
        else None,
        worst_pairs=worst_pairs(intact, scenario.worst_pairs) if scenario.worst_pairs else None,
        random_failures=random_failures(intact, draws, internet) if draws else None,
        cascade=cascade(intact, failure, internet, tolerance=tolerance)
        if falling and failure is not None
        else None,
        random_cascades=random_cascades(intact, draws, internet, tolerance=tolerance)
        if falling and draws
        else None,
        availability=_availability(scenario, intact, groups, internet),
        advice=_advice(scenario, intact, failure, internet),
    )


def failing(scenario: Scenario, topology: Topology) -> Failure | None:
    """What the scenario lets fail; None if it asks nothing about a failure.

    Raises:
        UnknownNode: a name belongs to no node.
        InvalidInput: two ends are not neighbours, or a group is unknown.
    """
    if scenario.fail is None:
        return None
    groups = _groups(scenario, topology)
    failure = Failure.named(topology, scenario.fail.nodes, scenario.fail.links)
    for name in scenario.fail.groups:
        failure |= _group(groups, name)
    return failure


def _groups(scenario: Scenario, topology: Topology) -> dict[str, Failure]:
    return {
        name: Failure.named(topology, members.nodes, members.links)
        for name, members in scenario.groups.items()
    }


def _group(groups: Mapping[str, Failure], name: str) -> Failure:
    try:
        return groups[name]
    except KeyError:
        raise InvalidInput(
            f"no group {name}",
            "the scenario has none of that name",
            close_matches(name, groups) or "Add it under `groups`.",
            entry="groups",
        ) from None


def _conditions(scenario: Scenario, topology: Topology, hello_s: float) -> Conditions:
    demand, capacity = scenario.traffic, scenario.capacity
    traffic = None
    if demand is not None:
        flows = [(flow.source, flow.destination, flow.rate) for flow in demand.flows]
        traffic = Traffic.named(topology, flows, demand.uniform)
    carried = None
    if capacity is not None:
        special = {link.ends: link.value for link in capacity.links}
        carried = capacities(topology, capacity.default, special)
    return Conditions(
        hello_s=hello_s if scenario.hello_s is None else scenario.hello_s,
        retries=scenario.retries,
        traffic=traffic,
        capacity=carried,
        seed=scenario.seed,
    )


def _draws(scenario: Scenario, groups: Mapping[str, Failure]) -> Draws | None:
    asked = scenario.random
    if asked is None:
        return None
    return Draws(
        k=asked.k,
        of=asked.of,
        samples=asked.samples,
        seed=scenario.seed,
        confidence=asked.confidence,
        groups=groups,
        correlation=asked.correlation,
    )


def _availability(
    scenario: Scenario,
    intact: Intact,
    groups: Mapping[str, Failure],
    internet: Internet | None,
) -> Availability | None:
    asked = scenario.availability
    if asked is None:
        return None
    return availability(
        intact,
        _outages(asked, intact.topology, groups),
        scenario.pairs,
        samples=asked.samples,
        confidence=asked.confidence,
        seed=scenario.seed,
        method=asked.method,
        internet=internet,
    )


def _outages(asked: Reliability, topology: Topology, groups: Mapping[str, Failure]) -> Outages:
    def down(times: Times | None) -> float:
        return 0.0 if times is None else unavailability(times.mtbf, times.mttr)

    nodes = np.full(topology.n_nodes, down(asked.node))
    links = np.full(topology.n_links, down(asked.link))
    for name, times in asked.nodes.items():
        nodes[topology.index_of(name)] = down(times)
    for each in asked.links:
        links[topology.link_between(*each.ends)] = down(each)
    links **= topology.parallel  # of links that join one pair, all must be down
    together = [(_group(groups, name), down(times)) for name, times in asked.groups.items()]
    return Outages(nodes, links, together)


def _advice(
    scenario: Scenario, intact: Intact, failure: Failure | None, internet: Internet | None
) -> Advice | None:
    asked = scenario.advice
    if asked is None:
        return None
    longest = MAX_KM[asked.kind] if asked.max_km is None else asked.max_km
    spans = Spans.of(intact.topology, longest, anywhere=asked.anywhere)
    if asked.for_failure and failure is not None:
        return reconnect(intact, failure, asked.links, spans, internet)
    return advise(intact, asked.links, spans, internet)
