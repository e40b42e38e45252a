"""The shop's settings, catalogue and checkout: consistent, or an error that names the variable."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from actors.payments import catalogue
from actors.payments.chains.money import Method, Network
from actors.payments.checkout import Checkout, shown_wallet, transfer_method
from actors.payments.contract import WatcherOptions
from actors.payments.errors import GoodsMissing, PaymentsOff, UnknownPlan, UnknownReview
from actors.payments.shop import TON_USDT, TRON_USDT, Shop
from actors.runtime.errors import ConfigurationError, InvalidInput, Unavailable
from serve_apps.settings import Settings
from tests.unit.payments.shop import (
    JETTON_WALLET,
    MASTER,
    NOW,
    TON_WALLET,
    USDT,
    WALLET,
    order,
    ton_chain,
    transfer,
    tron_chain,
)

if TYPE_CHECKING:
    from actors.payments.ledger.ledger import Ledger

PREFIX = "X0TTA6BL4_"
NILE, SHASTA = "https://nile.trongrid.io", "https://api.shasta.trongrid.io"
CENTER = "https://testnet.toncenter.com/api/v2"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv(f"{PREFIX}STATE_DIR", str(tmp_path))


def shop(monkeypatch: pytest.MonkeyPatch, **values: str) -> Shop:
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name, value)
    return Shop.of(Settings.load())


def test_each_part_has_its_own_secrets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher has the key of its API alone, the gateway has none, and no text shows one."""
    found = shop(
        monkeypatch,
        TRON_WALLET=WALLET,
        TRON_API_KEY="tron-canary",
        TON_WALLET=TON_WALLET,
        TON_API_KEY="ton-canary",
        TELEGRAM_TOKEN="bot-canary",  # noqa: S106 - of nothing
    )
    watcher = WatcherOptions(Network.TRON, found.only(Network.TRON), "INFO")
    sent = pickle.dumps(watcher)
    assert b"tron-canary" in sent
    assert b"ton-canary" not in sent
    assert b"bot-canary" not in sent
    settings = Settings.load().for_orders()
    assert b"canary" not in pickle.dumps((settings, Shop.of(settings)))
    assert "canary" not in f"{watcher!r}{found!r}{Settings.load()!r}"


def test_without_a_wallet_payments_are_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing else needs to be set, and asking for a chain says what to set."""
    found = shop(monkeypatch)
    assert not found.on
    assert found.database_url.get_secret_value() == f"sqlite:///{tmp_path}/payments.db"
    assert found.catalogue == tmp_path / "catalogue.yaml"
    with pytest.raises(PaymentsOff, match="X0TTA6BL4_TRON_WALLET"):
        found.chain(Network.TRON)


def test_a_wallet_on_each_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contracts are those of the networks, rates those of the APIs."""
    found = shop(monkeypatch, TRON_WALLET=WALLET, TON_WALLET=TON_WALLET, TRON_API_KEY="k")
    tron, ton = found.chain(Network.TRON), found.chain(Network.TON)
    assert (tron.contract, tron.rate, tron.since_ms) == (USDT, 14.0, 0)
    assert (ton.contract, ton.rate) == (TON_USDT, 0.9)
    assert tron.methods + ton.methods == (Method.TRON, Method.TON, Method.TON_USDT)
    assert tron.shown_wallet() == WALLET
    assert ton.shown_wallet().startswith("UQ")


def test_one_chain_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other is an error that names its variable."""
    found = shop(monkeypatch, TRON_WALLET=WALLET, PAYMENTS_SINCE="2026-01-31")
    assert found.on
    assert found.chain(Network.TRON).since_ms == 1_769_817_600_000
    assert found.chain(Network.TRON).rate == 3.0, "without a key"
    with pytest.raises(ConfigurationError) as caught:
        found.chain(Network.TON)
    assert caught.value.variable == "X0TTA6BL4_TON_WALLET"


def test_test_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nile has a contract of its own; TON's test net has none known, so USDT is off there."""
    found = shop(
        monkeypatch,
        TRON_WALLET=WALLET,
        TRON_API_URL=f"{NILE}/",
        TON_WALLET=TON_WALLET,
        TON_API_URL=CENTER,
        TON_RATE="2",
    )
    assert found.chain(Network.TRON).contract == TRON_USDT["Nile"]
    assert found.chain(Network.TRON).api_url == NILE
    ton = found.chain(Network.TON)
    assert (ton.methods, ton.test, ton.rate) == ((Method.TON,), True, 2.0)
    assert ton.shown_wallet().startswith("0Q")


