"""Trains GraphSAGE with torch-geometric; the only module that needs torch.

A layer has a linear map for the vertex itself and one `SAGEConv` for each relation, summed, as
`graphsage` evaluates them. Windows and networks of a batch are one graph of disjoint parts.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from scipy import sparse
from torch_geometric.nn import SAGEConv

from serve_apps.inference.graphsage import GraphSage, Layer, mean_operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.learning import TrainingOptions

    Edges = tuple[NDArray[np.intp], NDArray[np.intp]]


class Batch(Protocol):
    """Examples as one graph."""

    @property
    def x(self) -> torch.Tensor:
        """Inputs, float32 [v, inputs]."""
        ...

    @property
    def adjacencies(self) -> tuple[torch.Tensor, ...]:
        """Of each relation, sparse [v, v]; see `adjacency`."""
        ...

    @property
    def weight(self) -> float:
        """Number of examples."""
        ...

    def loss(self, outputs: torch.Tensor) -> torch.Tensor:
        """Mean loss over the examples, of outputs [v, outputs]."""
        ...


class TorchGraphSage(torch.nn.Module):
    """GraphSAGE with one mean aggregation for each relation."""

    def __init__(self, sizes: Sequence[int], n_relations: int) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(sizes))
        self._own = [torch.nn.Linear(*pair) for pair in pairs]
        self._of_relation = [
            [
                SAGEConv(*pair, aggr="sum", root_weight=False, bias=False)  # of shares: a mean
                for _ in range(n_relations)
            ]
            for pair in pairs
        ]
        # What torch knows of as parts: lists of its own have no types.
        self.parts = torch.nn.ModuleList([*self._own, *itertools.chain(*self._of_relation)])

    def forward(self, x: torch.Tensor, adjacencies: Sequence[torch.Tensor]) -> torch.Tensor:
        """Outputs of all vertices, float32 [v, outputs]."""
        last = len(self._own) - 1
        for number, (own, convs) in enumerate(zip(self._own, self._of_relation, strict=True)):
            out = own(x)
            for conv, adjacency in zip(convs, adjacencies, strict=True):
                out = out + conv(x, adjacency)
            x = out if number == last else torch.relu(out)
        return x

    def graph_sage(self) -> GraphSage:
        """The same weights for evaluation without torch."""
        return GraphSage(
            tuple(
                Layer(
                    _numbers(own.weight.T),
                    tuple(_numbers(conv.lin_l.weight.T) for conv in convs),
                    _numbers(own.bias),
                )
                for own, convs in zip(self._own, self._of_relation, strict=True)
            )
        )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network.

    Attributes:
        network: its weights.
        epochs: passes after which it was best.
        loss: its mean loss on the validation examples; NaN without any.
    """

    network: GraphSage
    epochs: int
    loss: float


def fit(
    batches: Sequence[Batch],
    validation: Sequence[Batch],
    outputs: int,
    options: TrainingOptions,
    *,
    epochs: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Train a network.

    Args:
        batches: at least one.
        validation: the training ends early when it no longer gets better on these.
        outputs: for each vertex.
        options: `options.members` does not count here.
        epochs: passes to stop after; the learning rate falls as if there were `options.epochs`.
        progress: told how far the training is.
    """
    with _settings(options):
        first = batches[0]
        sizes = [first.x.shape[1], *[options.hidden] * (options.layers - 1), outputs]
        network = TorchGraphSage(sizes, len(first.adjacencies))
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=options.rate, weight_decay=options.decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, options.rate, total_steps=options.epochs * len(batches)
        )
        best, best_at, kept = float("inf"), 0, network.state_dict()
        until = options.epochs if epochs is None else min(epochs, options.epochs)
        for epoch in range(1, until + 1):
            for at in torch.randperm(len(batches)).tolist():
                loss = batches[at].loss(network(batches[at].x, batches[at].adjacencies))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            progress(f"pass {epoch} of at most {until}")
            if not validation:
                continue
            now = _mean_loss(network, validation)
            if now < best:
                best, best_at, kept = now, epoch, copy.deepcopy(network.state_dict())
            elif epoch - best_at >= options.patience:
                break
        if validation:
            network.load_state_dict(kept)
            return Fitted(network.graph_sage(), best_at, best)
        return Fitted(network.graph_sage(), until, float("nan"))


def merged(networks: Sequence[GraphSage]) -> GraphSage:
    """One network whose outputs are the mean of those of several of the same shape.

    Raises:
        ValueError: they have a single layer.
    """
    if len(networks) == 1:
        return networks[0]
    if len(networks[0].layers) == 1:
        raise ValueError("networks of one layer cannot be merged side by side")
    sides = [_beside, *[_diagonal] * (len(networks[0].layers) - 2), _mean_below]
    layers = []
    for join, parts in zip(
        sides, zip(*(each.layers for each in networks), strict=True), strict=True
    ):
        of_relation = zip(*(part.of_relation for part in parts), strict=True)
        layers.append(
            Layer(
                join([part.own for part in parts]),
                tuple(join(each) for each in of_relation),
                np.mean([part.bias for part in parts], axis=0, dtype=np.float32)
                if join is _mean_below
                else np.concatenate([part.bias for part in parts]),
            )
        )
    return GraphSage(tuple(layers))


def adjacency(n_vertices: int, edges: Sequence[Edges]) -> torch.Tensor:
    """What takes the mean over the sources of the edges into each vertex, sparse [v, v].

    Args:
        n_vertices: of all parts together.
        edges: of each part, by vertex of the whole.
    """
    source, target = (np.concatenate([each[end] for each in edges]) for end in (0, 1))
    mean = mean_operator(n_vertices, source, target)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse", UserWarning)  # CSR is said to be in beta
        return torch.sparse_csr_tensor(
            torch.from_numpy(mean.indptr.astype(np.int64)),
            torch.from_numpy(mean.indices.astype(np.int64)),
            torch.from_numpy(mean.data),
            size=mean.shape,
        )


def _beside(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(parts, axis=1)


def _diagonal(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(sparse.block_diag(parts).toarray(), np.float32)


def _mean_below(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(parts, axis=0) / np.float32(len(parts))


@contextlib.contextmanager
def _settings(options: TrainingOptions) -> Iterator[None]:
    """Draw from the seed alone, with so many threads, and leave torch as it was."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _mean_loss(network: TorchGraphSage, batches: Sequence[Batch]) -> float:
    with torch.no_grad():
        losses = [
            (float(each.loss(network(each.x, each.adjacencies))), each.weight) for each in batches
        ]
    return sum(loss * weight for loss, weight in losses) / sum(weight for _, weight in losses)


def _numbers(parameter: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(parameter.detach().numpy(), np.float32)
