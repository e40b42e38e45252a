"""Download tokens, licences and the files that they open."""

from __future__ import annotations

import base64
import hmac
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from actors.payments import tokens
from actors.payments.chains.money import Method
from actors.payments.delivery import Delivery, open_key
from actors.payments.errors import GoodsMissing, TokenRefused, UnknownLicence
from actors.payments.ledger import orders
from actors.payments.ledger.entitlements import LEAST_MS
from actors.payments.ledger.orders import OrderState
from actors.payments.ledger.outbox import DELIVERY
from actors.payments.ledger.settling import ENTITLED_MS
from actors.payments.shop import Shop
from actors.runtime.errors import ConfigurationError, Conflict, Unavailable
from tests.unit.payments.shop import DOWNLOAD, NOW, order, transfer, tron_chain

if TYPE_CHECKING:
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order

KEY, OTHER = SecretBytes(b"k" * 32), SecretBytes(b"o" * 32)
IDS = st.binary(min_size=10, max_size=10).map(lambda raw: base64.b32encode(raw).decode().lower())
TIMES = st.integers(0, 2**48 - 1)


@given(order_id=IDS, expires_ms=TIMES)
def test_a_token_says_what_it_was_signed_for(order_id: str, expires_ms: int) -> None:
    """To the last millisecond, always the same one, and safe in a URL."""
    token = tokens.sign(KEY, order_id, expires_ms)
    assert tokens.verify(KEY, token, expires_ms) == (order_id, expires_ms)
    assert token == tokens.sign(KEY, order_id, expires_ms)
    assert token.replace("-", "").replace("_", "").isalnum()
    with pytest.raises(TokenRefused):
        tokens.verify(KEY, token, expires_ms + 1)
    with pytest.raises(TokenRefused):
        tokens.verify(OTHER, token, 0)


@given(order_id=IDS, expires_ms=TIMES, place=st.integers(0, 43), letter=st.sampled_from("Ab9-_"))
def test_no_other_token_opens_anything(
    order_id: str, expires_ms: int, place: int, letter: str
) -> None:
    """One changed character makes it nothing."""
    token = tokens.sign(KEY, order_id, expires_ms)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(TokenRefused):
            tokens.verify(KEY, changed, 0)


@given(order_id=IDS, expires_ms=TIMES)
def test_a_token_has_one_spelling(order_id: str, expires_ms: int) -> None:
    """Cut short, padded, lengthened or in base64's other alphabet it opens nothing."""
    token = tokens.sign(KEY, order_id, expires_ms)
    others = {token.replace("-", "+"), token.replace("_", "/")} - {token}
    for changed in (token[:-1], token[:-4], token + "=", token + "==", token + "AAAA", *others):
        with pytest.raises(TokenRefused):
            tokens.verify(KEY, changed, 0)


def test_links_and_licences_that_buyers_hold_stay_valid() -> None:
    """Their form is fixed: another release of the shop reads what this one has sent."""
    order_id, expires_ms = "abcdefghijklmnop", NOW
    packed = base64.b32decode(order_id.upper())
    head = b"\1" + packed + expires_ms.to_bytes(6, "big")
    mac = hmac.digest(b"k" * 32, b"download\0" + head, "sha256")[:16]
    assert tokens.sign(KEY, order_id, expires_ms) == base64.urlsafe_b64encode(head + mac).decode()
    mac = hmac.digest(b"k" * 32, b"licence\0" + packed, "sha256")[:10]
    code = base64.b32encode(packed + mac).decode()
    groups = [code[at : at + 4] for at in range(0, 32, 4)]
    assert tokens.licence(KEY, order_id) == "-".join(groups)


@given(token=st.text(max_size=60) | st.text(min_size=44, max_size=44))
@example(token="!" * 44)
@example(token="\u00e9" * 44)
def test_no_text_is_a_token(token: str) -> None:
    """Whatever stands in a URL is refused in the same way."""
    with pytest.raises(TokenRefused):
        tokens.verify(KEY, token, 0)


@given(order_id=IDS)
def test_a_licence_is_its_orders(order_id: str) -> None:
    """It can be checked by who has the key, in any case and grouping, and by nobody else."""
    code = tokens.licence(KEY, order_id)
    assert tokens.licensed(KEY, code) == order_id
    assert tokens.licensed(KEY, code.replace("-", "").lower()) == order_id
    assert tokens.licensed(KEY, f" {code}\n") == order_id
    assert tokens.licensed(OTHER, code) is None
    assert tokens.licensed(KEY, code[:-1] + ("A" if code[-1] != "A" else "B")) is None