GOOD = {"TRON_WALLET": WALLET, "TON_WALLET": TON_WALLET}
TEST_WALLET = "kQAaDUFwU_NsWLK1DA5VSF80Kvlj55rB-P6K-3wxAjuMOTIE"


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        ({"TRON_WALLET": WALLET[:-1] + "x"}, "TRON_WALLET"),
        ({"TRON_WALLET": TON_WALLET}, "TRON_WALLET"),
        ({"TRON_WALLET": USDT}, "TRON_WALLET"),
        ({"TRON_WALLET": WALLET, "TRON_USDT_CONTRACT": "x"}, "TRON_USDT_CONTRACT"),
        (
            {"TRON_WALLET": WALLET, "TRON_USDT_CONTRACT": USDT, "TRON_API_URL": SHASTA},
            "TRON_USDT_CONTRACT",
        ),
        ({"TRON_API_KEY": "canary-secret"}, "TRON_WALLET"),
        ({"TRON_USDT_CONTRACT": USDT}, "TRON_WALLET"),
        ({"TON_API_KEY": "canary-secret"}, "TON_WALLET"),
        ({"TON_USDT_MASTER": TON_USDT}, "TON_WALLET"),
        ({"TON_WALLET": WALLET}, "TON_WALLET"),
        ({"TON_WALLET": TON_USDT}, "TON_WALLET"),
        ({"TON_WALLET": TEST_WALLET, "TON_API_URL": "https://tonapi.io"}, "TON_WALLET"),
        ({"TON_WALLET": TON_WALLET, "TON_USDT_MASTER": "x"}, "TON_USDT_MASTER"),
        (
            {"TON_WALLET": TON_WALLET, "TON_USDT_MASTER": TON_USDT, "TON_API_URL": CENTER},
            "TON_USDT_MASTER",
        ),
        (
            {**GOOD, "TRON_API_KEY": "canary-secret", "TRON_API_URL": "http://tron.example"},
            "TRON_API_URL",
        ),
        (
            {**GOOD, "TON_API_KEY": "canary-secret", "TON_API_URL": "http://8.8.8.8"},
            "TON_API_URL",
        ),
        ({"DATABASE_URL": "mysql://u:canary-secret@h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:///"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:///:memory:"}, "DATABASE_URL"),
        ({"DATABASE_URL": "canary-secret"}, "DATABASE_URL"),
        ({"PAYMENTS_SINCE": "soon"}, "PAYMENTS_SINCE"),
    ],
)
def test_contradictions_name_the_variable(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], variable: str
) -> None:
    """A wrong address, another network's contract, a key in clear text: nothing starts."""
    with pytest.raises(ConfigurationError) as caught:
        shop(monkeypatch, **values)
    assert caught.value.variable == PREFIX + variable
    assert PREFIX + variable in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_databases(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """PostgreSQL by any of its names, SQLite by a path; a private key may go to loopback."""
    found = shop(
        monkeypatch,
        **GOOD,
        DATABASE_URL=f"{scheme}://u:p@h/d",
        TRON_API_URL="http://127.0.0.1:90",
        TRON_API_KEY="k",
        TON_API_URL="http://localhost:90",
        TON_API_KEY="k",
    )
    assert found.database_url.get_secret_value() == "postgresql+psycopg://u:p@h/d"
    assert "p@" not in repr(found)
    again = shop(monkeypatch, DATABASE_URL="sqlite:////var/lib/x.db")
    assert again.database_url.get_secret_value() == "sqlite:////var/lib/x.db"
    here = shop(monkeypatch, DATABASE_URL="sqlite:///x.db")
    assert here.database_url.get_secret_value() == f"sqlite:///{Path.cwd()}/x.db"


CATALOGUE = """
plans:
  - id: month
    title: {en: One month, ru: Один месяц}
    price: {tron: "9.90", ton: "3.2", ton-usdt: "9.90"}
    delivers: {download: files/month.zip}
  - id: licence
    title: Licence
    price: {tron: "25"}
    delivers: licence
"""


def load(path: Path, text: str) -> catalogue.Catalogue:
    path.write_text(text, encoding="utf-8")
    return catalogue.load(path)


def test_a_catalogue_is_read(tmp_path: Path) -> None:
    """Titles by language, prices without rounding, downloads below its own directory."""
    found = load(tmp_path / "c.yaml", CATALOGUE)
    month, licence = found.plans
    assert month.prices == {
        Method.TRON: 9_900_000,
        Method.TON: 3_200_000_000,
        Method.TON_USDT: 9_900_000,
    }
    assert [month.title(language) for language in ("ru", "en", "de")] == [
        "Один месяц",
        "One month",
        "One month",
    ]
    assert (licence.title("ru"), licence.delivers.kind) == ("Licence", "licence")
    assert (found.directory, found.has_downloads) == (tmp_path, True)
    with pytest.raises(UnknownPlan, match="month"):
        found.plan("mont")


def changed(old: str, new: str) -> str:
    assert old in CATALOGUE
    return CATALOGUE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "document"),
        ("plans: []", "plans"),
        ("plans: {", "not YAML"),
        (changed('tron: "25"', 'tron: "25", tron: "2.5"'), "the key 'tron' occurs twice"),
        ("[" * 5000, "nested too deeply"),
        (changed('"9.90", ton:', "9.90, ton:"), "price: tron: is 9.9 without quotes"),
        (changed('"25"', '"0"'), "plan licence"),
        (changed('"25"', '"25.0000001"'), "decimals"),
        (changed('"25"', '"9.95"'), "further apart"),
        (changed('tron: "25"', 'doge: "25"'), "price"),
        (changed("id: licence", "id: month"), "two plans"),
        (changed("id: licence", "id: Über"), "id"),
        (changed("delivers: licence", "delivers: love"), "love"),
        (changed("files/month.zip", "../month.zip"), "below"),
        (changed("files/month.zip", "/etc/passwd"), "below"),
        (changed("title: Licence", "name: Licence"), "title"),
        (CATALOGUE + "x: 1", "x"),
        (" " * (2**20 + 1), "larger"),
        ("\x00", "not YAML"),
    ],
)
def test_a_bad_catalogue_says_where(tmp_path: Path, text: str, said: str) -> None:
    """The error names the file, the place and the variable."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(tmp_path / "c.yaml", text)
    assert caught.value.variable == "X0TTA6BL4_CATALOGUE"


def test_a_missing_catalogue(tmp_path: Path) -> None:
    """Is named."""
    with pytest.raises(ConfigurationError, match="no such file"):
        catalogue.load(tmp_path / "c.yaml")


def test_equal_prices_share_their_tails(tmp_path: Path) -> None:
    """Only prices that differ must lie apart."""
    found = load(tmp_path / "c.yaml", changed('"25"', '"9.90"'))
    assert found.plans[1].prices[Method.TRON] == 9_900_000


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    open_shop = Shop(
        {Network.TRON: tron_chain(), Network.TON: ton_chain()},
        SecretStr("sqlite:////nowhere"),
        tmp_path / "c.yaml",
        "",
        tmp_path,
    )
    return Checkout(open_shop, load(tmp_path / "c.yaml", CATALOGUE), lambda: NOW)


def test_the_counter_offers_what_the_shop_takes(checkout: Checkout) -> None:
    """The plan's ways, as far as the shop has a wallet for them."""
    assert checkout.method("month", None) is Method.TRON
    assert checkout.method("month", "ton") is Method.TON
    with pytest.raises(UnknownPlan, match="tron"):
        checkout.method("licence", "ton")


