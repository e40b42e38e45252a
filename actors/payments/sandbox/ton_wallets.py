"""Wallet contracts on TON, v4r2: messages that buyers sign with tonsdk, and what they come to.

A buyer's wallet has an address before it has code: the hash of its code and first data. Its first
signed message brings both. No TVM runs here; `accept` does what the contract's code does with a
message from outside that sends one on: it checks time, number, wallet and signature in that order,
and throws the same exit codes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from pytoniq_core.boc.cell import Cell
from pytoniq_core.tlb.transaction import ExternalMsgInfo, InternalMsgInfo, MessageAny
from tonsdk.boc import Cell as TonsdkCell
from tonsdk.contract import Contract
from tonsdk.contract.wallet import SendModeEnum, WalletV4ContractR2
from tonsdk.utils import Address as TonsdkAddress

from actors.payments.chains import addresses
from actors.payments.sandbox.ton_cells import TonEnvelope, TonExternal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nacl.signing import SigningKey

VALID_S: Final = 60  # for which a signed message can be taken
_ANY_TIME: Final = 2**32 - 1  # until when one is good that brings the code
_SEND: Final = 0  # of the contract's operations: send the messages that follow
_CODE: Final = bytes.fromhex("feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0")
"""Hash of the contract's code, as explorers show it of deployed wallets."""
_MODE: Final = SendModeEnum.ignore_errors | SendModeEnum.pay_gas_separately


class MessageRefused(ValueError):  # noqa: N818 - as in runtime.errors, named by its condition
    """A wallet does not take a message; nothing has happened, and it is in no block.

    Attributes:
        exit_code: that the contract throws; 0 where none runs, since the message brings no code.
    """

    def __init__(self, exit_code: int, why: str) -> None:
        super().__init__(f"exit code {exit_code}: {why}")
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class WalletData:
    """The data of a wallet that has code.

    Attributes:
        seqno: number of the next message.
        wallet_id: tells wallets of one key apart.
        public_key: Ed25519.
    """

    seqno: int
    wallet_id: int
    public_key: bytes


class BuyerWallet:
    """A wallet as its owner has it: the key, and how messages are signed with it.

    Args:
        key: the owner's.
    """

    def __init__(self, key: SigningKey) -> None:
        public = bytes(key.verify_key)
        self._contract = WalletV4ContractR2(public_key=public, private_key=bytes(key) + public)
        self.address: str = self._contract.address.to_string(is_user_friendly=False)

    def sign(self, message: TonEnvelope, seqno: int, now_s: int) -> bytes:
        """The message from outside that has the wallet send `message`, as a bag of cells.

        Args:
            message: what is sent; its source is this wallet.
            seqno: number of the message; 0 brings the code.
            now_s: time, s since the Unix epoch.
        """
        body = TonsdkCell.one_from_boc(message.body.to_boc())
        to = TonsdkAddress(message.destination)
        header = Contract.create_internal_message_header(to, message.value, bounce=message.bounce)
        signed = TonsdkCell()
        signed.bits.write_uint(self._contract.options["wallet_id"], 32)
        signed.bits.write_uint(now_s + VALID_S if seqno else _ANY_TIME, 32)
        signed.bits.write_uint(seqno, 32)
        signed.bits.write_uint8(_SEND)
        signed.bits.write_uint8(_MODE)
        signed.refs.append(Contract.create_common_msg_info(header, None, body))
        made = self._contract.create_external_message(signed, seqno)["message"]
        return bytes(made.to_boc(has_idx=False))


def accept(
    boc: bytes, known: Mapping[str, WalletData], now_s: int
) -> tuple[TonExternal, WalletData]:
    """What a wallet does with a message from outside: the message, and the data after it.

    Args:
        boc: the message as a bag of cells.
        known: data of the wallets that have code, by address in raw form.
        now_s: time of the block, s since the Unix epoch.

    Raises:
        MessageRefused: the wallet does not take it.
    """
    root = Cell.one_from_boc(boc)
    read: Any = MessageAny.deserialize(root.begin_parse())
    if not isinstance(read.info, ExternalMsgInfo):
        raise MessageRefused(0, "it does not come from outside")
    account = addresses.raw(read.info.dest)
    data = known.get(account) or _brought(read.init, account)
    signed = read.body.begin_parse()
    signature = signed.load_bytes(64)
    digest = signed.to_cell().hash
    wallet_id, valid_until_s, seqno = (signed.load_uint(32) for _ in range(3))
    for exit_code, wrong, why in (
        (36, valid_until_s <= now_s, "its time is over"),
        (33, seqno != data.seqno, f"its number is {seqno}, and {data.seqno} is next"),
        (34, wallet_id != data.wallet_id, "it is for another wallet of this key"),
        (35, not _is_signed(data.public_key, digest, signature), "its signature is wrong"),
    ):
        if wrong:
            raise MessageRefused(exit_code, why)
    if signed.load_uint(8) != _SEND:
        raise MessageRefused(0, "the sandbox knows no plugins of wallets")
    signed.skip_bits(8)  # mode: no balances are kept, so all can be paid
    sends = _sent(signed.load_ref(), account)
    return TonExternal(account, root, sends), replace(data, seqno=data.seqno + 1)


def _brought(init: Any, account: str) -> WalletData:  # noqa: ANN401 - of an untyped library
    """The first data of a wallet whose code comes with a message."""
    if init is None:
        raise MessageRefused(0, "the account has no code, and the message brings none")
    if init.serialize().hash.hex() != account.partition(":")[2]:
        raise MessageRefused(0, "the code and data that it brings are another account's")
    if init.code.hash != _CODE:
        raise MessageRefused(0, "the sandbox knows the wallet contract v4r2 alone")
    data = init.data.begin_parse()
    return WalletData(data.load_uint(32), data.load_uint(32), data.load_bytes(32))


def _is_signed(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    try:
        VerifyKey(public_key).verify(digest, signature)
    except BadSignatureError:
        return False
    return True


def _sent(message: Cell, account: str) -> TonEnvelope:
    read: Any = MessageAny.deserialize(message.begin_parse())
    info: InternalMsgInfo = read.info
    to = addresses.raw(info.dest)
    # The chain, not the owner, writes where a message comes from.
    return TonEnvelope(account, to, info.value_coins, read.body, bounce=bool(info.bounce))
