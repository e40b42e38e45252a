"""`x0 pay` as a person and a script use it; and that no secret comes out anywhere."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.payments.chains.money import Method
from actors.runtime.database import now_ms
from tests.unit.payments.http_chain import Answer, Chains, serving
from tests.unit.payments.shop import TON_WALLET, USDT, WALLET, log, receipt, row, tx_id

if TYPE_CHECKING:
    from collections.abc import Iterator

CATALOGUE = """
plans:
  - id: month
    title: {en: One month, ru: Один месяц}
    price: {tron: "9.90", ton: "3.2", ton-usdt: "9.90"}
    delivers: {download: month.zip}
  - id: licence
    title: Licence
    price: {tron: "25"}
    delivers: licence
"""
CANARIES = {
    "TRON_API_KEY": "canary-tron-5d41402abc4b2a76",
    "TON_API_KEY": "canary-ton-7d793037a0760186",
    "TELEGRAM_TOKEN": "123456789:canary-telegram-AAHdqTcvCH1vGWJxfSeofSAs0K5",
}
PASSWORD = "canary-password-9b74c9897bac"  # noqa: S105 - it must not come out


class Desk:
    """A person at a terminal, with a shop's environment."""

    def __init__(self, url: str, directory: Path, **variables: str) -> None:
        self.directory = directory
        self.said = ""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("X0TTA6BL4_")}
        values = {
            "STATE_DIR": str(directory / "state"),
            "CATALOGUE": str(directory / "catalogue.yaml"),
            "PUBLIC_URL": "https://shop.example",
            "TRON_API_URL": url,
            "TRON_WALLET": WALLET,
            "TRON_USDT_CONTRACT": USDT,
            "TON_API_URL": url,
            "TON_WALLET": TON_WALLET,
            "LOG_LEVEL": "DEBUG",
            **CANARIES,
            **variables,
        }
        self.env = clean | {f"X0TTA6BL4_{name}": value for name, value in values.items()}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.cli", "pay", *arguments],
            env=self.env,
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.said += done.stdout + done.stderr
        return done

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def end_links(self) -> None:
        """As if the time of all links had passed."""
        with sqlite3.connect(self.directory / "state" / "payments.db") as database:
            database.execute("UPDATE entitlements SET granted_ms = 1, expires_ms = 2")


@pytest.fixture
def chains() -> Iterator[tuple[Chains, str]]:
    known = Chains(head_ms=now_ms())
    with serving(known) as url:
        yield known, url


@pytest.fixture
def desk(chains: tuple[Chains, str], tmp_path: Path) -> Desk:
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE, encoding="utf-8")
    (tmp_path / "month.zip").write_bytes(b"goods")
    return Desk(chains[1], tmp_path)


def units(amount: str) -> int:
    whole, _, fraction = amount.partition(".")
    return int(whole + fraction.ljust(6, "0"))


def pay_tron(chains: Chains, amount: int, name: str) -> None:
    at = now_ms()
    chains.add(row(amount, name, block_ms=at), receipt(log(amount), name=name, block_ms=at))
    chains.head_ms = at


def test_what_was_bought_is_delivered_again(desk: Desk, chains: tuple[Chains, str]) -> None:
    """A link that has ended is not printed as if it lived; a file that is not there is neither sold
    nor delivered; by a word of the seller's it is delivered again."""
    known, _ = chains
    made = desk.json("order", "month")["order"]
    time.sleep(0.01)  # a block is later than the order
    pay_tron(known, units(made["amount"]), "paid")
    desk.json("scan", "--network", "tron", "--once")
    old = desk.json("orders", made["id"])["order"]["goods"]
    desk.end_links()
    ended = desk.run("orders", made["id"]).stdout
    assert old not in ended
    assert f"x0 pay deliver {made['id']}" in " ".join(ended.split())
    (desk.directory / "month.zip").rename(desk.directory / "away.zip")
    refused = desk.run("catalogue")
    assert (refused.returncode, "no file month.zip" in refused.stdout) == (3, True)
    for command in (("order", "month"), ("deliver", made["id"])):
        assert desk.json(*command, code=2)["error"]["type"] == "GoodsMissing"
    (desk.directory / "away.zip").rename(desk.directory / "month.zip")
    again = desk.json("deliver", made["id"])["order"]
    assert again["goods_state"] == "ready"
    assert again["goods"] != old
    desk.json("scan", "--network", "tron", "--once")  # which carries what is due
    assert desk.json("orders", made["id"])["order"]["state"] == "delivered"
    unpaid = desk.json("order", "licence")["order"]["id"]
    assert desk.json("deliver", unpaid, code=5)["error"]["type"] == "Conflict"