def test_what_cannot_be_delivered_is_not_sold(tmp_path: Path, ledger: Ledger) -> None:
    """A plan whose file is not there is refused when the catalogue is checked and when it is
    ordered; the others are sold. With its file it is sold, too."""
    found = load(tmp_path / "c.yaml", CATALOGUE)
    chains = {Network.TRON: tron_chain(), Network.TON: ton_chain()}
    open_shop = Shop(chains, SecretStr("sqlite:////x"), tmp_path / "c.yaml", "https://x", tmp_path)
    selling = Checkout(open_shop, found, lambda: NOW)
    for make in ((tmp_path / "files").mkdir, (tmp_path / "files/month.zip").mkdir):
        with pytest.raises(GoodsMissing, match=r"no file files/month\.zip"):
            open_shop.check_catalogue()
        with pytest.raises(GoodsMissing):
            ask(selling, ledger, "month", Method.TRON)
        make()  # a directory of that name is no file
    assert [type(selling.refusal(plan)) for plan in found.plans] == [GoodsMissing, type(None)]
    assert ask(selling, ledger, "licence", Method.TRON).plan == "licence"
    (tmp_path / "files/month.zip").rmdir()
    (tmp_path / "files/month.zip").write_bytes(b"x")
    open_shop.check_catalogue()
    assert ask(selling, ledger, "month", Method.TRON, request="again").plan == "month"