@pytest.mark.parametrize("code", ["", "x", "AAAA-AAAA", "1" * 32, "A" * 33])
def test_what_is_no_licence(code: str) -> None:
    """Of another form or length."""
    assert tokens.licensed(KEY, code) is None


def test_a_token_of_another_purpose_or_version_is_none() -> None:
    """A licence's MAC signs no download, and the key alone makes no token of this form."""
    order_id = orders.new_id()
    for version, purpose in ((1, b"licence"), (2, b"download")):
        head = bytes([version]) + base64.b32decode(order_id.upper()) + (9).to_bytes(6, "big")
        forged = head + tokens._mac(KEY, purpose, head)[:16]
        with pytest.raises(TokenRefused):
            tokens.verify(KEY, base64.urlsafe_b64encode(forged).decode(), 0)


def test_the_key_is_made_once_and_kept_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode 0600, and the same at each call; a damaged one is an error, never replaced."""
    path = tmp_path / "state" / tokens.KEY
    with monkeypatch.context() as patch:
        patch.delattr(Path, "chmod")  # private from the first instant, not only in the end
        key = tokens.ensure_key(tmp_path / "state")
    assert key.get_secret_value().hex() == path.read_text()
    assert len(key.get_secret_value()) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for mode in (0o644, 0o601):
        path.chmod(mode)
        assert tokens.ensure_key(tmp_path / "state") == key
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() not in repr(key)
    path.write_text(path.read_text() + "\n")  # as an editor or a copy by hand leaves it
    assert tokens.ensure_key(tmp_path / "state") == key
    for damaged in (b"", b"zz", b"00" * 31, b"\xff" * 64):
        path.write_bytes(damaged)
        with pytest.raises(ConfigurationError, match="void"):
            tokens.ensure_key(tmp_path / "state")


def test_a_key_that_is_gone_or_another_is_an_error(
    ledger: Ledger, shop: Shop, tmp_path: Path
) -> None:
    """It is never made anew by itself: what to restore is named, and only a person gives it up."""
    path = tmp_path / tokens.KEY
    key = open_key(tmp_path, ledger)
    assert open_key(tmp_path, ledger) == key
    found = tokens.fingerprint(key)
    assert ledger.signing_keys.fingerprint() == found
    assert found not in path.read_text()
    kept = path.read_text()
    path.unlink()
    with pytest.raises(ConfigurationError, match=f"Restore {path}") as caught:
        open_key(tmp_path, ledger)
    assert found in str(caught.value)
    assert not path.exists()
    other = tokens.ensure_key(tmp_path)
    with pytest.raises(ConfigurationError, match=f"{found}"):
        Delivery.opened(shop, ledger)
    path.write_text(kept)
    assert open_key(tmp_path, ledger) == key
    new = tokens.replace_key(tmp_path)
    assert new not in (key, other)
    assert [one.read_text() for one in tmp_path.glob("*.old")] == [kept]
    ledger.signing_keys.replace(tokens.fingerprint(new), NOW)
    assert open_key(tmp_path, ledger) == new
    assert tokens.replace_key(tmp_path / "empty") != new
    assert tokens.read_key(tmp_path / "nowhere") is None


def test_a_ledger_that_has_sold_knows_that_its_key_is_gone(ledger: Ledger, tmp_path: Path) -> None:
    """Also one of an earlier release, which noted none; of two hosts the first one's counts."""
    paid(ledger, "sold", download=False)
    assert not ledger.signing_keys.has_delivered(), "the first sale still finds or makes its key"
    for _ in ("confirmed", "delivery"):
        (message,) = ledger.outbox.claim("pull", NOW)
        assert ledger.outbox.done(message)
    with pytest.raises(ConfigurationError, match="it is not there"):
        open_key(tmp_path, ledger)
    key = tokens.ensure_key(tmp_path)  # restored from a copy
    assert open_key(tmp_path, ledger) == key
    assert ledger.signing_keys.note("another", NOW) == tokens.fingerprint(key)


