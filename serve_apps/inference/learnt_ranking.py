"""Orders the nodes of an incident by a root-cause model; what else is known of it, by its evidence.

The model sees when and where deviations began, which the evidence of one interval does not: so it
tells the root of a cascade from what follows it. It is asked about the surroundings of the incident
alone, and only nodes that the incident touches are named. Which link it is, in which direction,
and whether anything in the network explains it, is for the evidence to say.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference import incident_features
from serve_apps.inference.errors import ModelUnusable
from serve_apps.inference.evidence_ranking import RANKED, EvidenceRanker
from serve_apps.inference.incident_features import NORMAL
from serve_apps.inference.incident_features import incident_features as features_of
from serve_apps.inference.kept_model import KeptModel
from serve_apps.inference.learning import VertexGraph
from serve_apps.inference.live_root_cause import Cause, RankedNode
from serve_apps.inference.model_file import Purpose
from serve_apps.inference.node_graph import NEIGHBOUR
from serve_apps.inference.root_cause import NODE_IS_ROOT, judge
from serve_apps.inference.surroundings import around

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_apps.inference.live_root_cause import RootCause, Situation
    from serve_apps.inference.model_file import Model

NAME: Final = "root-cause"
FEWEST: Final = NORMAL // 3  # rows before the incident, without which nothing is known as normal
LARGEST: Final = 2_000  # nodes around an incident that the model is asked about
TELLING: Final = ("in_packet_rate", "out_packet_rate", "latency", "cpu")  # one of them is measured


class LearntRanker:
    """Ranks by a root-cause model whose vertices are nodes.

    Args:
        model: the model, as its files say at each incident.
    """

    def __init__(self, model: KeptModel) -> None:
        self.model = model
        self._evidence = EvidenceRanker()

    def rank(self, situation: Situation) -> RootCause:
        """See `RootCauseRanker.rank`.

        The evidence alone ranks where no model can be used, where too little was measured before
        the incident, incidents with more than `LARGEST` nodes around them, and where links' states
        and qualities are all that is known: by those the model takes an incident that ended shortly
        before for the root of the next one. The answer says by what it is ranked.
        """
        found = self._evidence.rank(situation)
        touched = _touched(situation)
        whole = situation.telemetry()
        noticed = int(np.searchsorted(whole.times, situation.since))
        if noticed < FEWEST or not any(name in whole.metrics for name in TELLING):
            return found
        try:
            model = self.model.get()
        except ModelUnusable:  # which has been told
            return found
        near = around(whole, touched, len(model.network.layers))
        if len(near.nodes) > LARGEST:
            return found
        graph = VertexGraph.of_nodes(near.telemetry.graph)
        x = features_of(near.telemetry, noticed).x
        share = judge(model, graph, x).nodes
        ids = near.telemetry.graph.nodes
        return _with_nodes(found, _ordered(model, ids, share, touched[near.nodes]))


def ranker_of(models: Path, told: Callable[[ModelUnusable], object]) -> LearntRanker:
    """What ranks with the root-cause model of a directory.

    Args:
        models: the directory.
        told: is told of files that cannot be used, now or later.
    """
    features, relations = incident_features.FEATURES, (NEIGHBOUR,)
    kept = KeptModel(models / NAME, Purpose.ROOT_CAUSE, features, relations, told)
    with contextlib.suppress(ModelUnusable):  # which is told
        kept.get()
    return LearntRanker(kept)


def _ordered(
    model: Model, ids: tuple[str, ...], share: NDArray[np.float64], touched: NDArray[np.bool_]
) -> tuple[RankedNode, ...]:
    confidence = model.probability(NODE_IS_ROOT, share)
    own = np.flatnonzero(touched)
    best = own[np.lexsort((own, -share[own]))][:RANKED]
    return tuple(RankedNode(ids[node], float(confidence[node])) for node in best.tolist())


def _touched(situation: Situation) -> NDArray[np.bool_]:
    """The nodes that an incident touches, bool [n_nodes]."""
    touched = situation.dark.copy()
    links = (situation.strength[::2] > 0) | (situation.strength[1::2] > 0)
    touched[situation.now.graph.ends[links].reshape(-1)] = True
    return touched


def _with_nodes(found: RootCause, nodes: tuple[RankedNode, ...]) -> RootCause:
    """A root cause with nodes in another order; a link that does not end at the first is none."""
    inside = 1.0 - found.outside
    ranked = tuple(replace(one, confidence=one.confidence * inside) for one in nodes)
    found = replace(found, nodes=ranked, by=NAME)
    if found.cause is Cause.LINK and found.link is not None and ranked[0].node not in found.link:
        return replace(found, cause=Cause.NODE, link=None, one_way=False)
    return found