def ask(checkout: Checkout, ledger: Ledger, plan: str, method: Method, **changes: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - an order, or an error
    wanted = {"request": "r", "channel": "pull", "recipient": "b", "language": "en", **changes}
    return checkout.order(ledger, plan, method, **wanted)


def test_the_counter_takes_orders(checkout: Checkout, ledger: Ledger) -> None:
    """What could not be delivered or told from a forgery is refused before anybody pays."""
    files = checkout._catalogue.directory / "files"
    files.mkdir()
    (files / "month.zip").write_bytes(b"x")
    made = ask(checkout, ledger, "licence", Method.TRON)
    assert (made.created_ms, made.plan, made.channel) == (NOW, "licence", "pull")
    with pytest.raises(ConfigurationError, match="X0TTA6BL4_PUBLIC_URL"):
        ask(checkout, ledger, "month", Method.TRON)
    with pytest.raises(UnknownPlan):
        ask(checkout, ledger, "licence", Method.TON)
    for bad in (
        {"request": ""},
        {"request": "x" * 129},
        {"recipient": "x" * 65},
        {"request": "a\nb"},
        {"language": "tlh"},
    ):
        with pytest.raises(InvalidInput):
            ask(checkout, ledger, "licence", Method.TRON, **bad)


def test_jettons_are_taken_once_their_wallet_is_known(
    checkout: Checkout, ledger: Ledger, tmp_path: Path
) -> None:
    """Before, a payment could not be told from a forgery."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files/month.zip").write_bytes(b"x")
    ready = Checkout(
        Shop(
            checkout._shop.chains,
            SecretStr("sqlite:////nowhere"),
            tmp_path / "c.yaml",
            "https://x",
            tmp_path,
        ),
        checkout._catalogue,
        lambda: NOW,
    )
    with pytest.raises(Unavailable, match="x0 pay scan"):
        ask(ready, ledger, "month", Method.TON_USDT)
    at = ledger.intake.open(Network.TON, TON_WALLET)
    ledger.intake.pin_jetton_wallet(at, "0:" + "ab" * 32, JETTON_WALLET)
    with pytest.raises(Unavailable):
        ask(ready, ledger, "month", Method.TON_USDT)
    ledger.intake.pin_jetton_wallet(at, MASTER, JETTON_WALLET)
    made = ask(ready, ledger, "month", Method.TON_USDT)
    assert made.amount == made.price
    assert shown_wallet(ready._shop, made).startswith("UQ")
    assert shown_wallet(ready._shop, order(ledger)) == WALLET


def test_how_a_transfer_was_paid(ledger: Ledger) -> None:
    """Needed to read an amount; an order in review is no transfer."""
    at = ledger.intake.open(Network.TRON, WALLET)
    paid = transfer(5)
    ledger.intake.settle(at, paid.tx_id, [paid], NOW)
    assert transfer_method(ledger, f"tron:{paid.tx_id}:0") is Method.TRON
    with pytest.raises(UnknownReview):
        transfer_method(ledger, "tron:x")
