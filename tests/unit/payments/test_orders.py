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
    amount=st.sampled_from([1, 99, 100, 101]),
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


@given(found=SETS)
def test_each_transfer_settles_or_has_a_cause(found: list[TransferCandidate]) -> None:
    """One settles at most, it is sufficient, on time and undecided; the rest are for review."""
    judged = judge(ORDER, found)
    keys = {candidate.key for candidate in found}
    assert set(judged.causes) == keys - {judged.settling}
    if judged.settling is not None:
        winner = next(c for c in found if c.key == judged.settling)
        assert winner.settles
        assert not winner.decided
        assert winner.amount >= ORDER.amount
        assert winner.block_ms <= ORDER.expires_ms
        assert judged.state in {OrderState.CONFIRMED, OrderState.OVERPAID}
    else:
        assert judged.state not in SETTLED


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
        ([one(settles=False)], None, None),
        ([one(decided=True)], None, None),
        ([one(99, decided=True)], None, None),
        ([one(block_ms=2001, decided=True)], None, None),
    ],
)
def test_verdicts(
    found: list[TransferCandidate], state: OrderState | None, settling: str | None
) -> None:
    """The earliest sufficient transfer on time settles; else late outranks underpaid."""
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
        ],
    )
    assert {key.tx_id: cause for key, cause in judged.causes.items()} == {
        "b": Cause.DUPLICATE,
        "c": Cause.UNDERPAID,
        "d": Cause.LATE,
        "e": Cause.UNUSUAL,
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