def _decide(desk: Desk, coins: str) -> None:
    """A person looks through the queue, and sends back what is to go back."""
    queue = {entry["cause"]: entry for entry in desk.json("review")["reviews"]}
    assert set(queue) == {"unmatched", "underpaid"}
    subject = queue["unmatched"]["subject"]
    asked = desk.json("review", "refund", subject, code=2)["error"]
    assert "exchange" in asked["why"], "there is nobody to ask for an address"
    to = queue["unmatched"]["sender"]
    refund = desk.json("review", "refund", subject, "--to", to, "--note", "asked")["review"]
    assert (refund["refund"], refund["refund_to"], refund["decision"]) == ("1.5", to, "refund")
    corrected = desk.json("refund", "correct", subject, "--amount", "1")["review"]
    assert (corrected["refund"], corrected["refund_to"]) == ("1", to)
    proposed = desk.json("review", "bulk", "refund")
    assert [one["subject"] for one in proposed["proposals"]] == [queue["underpaid"]["subject"]]
    assert "nothing was decided" in desk.run("review", "bulk", "dismiss").stdout
    assert "nothing to do" in desk.run("review", "bulk", "accept", "--yes").stdout
    failed = desk.json("review", "bulk", "accept", queue["underpaid"]["subject"], code=3)
    assert (failed["failed"], failed["decisions"][0]["result"]) == (1, "failed")
    short = desk.json("review", "accept", queue["underpaid"]["subject"], code=2)["error"]
    assert f"3.199999999 {Method.TON.symbol} came in" in short["why"]
    assert f"costs 3.2 {Method.TON.symbol}" in short["why"]
    accepted = desk.json("review", "accept", queue["underpaid"]["subject"], "--underpaid")
    assert (accepted["order"], accepted["paid"], accepted["price"]) == (
        coins,
        "3.199999999",
        "3.2",
    )
    assert desk.json("review")["open"] == 0
    assert len(desk.json("review", "--closed")["reviews"]) == 2

    report = desk.json("report")
    assert report["orders"] == {"delivered": 1, "confirmed": 1}
    assert report["takings"]["tron"]["settled"] == 1
    assert report["takings"]["tron"]["refunds_proposed"] == "1"
    assert [one["subject"] for one in desk.json("refund", "list")["refunds"]] == [subject]
    assert desk.json("refund", "sent", subject, "6" * 64)["review"]["refund_tx"] == "6" * 64
    assert desk.json("refund", "list")["refunds"] == []
    assert "6" * 64 in desk.run("refund", "list", "--sent").stdout
    assert desk.json("report")["takings"]["tron"]["refunds_sent"] == "1"
    assert desk.json("report", "--since", "2099-01-01")["orders"] == {}


