"""Messages that are owed, relays that carry them, and what people decide."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretBytes, SecretStr

from actors.payments import answers, bulk_decisions
from actors.payments.bulk_decisions import BulkDecision
from actors.payments.chains import addresses, money
from actors.payments.chains.money import Method
from actors.payments.chains.verdict import Sighting
from actors.payments.delivery import Delivery, Goods
from actors.payments.errors import (
    BotRefused,
    GoodsMissing,
    TransportBusy,
    TransportRefused,
    UnknownOrder,
    UnknownReview,
)
from actors.payments.ledger import schema
from actors.payments.ledger.order_book import WINDOW_MS
from actors.payments.ledger.orders import Cause, OrderState
from actors.payments.ledger.outbox import CLAIM_MS, FIRST_RETRY_MS, OwedMessage
from actors.payments.ledger.review_entries import ReviewFilter
from actors.payments.ledger.settling import ENTITLED_MS
from actors.payments.outbox_relay import OutboxRelay, Pull
from actors.payments.shop import Shop
from actors.runtime.errors import ConfigurationError, Conflict, InvalidInput
from tests.unit.payments import ledgers
from tests.unit.payments.shop import (
    BUYER,
    DOWNLOAD,
    LICENCE,
    NOW,
    TON_BUYER,
    chain_of,
    order,
    transfer,
    tron_chain,
    tx_id,
)

if TYPE_CHECKING:
    from pathlib import Path

    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.review_entries import Review


SYMBOL = re.escape(Method.TON.symbol)


def pay(ledger: Ledger, one: Order, difference: int = 0, name: object = "", after: int = 1) -> None:
    at = ledger.intake.open(one.method.network, chain_of(one.method).wallet)
    paid = transfer(
        one.amount + difference,
        name or one.id,
        method=one.method,
        comment=one.comment,
        block_ms=NOW + after,
    )
    if one.method is Method.TRON:
        ledger.intake.settle(at, paid.tx_id, [paid], NOW)
    else:
        ledger.intake.apply(at, [paid], NOW, position=at.position + 1, mark="00")


def only(ledger: Ledger) -> Review:
    (found,) = ledger.reviews.listing()
    return found


def only_note(ledger: Ledger) -> str:
    """The note that all open entries have."""
    (found,) = {one.note for one in ledger.reviews.listing()}
    return found


def state(ledger: Ledger, one: Order) -> OrderState:
    return ledger.orders.get(one.id).state


def test_messages_of_an_order_go_one_after_the_other(ledger: Ledger) -> None:
    """First that it is paid, then what was bought; the delivery moves the order."""
    one = order(ledger)
    pay(ledger, one)
    (first,) = ledger.outbox.claim("pull", NOW)
    assert (first.kind, first.order.state, first.entitled_until_ms is None) == (
        "confirmed",
        OrderState.CONFIRMED,
        False,
    )
    assert ledger.outbox.claim("pull", NOW) == []
    assert ledger.outbox.claim("telegram", NOW + 10**9) == []
    assert ledger.outbox.done(first)
    assert not ledger.outbox.done(first), "done is done"
    (second,) = ledger.outbox.claim("pull", NOW)
    assert (second.kind, second.order.state) == ("delivery", OrderState.DELIVERING)
    assert ledger.outbox.done(second)
    assert state(ledger, one) is OrderState.DELIVERED
    assert ledger.outbox.claim("pull", NOW + 10**9) == []


def test_a_link_that_is_brought_late_still_works(ledger: Ledger) -> None:
    """However long a relay could not reach the buyer, the time begins when he can."""
    one = order(ledger, channel="telegram", plan=DOWNLOAD)
    pay(ledger, one)
    (told,) = ledger.outbox.claim("telegram", NOW)
    assert ledger.outbox.done(told)
    (early,) = ledger.outbox.claim("telegram", NOW)
    assert early.entitled_until_ms == NOW + ENTITLED_MS
    assert ledger.outbox.refuse(early, "blocked", NOW)
    late = NOW + ENTITLED_MS + 1
    ledger.reviews.retry(only(ledger).subject, late)
    (again,) = ledger.outbox.claim("telegram", late)
    assert again.entitled_until_ms == late + ENTITLED_MS
    assert ledger.orders.entitled_until_ms(one.id) == late + ENTITLED_MS
    (repeated,) = ledger.outbox.claim("telegram", late + CLAIM_MS)
    assert repeated.entitled_until_ms == again.entitled_until_ms, "the same link"


def test_a_dead_relays_message_is_carried_again(ledger: Ledger) -> None:
    """After a minute, by another, and the first one's word counts no more."""
    one = order(ledger)
    pay(ledger, one)
    (lost,) = ledger.outbox.claim("pull", NOW)
    assert ledger.outbox.claim("pull", NOW + CLAIM_MS - 1) == []
    (again,) = ledger.outbox.claim("pull", NOW + CLAIM_MS)
    assert (again.id, again.kind) == (lost.id, lost.kind)
    assert not ledger.outbox.done(lost)
    assert not ledger.outbox.retry(lost, "x", NOW)
    assert not ledger.outbox.refuse(lost, "x", NOW)
    assert ledger.outbox.done(again)


