"""TRON in memory: TRC-20 calls as signed transactions, their receipts, and what an index lists.

A transaction is serialised by tronpy's protocol buffers: its id is the SHA-256 of `raw_data`, and
its signature (secp256k1, recoverable) gives the sender's address back. Its receipt appears once its
block is solid; a block that is given up takes its transactions with it until they get into another
one, and all the while the index lists them as unconfirmed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import base58
from google.protobuf.any_pb2 import Any as AnyMessage
from tronpy.abi import tron_abi
from tronpy.keys import PrivateKey, keccak256
from tronpy.proto import tron_pb2

from actors.payments.chains import addresses
from actors.payments.chains.tron import TRANSFER_TOPIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.payments.sandbox.chain_clock import ChainClock

APPROVAL_TOPIC: Final = keccak256(b"Approval(address,address,uint256)").hex()
FIRST_BLOCK: Final = 60_000_000
EXPIRES_MS: Final = 60_000  # after its making, a transaction can get into no block any more
FEE_LIMIT: Final = 30_000_000  # sun
_TYPE: Final = "TriggerSmartContract"
_TYPE_URL: Final = f"type.googleapis.com/protocol.{_TYPE}"
_ENERGY_FEE: Final = 13_844_850  # sun that a transfer of USDT costs


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """What a contract reports.

    Attributes:
        kind: "Transfer" or "Approval".
        token: address of the contract.
        sender: or owner.
        recipient: or spender.
        amount: amount in the token's smallest unit.
    """

    kind: str
    token: str
    sender: str
    recipient: str
    amount: int

    def log(self) -> dict[str, Any]:
        """As a receipt holds it: addresses without the network's prefix."""
        topic = TRANSFER_TOPIC if self.kind == "Transfer" else APPROVAL_TOPIC
        parties = [_raw(one)[1:].hex().rjust(64, "0") for one in (self.sender, self.recipient)]
        return {
            "address": _raw(self.token)[1:].hex(),
            "topics": [topic, *parties],
            "data": f"{self.amount:064x}",
        }

    def row(self, tx_id: str, block_ms: int) -> dict[str, Any]:
        """As the index lists it."""
        return {
            "transaction_id": tx_id,
            "token_info": {
                "symbol": "USDT",  # anybody may call a token so
                "address": self.token,
                "decimals": 6,
                "name": "Tether USD",
            },
            "block_timestamp": block_ms,
            "from": self.sender,
            "to": self.recipient,
            "type": self.kind,
            "value": str(self.amount),
        }


@dataclass(slots=True)
class TronTransaction:
    """A transaction, and where it stands.

    Attributes:
        tx_id: 64 lower-case hex digits.
        signed: as `wallet/gettransactionbyid` shows it.
        events: the events that its contract reports.
        result: "SUCCESS", or why its execution failed.
        block: number of its block.
        block_ms: time of its block.
        solid_ms: time from which its block is solid; None while its block is one that is given up.
        was_unconfirmed: whether the index listed it as unconfirmed at some time.
        listed: whether the index lists it at all.
    """

    tx_id: str
    signed: dict[str, Any]
    events: tuple[TokenEvent, ...]
    result: str
    block: int
    block_ms: int
    solid_ms: int | None
    was_unconfirmed: bool
    listed: bool = True

    def rows(self, now_ms: int) -> list[dict[str, Any]]:
        """What the index lists of it: a confirmed row does not replace an unconfirmed one."""
        if not self.listed:
            return []
        listed = [event.row(self.tx_id, self.block_ms) for event in self.events]
        solid = self.is_solid(now_ms)
        early = [{**row, "_unconfirmed": True} for row in listed if self.was_unconfirmed]
        return early + (listed if solid and self.result == "SUCCESS" else [])

    def is_solid(self, now_ms: int) -> bool:
        """Whether its block is."""
        return self.solid_ms is not None and self.solid_ms <= now_ms

    def receipt(self) -> dict[str, Any]:
        """As `walletsolidity/gettransactioninfobyid` shows it."""
        failed = self.result != "SUCCESS"
        value = self.signed["raw_data"]["contract"][0]["parameter"]["value"]
        return {
            "id": self.tx_id,
            "fee": _ENERGY_FEE,
            "blockNumber": self.block,
            "blockTimeStamp": self.block_ms,
            "contractResult": [""],
            "contract_address": value["contract_address"],
            "receipt": {"energy_fee": _ENERGY_FEE, "net_usage": 345, "result": self.result},
            **({"result": "FAILED"} if failed else {"log": [one.log() for one in self.events]}),
        }