def test_from_the_catalogue_to_the_goods(desk: Desk, chains: tuple[Chains, str]) -> None:
    """List, order, pay, scan, and there is the link; everything else goes to a person."""
    known, _ = chains
    plans = desk.json("catalogue")["plans"]
    assert [(plan["id"], plan["price"]["tron"]) for plan in plans] == [
        ("month", "9.9"),
        ("licence", "25"),
    ]
    made = desk.json("order", "month", "--request", "one", "--recipient", "ann")["order"]
    assert (made["state"], made["network"], made["pay_to"]) == ("new", "tron", WALLET)
    assert desk.json("order", "month", "--request", "one")["order"]["id"] == made["id"]
    coins = desk.json("order", "month", "--method", "ton")["order"]
    assert (coins["amount"], len(coins["comment"]), coins["pay_to"][:2]) == ("3.2", 32, "UQ")
    time.sleep(0.01)  # a block is later than the order
    pay_tron(known, units(made["amount"]), "paid")
    pay_tron(known, 1_500_000, "unmatched")
    known.rows.append(row(5, "fake", token=WALLET))
    known.accounts[TON_WALLET].pay(coins["comment"], 3_199_999_999, time_s=now_ms() // 1000 + 1)

    scanned = desk.json("scan", "--network", "tron", "--once")
    assert {name: scanned[name] for name in ("pages", "transfers", "settled", "review")} == {
        "pages": 1,
        "transfers": 2,
        "settled": 1,
        "review": 1,
    }
    assert scanned["rejected"] == {"wrong_token": 1}
    assert scanned["cursor"] == max(one["block_timestamp"] for one in known.rows)
    assert desk.json("scan", "--network", "ton", "--once")["review"] == 1

    shown = desk.json("orders", made["id"])["order"]
    assert shown["state"] == "delivered"
    assert shown["goods"].startswith("https://shop.example/downloads/")
    (payment,) = shown["payments"]
    assert (payment["tx_id"], payment["amount"]) == (tx_id("paid"), made["amount"])
    assert payment["settles"] is True
    assert tx_id("paid") in desk.run("orders", made["id"]).stdout

    (short,) = desk.json("orders", coins["id"])["order"]["payments"]
    assert (short["amount"], short["settles"]) == ("3.199999999", False)
    listed = desk.json("orders", "--state", "underpaid")["orders"]
    assert [one["id"] for one in listed] == [coins["id"]]

    _decide(desk, coins["id"])

    for command in (["catalogue"], ["orders"], ["orders", made["id"]], ["review"], ["report"]):
        done = desk.run(*command)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    assert "exactly" in desk.run("order", "licence").stdout
    assert "pages" in desk.run("scan", "--network", "tron", "--once").stdout


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["orders", "nothing"], "UnknownOrder"),
        (["orders", "--state", "free"], "InvalidInput"),
        (["order", "mont"], "UnknownPlan"),
        (["order", "licence", "--method", "ton"], "UnknownPlan"),
        (["scan", "--network", "doge", "--once"], "InvalidInput"),
        (["review", "accept", "tron:x"], "UnknownReview"),
        (["review", "refund", "tron:x", "--amount", "1"], "UnknownReview"),
        (["review", "dismiss", "tron:x"], "UnknownReview"),
        (["review", "retry", "order:x"], "UnknownReview"),
        (["review", "bulk", "give"], "InvalidInput"),
        (["review", "bulk", "dismiss", "--cause", "x"], "InvalidInput"),
        (["review", "bulk", "dismiss", "tron:x:0", "--cause", "late"], "InvalidInput"),
        (["review", "--below", "x"], "InvalidInput"),
        (["refund", "sent", "tron:x:0", "6"], "UnknownReview"),
        (["refund", "correct", "tron:x:0", "--amount", "1"], "UnknownReview"),
        (["refund", "withdraw", "tron:x:0"], "UnknownReview"),
        (["licence", "AAAA"], "UnknownLicence"),
    ],
)
def test_errors_say_what_to_do(desk: Desk, arguments: list[str], kind: str) -> None:
    """One JSON object on stdout, exit code 2, and the type of the project's own tree."""
    error = desk.json(*arguments, code=2)["error"]
    assert (error["type"], bool(error["remedy"])) == (kind, True)


def test_without_a_wallet_payments_are_off(tmp_path: Path) -> None:
    """And what needs none works: nothing is listed."""
    bare = Desk("http://127.0.0.1:1", tmp_path)
    for name in list(bare.env):
        if name.startswith("X0TTA6BL4_T"):
            del bare.env[name]
    assert (
        bare.json("scan", "--network", "tron", "--once", code=4)["error"]["type"] == "PaymentsOff"
    )
    assert bare.json("orders") == {"orders": []}


