"""The sandbox's chains: ids, signatures and hashes check, by other code than made them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey, VerifyKey
from pytoniq_core.boc.address import Address
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell
from pytoniq_core.tlb.transaction import MessageAny, Transaction
from tronpy.abi import tron_abi
from tronpy.keys import Signature
from tronpy.proto import calculate_txid_from_raw_data

from actors.payments.chains import ton, tron
from actors.payments.chains.money import MAX_AMOUNT, Method
from actors.payments.chains.verdict import Reason, Rejected, Transfer
from actors.payments.sandbox import chain_ton, kinds, ton_cells, ton_wallets
from actors.payments.sandbox.chain_clock import ChainClock
from actors.payments.sandbox.chain_ton import TonChain
from actors.payments.sandbox.chain_tron import TronChain
from actors.payments.sandbox.kinds import APPLIES, Chains, Payment, PaymentKind
from actors.payments.sandbox.ton_cells import TonEnvelope
from actors.payments.sandbox.ton_wallets import BuyerWallet, MessageRefused
from actors.runtime.errors import InvalidInput

SHOP = TronChain("test", ChainClock()).wallet
EACH = [(method, kind) for kind in PaymentKind for method in sorted(APPLIES[kind])]


def paid(chains: Chains, method: Method, kind: PaymentKind, amount: int = 9_900_100) -> list[str]:
    """Pay the shop of some chains."""
    to = chains.tron.wallet if method is Method.TRON else chains.ton.wallet
    return kinds.pay(chains, Payment(method, kind, to, amount, "ab" * 16))


@given(amount=st.integers(1, MAX_AMOUNT), sender=st.text(max_size=20))
def test_a_tron_transaction_is_what_its_id_says_and_signed_by_its_sender(
    amount: int, sender: str
) -> None:
    """The id is the hash of the serialised data, and the signature gives the sender back."""
    chain = TronChain("test", ChainClock())
    made = chain.transfer(sender, SHOP, amount)
    signed = chain.transaction(made.tx_id)
    assert hashlib.sha256(bytes.fromhex(signed["raw_data_hex"])).hexdigest() == made.tx_id
    assert calculate_txid_from_raw_data(signed["raw_data"]) == made.tx_id
    signature = Signature.fromhex(signed["signature"][0])
    key = signature.recover_public_key_from_msg_hash(bytes.fromhex(made.tx_id))
    assert key.to_base58check_address() == chain.account(sender)
    call = signed["raw_data"]["contract"][0]["parameter"]["value"]["data"]
    assert call[:8] == "a9059cbb"  # transfer(address,uint256)
    decoded = tron_abi.decode(["address", "uint256"], bytes.fromhex(call[8:]))
    assert decoded == (SHOP, amount)


def test_no_two_tron_transactions_are_equal() -> None:
    """Even the same payment at the same moment is another transaction."""
    chain = TronChain("test", ChainClock(lambda: 1_760_000_000_000))
    ids = {chain.transfer("buyer", SHOP, 5).tx_id for _ in range(50)}
    assert len(ids) == 50


def test_a_call_that_sends_to_many_reports_each_transfer() -> None:
    """One transaction of another contract has a log of USDT for each recipient."""
    chain = TronChain("test", ChainClock())
    made = chain.transfer_many("buyer", [(SHOP, 5), (chain.account("x"), 6), (SHOP, 7)])
    found = tron.read_receipt(
        chain.receipt(made.tx_id), made.tx_id, wallet=SHOP, contract=chain.usdt, since_ms=0
    )
    assert not isinstance(found, Rejected)
    assert [(one.position, one.amount) for one in found] == [(0, 5), (2, 7)]
    call = made.signed["raw_data"]["contract"][0]["parameter"]["value"]["data"]
    token, to, amounts = tron_abi.decode(
        ["address", "address[]", "uint256[]"], bytes.fromhex(call[8:])
    )
    assert (token, to, amounts) == (chain.usdt, (SHOP, chain.account("x"), SHOP), (5, 6, 7))


def test_a_receipt_appears_when_its_block_is_solid() -> None:
    """Before that the index lists an unconfirmed row, and after it both rows."""
    now = [1_760_000_000_000]
    chain = TronChain("test", ChainClock(lambda: now[0]), solid_after_ms=57_000)
    made = chain.transfer("buyer", SHOP, 5)
    assert chain.receipt(made.tx_id) == {}
    assert [row.get("_unconfirmed") for row in chain.listed(SHOP)] == [True]
    assert chain.solid_head()[1] < made.block_ms
    now[0] += 57_000
    assert chain.receipt(made.tx_id)["receipt"]["result"] == "SUCCESS"
    assert [row.get("_unconfirmed") for row in chain.listed(SHOP)] == [True, None]
    assert chain.solid_head()[1] >= made.block_ms


def test_a_block_that_is_given_up_gives_its_transactions_to_another() -> None:
    """Only the named one, and not before somebody says so."""
    chain = TronChain("test", ChainClock())
    first, second = (chain.transfer("buyer", SHOP, 5, held=True) for _ in range(2))
    block = first.block
    assert chain.receipt(first.tx_id) == {}
    assert chain.confirm(first.tx_id) == [first.tx_id]
    assert first.block > block
    assert chain.receipt(first.tx_id)["id"] == first.tx_id
    assert chain.receipt(second.tx_id) == {}
    assert chain.confirm() == [second.tx_id]
    assert chain.confirm() == []


def test_the_clock_never_goes_back() -> None:
    """Neither with the wall clock, nor by being put forward to the past."""
    now = [5_000]
    clock = ChainClock(lambda: now[0])
    clock.forward_to(9_000)
    assert clock.now_ms() == 9_000
    now[0] = 1_000
    assert clock.now_ms() == 9_000
    clock.forward_to(8_000)
    assert clock.now_ms() == 9_000
    now[0] = 6_000
    assert clock.now_ms() == 10_000


@given(
    amount=st.integers(0, MAX_AMOUNT),
    text=st.text(max_size=300).map(str.strip),
    bounce=st.booleans(),
)
def test_a_deposit_is_read_back_from_its_cells(amount: int, text: str, *, bounce: bool) -> None:
    """Its hash is its id; the product's own reader finds amount, comment and fate."""
    chain = TonChain("test", ChainClock())
    made = chain.deposit("buyer", chain.wallet, amount, text, bounce=bounce)
    assert Cell.one_from_boc(made.boc).hash.hex() == made.tx_id
    read = ton.parse(made.boc, tx_id=made.tx_id, account=chain.wallet)
    verdict = ton.judge(read, ton.TonShop(chain.wallet, "", ""), since_ms=0)
    if bounce:
        assert verdict == Rejected(made.tx_id, Reason.BOUNCED)
    elif amount == 0:
        assert verdict == Rejected(made.tx_id, Reason.NOT_POSITIVE)
    else:
        assert isinstance(verdict, Transfer)
        assert (verdict.amount, verdict.comment) == (amount, text)
        assert verdict.sender == chain.account("buyer")
        assert verdict.settles