def test_retries_come_ever_later(ledger: Ledger) -> None:
    """5 s, 10 s, 20 s, ... or when the transport says."""
    pay(ledger, order(ledger))
    now = NOW
    for pause_s in (5, 10, 20):
        (message,) = ledger.outbox.claim("pull", now)
        ledger.outbox.retry(message, "busy", now)
        assert ledger.outbox.claim("pull", now + pause_s * 1000 - 1) == []
        now += pause_s * 1000
    (message,) = ledger.outbox.claim("pull", now)
    ledger.outbox.retry(message, "busy", now, after_ms=7)
    assert len(ledger.outbox.claim("pull", now + 7)) == 1


def test_two_couriers_share(ledger: Ledger) -> None:
    """Each message is claimed by one of them."""
    for number in range(12):
        pay(ledger, order(ledger, number))
    claimed: list[OwedMessage] = []
    threads = [
        threading.Thread(target=lambda: claimed.extend(ledger.outbox.claim("pull", NOW)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({message.id for message in claimed}) == len(claimed) == 12


@pytest.mark.parametrize(
    ("difference", "after", "kind"),
    [(-1, 1, "underpaid"), (0, WINDOW_MS + 1, "paid_late"), (1, 1, "overpaid")],
)
def test_who_pays_otherwise_than_asked_is_told(
    ledger: Ledger, difference: int, after: int, kind: str
) -> None:
    """Too little, too late or too much."""
    one = order(ledger, method=Method.TON)
    pay(ledger, one, difference, after=after)
    (message,) = ledger.outbox.claim("pull", NOW)
    assert (message.kind, message.order.id) == (kind, one.id)


def test_what_is_overtaken_is_not_said(ledger: Ledger) -> None:
    """Nobody hears that an order has expired after it was paid; all others hear it."""
    one, two, three = (order(ledger, name) for name in range(3))
    at = ledger.intake.open(one.method.network, one.wallet)
    ledger.intake.complete([at], NOW + WINDOW_MS * 2, NOW)
    assert state(ledger, one) is OrderState.EXPIRED
    told = {message.order.id: message for message in ledger.outbox.claim("pull", NOW, limit=3)}
    assert {message.kind for message in told.values()} == {"expired"}
    for message in (told[one.id], told[two.id]):
        ledger.outbox.retry(message, "busy", NOW, after_ms=0)
    pay(ledger, one)
    pay(ledger, three)
    assert ledger.outbox.done(told[three.id]), "it is on its way"
    kinds = {(found.order.id, found.kind) for found in ledger.outbox.claim("pull", NOW)}
    assert kinds == {(one.id, "confirmed"), (two.id, "expired"), (three.id, "confirmed")}


def test_a_delivery_that_cannot_be_is_for_review_and_can_be_tried_again(ledger: Ledger) -> None:
    """The money is there; a person decides."""
    one = order(ledger)
    pay(ledger, one)
    ledger.outbox.done(ledger.outbox.claim("pull", NOW)[0])
    for _ in range(2):
        (message,) = ledger.outbox.claim("pull", NOW)
        assert ledger.outbox.refuse(message, "blocked by the user", NOW)
        assert state(ledger, one) is OrderState.REVIEW
        entry = only(ledger)
        assert (entry.subject, entry.cause, entry.note, entry.method) == (
            f"order:{one.id}",
            "undeliverable",
            "blocked by the user",
            None,
        )
        for wrong in (ledger.reviews.accept, ledger.refunds.propose):
            with pytest.raises(UnknownReview, match="not of a transfer"):
                wrong(entry.subject, NOW)
        assert ledger.reviews.retry(entry.subject, NOW) == one.id
        assert ledger.reviews.listing() == []
    ledgers.check(ledger)
    (message,) = ledger.outbox.claim("pull", NOW)
    assert ledger.outbox.done(message)
    assert state(ledger, one) is OrderState.DELIVERED


def test_another_message_that_cannot_be_is_let_go(ledger: Ledger) -> None:
    """What was bought still goes out."""
    one = order(ledger)
    pay(ledger, one)
    (message,) = ledger.outbox.claim("pull", NOW)
    assert ledger.outbox.refuse(message, "x", NOW)
    assert ledger.reviews.listing() == []
    assert ledger.outbox.claim("pull", NOW)[0].kind == "delivery"


@pytest.mark.parametrize("difference", [-5, 0])
def test_a_person_accepts(ledger: Ledger, difference: int) -> None:
    """Underpaid or late, the order is then paid and delivered like any other."""
    one = order(ledger, method=Method.TON)
    pay(ledger, one, difference, after=1 if difference else WINDOW_MS + 1)
    entry = only(ledger)
    assert entry.order == one.id
    if difference:
        came, costs = (money.text(units, Method.TON) for units in (one.amount - 5, one.price))
        with pytest.raises(InvalidInput, match=f"{came} {SYMBOL} came in.*costs {costs} {SYMBOL}"):
            ledger.reviews.accept(entry.subject, NOW)
        assert only(ledger) == entry
    accepted = ledger.reviews.accept(entry.subject, NOW, underpaid=bool(difference))
    assert accepted == one.id
    assert state(ledger, one) is OrderState.CONFIRMED
    with pytest.raises(UnknownReview):
        ledger.reviews.accept(entry.subject, NOW)
    ledgers.check(ledger)
    (closed,) = ledger.reviews.listing(closed=True)
    assert closed.decision == "accepted"
    # A payment that comes after a person has decided changes nothing any more.
    pay(ledger, one, name="after")
    assert state(ledger, one) is OrderState.CONFIRMED
    assert only(ledger).cause == "duplicate"
    ledgers.check(ledger)


def test_what_was_paid_in_parts_is_accepted_as_a_whole(ledger: Ledger) -> None:
    """What else is too small counts with it, and what that is too little by is said."""
    one = order(ledger, method=Method.TON)
    pay(ledger, one, -one.amount + 7, name="small")
    pay(ledger, one, -one.amount + 5, name="smaller")
    first, second = ledger.reviews.listing()
    with pytest.raises(InvalidInput, match=rf"0\.000000012 {SYMBOL} came in"):
        ledger.reviews.accept(second.subject, NOW)
    assert ledger.reviews.accept(second.subject, NOW, underpaid=True) == one.id
    assert ledger.reviews.listing() == []
    assert {one.subject for one in ledger.reviews.listing(closed=True)} == {
        first.subject,
        second.subject,
    }
    takings = ledger.report().takings[Method.TON]
    assert (takings.settled, takings.settled_amount, takings.review) == (2, 12, 0)
    ledgers.check(ledger)


def test_a_person_names_the_order(ledger: Ledger) -> None:
    """What names none can be given one that was paid in the same way and is not paid yet."""
    one, two = order(ledger, 1), order(ledger, 2, method=Method.TON)
    at = ledger.intake.open(one.method.network, one.wallet)
    rounded = transfer(10**7, "rounded")
    ledger.intake.settle(at, rounded.tx_id, [rounded], NOW)
    subject = only(ledger).subject
    for wrong, error in ((None, InvalidInput), (two.id, InvalidInput), ("none", UnknownOrder)):
        with pytest.raises(error):
            ledger.reviews.accept(subject, NOW, order_id=wrong)
    assert ledger.reviews.accept(subject, NOW, order_id=one.id) == one.id
    assert state(ledger, one) is OrderState.OVERPAID
    assert ledger.report().takings[Method.TRON].excess == 10**7 - one.amount
    assert (only(ledger).cause, only(ledger).amount) == ("overpaid", 10**7 - one.amount)
    ledgers.check(ledger)
    ledger.reviews.dismiss(only(ledger).subject, NOW)
    more = transfer(5, "more")
    ledger.intake.settle(at, more.tx_id, [more], NOW)
    with pytest.raises(Conflict):
        ledger.reviews.accept(only(ledger).subject, NOW, order_id=one.id)


def test_what_named_another_order_is_taken_from_it(ledger: Ledger) -> None:
    """Which then waits for nobody any more, and says so."""
    one, two = order(ledger, 1, method=Method.TON), order(ledger, 2, method=Method.TON)
    pay(ledger, one, after=WINDOW_MS + 1)
    assert ledger.reviews.accept(only(ledger).subject, NOW, order_id=two.id) == two.id
    assert (state(ledger, one), state(ledger, two)) == (OrderState.CLOSED, OrderState.CONFIRMED)
    ledgers.check(ledger)


def test_who_overpaid_waits_for_a_person(ledger: Ledger) -> None:
    """The excess is an entry of its own: it is sent back or dismissed, and the order stays paid."""
    one = order(ledger, method=Method.TON)
    pay(ledger, one, 7)
    entry = only(ledger)
    assert (entry.subject, entry.cause, entry.order, entry.method, entry.amount) == (
        f"excess:{one.id}",
        "overpaid",
        one.id,
        Method.TON,
        7,
    )
    assert entry.verified
    for wrong in (ledger.reviews.accept, ledger.reviews.retry):
        with pytest.raises(UnknownReview):
            wrong(entry.subject, NOW)
    with pytest.raises(InvalidInput, match="came in"):
        ledger.refunds.propose(entry.subject, NOW, amount=8)
    proposed = ledger.refunds.propose(entry.subject, NOW)
    assert (proposed.refund_amount, proposed.refund_to) == (7, "")
    assert ledger.report().refunds == {Method.TON: 7}
    assert state(ledger, one) is OrderState.OVERPAID
    ledgers.check(ledger)


def said(ledger: Ledger) -> list[str]:
    """What is owed to the only buyer, in order, all of it sent."""
    kinds = []
    while messages := ledger.outbox.claim("pull", NOW):
        for message in messages:
            kinds.append(message.kind)
            assert ledger.outbox.done(message)
    return kinds


def test_a_refund_goes_where_the_buyer_says(ledger: Ledger) -> None:
    """Never by default to where it came from, which may be an exchange: the buyer is asked, may
    correct himself until it is sent, and hears of each step."""
    one = order(ledger, method=Method.TON)
    pay(ledger, one, -5)
    entry = only(ledger)
    for wrong in (0, -1, one.amount - 4):
        with pytest.raises(
            InvalidInput, match=f"{money.text(one.amount - 5, Method.TON)} {SYMBOL} came"
        ):
            ledger.refunds.propose(entry.subject, NOW, amount=wrong)
    for nowhere in ("", "elsewhere", TON_BUYER[:-1], BUYER):
        with pytest.raises(InvalidInput, match="Copy the address again"):
            ledger.refunds.propose(entry.subject, NOW, to=nowhere)
    proposed = ledger.refunds.propose(entry.subject, NOW, note="asked for it")
    assert (proposed.refund_to, proposed.refund_amount, proposed.note) == (
        "",
        one.amount - 5,
        "asked for it",
    )
    assert state(ledger, one) is OrderState.CLOSED, "nobody looks at it any more"
    assert said(ledger) == ["underpaid", "refund_asked"]
    with pytest.raises(InvalidInput, match="where it is to go"):
        ledger.refunds.sent(entry.subject, tx_id("refund"), NOW)
    with pytest.raises(InvalidInput, match="Copy the address again"):
        ledger.refunds.address_given(one.id, BUYER, NOW)
    first, second = (addresses.ton_friendly("0:" + digit * 64) for digit in "78")
    for address in (first, second):
        (given,) = ledger.refunds.address_given(one.id, address, NOW)
        assert given.refund_to == address
        assert said(ledger) == ["refund_planned"]
    corrected = ledger.refunds.correct(entry.subject, NOW, amount=3)
    assert (corrected.refund_to, corrected.refund_amount) == (second, 3)
    assert said(ledger) == ["refund_planned"]
    assert [found.subject for found in ledger.refunds.listing()] == [entry.subject]
    assert ledger.report().refunds == {Method.TON: 3}
    for wrong in ("", "x" * 81, "a\nb", "é"):
        with pytest.raises(InvalidInput, match="no id of a transaction"):
            ledger.refunds.sent(entry.subject, wrong, NOW)
    for name in ("mistyped", "refund", "refund"):
        assert ledger.refunds.sent(entry.subject, tx_id(name), NOW).refund_tx == tx_id(name)
    assert said(ledger) == ["refund_sent"], "told once, if nothing was sent in between"
    assert ledger.refunds.listing() == []
    (found,) = ledger.refunds.listing(sent=True)
    assert (found.refund_tx, found.sent_ms) == (tx_id("refund"), NOW)
    assert ledger.report().refunds == {}
    assert ledger.report().refunded == {Method.TON: 3}
    for change in (
        lambda: ledger.refunds.correct(entry.subject, NOW, amount=2),
        lambda: ledger.refunds.withdraw(entry.subject, NOW),
    ):
        with pytest.raises(Conflict, match="was sent in"):
            change()
    with pytest.raises(UnknownReview):
        ledger.refunds.address_given(one.id, first, NOW)
    ledgers.check(ledger)


def test_a_refund_of_nobody_known_needs_an_address(ledger: Ledger) -> None:
    """There is no buyer to ask."""
    at = ledger.intake.open(Method.TRON.network, tron_chain().wallet)
    ledger.intake.settle(at, tx_id("stray"), [transfer(5, "stray")], NOW)
    subject = only(ledger).subject
    with pytest.raises(InvalidInput, match="nobody to ask"):
        ledger.refunds.propose(subject, NOW)
    assert ledger.refunds.propose(subject, NOW, to=BUYER).refund_to == BUYER
    for unknown in ("tron:x:0", "order:x"):
        with pytest.raises(UnknownReview, match="no refund"):
            ledger.refunds.correct(unknown, NOW)


def test_a_proposal_is_withdrawn(ledger: Ledger) -> None:
    """Its entry is open again and the order waits again; and what adds up by then counts."""
    one = order(ledger, method=Method.TON)
    pay(ledger, one, -5, name="most")
    subject = only(ledger).subject
    ledger.refunds.propose(subject, NOW)
    reopened = ledger.refunds.withdraw(subject, NOW)
    assert reopened is not None
    assert (reopened.decision, reopened.refund_to, reopened.refund_amount) == ("", "", None)
    assert state(ledger, one) is OrderState.UNDERPAID
    assert only(ledger).subject == subject
    assert said(ledger) == ["underpaid"], "what is no longer true is not said"
    ledger.refunds.propose(subject, NOW)
    pay(ledger, one, 5 - one.amount, name="rest")
    assert state(ledger, one) is OrderState.UNDERPAID, "what is to go back does not count"
    assert ledger.refunds.withdraw(subject, NOW) is None
    assert state(ledger, one) is OrderState.CONFIRMED
    assert ledger.reviews.listing() == []
    ledgers.check(ledger)


def test_what_a_person_has_disposed_of_settles_nothing(ledger: Ledger) -> None:
    """A refunded duplicate does not become the payment when an earlier one is found."""
    one = order(ledger, method=Method.TON)
    pay(ledger, one, after=WINDOW_MS + 1)
    ledger.refunds.propose(only(ledger).subject, NOW)
    assert state(ledger, one) is OrderState.CLOSED
    pay(ledger, one, -1, name="less")
    assert state(ledger, one) is OrderState.UNDERPAID
    pay(ledger, one, name="whole")
    assert state(ledger, one) is OrderState.CONFIRMED
    ledgers.check(ledger)


@pytest.mark.parametrize(
    ("case", "kinds"),
    [
        ("duplicate", ["confirmed", "delivery", "duplicate"]),
        ("extra", ["confirmed", "delivery", "duplicate"]),
        ("late", ["paid_late"]),
        ("overpaid", ["overpaid", "delivery"]),
    ],
)
def test_whoever_pays_hears_what_became_of_it(ledger: Ledger, case: str, kinds: list[str]) -> None:
    """Every transfer, and then every decision about it."""
    one = order(ledger, method=Method.TON)
    if case in {"duplicate", "extra"}:
        pay(ledger, one)
        pay(ledger, one, -3 if case == "extra" else 0, name="again", after=2)
    else:
        late = case == "late"
        pay(ledger, one, 0 if late else 3, after=WINDOW_MS + 1 if late else 1)
    assert said(ledger) == kinds
    entry = only(ledger)
    ledger.reviews.dismiss(entry.subject, NOW)
    (message,) = ledger.outbox.claim("pull", NOW)
    assert (message.kind, message.review.subject if message.review else None) == (
        "dismissed",
        entry.subject,
    )
    assert [found.decision for found in ledger.reviews.of_order(one.id)] == ["dismissed"]
    ledgers.check(ledger)


def strays(ledger: Ledger, count: int) -> list[str]:
    """Names of so many transfers, of 1, 2, 3, ..., that name no order."""
    at = ledger.intake.open(Method.TRON.network, tron_chain().wallet)
    for number in range(1, count + 1):
        stray = transfer(number, number, block_ms=NOW - 10**9)
        ledger.intake.settle(at, stray.tx_id, [stray], NOW + number)
    return [f"tron:{tx_id(number)}:0" for number in range(1, count + 1)]


def outcomes(
    ledger: Ledger, decision: BulkDecision, subjects: list[str], note: str = ""
) -> list[str]:
    return [
        str(one.result) for one in bulk_decisions.decide(ledger, decision, subjects, NOW, note=note)
    ]


def test_many_entries_are_found_and_dismissed_at_once(ledger: Ledger) -> None:
    """Those that name an order come first, page by page; filters pick the rest; each by itself."""
    dust = strays(ledger, 7)
    at = ledger.intake.open(Method.TRON.network, tron_chain().wallet)
    one = order(ledger, method=Method.TON)
    pay(ledger, one, -5)
    ledger.intake.note(at, "", [Sighting(tx_id("u"), 3, NOW, confirmed=True)], NOW)
    ledger.intake.note(at, "", [Sighting(tx_id("v"), 30, NOW + 1, confirmed=True)], NOW)
    whole = [found.subject for found in ledger.reviews.listing()]
    assert len(whole) == ledger.reviews.count() == 10
    assert ledger.reviews.listing()[0].order == one.id
    paged: list[str] = []
    while page := ledger.reviews.listing(limit=3, after=paged[-1] if paged else None):
        paged += [found.subject for found in page]
    assert paged == whole

    def chosen(**values: Any) -> list[int | None]:
        return [found.amount for found in ledger.reviews.listing(chosen=ReviewFilter(**values))]

    assert chosen(order=one.id) == chosen(method=Method.TON) == [one.amount - 5]
    assert chosen(causes=[Cause.LATE]) == []
    assert chosen(below={Method.TRON: 3}) == [1, 2]
    assert chosen(causes=[Cause.UNMATCHED], below={Method.TRON: 4}) == [1, 2, 3, 3]
    few = ReviewFilter(below={Method.TRON: 4})
    proposed = bulk_decisions.proposals(ledger, BulkDecision.DISMISS, few, limit=2)
    rest = bulk_decisions.proposals(
        ledger, BulkDecision.DISMISS, few, limit=2, after=proposed[-1].entry.subject
    )
    assert [found.entry.subject for found in [*proposed, *rest]] == dust[:3], "no hearsay"
    unread = whole[-1]
    decided = bulk_decisions.decide(
        ledger, BulkDecision.DISMISS, [unread, *dust, dust[0]], NOW, note="dust"
    )
    assert [str(found.result) for found in decided] == ["failed"] + ["decided"] * 7
    assert "receipt was not read" in str(decided[0].error)
    assert outcomes(ledger, BulkDecision.DISMISS, dust) == ["before"] * 7
    assert outcomes(ledger, BulkDecision.RETRY, dust[:1]) == ["failed"]
    assert {found.note for found in ledger.reviews.listing(closed=True)} == {"dust"}
    closed: list[Any] = []
    while page := ledger.reviews.listing(
        closed=True, limit=2, after=closed[-1] if closed else None
    ):
        closed += [found.subject for found in page]
    assert sorted(closed) == sorted(dust)
    with pytest.raises(UnknownReview, match="go on from"):
        ledger.reviews.listing(after="nothing")
    ledgers.check(ledger)


def test_what_is_certain_and_enough_is_accepted_in_bulk(ledger: Ledger) -> None:
    """Late payments, parts that suffice together, half a comment; no guess, nothing too little."""
    tron = [order(ledger, number) for number in range(2)]
    coins = {name: order(ledger, name, method=Method.TON) for name in "abcdef"}
    pay(ledger, tron[0], after=WINDOW_MS + 1)
    guessed = transfer(tron[1].amount + 1, "guessed", block_ms=NOW + 1)
    at = ledger.intake.open(guessed.network, guessed.wallet)
    ledger.intake.settle(at, guessed.tx_id, [guessed], NOW)
    pay(ledger, coins["a"], after=WINDOW_MS + 1)
    pay(ledger, coins["a"], name="once more", after=WINDOW_MS + 2)
    pay(ledger, coins["b"], -5)
    pay(ledger, coins["c"], -5)
    pay(ledger, coins["c"], -5, name="the rest", after=WINDOW_MS + 1)
    pay(ledger, coins["d"])
    pay(ledger, coins["d"], name="doubled", after=2)
    for place, (name, digits) in enumerate((("e", 16), ("f", 15)), start=10):
        cut = transfer(
            coins[name].amount,
            name,
            method=Method.TON,
            comment=f"for {coins[name].comment[:digits]}",
            block_ms=NOW + 1,
            position=place,
        )
        coin_at = ledger.intake.open(cut.network, cut.wallet)
        ledger.intake.apply(coin_at, [cut], NOW, position=place, mark="00")
    certain = [tron[0], *(coins[name] for name in "ace")]
    proposed = bulk_decisions.proposals(ledger, BulkDecision.ACCEPT, ReviewFilter(), limit=100)
    answered = answers.bulk_proposals(BulkDecision.ACCEPT, proposed, 100).proposals
    assert sorted(found.order or "" for found in answered) == sorted(one.id for one in certain)
    assert all(float(found.paid or 0) >= float(found.price or 1) for found in answered)
    ton = ReviewFilter(method=Method.TON)
    assert len(bulk_decisions.proposals(ledger, BulkDecision.ACCEPT, ton, limit=2)) == 2
    everything = [found.subject for found in ledger.reviews.listing()]
    assert outcomes(ledger, BulkDecision.ACCEPT, everything).count("decided") == len(certain)
    assert {state(ledger, one) for one in certain} == {OrderState.CONFIRMED, OrderState.OVERPAID}
    assert {state(ledger, one) for one in (tron[1], coins["b"], coins["f"])} == {
        OrderState.NEW,
        OrderState.UNDERPAID,
    }
    again = outcomes(ledger, BulkDecision.ACCEPT, everything)
    assert "decided" not in again
    assert again.count("before") == len(certain) + 1, "a part is accepted with its whole"
    ledgers.check(ledger)
    ledgers.check_told(ledger)


def test_refunds_are_proposed_in_bulk_to_those_who_can_be_asked(ledger: Ledger) -> None:
    """Whoever names an order is asked where to; an entry of nobody is not proposed."""
    dust = strays(ledger, 1)
    made = [order(ledger, number, method=Method.TON) for number in range(2)]
    for one in made:
        pay(ledger, one, -5)
    proposed = bulk_decisions.proposals(ledger, BulkDecision.REFUND, ReviewFilter(), limit=9)
    subjects = [found.entry.subject for found in proposed]
    assert {found.entry.order for found in proposed} == {one.id for one in made}
    assert outcomes(ledger, BulkDecision.REFUND, [*dust, *subjects], "closed") == [
        "failed",
        "decided",
        "decided",
    ]
    assert {(one.refund_amount, one.refund_to, one.note) for one in ledger.refunds.listing()} == {
        (made[0].amount - 5, "", "closed")
    }
    assert outcomes(ledger, BulkDecision.REFUND, subjects) == ["before"] * 2
    assert said(ledger).count("refund_asked") == 2
    ledgers.check_told(ledger)


def test_the_likely_order_is_proposed(ledger: Ledger) -> None:
    """By what is left of its comment, or by the amount, if one stands out; nothing by force."""
    orders = [order(ledger, number) for number in range(2)]
    coins = order(ledger, "coins", method=Method.TON)
    at = ledger.intake.open(Method.TRON.network, tron_chain().wallet)
    one = max(orders, key=lambda found: found.amount)
    for name, amount, block_ms in (
        ("rounded up", one.amount + 1, NOW + 1),
        ("less a fee of one", one.amount - 10**6, NOW + 1),
        ("from before", one.amount + 1, NOW - 1),
        ("something else", 10, NOW + 1),
    ):
        stray = transfer(amount, name, block_ms=block_ms)
        ledger.intake.settle(at, stray.tx_id, [stray], NOW)
    cut = transfer(
        coins.amount // 3, "cut", method=Method.TON, comment=f"for {coins.comment[:20]}", position=4
    )
    coin_at = ledger.intake.open(cut.network, cut.wallet)
    ledger.intake.apply(coin_at, [cut], NOW, position=4, mark="00")
    found = {entry.subject.split(":")[1]: entry for entry in ledger.reviews.listing()}
    assert {name: found[tx_id(name)].likely for name in ("rounded up", "less a fee of one")} == {
        "rounded up": one.id,
        "less a fee of one": one.id,
    }
    assert found[tx_id("from before")].likely is None
    assert found[tx_id("something else")].likely is None
    assert found[tx_id("cut")].likely == coins.id
    assert {entry.is_certain for entry in found.values()} == {False, True}
    assert found[tx_id("cut")].is_certain
    assert found[tx_id("cut")].comment == f"for {coins.comment[:20]}"


def test_dismissing(ledger: Ledger) -> None:
    """An entry is closed with its note, once; what is not there is an error."""
    pay(ledger, order(ledger, method=Method.TON), -5)
    subject = only(ledger).subject
    assert ledger.reviews.get(subject).subject == subject
    with pytest.raises(UnknownReview, match="not of a delivery"):
        ledger.reviews.retry(subject, NOW)
    ledger.reviews.dismiss(subject, NOW, note="known")
    assert (ledger.reviews.listing(), ledger.reviews.count()) == ([], 0)
    assert ledger.reviews.listing(closed=True)[0].note == "known"
    for wrong in (subject, f"tron:{tx_id('x')}"):
        with pytest.raises(UnknownReview):
            ledger.reviews.dismiss(wrong, NOW)
        with pytest.raises(UnknownReview):
            ledger.reviews.retry(wrong, NOW)
        with pytest.raises(UnknownReview):
            ledger.reviews.get(wrong)


class Telegram:
    """A transport that does what it is told."""

    channel = "telegram"

    def __init__(self) -> None:
        self.sent: list[tuple[str, Goods | None]] = []
        self.trouble: list[Exception] = []

    async def send(self, message: OwedMessage, goods: Goods | None) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.sent.append((message.kind, goods))


def relay(
    ledger: Ledger, transport: Telegram | Pull, tmp_path: Path, public_url: str = ""
) -> tuple[OutboxRelay, list[int]]:
    now = [NOW]
    chains = {tron_chain().network: tron_chain()}
    shop = Shop(chains, SecretStr("sqlite:////nowhere"), tmp_path / "c.yaml", public_url, tmp_path)
    delivery = Delivery(shop, ledger, SecretBytes(b"k" * 32))
    return OutboxRelay(ledger, delivery, transport, lambda: now[0]), now


def test_a_courier_carries_everything_with_its_goods(ledger: Ledger, tmp_path: Path) -> None:
    """In order, with the goods in the delivery alone; a refusal is for review."""
    transport = Telegram()
    carrier, now = relay(ledger, transport, tmp_path)
    one = order(ledger, plan=LICENCE, channel="telegram")
    pay(ledger, one)
    transport.trouble = [TransportBusy("flood", retry_after_s=3.0)]
    assert asyncio.run(carrier.round()) == 0
    assert asyncio.run(carrier.round()) == 0, "not before the time"
    now[0] += 3000
    assert asyncio.run(carrier.round()) == 2
    assert [(kind, goods is not None) for kind, goods in transport.sent] == [
        ("confirmed", False),
        ("delivery", True),
    ]
    assert state(ledger, one) is OrderState.DELIVERED
    two = order(ledger, 2, channel="telegram")
    pay(ledger, two)
    transport.trouble = [TransportBusy("down"), TransportRefused("blocked")]
    assert asyncio.run(carrier.round()) == 0
    now[0] += 5000
    transport.trouble = [TransportRefused("blocked"), TransportRefused("blocked")]
    assert asyncio.run(carrier.round()) == 0
    assert state(ledger, two) is OrderState.REVIEW
    assert only(ledger).note == "blocked"


def test_goods_that_cannot_be_made_hold_nobody_up(ledger: Ledger, tmp_path: Path) -> None:
    """A link without a URL waits and is told; all others get theirs, however many wait."""
    transport = Telegram()
    carrier, _ = relay(ledger, transport, tmp_path)
    stuck = [order(ledger, name, plan=DOWNLOAD, channel="telegram") for name in range(25)]
    for one in stuck:
        pay(ledger, one)
    licence = order(ledger, "licence", channel="telegram")
    pay(ledger, licence)
    with pytest.raises(ConfigurationError, match="X0TTA6BL4_PUBLIC_URL"):
        asyncio.run(carrier.round())
    assert state(ledger, licence) is OrderState.DELIVERED
    assert {state(ledger, one) for one in stuck} == {OrderState.DELIVERING}
    assert {found.order for found in ledger.reviews.listing()} == {one.id for one in stuck}
    assert "PUBLIC_URL" in only_note(ledger)
    kinds = [kind for kind, _ in transport.sent]
    assert (kinds.count("confirmed"), kinds.count("delivery")) == (26, 1)
    assert asyncio.run(carrier.round()) == 0, "not before the time"
    mended, now = relay(ledger, transport, tmp_path, "https://shop.example")
    now[0] += FIRST_RETRY_MS
    dismissed, retried, *_ = ledger.reviews.listing()
    ledger.reviews.dismiss(dismissed.subject, now[0])
    ledger.reviews.retry(retried.subject, now[0])
    with pytest.raises(GoodsMissing):  # the file is still missing
        asyncio.run(mended.round())
    assert ledger.reviews.count() == 24, "a person has dismissed one"
    assert "a.zip" in only_note(ledger)
    (tmp_path / "a.zip").write_bytes(b"goods")
    proposed = bulk_decisions.proposals(ledger, BulkDecision.RETRY, ReviewFilter(), limit=100)
    subjects = [found.entry.subject for found in proposed]
    assert outcomes(ledger, BulkDecision.RETRY, subjects[:20]) == ["decided"] * 20
    assert asyncio.run(mended.round()) == 20, "at once"
    now[0] += 2 * FIRST_RETRY_MS
    assert asyncio.run(mended.round()) == 5
    assert {state(ledger, one) for one in stuck} == {OrderState.DELIVERED}
    assert ledger.reviews.count() == 0


def test_a_defect_of_a_transport_holds_nobody_up(ledger: Ledger, tmp_path: Path) -> None:
    """What it fails over waits and is told, without its text; a refusal of all ends the round."""
    transport = Telegram()
    carrier, now = relay(ledger, transport, tmp_path)
    for name in range(3):
        pay(ledger, order(ledger, name, channel="telegram"))
    transport.trouble = [ValueError("a secret")]
    with pytest.raises(ValueError, match="a secret"):
        asyncio.run(carrier.round())
    assert [kind for kind, _ in transport.sent] == ["confirmed"] * 2 + ["delivery"] * 2
    assert [row.error for row in ledgers.rows(ledger, schema.outbox) if row.error] == ["ValueError"]
    now[0] += FIRST_RETRY_MS
    transport.trouble = [BotRefused("no such bot")]
    with pytest.raises(BotRefused):
        asyncio.run(carrier.round())
    assert len(transport.sent) == 4
    now[0] += CLAIM_MS
    assert asyncio.run(carrier.round()) == 2


def test_who_asks_by_himself_is_served_at_once(ledger: Ledger, tmp_path: Path) -> None:
    """His order is delivered as soon as it is paid."""
    one = order(ledger)
    pay(ledger, one)
    carrier, _ = relay(ledger, Pull(), tmp_path)
    assert asyncio.run(carrier.round()) == 2
    assert state(ledger, one) is OrderState.DELIVERED
