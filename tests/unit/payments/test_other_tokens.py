"""Tokens that the shop does not take, with the right comment: their buyer hears of it, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.payments import lookup
from actors.payments.bot import texts
from actors.payments.bot.phrases import EN, RU, Phrases
from actors.payments.chains.money import Method, Network
from actors.payments.errors import UnknownReview
from actors.payments.ledger import schema
from actors.payments.ledger.orders import Cause, OrderState
from actors.payments.sandbox.kinds import PaymentKind
from tests.unit.payments import ledgers, sandboxed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.payments.ledger.orders import Order
    from tests.unit.payments.sandboxed import Stall


@pytest.fixture
def stall(tmp_path: Path) -> Iterator[Stall]:
    with sandboxed.stall(tmp_path) as opened:
        yield opened


def arrived(stall: Stall, one: Order, words: Phrases) -> str:
    """What the one message that is owed says; it arrives, and is about these tokens."""
    (message,) = stall.ledger.outbox.claim("pull", stall.stage.chains.clock.now_ms())
    stall.ledger.outbox.done(message)
    said = texts.told(message, words).plain()
    assert said.startswith(words.told_tokens[message.kind].partition("{")[0])
    assert one.id in said
    return message.kind


@pytest.mark.parametrize("words", [EN, RU], ids=["en", "ru"])
@pytest.mark.parametrize("method", [Method.TON, Method.TON_USDT])
async def test_another_token_is_told_and_listed_once(
    stall: Stall, method: Method, words: Phrases
) -> None:
    """However often it is sent and read; it counts nowhere, and the order can still be paid."""
    one = stall.order(method)
    stall.pay(one, PaymentKind.FAKE_JETTON)
    assert (await stall.scan(Network.TON)).review == 1
    assert arrived(stall, one, words) == "wrong_asset"
    stall.pay(one, PaymentKind.FAKE_JETTON)
    assert (await stall.scan(Network.TON)).review == 0
    (entry,) = stall.ledger.reviews.listing()
    assert (entry.cause, entry.order, entry.amount) == (Cause.WRONG_ASSET, one.id, None)
    assert stall.stage.chains.ton.account("forger") in entry.note
    shown = texts.entry(one, entry, 0, words)
    assert shown is not None
    assert one.id in shown.plain()
    assert not ledgers.rows(stall.ledger, schema.payments)
    stall.pay(one)
    await stall.scan(Network.TON)
    assert stall.ledger.orders.get(one.id).state is OrderState.CONFIRMED
    ledgers.check(stall.ledger)
    ledgers.check_told(stall.ledger)


async def test_a_person_can_dismiss_it_and_nothing_else(stall: Stall) -> None:
    """Nothing was counted that could pay an order or go back; the decision is told."""
    one = stall.order(Method.TON)
    (named,) = stall.pay(one, PaymentKind.FAKE_JETTON)
    async with stall.api(Network.TON) as api:  # by name it comes to the same as by a scan
        chain, now = stall.chain(Network.TON), stall.stage.chains.clock.now_ms
        for _ in range(2):
            found = await lookup.look_up(chain, stall.ledger, api, named, clock=now)
            assert found.outcome is lookup.Outcome.NOTHING
    assert arrived(stall, one, EN) == "wrong_asset"
    queue = stall.ledger.reviews
    (entry,) = queue.listing()
    for decide in (queue.accept, stall.ledger.refunds.propose):
        with pytest.raises(UnknownReview, match="not of a transfer"):
            decide(entry.subject, now())
    queue.dismiss(entry.subject, now())
    assert arrived(stall, one, EN) == "dismissed"
    assert queue.count() == 0
    await stall.scan(Network.TON)
    assert queue.count() == 0, "decided is decided"
    ledgers.check_told(stall.ledger)
