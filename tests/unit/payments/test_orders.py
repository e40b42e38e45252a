"""The state machine: a function of the set of transfers, and only allowed steps."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.payments.chains.money import Method
from actors.payments.errors import InvalidTransition
from actors.payments.ledger import orders
from actors.payments.ledger.orders import (
    SETTLED,
    TRANSITIONS,
    Cause,
    Delivers,
    Judgement,
    Order,
    OrderState,
    PaymentKey,
    TransferCandidate,
    has_expired,
    judge,
)

ORDER = Order(
    id="a" * 16,
    request="r",
    plan="p",
    delivers=Delivers("licence"),
    method=Method.TON,
    wallet="w",
    contract="",
    price=100,
    amount=100,
    comment="c" * 32,
    channel="pull",
    recipient="",
    language="en",
    created_ms=1000,
    expires_ms=2000,
    reserved_until_ms=3000,
    reserved=True,
    state=OrderState.NEW,
    version=0,
)

CANDIDATES = st.builds(
    TransferCandidate,
    key=st.builds(PaymentKey, st.just("ton"), st.sampled_from("abcd"), st.integers(0, 3)),
    amount=st.sampled_from([1, 40, 60, 99, 100, 101]),
    block_ms=st.sampled_from([1000, 1500, 2000, 2001, 5000]),
    decided=st.booleans(),
    settles=st.booleans(),
)
SETS = st.lists(CANDIDATES, max_size=6, unique_by=lambda one: one.key)


def one(
    amount: int = 100, block_ms: int = 1500, name: str = "a", **kwargs: bool
) -> TransferCandidate:
    return TransferCandidate(PaymentKey("ton", name, 0), amount, block_ms, **kwargs)


@given(found=SETS, data=st.data())
def test_the_order_of_arrival_does_not_matter(
    found: list[TransferCandidate], data: st.DataObject
) -> None:
    """Any permutation of the same transfers is judged alike."""
    shuffled = data.draw(st.permutations(found))
    assert judge(ORDER, shuffled) == judge(ORDER, found)


def counts_for_order(one: TransferCandidate) -> bool:
    return one.settles and one.asked and not one.decided and one.block_ms <= ORDER.expires_ms


@given(found=SETS, tolerance=st.sampled_from([0, 1, 40]))
def test_each_transfer_settles_or_has_a_cause(
    found: list[TransferCandidate], tolerance: int
) -> None:
    """An order is paid exactly if all that counts adds up, and by no more than it takes."""
    order = replace(ORDER, tolerance=tolerance)
    judged = judge(order, found)
    keys = {candidate.key for candidate in found}
    used = judged.parts | ({judged.settling} - {None})
    assert set(judged.causes) == keys - used
    counts = [c for c in found if counts_for_order(c)]
    paid = sum(c.amount for c in counts) >= ORDER.amount - tolerance
    assert (judged.settling is not None) == paid == (judged.state in SETTLED)
    assert paid or not judged.parts
    if paid:
        check_sum(judged, found, [c for c in counts if c.key in used], tolerance)


def check_sum(
    judged: Judgement,
    found: list[TransferCandidate],
    taken: list[TransferCandidate],
    tolerance: int,
) -> None:
    (last,) = (c for c in found if c.key == judged.settling)
    total = sum(c.amount for c in taken)
    assert len(taken) == len(judged.parts) + 1
    assert total >= ORDER.amount - tolerance > total - last.amount
    assert all((c.block_ms, c.key) <= (last.block_ms, last.key) for c in taken)
    assert judged.excess == max(0, total - ORDER.amount)
    assert judged.state is (OrderState.OVERPAID if judged.excess else OrderState.CONFIRMED)


@pytest.mark.parametrize(
    ("found", "state", "settling"),
    [
        ([], None, None),
        ([one()], OrderState.CONFIRMED, "a"),
        ([one(101)], OrderState.OVERPAID, "a"),
        ([one(99)], OrderState.UNDERPAID, None),
        ([one(block_ms=2000)], OrderState.CONFIRMED, "a"),
        ([one(block_ms=2001)], OrderState.PAID_LATE, None),
        ([one(block_ms=2001), one(99, name="b")], OrderState.PAID_LATE, None),
        ([one(99), one(name="b", block_ms=1900)], OrderState.CONFIRMED, "b"),
        ([one(block_ms=1600), one(name="b", block_ms=1500)], OrderState.CONFIRMED, "b"),
        ([one(99), one(1, name="b")], OrderState.CONFIRMED, "b"),
        ([one(60), one(60, name="b")], OrderState.OVERPAID, "b"),
        ([one(60), one(60, name="b", decided=True)], OrderState.UNDERPAID, None),
        ([one(60), one(60, name="b", block_ms=2001)], OrderState.UNDERPAID, None),
        ([one(settles=False)], None, None),
        ([one(asked=False)], None, None),
        ([one(decided=True)], None, None),
        ([one(99, decided=True)], OrderState.CLOSED, None),
        ([one(block_ms=2001, decided=True)], OrderState.CLOSED, None),
        ([one(99, decided=True), one(98, name="b")], OrderState.UNDERPAID, None),
    ],
)
def test_verdicts(
    found: list[TransferCandidate], state: OrderState | None, settling: str | None
) -> None:
    """What adds up first on time settles; else late outranks underpaid, until it is decided."""
    judged = judge(ORDER, found)
    assert judged.state is state
    assert (judged.settling.tx_id if judged.settling else None) == settling


def test_causes() -> None:
    """Why each of the others is in review."""
    judged = judge(
        ORDER,
        [
            one(name="a"),
            one(name="b", block_ms=1600),
            one(99, name="c"),
            one(name="d", block_ms=2001),
            one(name="e", settles=False),
            one(name="f", settles=False, asked=False),
        ],
    )
    assert {key.tx_id: cause for key, cause in judged.causes.items()} == {
        "b": Cause.DUPLICATE,
        "c": Cause.UNDERPAID,
        "d": Cause.LATE,
        "e": Cause.UNUSUAL,
        "f": Cause.WRONG_ASSET,
    }


@pytest.mark.parametrize("before", list(OrderState))
@pytest.mark.parametrize("to", list(OrderState))
def test_only_listed_steps_are_allowed(before: OrderState, to: OrderState) -> None:
    """Any other one is an error that says what the order is."""
    order = replace(ORDER, state=before)
    if to in TRANSITIONS[before]:
        orders.check(order, to)
    else:
        with pytest.raises(InvalidTransition, match=f"it is {before}") as caught:
            orders.check(order, to)
        assert pickle.loads(pickle.dumps(caught.value)).to == to  # noqa: S301 - made here


def test_a_settled_order_stays_settled() -> None:
    """No step leads from a paid state to one that is not."""
    assert all(TRANSITIONS[state] <= SETTLED for state in SETTLED)
    assert set(TRANSITIONS) == set(OrderState)


def test_expiry_is_by_the_time_of_the_chain() -> None:
    """A new order when its time is over; a seen one when it would no longer be recognised."""
    seen = replace(ORDER, state=OrderState.SEEN)
    assert [has_expired(ORDER, at) for at in (2000, 2001)] == [False, True]
    assert [has_expired(seen, at) for at in (2001, 3000, 3001)] == [False, False, True]
    assert not has_expired(replace(ORDER, state=OrderState.CONFIRMED), 10**6)


def test_ids_and_comments_are_of_their_form() -> None:
    """Drawn anew each time, of a fixed length."""
    assert len({orders.new_id() for _ in range(100)}) == 100
    assert re.fullmatch("[a-z2-7]{16}", orders.new_id())
    assert len(bytes.fromhex(orders.new_comment())) == 16
    drawn = orders.new_comment()
    assert orders.comment_in(drawn) == drawn


WORD = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "text",
    [
        WORD,
        WORD.upper(),
        WORD.capitalize(),
        f'"{WORD}"',
        f"\u00ab{WORD}\u00bb",
        f"\u200b{WORD[:9]}\u200b{WORD[9:]}\ufeff",
        f"order {WORD}",
        f"Order: {WORD}.",
        f"\u0437\u0430\u043a\u0430\u0437 {WORD}\n",
        f"{WORD} {WORD.upper()}",
        f"{'a' * 31} {WORD} {'b' * 33}",
        "".join(chr(ord(one) + 0xFEE0) for one in WORD),  # full-width
    ],
)
def test_a_comment_is_found_in_what_people_send(text: str) -> None:
    """Exactly one word of 32 hexadecimal digits stands in it."""
    assert orders.comment_in(text) == WORD


@pytest.mark.parametrize(
    "text", ["", "\0" * 32, "a" * 31, "a" * 33, f"x{WORD}", f"{WORD}z", f"{WORD} {'a' * 32}"]
)
def test_a_comment_is_not_guessed(text: str) -> None:
    """None, a part of a longer word, or two of them: none."""
    assert orders.comment_in(text) == ""


@given(
    before=st.text(st.characters(exclude_characters="0123456789abcdefABCDEF"), max_size=20),
    after=st.text(st.characters(exclude_characters="0123456789abcdefABCDEF"), max_size=20),
)
def test_a_word_that_stands_alone_is_found_in_any_text(before: str, after: str) -> None:
    """Whatever else is around it, short of other digits."""
    assert orders.comment_in(f"{before} {WORD} {after}") == WORD