@settings(max_examples=25, deadline=None)
@given(
    amount=st.integers(0, MAX_AMOUNT),
    sender=st.text(max_size=20),
    text=st.text(max_size=200),
    bounce=st.booleans(),
)
def test_a_buyer_on_ton_pays_from_a_signed_wallet_contract(
    amount: int, sender: str, text: str, *, bounce: bool
) -> None:
    """The first message brings the code whose hash is the address; the owner signs each."""
    chain = TonChain("test", ChainClock())
    owner = b""
    for seqno in range(2):
        arrived = chain.deposit(sender, chain.wallet, amount, text, bounce=bounce)
        paid, reached = chain.payment(arrived.tx_id)
        assert (paid.account, reached) == (chain.account(sender), arrived)
        read: Any = Transaction.deserialize(Cell.one_from_boc(paid.boc).begin_parse())
        states = (read.orig_status.type_, read.end_status.type_)
        assert states == ("active" if seqno else "uninitialized", "active")
        init, body = read.in_msg.init, read.in_msg.body.begin_parse()
        assert (init is None) == bool(seqno)
        if init is not None:
            assert init.serialize().hash.hex() == paid.account[2:]
            owner = init.data.begin_parse().skip_bits(64).load_bytes(32)
        signature, signed = body.load_bytes(64), body.to_cell()
        VerifyKey(owner).verify(signed.hash, signature)
        assert body.skip_bits(64).load_uint(32) == seqno
        ordered: Any = MessageAny.deserialize(body.load_ref().begin_parse())
        assert (ordered.info.value_coins, ordered.info.bounce) == (amount, bounce)
        assert ordered.info.dest.hash_part.hex() == chain.wallet[2:]
        # What arrives is, to the bit, what the wallet has sent; and so what its owner has signed.
        assert read.out_msgs[0].serialize().hash == reached.incoming.cell().hash
        assert read.out_msgs[0].body.hash == ordered.body.hash


def changed(boc: bytes, *, to: str = "", flip: bool = False) -> bytes:
    """A message from outside to another account, or with a signature of which a bit is wrong."""
    message: Any = MessageAny.deserialize(Cell.one_from_boc(boc).begin_parse())
    if to:
        message.info.dest = Address(to)
    if flip:
        body = message.body.begin_parse()
        signature = bytearray(body.load_bytes(64))
        signature[9] ^= 1
        message.body = Builder().store_bytes(bytes(signature)).store_slice(body).end_cell()
    made: bytes = message.serialize().to_boc()
    return made


