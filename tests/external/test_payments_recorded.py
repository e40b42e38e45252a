"""Recorded and emulated chain data: every hash holds, and each case ends in its right state."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import base58
import pytest
from pydantic import SecretStr

from actors.payments import scan as scanning
from actors.payments.chains import addresses, ton, tron
from actors.payments.chains.money import Method, Network
from actors.payments.chains.ton import TonShop
from actors.payments.chains.verdict import Reason, Rejected, Transfer
from actors.payments.errors import UntrustedHistory
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.orders import OrderState
from actors.payments.shop import ShopChain
from tests.unit.payments import ledgers
from tests.unit.payments.http_chain import Chains, serving
from tests.unit.payments.shop import USDT
from tests.unit.payments.ton_cells import Made, TonAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "payments"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded payments at {DATA}")

DOUBLED = "c4052b526e5cd21e1f023c31cce6b6a13eb9d8aeae3ae80fcefe6038dfbeb022"


def recorded(name: str) -> Any:
    return json.loads((DATA / name).read_bytes())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(SecretStr(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


def proof(row: dict[str, Any]) -> dict[str, Any]:
    """The receipt that belongs to a recorded row.

    The address of the history's owner was altered before it was published: its checksum is wrong.
    """
    ends = (base58.b58decode(row[end])[1:21].hex() for end in ("from", "to"))
    topics = [tron.TRANSFER_TOPIC, *(end.rjust(64, "0") for end in ends)]
    return {
        "id": row["transaction_id"],
        "blockTimeStamp": row["block_timestamp"],
        "receipt": {"result": "SUCCESS"},
        "log": [
            {
                "address": row["token_info"]["address"],
                "topics": topics,
                "data": f"{int(row['value']):064x}",
            }
        ],
    }


def test_every_transaction_id_is_the_hash_of_its_data() -> None:
    """SHA-256 over the raw data, for all recorded plain transactions."""
    rows = recorded("tron/account-transactions.json")["data"]
    assert len(rows) == 25
    for row in rows:
        assert hashlib.sha256(bytes.fromhex(row["raw_data_hex"])).hexdigest() == row["txID"]


def test_the_history_has_a_transaction_twice() -> None:
    """Once unconfirmed and once confirmed: both are one sighting, of the same amount."""
    rows = recorded("tron/trc20-history.json")["data"]
    twice = [row for row in rows if row["transaction_id"] == DOUBLED]
    assert [row.get("_unconfirmed", False) for row in twice] == [True, False]
    recipient = twice[0]["to"]
    found = tron.sift(rows, wallet=recipient, contract=USDT, since_ms=0)
    mine = [one for one in found.sightings if one.tx_id == DOUBLED]
    assert [(one.amount, one.confirmed) for one in mine] == [
        (50_000_000, False),
        (50_000_000, True),
    ]


RECIPIENTS = ["TXJTFuXzfoPbWKCnw47AYxMzgVPUyhJGRd", "TGg7zHY9qd36aN3jLVDDRuiFeJjaaAtx8A"]


@pytest.mark.parametrize("owner", RECIPIENTS)
def test_the_history_passes_a_scan(ledger: Ledger, owner: str) -> None:
    """For two who were paid in it, once doubly and once yet unconfirmed: each transfer once."""
    rows = recorded("tron/trc20-history.json")["data"]
    incoming = {
        row["transaction_id"] for row in rows if row["to"] == owner and not row.get("_unconfirmed")
    }
    assert len(incoming) == 1
    head_ms = max(row["block_timestamp"] for row in rows) + 60_000
    chains = Chains(head_ms=head_ms, page=7)
    for row in rows:
        chains.add(row, None if row.get("_unconfirmed") else proof(row))

    async def scan() -> scanning.ScanResult:
        chain = ShopChain(Network.TRON, url, None, owner, USDT, 1000)
        async with scanning.connect(chain) as api:
            return await scanning.scan(chain, ledger, api, others=100, clock=lambda: head_ms)

    with serving(chains) as url:
        first, second = asyncio.run(scan()), asyncio.run(scan())
    # Names in the recording were changed; what is no address any more is for the receipts to tell.
    nowhere = sum(not _is_address(row["to"]) for row in rows)
    assert (first.pages, first.transfers) == (3, len(incoming) + nowhere)
    assert first.rejected["no_such_log"] == nowhere
    assert (second.settled, second.review) == (0, 0)
    listed = ledger.reviews.listing()
    seen = {row["transaction_id"] for row in rows if row["to"] == owner}
    assert {review.subject.split(":")[1] for review in listed} == seen
    assert {review.subject.split(":")[1] for review in listed if review.verified} == incoming
    outgoing = sum(row["to"] != owner for row in rows)
    assert first.rejected["wrong_recipient"] == outgoing - nowhere
    ledgers.check(ledger)


def _is_address(text: str) -> bool:
    try:
        return addresses.tron(text) == text
    except ValueError:
        return False


@pytest.mark.parametrize(("number", "count"), [(1, 3), (2, 12)])
def test_every_bag_of_cells_has_its_hash(number: int, count: int) -> None:
    """And what is read from it agrees with what the API says beside."""
    rows = recorded(f"ton/tonapi-block-transactions-{number}.json")["transactions"]
    assert len(rows) == count
    for row in rows:
        account = addresses.ton(row["account"]["address"])
        found = ton.parse(bytes.fromhex(row["raw"]), tx_id=row["hash"], account=account)
        assert (found.lt, found.time_s) == (row["lt"], row["utime"])
        assert found.aborted == row["aborted"]
        assert found.previous_lt == row.get("prev_trans_lt", found.previous_lt)
        assert found.sent == len(row["out_msgs"])
        message = row.get("in_msg")
        if message is None or message["msg_type"] != "int_msg":
            assert found.received is None
            continue
        assert found.received is not None
        assert found.received.value == message["value"]
        assert found.received.bounced == message["bounced"]
        assert found.received.source == message["source"]["address"]
        assert found.received.destination == message["destination"]["address"]


def emulated() -> tuple[TonShop, list[dict[str, Any]]]:
    document = recorded("ton/sandbox-transactions.json")
    usdt = document["wallets"]["usdt"]
    shop = TonShop(document["shop"], usdt["minter"], usdt["shop_wallet"])
    return shop, document["rec"]


def verdict(shop: TonShop, record: dict[str, Any]) -> Transfer | Rejected:
    raw = bytes.fromhex(record["raw"])
    found = ton.parse(raw, tx_id=record["hash"], account=record["account"])
    return ton.judge(found, shop, 0)


def test_each_emulated_case_has_its_verdict() -> None:
    """Paid, odd opcode, real and fake jetton, at the shop's wallet."""
    shop, records = emulated()
    found = {
        record["case"]: verdict(shop, record)
        for record in records
        if record["account"] == shop.wallet
    }
    paid = found["paid_ok"]
    assert isinstance(paid, Transfer)
    assert (paid.method, paid.amount, paid.settles) == (Method.TON, 5_440_000_000, True)
    assert paid.comment.startswith("ORDER-")
    odd = found["bad_opcode_body"]
    assert isinstance(odd, Transfer)
    assert (odd.amount, odd.comment) == (2_000_000_000, "")
    real = found["jetton_usdt"]
    assert real == Rejected(real.tx_id, Reason.NOTIFIED)
    fake = found["jetton_fake"]
    assert fake == Rejected(fake.tx_id, Reason.FAKE_JETTON)
    own = found["deploy_shop"]
    assert own == Rejected(own.tx_id, Reason.OWN_TRANSFER)


