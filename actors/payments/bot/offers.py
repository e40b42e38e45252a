"""What is on offer, in pages that fit into a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.payments.catalogue import ShopPlan
    from actors.payments.chains.money import Method

PAGE: Final = 8  # most offers in one message


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan, and the ways to pay it here; there is one at least."""

    plan: ShopPlan
    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True)
class OfferPage:
    """Some of the offers; pages count from 0."""

    offers: tuple[Offer, ...]
    number: int
    of: int


def page(offers: Sequence[Offer], number: int) -> OfferPage:
    """The page of that number, or the last one where there are fewer."""
    of = max(1, -(-len(offers) // PAGE))
    number = min(max(0, number), of - 1)
    return OfferPage(tuple(offers[number * PAGE : (number + 1) * PAGE]), number, of)