def test_a_licence_names_its_order(ledger: Ledger, shop: Shop) -> None:
    """If it was paid; a code of an order that was not, or of a download, is none."""
    delivery = Delivery(shop, ledger, KEY)
    one, other = paid(ledger, "one", download=False), paid(ledger, "download")
    assert delivery.licensee(tokens.licence(KEY, one.id)) == one
    unpaid = order(ledger, "unpaid")
    for wrong in (unpaid.id, other.id, "a" * 16):
        with pytest.raises(UnknownLicence):
            delivery.licensee(tokens.licence(KEY, wrong))
    with pytest.raises(UnknownLicence):
        delivery.licensee(tokens.licence(OTHER, one.id))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    (tmp_path / "shelf").mkdir()
    return Shop(
        chains={tron_chain().network: tron_chain()},
        database_url=SecretStr("sqlite:////nowhere"),
        catalogue=tmp_path / "shelf" / "catalogue.yaml",
        public_url="https://shop.example",
        state_dir=tmp_path,
    )


def paid(ledger: Ledger, name: str, *, download: bool = True) -> Order:
    made = order(ledger, name, plan=DOWNLOAD) if download else order(ledger, name)
    at = ledger.intake.open(made.method.network, made.wallet)
    one = transfer(made.amount, name)
    ledger.intake.settle(at, one.tx_id, [one], NOW)
    return ledger.orders.get(made.id)


def test_a_paid_download_opens_until_it_ends(ledger: Ledger, shop: Shop, tmp_path: Path) -> None:
    """The same link each time; its file while it is there; nothing after the time."""
    (tmp_path / "shelf" / "a.zip").write_bytes(b"goods")
    delivery = Delivery(shop, ledger, KEY)
    one = paid(ledger, "one")
    goods = delivery.of(one)
    assert goods is not None
    assert goods == delivery.of(one)
    assert (goods.kind, goods.until_ms) == ("download", NOW + ENTITLED_MS)
    assert goods.value.startswith("https://shop.example/downloads/")
    assert goods.value not in repr(goods)
    token = goods.value.rpartition("/")[2]
    assert delivery.open(token, NOW).read_bytes() == b"goods"
    assert delivery.open(token, NOW + ENTITLED_MS).read_bytes() == b"goods"
    with pytest.raises(TokenRefused):
        delivery.open(token, NOW + ENTITLED_MS + 1)
    (tmp_path / "shelf" / "a.zip").unlink()
    with pytest.raises(Unavailable, match="not there"):
        delivery.open(token, NOW)


def test_nothing_opens_without_an_entitlement(ledger: Ledger, shop: Shop) -> None:
    """Not an unpaid order, an unknown one, another time, or one that brings no download."""
    delivery = Delivery(shop, ledger, KEY)
    unpaid = order(ledger, "unpaid", plan=DOWNLOAD)
    assert delivery.of(unpaid) is None
    licensed = paid(ledger, "licensed", download=False)
    one = paid(ledger, "one")
    until = NOW + ENTITLED_MS
    for order_id, expires_ms in (
        (unpaid.id, until),
        (orders.new_id(), until),
        (one.id, until + 1),
        (licensed.id, until),
    ):
        with pytest.raises(TokenRefused):
            delivery.open(tokens.sign(KEY, order_id, expires_ms), NOW)


def test_a_link_out_of_the_shelf_opens_nothing(ledger: Ledger, shop: Shop, tmp_path: Path) -> None:
    """A symbolic link to elsewhere is no goods."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "shelf" / "a.zip").symlink_to(tmp_path / "secret")
    one = paid(ledger, "one")
    with pytest.raises(Unavailable):
        Delivery(shop, ledger, KEY).open(tokens.sign(KEY, one.id, NOW + ENTITLED_MS), NOW)


@pytest.mark.parametrize("until", [NOW, NOW + ENTITLED_MS - LEAST_MS + 1, NOW + ENTITLED_MS + 5])
def test_a_link_that_has_ended_is_renewed(
    ledger: Ledger, shop: Shop, tmp_path: Path, until: int
) -> None:
    """One that works for a day at least stays as it is; another one gives way to a link that works
    for seven days, which opens the same file. What is not paid is not renewed."""
    (tmp_path / "shelf" / "a.zip").write_bytes(b"goods")
    delivery = Delivery(shop, ledger, KEY)
    one = paid(ledger, "one")
    old = delivery.of(one)
    renewed = ledger.entitlements.renew(one.id, until)
    new = delivery.of(one)
    assert old is not None
    assert new is not None
    assert new.until_ms == renewed == (NOW if until == NOW else until) + ENTITLED_MS
    assert (new == old) == (until == NOW)
    token = new.value.rpartition("/")[2]
    assert delivery.open(token, renewed).read_bytes() == b"goods"
    assert (old.has_ended(until), new.has_ended(until)) == (until > NOW + ENTITLED_MS, False)
    if new != old:
        with pytest.raises(TokenRefused):
            delivery.open(old.value.rpartition("/")[2], NOW)
    for unpaid in (order(ledger, "unpaid").id, orders.new_id()):
        with pytest.raises(Conflict):
            ledger.entitlements.renew(unpaid, NOW)


CATALOGUE = """
plans:
  - id: month
    title: Month
    price: {tron: "9.90"}
    delivers: {download: %s}
