"""`x0 pay bot` as a process: killed at its worst moments, and never telling its token."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from actors.payments.ledger.orders import OrderState
from actors.runtime.alert_spool import adopted
from actors.runtime.alerting import AlertName
from tests.telegram_api import TOKEN, BotApi, Refusal, serving
from tests.unit.payments.bot_shop import BotShop
from tests.unit.payments.shop import TON_WALLET, WALLET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.runtime.alerting import Alert

SECRET = TOKEN.partition(":")[2]


class BotProcess:
    """A bot that can be killed."""

    def __init__(self, state: Path, api_url: str, *options: str, **more: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("X0TTA", "RAY_"))}
        set_ = {
            "STATE_DIR": str(state),
            "TELEGRAM_TOKEN": TOKEN,
            "TELEGRAM_API_URL": api_url,
            "TRON_WALLET": WALLET,
            "TON_WALLET": TON_WALLET,
            "PUBLIC_URL": "https://shop.example",
            "LOG_LEVEL": "DEBUG",
            **more,
        }
        self._path = state.parent / f"{state.name}.output"
        self._output = self._path.open("w")  # not a pipe, which could be full
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jobs.bot", *options],
            env={**kept, **{f"X0TTA6BL4_{name}": value for name, value in set_.items()}},
            stdout=self._output,
            stderr=self._output,
        )

    @property
    def said(self) -> str:
        """All that it wrote so far."""
        return self._path.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    def end(self) -> str:
        """End it politely, unless it has ended; all that it wrote."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> str:
        """Wait until it has ended; all that it wrote."""
        self.process.wait(60)
        self._output.close()
        return self.said


@contextlib.contextmanager
def started(*args: Any, **more: str) -> Iterator[BotProcess]:
    bot = BotProcess(*args, **more)
    try:
        yield bot
    finally:
        if bot.process.poll() is None:
            bot.kill()
        bot.wait()


@pytest.fixture
def api() -> Iterator[BotApi]:
    with serving(BotApi()) as served:
        yield served


@pytest.fixture
def sold(tmp_path: Path) -> Iterator[BotShop]:
    shop = BotShop(tmp_path)
    yield shop
    shop.ledger.close()


def kill_at(
    api: BotApi, method: str, words: str, bot: BotProcess, *, arrives: bool
) -> threading.Event:
    """Kill the bot while it sends a message that has these words."""
    killed = threading.Event()

    def fault(call: Any) -> None:
        if call.method == method and words in str(call.params) and not killed.is_set():
            bot.kill()
            killed.set()
            if not arrives:
                raise ConnectionAbortedError

    api.fault = fault
    return killed


@pytest.mark.parametrize("arrives", [True, False], ids=["arrives", "is lost"])
def test_killed_in_the_middle_it_loses_nothing(
    api: BotApi, sold: BotShop, *, arrives: bool
) -> None:
    """Killed while it sends the invoice, and again while it delivers, whether that arrives or not:
    after a restart there is one order, and the goods came, always by the same link."""
    buyer = api.user(1, "ru")
    with started(sold.directory, api.url) as bot:
        buyer.says("/buy month")
        ways = buyer.wait("Как будете платить?", 180)
        killed = kill_at(api, "editMessageMedia", "Заказ", bot, arrives=arrives)
        buyer.presses(ways, "GRAM (ранее TON)")
        assert killed.wait(120)
        bot.end()
    order = sold.order(1)  # it was made, and perhaps not shown
    with started(sold.directory, api.url) as bot:
        buyer.wait(lambda one: bool(one.picture), 180)
        api.settled()
        killed = kill_at(api, "sendMessage", "/downloads/", bot, arrives=arrives)
        sold.pay(order)
        assert killed.wait(120)
        bot.end()
    assert sold.order(1).state is OrderState.DELIVERING  # and still the only one
    sold.forget_claims()
    with started(sold.directory, api.url) as bot:
        deadline = time.monotonic() + 180
        while sold.order(1).state is not OrderState.DELIVERED:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        buyer.says("/status")
        buyer.wait("Состояние: доставлен", 180)
        assert bot.end().splitlines()[-1] == "SIGTERM: ending"
        assert bot.process.returncode == 0
    told = [one.text.split("https://")[1].split()[0] for one in buyer.heard if "https" in one.text]
    assert len(told) == 2 + arrives
    assert len(set(told)) == 1


