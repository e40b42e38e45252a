"""Trains the two models that are shipped and that `x0 train` makes. Needs torch.

The root-cause model has two outputs for each vertex, `root` and `outside`. Of one example they are
the logits of one choice: no incident (whose logit is 0), each vertex as the root, or an incident
from outside, which each vertex may bear witness to. So an answer needs no second model that says
whether there is an incident, and probabilities of networks of any size add up to 1.

Trees may name the root in its place, see `trees`; they are grown on the incidents that began in the
network, and are chosen by nothing.

The condition model has one output for each node, the logit of its being anomalous.

Both are trained on the earlier examples, stopped where the later ones (`validation`) no longer get
better, and then trained again on all for as many passes. What is said with which confidence, and
from which score on, is set by the later examples as the first network judges them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from actors.runtime.errors import ConfigurationError
from serve_apps.inference.calibration import logistic_curve
from serve_apps.inference.graphsage import mean_operator
from serve_apps.inference.learning import RELATIONS, Truth
from serve_apps.inference.model_file import SCHEMA_VERSION, Card, Model, Purpose
from serve_apps.inference.normalisation import Normalisation
from serve_apps.inference.root_cause import NODE_IS_ROOT, OUTPUTS, Judgement, judge
from serve_apps.inference.scoring import FALSE_ALARMS
from serve_apps.inference.torch_graphsage import adjacency, fit, merged
from serve_apps.inference.tree_training import grow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.graphsage import GraphSage
    from serve_apps.inference.learning import Example, NodeExample, TrainingOptions
    from serve_apps.inference.torch_graphsage import Batch
    from serve_apps.inference.trees import Trees

CONDITION_OUTPUTS: Final = ("anomalous",)
EPOCH: Final = "SOURCE_DATE_EPOCH"
ALARM: Final = "incident"  # threshold on the probability that there is an incident
_PACKAGES: Final = ("x0tta6bl4", "torch", "torch-geometric", "scikit-learn", "numpy")
# Few quiet windows set the quantile: below this, a rate of one in a hundred was missed in trials.
_LEAST_ALARM: Final = 0.8
_FAR: Final = -1e9  # logit of what cannot be


@dataclass(frozen=True, slots=True)
class Described:
    """What goes into the card of a model beside what training finds.

    Attributes:
        features: names of the raw features, in order.
        relations: names of the relations of the examples' edges, in order.
        trained_on: the data, in words.
        scaling: of the features; None: that by which the examples are normal.
        root_cause: which kind of root-cause model it is, if it is one.
        false_alarms: share of windows without an incident in which one may be said to be.
    """

    features: tuple[str, ...]
    trained_on: str
    relations: tuple[str, ...] = RELATIONS
    false_alarms: float = FALSE_ALARMS
    scaling: Normalisation | None = None
    root_cause: Purpose = Purpose.ROOT_CAUSE


def train_root_cause(
    examples: Sequence[Example],
    validation: Sequence[Example],
    described: Described,
    options: TrainingOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Model:
    """Train a root-cause model.

    Args:
        examples: at least one; the earlier ones, where they have times.
        validation: the later ones; at least one.
        described: for the card.
        options: how.
        progress: told what is being done.

    Returns:
        A model with thresholds and calibration; nothing of it was measured on other examples.
    """
    every = [*examples, *validation]
    scaling = described.scaling or Normalisation.of(np.concatenate([each.x for each in examples]))
    earlier = _root_cause_batches(examples, scaling, options)
    later = _root_cause_batches(validation, scaling, options)
    networks, epochs = _members(earlier, later, len(OUTPUTS), options, progress, "on the earlier")
    card = _card(described.root_cause, described, options, OUTPUTS)
    first = Model(card, scaling, networks, _grown(examples, options))
    judged = [judge(first, each.graph, each.x) for each in validation]
    scaling = described.scaling or Normalisation.of(np.concatenate([each.x for each in every]))
    whole = _root_cause_batches(every, scaling, options)
    network, _ = _members(whole, [], len(OUTPUTS), options, progress, "on all", epochs)
    card = card.model_copy(
        update={
            "thresholds": {ALARM: _alarm(validation, judged, described.false_alarms)},
            "calibration": {NODE_IS_ROOT: _confidence(validation, judged)},
        }
    )
    return Model(card, scaling, network, _grown(every, options))


def train_condition(
    examples: Sequence[NodeExample],
    validation: Sequence[NodeExample],
    described: Described,
    options: TrainingOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Model:
    """Train a condition model; arguments as of `train_root_cause`."""
    every = [*examples, *validation]
    scaling = described.scaling or Normalisation.of(_normal(examples))
    earlier = _condition_batches(examples, scaling, options)
    later = _condition_batches(validation, scaling, options)
    networks, epochs = _members(earlier, later, 1, options, progress, "on the earlier")
    logits = np.concatenate([_logits(networks, scaling, one)[one.known] for one in validation])
    anomalous = np.concatenate([one.anomalous[one.known] for one in validation])
    scaling = described.scaling or Normalisation.of(_normal(every))
    whole = _condition_batches(every, scaling, options)
    network, _ = _members(whole, [], 1, options, progress, "on all", epochs)
    (name,) = CONDITION_OUTPUTS
    threshold = _quantile(logits[~anomalous], 1 - described.false_alarms)
    card = _card(Purpose.CONDITION, described, options, CONDITION_OUTPUTS).model_copy(
        update={
            "thresholds": {name: threshold},
            "calibration": {name: logistic_curve(logits, anomalous)},
        }
    )
    return Model(card, scaling, network)


def _grown(examples: Sequence[Example], options: TrainingOptions) -> Trees | None:
    is_inside = any(each.truth is Truth.INSIDE for each in examples)
    return grow(examples, options.trees, options.seed) if options.trees and is_inside else None


def _members(
    batches: Sequence[Batch],
    validation: Sequence[Batch],
    outputs: int,
    options: TrainingOptions,
    progress: Callable[[str], None],
    what: str,
    epochs: int | None = None,
) -> tuple[GraphSage, int]:
    fitted = []
    for member in range(options.members):
        seeded = replace(options, seed=options.seed * 1000 + member)
        prefix = f"training {what}, network {member + 1} of {options.members}: "
        fitted.append(
            fit(
                batches,
                validation,
                outputs,
                seeded,
                epochs=epochs,
                progress=lambda text, prefix=prefix: progress(prefix + text),  # type: ignore[misc]
            )
        )
    best = round(float(np.mean([each.epochs for each in fitted])))
    return merged([each.network for each in fitted]), max(best, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _RootCauseBatch:
    """Examples as one graph; `right` and `possible` are of [no incident, roots, outside]."""

    x: torch.Tensor
    adjacencies: tuple[torch.Tensor, ...]
    weight: float
    window: torch.Tensor  # int64 [n + 2 v], example of each logit
    possible: torch.Tensor  # bool [n + 2 v]
    right: torch.Tensor  # bool [n + 2 v]

    def loss(self, outputs: torch.Tensor) -> torch.Tensor:
        n = int(self.weight)
        logits = torch.cat((outputs.new_zeros(n), outputs[:, 0], outputs[:, 1]))
        every = _log_sum_exp(logits.masked_fill(~self.possible, _FAR), self.window, n)
        right = _log_sum_exp(logits.masked_fill(~self.right, _FAR), self.window, n)
        return (every - right).mean()


@dataclass(frozen=True, slots=True, eq=False)
class _ConditionBatch:
    x: torch.Tensor
    adjacencies: tuple[torch.Tensor, ...]
    weight: float
    anomalous: torch.Tensor  # float32 [v]
    known: torch.Tensor  # bool [v]

    def loss(self, outputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(
            outputs[self.known, 0], self.anomalous[self.known]
        )


def _log_sum_exp(logits: torch.Tensor, group: torch.Tensor, n: int) -> torch.Tensor:
    most = torch.full((n,), _FAR).scatter_reduce(0, group, logits.detach(), "amax")
    total = torch.zeros(n).index_add(0, group, torch.exp(logits - most[group]))
    return most + torch.log(total)


def _root_cause_batches(
    examples: Sequence[Example], scaling: Normalisation, options: TrainingOptions
) -> list[_RootCauseBatch]:
    return [
        _root_cause_batch([examples[at] for at in part], scaling)
        for part in _parts(len(examples), options)
    ]


def _root_cause_batch(chosen: Sequence[Example], scaling: Normalisation) -> _RootCauseBatch:
    n, sizes = len(chosen), [len(each.x) for each in chosen]
    window = np.repeat(np.arange(n), sizes)
    truth = np.array([each.truth.value for each in chosen])
    is_vertex = np.concatenate([each.graph.owner >= 0 for each in chosen])
    roots = np.concatenate([each.roots for each in chosen])
    outside = is_vertex & (truth == Truth.OUTSIDE.value)[window]
    right = np.concatenate((truth == Truth.NORMAL.value, roots, outside))
    return _RootCauseBatch(
        torch.from_numpy(scaling(np.concatenate([each.x for each in chosen]))),
        _joined([each.graph.edges for each in chosen], sizes),
        n,
        torch.from_numpy(np.concatenate((np.arange(n), window, window))),
        torch.from_numpy(np.concatenate((np.ones(n, bool), is_vertex, is_vertex))),
        torch.from_numpy(right),
    )


def _condition_batches(
    examples: Sequence[NodeExample], scaling: Normalisation, options: TrainingOptions
) -> list[_ConditionBatch]:
    batches = []
    for part in _parts(len(examples), options):
        chosen = [examples[at] for at in part]
        sizes = [len(each.x) for each in chosen]
        anomalous = np.concatenate([each.anomalous for each in chosen])
        batches.append(
            _ConditionBatch(
                torch.from_numpy(scaling(np.concatenate([each.x for each in chosen]))),
                _joined([each.edges for each in chosen], sizes),
                float(sum(sizes)),
                torch.from_numpy(anomalous.astype(np.float32)),
                torch.from_numpy(np.concatenate([each.known for each in chosen])),
            )
        )
    return batches


def _parts(n: int, options: TrainingOptions) -> list[NDArray[np.intp]]:
    """Which examples each batch has."""
    order = np.random.default_rng(options.seed).permutation(n)
    return np.array_split(order, -(-n // options.batch))


def _joined(
    edges: Sequence[tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]], sizes: Sequence[int]
) -> tuple[torch.Tensor, ...]:
    starts = np.concatenate(([0], np.cumsum(sizes)))
    return tuple(
        adjacency(
            int(starts[-1]),
            [
                (source + start, target + start)
                for (source, target), start in zip(relation, starts, strict=False)
            ],
        )
        for relation in zip(*edges, strict=True)
    )


def _logits(
    network: GraphSage, scaling: Normalisation, example: NodeExample
) -> NDArray[np.float64]:
    using = [mean_operator(len(example.x), *edges) for edges in example.edges]
    return network(scaling(example.x), using)[:, 0].astype(np.float64)


def _normal(examples: Sequence[NodeExample]) -> NDArray[np.float64]:
    return np.concatenate([each.x[each.known & ~each.anomalous] for each in examples])


def _quantile(scores: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(scores, share)) if len(scores) else 0.0


def _alarm(examples: Sequence[Example], judged: Sequence[Judgement], false_alarms: float) -> float:
    """The least probability of an incident at which one is said to be."""
    quiet = [
        said.incident
        for each, said in zip(examples, judged, strict=True)
        if each.truth is Truth.NORMAL
    ]
    return max(_LEAST_ALARM, _quantile(np.array(quiet), 1 - false_alarms))


def _confidence(
    examples: Sequence[Example], judged: Sequence[Judgement]
) -> tuple[tuple[float, float], ...]:
    """How often the node that is named first, with what share of the roots, is the root."""
    shares, right = [0.5], [True]
    for each, said in zip(examples, judged, strict=True):
        if each.truth is Truth.INSIDE:
            best = int(said.nodes.argmax())
            shares.append(float(said.nodes[best]))
            right.append(bool(each.roots[each.graph.owner == best].any()))
    return logistic_curve(np.array(shares), np.array(right), of_probability=True)


def _card(
    purpose: Purpose, described: Described, options: TrainingOptions, outputs: tuple[str, ...]
) -> Card:
    return Card(
        schema_version=SCHEMA_VERSION,
        purpose=purpose,
        features=described.features,
        relations=described.relations,
        sizes=(1, 1),
        outputs=outputs,
        trained_on=described.trained_on,
        seed=options.seed,
        trained_at=made_at(),
        versions=_versions(),
        weights_sha256="",
    )


def made_at() -> datetime:
    """When what is made now is said to be made: now, or at `SOURCE_DATE_EPOCH` (Unix time, s).

    With that the same seed makes the same files (reproducible-builds.org/specs/source-date-epoch).

    Raises:
        ConfigurationError: it is no time.
    """
    told = os.environ.get(EPOCH)
    if told is None:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(told), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigurationError(
            f"{EPOCH} is refused",
            f"{told[:40]!r} is no Unix time in whole seconds",
            "Correct it, or leave it out.",
            variable=EPOCH,
        ) from error


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