"""


def test_a_file_that_is_not_there_is_not_delivered(
    ledger: Ledger, shop: Shop, tmp_path: Path
) -> None:
    """Nor is it when it leads out of the shelf; once the catalogue is corrected, what was sold
    under the mistake is delivered with the same link."""
    delivery = Delivery(shop, ledger, KEY)
    one = paid(ledger, "one")
    until = NOW + ENTITLED_MS
    seen = delivery.of(one)
    assert seen is not None
    assert seen.is_missing
    with pytest.raises(GoodsMissing, match=r"no file a\.zip"):
        delivery.goods(one, until)
    with pytest.raises(GoodsMissing):
        delivery.again(one.id, NOW)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "shelf" / "real.zip").write_bytes(b"goods")
    for named, found in (("absent.zip", False), ("../secret", False), ("real.zip", True)):
        shop.catalogue.write_text(CATALOGUE % named)
        if found:
            assert delivery.goods(one, until).value == seen.value
            path = delivery.open(seen.value.rpartition("/")[2], NOW)
            assert path.read_bytes() == b"goods"
        else:
            with pytest.raises(GoodsMissing):
                delivery.goods(one, until)
    shop.catalogue.write_text(CATALOGUE.partition("delivers")[0] + "delivers: licence")
    with pytest.raises(GoodsMissing):  # the plan brings something else now
        delivery.goods(one, until)
    shop.catalogue.write_text(CATALOGUE % "real.zip")
    (tmp_path / "shelf" / "a.zip").write_bytes(b"as sold")  # what was sold comes first
    assert delivery.open(seen.value.rpartition("/")[2], NOW).read_bytes() == b"as sold"


def test_a_delivered_order_is_delivered_again(ledger: Ledger, shop: Shop, tmp_path: Path) -> None:
    """By a person's word, from every state of a paid order: once more, with a link that works; an
    entry of the queue that says that it could not be delivered is closed."""
    (tmp_path / "shelf" / "a.zip").write_bytes(b"goods")
    delivery = Delivery(shop, ledger, KEY)
    at = NOW

    def carried(*, refused: bool = False) -> list[str]:
        kinds = []
        while claimed := ledger.outbox.claim("pull", at):
            for message in claimed:
                kinds.append(message.kind)
                if refused and message.kind == DELIVERY:
                    ledger.outbox.refuse(message, "gone", at)
                else:
                    ledger.outbox.done(message)
        return kinds

    one = paid(ledger, "one")
    assert delivery.again(one.id, at).state is OrderState.CONFIRMED
    assert carried() == ["confirmed", DELIVERY]
    at += ENTITLED_MS + 1
    assert delivery.again(one.id, at).state is OrderState.DELIVERING
    again = delivery.of(one)
    assert again is not None
    assert not again.has_ended(at)
    assert carried(refused=True) == [DELIVERY]
    assert ledger.reviews.count() == 1
    assert delivery.again(one.id, at).state is OrderState.DELIVERING
    assert ledger.reviews.count() == 0
    (message,) = ledger.outbox.claim("pull", at)
    assert delivery.again(one.id, at).state is OrderState.DELIVERING  # under way: goes on with it
    assert ledger.outbox.done(message)
    assert carried() == []
    with pytest.raises(Conflict, match="not paid"):
        delivery.again(order(ledger, "unpaid").id, at)


def test_licences_need_no_url(ledger: Ledger, shop: Shop) -> None:
    """And links do."""
    bare = Shop(shop.chains, shop.database_url, shop.catalogue, "", shop.state_dir)
    goods = Delivery(bare, ledger, KEY).of(paid(ledger, "x", download=False))
    assert goods is not None
    assert (goods.kind, goods.until_ms) == ("licence", None)
    assert tokens.licensed(KEY, goods.value) is not None
    with pytest.raises(ConfigurationError, match="X0TTA6BL4_PUBLIC_URL"):
        Delivery(bare, ledger, KEY).of(paid(ledger, "y"))


def test_methods_of_chains() -> None:
    """USDT is paid on both; its contract belongs to it alone."""
    assert tron_chain().methods == (Method.TRON,)
    assert tron_chain().contract_of(Method.TRON) == tron_chain().contract