def test_the_fake_jetton_differs_in_its_sender_alone() -> None:
    """Amount and comment are those of the real one."""
    shop, records = emulated()
    at_shop = {r["case"]: r for r in records if r["account"] == shop.wallet}
    bodies = []
    for case in ("jetton_usdt", "jetton_fake"):
        record = at_shop[case]
        found = ton.parse(
            bytes.fromhex(record["raw"]), tx_id=record["hash"], account=record["account"]
        )
        assert found.received is not None
        assert (found.aborted, found.bounce) == (True, "nofunds")
        bodies.append(found.received.body)
    assert bodies[0] == bodies[1]


def test_the_jetton_wallets_own_record_counts_once() -> None:
    """The transfer that it announces is counted there, and not at the announcement."""
    shop, records = emulated()
    (mine,) = [record for record in records if record["account"] == shop.jetton_wallet]
    found = verdict(shop, mine)
    assert isinstance(found, Transfer)
    assert (found.method, found.contract, found.wallet) == (
        Method.TON_USDT,
        shop.master,
        shop.wallet,
    )


def test_emulated_bounces() -> None:
    """A contract that throws returns the coins; what cannot bounce arrived, however long."""
    shop, _ = emulated()
    found = {
        record["case"]: verdict(shop, record)
        for record in recorded("ton/sandbox-bounces.json")
        if record["account"] == shop.wallet
    }
    for case in ("ascii", "nocomment"):
        one = found[case]
        assert one == Rejected(one.tx_id, Reason.BOUNCED)
    arrived = found["utf8snake"]
    assert isinstance(arrived, Transfer)
    assert arrived.settles
    assert len(arrived.comment.encode()) > 127, "over the edge of one cell"


def test_the_emulated_history_ends_in_the_right_states(ledger: Ledger) -> None:
    """A whole scan over real cells: the order is paid by its comment, fakes pay nothing."""
    shop, records = emulated()
    chains = Chains(head_ms=1_760_000_060_000, jetton_wallet=shop.jetton_wallet)
    for account in (shop.wallet, shop.jetton_wallet):
        chains.accounts[account] = TonAccount(
            account,
            [
                Made(r["hash"], bytes.fromhex(r["raw"]), int(r["lt"]), account, r["utime"])
                for r in records
                if r["account"] == account
            ],
        )

    async def scan(url: str) -> scanning.ScanResult:
        chain = ShopChain(Network.TON, url, None, shop.wallet, shop.master, 1000)
        async with scanning.connect(chain) as api:
            return await scanning.scan(chain, ledger, api)

    with serving(chains) as url:
        # The recording begins after the wallet's first transaction: it is not the whole history.
        with pytest.raises(UntrustedHistory, match="missing"):
            asyncio.run(scan(url))
        began = ton.parse(
            chains.accounts[shop.wallet].made[0].boc,
            tx_id=chains.accounts[shop.wallet].made[0].tx_id,
            account=shop.wallet,
        )
        at = ledger.intake.open(Network.TON, shop.wallet)
        ledger.intake.apply(at, [], 0, position=began.previous_lt, mark=began.previous_id)
        first = asyncio.run(scan(url))
        second = asyncio.run(scan(f"{url}/api/v2"))
    assert (first.transfers, first.settled, first.review) == (3, 0, 3)
    assert dict(first.rejected) == {"own_transfer": 1, "fake_jetton": 1, "notified": 1}
    assert (second.transfers, second.review) == (0, 0)
    assert {str(review.method) for review in ledger.reviews.listing()} == {"ton", "ton-usdt"}
    assert ledger.orders.listing(states=[OrderState.CONFIRMED]) == []
    ledgers.check(ledger)