def test_a_wallet_takes_what_its_owner_signs_once_in_time_and_in_turn() -> None:
    """Whatever else comes is refused with the contract's exit code, and leaves nothing behind."""
    now = [1_760_000_000_000]
    chain = TonChain("test", ChainClock(lambda: now[0]))
    one, two = BuyerWallet(SigningKey(b"1" * 32)), BuyerWallet(SigningKey(b"2" * 32))
    coins = TonEnvelope(one.address, chain.wallet, 5, ton_cells.comment("x"))

    def signed(seqno: int, wallet: BuyerWallet = one) -> bytes:
        return wallet.sign(coins, seqno, now[0] // 1000)

    def refused(boc: bytes, exit_code: int, why: str) -> None:
        before = len(chain)
        with pytest.raises(MessageRefused, match=why) as caught:
            chain.take(boc)
        assert (caught.value.exit_code, len(chain)) == (exit_code, before)

    refused(signed(1), 0, "no code")
    refused(changed(signed(0, two), to=one.address), 0, "another account's")
    refused(changed(signed(0), flip=True), 35, "signature")
    first = signed(0)
    assert chain.take(first).account == one.address
    refused(first, 33, "1 is next")
    refused(signed(2), 33, "1 is next")
    refused(changed(signed(1), flip=True), 35, "signature")
    refused(changed(signed(1, two), to=one.address), 35, "signature")
    sibling = BuyerWallet(SigningKey(b"1" * 32))
    sibling._contract.options["wallet_id"] += 1
    refused(sibling.sign(coins, 1, now[0] // 1000), 34, "another wallet")
    second = signed(1)
    now[0] += 1000 * ton_wallets.VALID_S
    refused(second, 36, "time")
    assert chain.take(signed(1)).outgoing[0].value == 5


@pytest.mark.parametrize(("method", "kind"), [pair for pair in EACH if pair[0] is not Method.TRON])
def test_each_ton_transaction_follows_the_block_format(method: Method, kind: PaymentKind) -> None:
    """Another reader takes all its phases, to the last bit, and the accounts are chains."""
    chains = Chains.of("test")
    paid(chains, method, kind)
    paid(chains, method, kind)
    seen = 0
    for account, history in chains.ton._accounts.items():
        previous = (0, "00" * 32)
        for made in history:
            read: Any = Transaction.deserialize(Cell.one_from_boc(made.boc).begin_parse())
            assert (read.prev_trans_lt, read.prev_trans_hash.hex()) == previous
            assert read.account_addr.hex() == account[2:]
            assert read.in_msg.info.dest.hash_part.hex() == account[2:]
            assert read.outmsg_cnt == len(read.out_msgs) == len(made.outgoing)
            if isinstance(made.incoming, TonEnvelope):
                assert read.description.credit_ph.credit.grams == made.incoming.value
                assert made.incoming.created[0] < made.lt
            assert (read.description.bounce is not None) == made.bounced
            assert (read.description.compute_ph.type_ == "vm") == made.active
            assert (read.description.action is not None) == made.active
            assert read.description.destroyed is False
            # Whoever pays an account that has ended begins another one.
            ended = read.end_status.type_ == "nonexist"
            previous = (0, "00" * 32) if ended else (read.lt, made.tx_id)
            seen += 1
    assert seen == len(chains.ton) > 0


def test_a_payment_is_at_most_so_many_transactions() -> None:
    """The sandbox's room is reckoned by it."""
    most = 0
    for method, kind in EACH:
        chains = Chains.of("test")
        paid(chains, method, kind)
        most = max(most, len(chains.tron) + len(chains.ton))
    assert most == chain_ton.MOST


def test_a_forged_notice_differs_in_its_sender_alone() -> None:
    """Amount and comment are the same bytes; so only the sender can tell."""
    chain = TonChain("test", ChainClock())
    bodies, sources = [], set()
    for master in (chain.master, chain.fake_master):
        notice = chain.pay_jettons("buyer", chain.wallet, 5, "text", master=master)[1].incoming
        assert isinstance(notice, TonEnvelope)
        start = 32 + 64  # bits: the operation, and the number of the query
        bodies.append(notice.body.begin_parse().load_bits(200)[start:])
        sources.add(notice.source)
    assert bodies[0] == bodies[1]
    assert len(sources) == 2


@pytest.mark.parametrize("kind", list(PaymentKind))
def test_a_kind_exists_with_some_methods_and_is_refused_with_others(kind: PaymentKind) -> None:
    """A refusal names what there is, and makes nothing."""
    for method in Method:
        chains = Chains.of("test")
        if method in APPLIES[kind]:
            assert paid(chains, method, kind)
        else:
            with pytest.raises(InvalidInput, match="exists with") as caught:
                paid(chains, method, kind)
            assert "exact" in caught.value.remedy
            assert len(chains.tron) + len(chains.ton) == 0