def test_help_is_quick_and_complete(desk: Desk) -> None:
    """Every command says what it is for."""
    shown = desk.run("--help").stdout
    for name in ("order", "orders", "scan", "review", "catalogue", "report"):
        assert name in shown
        assert desk.run(name, "--help").returncode == 0


def test_a_watcher_in_the_foreground(desk: Desk, chains: tuple[Chains, str]) -> None:
    """It scans at once and goes on until it is ended."""
    made = desk.json("order", "licence")["order"]
    time.sleep(0.01)
    pay_tron(chains[0], units(made["amount"]), "paid")
    watcher = subprocess.Popen(
        [sys.executable, "-m", "jobs.pay", "scan", "--network", "tron", "--json"],
        env=desk.env,
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 180
    try:
        while desk.json("orders", made["id"])["order"]["state"] != "delivered":
            assert time.monotonic() < deadline
    finally:
        watcher.terminate()
        out, _ = watcher.communicate(timeout=120)
    desk.said += out
    assert watcher.returncode == 0  # as it is meant to end
    assert '"watching": "' in out
    code = desk.json("orders", made["id"])["order"]["goods"]
    assert code.count("-") == 7
    assert desk.json("licence", code.lower())["licence"]["order"] == made["id"]
    key = desk.directory / "state" / "payments.key"
    kept = key.read_text()
    key.unlink()
    lost = desk.json("licence", code, code=2)["error"]
    assert str(key) in lost["remedy"]
    assert not key.exists(), "it is never made anew by itself"
    key.write_text(kept)
    assert desk.json("key")["replaced"] is False


def test_no_secret_comes_out(
    desk: Desk, chains: tuple[Chains, str], postgres_base: str, tmp_path: Path
) -> None:
    """Not in an answer, a log at DEBUG, an error, a traceback, or a row of either database."""
    known, url = chains
    made = desk.json("order", "month")["order"]
    time.sleep(0.01)
    pay_tron(known, units(made["amount"]), "paid")
    desk.json("scan", "--network", "tron", "--once")
    desk.json("scan", "--network", "ton", "--once")
    goods = desk.json("orders", made["id"])["order"]["goods"]
    desk.said = desk.said.replace(goods, "")  # shown to who asked for it; nowhere else
    for trouble in (Answer(401, CANARIES), Answer(403, CANARIES), Answer(reset=True)):
        known.fault = lambda _, trouble=trouble: trouble  # type: ignore[misc]  # bound now
        if trouble.reset:
            continue
        desk.json("scan", "--network", "tron", "--once", code=2)
        desk.json("scan", "--network", "ton", "--once", code=2)
    known.fault = lambda _: None
    server = postgres_base.replace("postgresql://x0@", f"postgresql://x0:{PASSWORD}@")
    for database, code in (
        (f"{server}/missing", 2),
        (f"postgresql://x0:{PASSWORD}@127.0.0.1:1/x", 4),
        (f"mysql://x0:{PASSWORD}@127.0.0.1/x", 2),
    ):
        other = Desk(url, tmp_path, DATABASE_URL=database)
        other.json("orders", code=code)
        desk.said += other.said
    for wrong in (
        {"TRON_API_URL": "http://tron.example"},
        {"TRON_WALLET": "x"},
        {"TON_WALLET": "x"},
    ):
        other = Desk(url, tmp_path, **wrong)
        other.json("orders", code=2)
        desk.said += other.said
    key = (tmp_path / "state" / "payments.key").read_text()
    token = goods.rpartition("/")[2]
    stored = b"".join(
        path.read_bytes()
        for path in sorted((tmp_path / "state").rglob("*"))
        if path.is_file() and path.name != "payments.key"
    )
    sent = {name: asked.headers for asked in known.asked for name in [asked.path]}
    assert CANARIES["TRON_API_KEY"] in str(sent), "the keys were in use"
    assert CANARIES["TON_API_KEY"] in str(sent)
    for secret in (*CANARIES.values(), PASSWORD, key, bytes.fromhex(key).hex().upper(), token):
        assert secret not in desk.said
        assert secret.encode() not in stored
    assert not any(CANARIES["TRON_API_KEY"] in str(asked.query) for asked in known.asked)