def left_alerts(spool: Path) -> list[Alert]:
    """What a bot has left for the alerts' actor: one spool an alert."""
    left: list[Alert] = []
    while True:
        with adopted(spool, "x0") as orphan:
            if not orphan.found:
                return left
            left += [each.alert for each in orphan.alerts]


def test_the_token_is_told_to_nobody(api: BotApi, sold: BotShop) -> None:
    """At the most talkative level, with every kind of failure, the token stands in no output and in
    no file; nor does what was bought stand in the output."""
    faults = [
        Refusal(502, "Bad Gateway"),
        ConnectionAbortedError(),
        Refusal(429, "Too Many Requests: retry after 1", retry_after=1),
        Refusal(400, "Bad Request: something"),
        Refusal(409, "Conflict: terminated by other getUpdates request"),
    ]
    counts: dict[str, int] = {}

    def fault(call: Any) -> None:
        counts[call.method] = counts.get(call.method, 0) + 1
        # Each costs a pause, so of those for updates there are fewer.
        own = {"getUpdates": faults[-2:], "sendMessage": faults}.get(call.method, [])
        if counts[call.method] <= len(own):
            raise own[counts[call.method] - 1]

    buyer = api.user(1)
    api.fault = fault
    with started(sold.directory, api.url) as bot:
        deadline = time.monotonic() + 180
        while counts.get("sendMessage", 0) <= len(faults):
            if not api.updates:  # who asks faster than that is not answered every time
                buyer.says("/help")
            assert time.monotonic() < deadline, counts
            time.sleep(0.05)
        api.settled()
        buyer.says("/buy licence tron")
        buyer.wait(lambda one: bool(one.picture), 180)
        sold.pay(sold.order(1))
        licence = buyer.wait("Here is the licence", 60).codes[1]

        def unauthorised(_: Any) -> None:
            raise Refusal(401, "Unauthorized")

        api.fault = unauthorised  # the token was revoked
        said = bot.wait()
        assert bot.process.returncode == 2
    assert "X0TTA6BL4_TELEGRAM_TOKEN" in said.splitlines()[-1]
    assert "selling as @shop_bot" in said
    assert licence not in said
    told = left_alerts(sold.directory / "alerts" / "spool")
    (ended,) = [alert for alert in told if alert.name is AlertName.ERROR_CRITICAL]
    assert ended.labels["error_type"] == "BotRefused"  # the seller is told
    assert SECRET not in said
    for path in sold.directory.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("more", "options", "words"),
    [
        ({"TELEGRAM_TOKEN": "123:abc"}, (), "X0TTA6BL4_TELEGRAM_TOKEN"),
        ({"TELEGRAM_TOKEN": f"{TOKEN}A"}, (), "X0TTA6BL4_TELEGRAM_TOKEN"),
        ({}, ("--webhook", "http://shop.example/x"), "https URL"),
        ({}, ("--webhook", "https://shop.example/x", "--listen", "8443"), "HOST:PORT"),
        ({"CATALOGUE": "/nonexistent"}, (), "X0TTA6BL4_CATALOGUE"),
        ({"TELEGRAM_API_URL": "http://api.example"}, (), "clear text"),
        ({"PUBLIC_URL": ""}, (), "X0TTA6BL4_PUBLIC_URL"),
    ],
    ids=["no token", "refused token", "http", "listen", "catalogue", "clear text", "public"],
)
def test_what_is_wrong_is_said_at_the_start(
    api: BotApi, sold: BotShop, more: dict[str, str], options: tuple[str, ...], words: str
) -> None:
    """It ends at once, with exit code 2 and what to correct, and without the token."""
    with started(sold.directory, api.url, *options, **more) as bot:
        said = bot.wait()
        assert bot.process.returncode == 2
    assert words in said.splitlines()[-1]
    assert SECRET not in said


def test_it_waits_for_a_telegram_that_cannot_be_reached(sold: BotShop) -> None:
    """Without a connection it tries again until it is ended, which it takes without a complaint."""
    with started(sold.directory, "http://127.0.0.1:1") as bot:
        deadline = time.monotonic() + 180
        while "error handled" not in bot.said:
            assert time.monotonic() < deadline, bot.said
            time.sleep(0.05)
        said = bot.end()
        assert bot.process.returncode == 128 + signal.SIGTERM
    assert "Interrupted" not in said
    assert said.splitlines()[-1].startswith("error: interrupted: SIGTERM")
    assert SECRET not in said
