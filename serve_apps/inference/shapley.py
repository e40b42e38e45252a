"""Exact Shapley values: how much each player adds to a node's score, on average over all orders.

v(S) is the score with the players of S as measured and the others as normal; the value of player i
is the mean over all orders of the players of v(those before i, and i) - v(those before i). It is
computed over all 2^n coalitions and not sampled: sampled values add up just as well and are wrong.
Shapley: "A Value for n-Person Games", 1953; Lundberg, Lee: "A Unified Approach to Interpreting
Model Predictions", NeurIPS 2017.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Worth = Callable[[NDArray[np.bool_]], NDArray[np.float64]]  # [coalitions, players] to [..]

MOST_PLAYERS: Final = 14  # 2^14 coalitions; beyond, exact values take too long


@dataclass(frozen=True, slots=True, eq=False)
class Shapley:
    """The values of a game.

    Attributes:
        base: v of the empty coalition.
        values: float64 [players]; with `base` they add up to v of all players.
    """

    base: float
    values: NDArray[np.float64]


def shapley(worth: Worth, players: int) -> Shapley:
    """The exact Shapley values of a game.

    Args:
        worth: v of coalitions, called once with all 2^players of them.
        players: how many there are, at most `MOST_PLAYERS`.

    Raises:
        ValueError: there are more.
    """
    if players > MOST_PLAYERS:
        raise ValueError(f"{players} players are more than {MOST_PLAYERS}")
    if not players:
        return Shapley(float(worth(np.zeros((1, 0), np.bool_))[0]), np.empty(0))

    def of_masked(mask: NDArray[np.float64]) -> NDArray[np.float64]:
        return worth(mask > 0)  # shap fills coalitions of ones out with zeros

    explain = _exact_explainer()(of_masked, np.zeros((1, players)))
    found = explain(np.ones((1, players)), max_evals=2**players, silent=True)
    return Shapley(float(found.base_values[0]), np.asarray(found.values[0], np.float64))


@functools.cache
def _exact_explainer() -> Any:  # noqa: ANN401 - shap has no types
    """Import shap's explainer, which takes seconds.

    Its loops are left uncompiled: for as few players as are allowed here they take milliseconds,
    and compiling them takes numba ten seconds of a core in every process, as shap caches nothing.
    Its plots, which it leaves out where it cannot import matplotlib, would take 30 MiB.
    """
    from numba import config  # noqa: PLC0415 - only who explains needs it

    flags: Any = config  # numba makes its attributes when it is imported
    before = flags.DISABLE_JIT
    flags.DISABLE_JIT = True
    try:
        with _unimportable("matplotlib"):
            from shap.explainers import ExactExplainer  # noqa: PLC0415 - the same
    finally:
        flags.DISABLE_JIT = before
    return ExactExplainer


@contextlib.contextmanager
def _unimportable(module: str) -> Iterator[None]:
    """A block in which a module cannot be imported, unless it has been before."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # Python's way to say so
    try:
        yield
    finally:
        del sys.modules[module]


def warm_up() -> None:
    """Import and do all that a first explanation would wait for."""
    shapley(lambda coalitions: coalitions.sum(axis=1, dtype=np.float64), 2)