class TronChain:
    """The chain.

    Args:
        seed: seed of all keys and addresses.
        clock: the clock of the chain.
        solid_after_ms: age at which a block is solid, ms.
    """

    def __init__(self, seed: str, clock: ChainClock, *, solid_after_ms: int = 0) -> None:
        self._seed = seed
        self._clock = clock
        self._solid_after_ms = solid_after_ms
        self._block = FIRST_BLOCK
        self._made: dict[str, TronTransaction] = {}
        self.wallet = self.account("shop")
        self.usdt = self.account("USDT")
        self.fake_usdt = self.account("a token called USDT")
        self.batcher = self.account("contract that sends to many")

    def __len__(self) -> int:
        return len(self._made)

    def account(self, name: str) -> str:
        """The address of the account of that name, base58."""
        address: str = self._key(name).public_key.to_base58check_address()
        return address

    def _key(self, name: str) -> Any:  # noqa: ANN401 - of an untyped library
        return PrivateKey(hashlib.sha256(f"{self._seed}/tron/{name}".encode()).digest())

    def transfer(
        self,
        sender: str,
        to: str,
        amount: int,
        *,
        token: str | None = None,
        result: str = "SUCCESS",
        held: bool = False,
        listed: bool = True,
    ) -> TronTransaction:
        """`sender`, a name, calls `transfer` of a token; of USDT, unless told otherwise.

        Args:
            sender: name of the account.
            to: address of the recipient.
            amount: amount in the smallest unit.
            token: its contract.
            result: "SUCCESS", or why the execution fails.
            held: the block is given up; see `confirm`.
            listed: the index lists it.
        """
        contract = token or self.usdt
        event = TokenEvent("Transfer", contract, self.account(sender), to, amount)
        data = _call("transfer(address,uint256)", "(address,uint256)", [to, amount])
        made = self._add(sender, contract, data, [event], result=result, held=held)
        made.listed = listed
        return made

    def transfer_from(self, sender: str, to: str, owner: str, amount: int) -> TronTransaction:
        """`sender` moves USDT of `owner`, which for an amount of zero needs no allowance."""
        event = TokenEvent("Transfer", self.usdt, self.account(owner), to, amount)
        data = _call(
            "transferFrom(address,address,uint256)",
            "(address,address,uint256)",
            [self.account(owner), to, amount],
        )
        return self._add(sender, self.usdt, data, [event])

    def approve(self, sender: str, spender: str, amount: int) -> TronTransaction:
        """`sender` allows `spender` to take USDT, which moves none."""
        event = TokenEvent("Approval", self.usdt, self.account(sender), spender, amount)
        data = _call("approve(address,uint256)", "(address,uint256)", [spender, amount])
        return self._add(sender, self.usdt, data, [event])

    def transfer_many(self, sender: str, transfers: Sequence[tuple[str, int]]) -> TronTransaction:
        """`sender` has a contract send USDT to several, in one transaction with a log each."""
        events = [
            TokenEvent("Transfer", self.usdt, self.account(sender), to, amount)
            for to, amount in transfers
        ]
        data = _call(
            "send(address,address[],uint256[])",
            "(address,address[],uint256[])",
            [self.usdt, [to for to, _ in transfers], [amount for _, amount in transfers]],
        )
        return self._add(sender, self.batcher, data, events)

    def _add(
        self,
        sender: str,
        contract: str,
        data: str,
        events: Sequence[TokenEvent],
        *,
        result: str = "SUCCESS",
        held: bool = False,
    ) -> TronTransaction:
        self._block += 1
        now = self._clock.now_ms()
        signed = self._sign(sender, contract, data, now)
        made = TronTransaction(
            tx_id=signed["txID"],
            signed=signed,
            events=tuple(events),
            result=result,
            block=self._block,
            block_ms=now,
            solid_ms=None if held else now + self._solid_after_ms,
            # An index cannot know of a failure before the block is executed.
            was_unconfirmed=held or self._solid_after_ms > 0 or result != "SUCCESS",
        )
        self._made[made.tx_id] = made
        return made

    def _sign(self, sender: str, contract: str, data: str, now_ms: int) -> dict[str, Any]:
        key = self._key(sender)
        owner = key.public_key.to_hex_address()
        call = tron_pb2.TriggerSmartContract(
            owner_address=bytes.fromhex(owner),
            contract_address=_raw(contract),
            data=bytes.fromhex(data),
        )
        # A transaction names an earlier block, so none can be repeated on another chain.
        reference = hashlib.sha256(f"{self._seed}/{self._block}".encode()).digest()
        raw = tron_pb2.Transaction.raw(
            ref_block_bytes=(self._block & 0xFFFF).to_bytes(2, "big"),
            ref_block_hash=reference[8:16],
            expiration=now_ms + EXPIRES_MS,
            timestamp=now_ms,
            fee_limit=FEE_LIMIT,
            contract=[
                tron_pb2.Transaction.Contract(
                    type=tron_pb2.Transaction.Contract.ContractType.TriggerSmartContract,
                    parameter=AnyMessage(type_url=_TYPE_URL, value=call.SerializeToString()),
                )
            ],
        )
        content = raw.SerializeToString()
        tx_id = hashlib.sha256(content)
        value = {
            "data": data,
            "owner_address": owner,
            "contract_address": _raw(contract).hex(),
        }
        return {
            "ret": [{"contractRet": "SUCCESS"}],
            "signature": [key.sign_msg_hash(tx_id.digest()).hex()],
            "txID": tx_id.hexdigest(),
            "raw_data": {
                "contract": [{"parameter": {"value": value, "type_url": _TYPE_URL}, "type": _TYPE}],
                "ref_block_bytes": raw.ref_block_bytes.hex(),
                "ref_block_hash": raw.ref_block_hash.hex(),
                "expiration": raw.expiration,
                "fee_limit": raw.fee_limit,
                "timestamp": raw.timestamp,
            },
            "raw_data_hex": content.hex(),
        }

    def confirm(self, tx_id: str | None = None) -> list[str]:
        """Get transactions of blocks that were given up into a solid one; which they were.

        Args:
            tx_id: only this one; None: all.
        """
        confirmed = []
        for one in self._made.values():
            if one.solid_ms is None and tx_id in {None, one.tx_id}:
                self._block += 1
                one.block, one.block_ms = self._block, self._clock.now_ms()
                one.solid_ms = one.block_ms
                confirmed.append(one.tx_id)
        return confirmed

    def list_after_all(self, tx_id: str) -> None:
        """Have the index list what it did not."""
        self._made[tx_id].listed = True

    def transaction(self, tx_id: str) -> dict[str, Any]:
        """The signed transaction; empty if there is none."""
        made = self._made.get(tx_id)
        return {} if made is None else made.signed

    def receipt(self, tx_id: str, *, solid: bool = True) -> dict[str, Any]:
        """The receipt of a transaction, of a solid one alone if `solid`; empty if there is none."""
        made = self._made.get(tx_id)
        if made is None or (solid and not made.is_solid(self._clock.now_ms())):
            return {}
        return made.receipt()

    def solid_head(self) -> tuple[int, int]:
        """Number and time, ms, of the newest solid block."""
        now = self._clock.now_ms()
        return self._block, now - self._solid_after_ms

    def listed(self, address: str) -> list[dict[str, Any]]:
        """All rows of an index about an address."""
        now = self._clock.now_ms()
        return [
            row
            for one in self._made.values()
            for row in one.rows(now)
            if address in {row["from"], row["to"]}
        ]


def _raw(address: str) -> bytes:
    """The 21 bytes of an address."""
    raw: bytes = base58.b58decode_check(addresses.tron(address))
    return raw


def _call(signature: str, types: str, values: list[Any]) -> str:
    """The data of a call, by the contract ABI."""
    selector: bytes = keccak256(signature.encode())[:4]
    encoded: bytes = tron_abi.encode_single(types, values)
    return (selector + encoded).hex()
