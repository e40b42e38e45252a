"""`x0 pay sandbox` and `x0 pay demo`, as a person runs them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from actors.payments.chains.money import Method
from actors.payments.ledger.orders import OrderState
from actors.payments.sandbox import demo_cases
from actors.payments.sandbox.demo_cases import DemoCase
from jobs import pay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


X0 = (sys.executable, "-m", "jobs.cli", "pay")


def bare() -> dict[str, str]:
    """The environment without any setting of the project."""
    return {name: text for name, text in os.environ.items() if not name.startswith("X0TTA6BL4_")}


def run(*arguments: str, environment: Mapping[str, str], code: int = 0) -> str:
    """What a command prints, in this process; it must end with `code`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, text in environment.items():
            patch.setenv(name, text)
        done = CliRunner().invoke(pay.app, arguments)
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


@contextlib.contextmanager
def sandbox(*options: str) -> Iterator[dict[str, Any]]:
    """A running sandbox: what it printed, and its process."""
    process = subprocess.Popen(
        [*X0, "sandbox", *options, "--json"],
        env=bare(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield {**told, "process": process}
    finally:
        process.kill()
        process.wait(120)


def test_an_order_is_paid_with_one_command(tmp_path: Path) -> None:
    """Order, pay, scan, and the licence is there: with nothing but the printed environment."""
    with sandbox("--dir", str(tmp_path / "trial"), "--dialect", "toncenter") as told:
        here = bare() | told["environment"]
        exports = (tmp_path / "trial" / "env").read_text()
        assert re.findall(r"^export (\w+)=", exports, re.MULTILINE) == list(told["environment"])
        assert (tmp_path / "trial" / "env").stat().st_mode & 0o077 == 0
        run("scan", "--network", "ton", "--once", environment=here)
        for method in ("tron", "ton", "ton-usdt"):
            order = json.loads(
                run("order", "licence", "--method", method, "--json", environment=here)
            )["order"]
            paid = json.loads(run("sandbox", "pay", order["id"], "--json", environment=here))
            assert paid["amount"] == order["amount"]
            assert all(re.fullmatch("[0-9a-f]{64}", one) for one in paid["transactions"])
            run("scan", "--network", order["network"], "--once", environment=here)
            shown = json.loads(run("orders", order["id"], "--json", environment=here))["order"]
            assert shown["state"] == "delivered"
            assert shown["goods"]
        run("sandbox", "fault", "5xx=0.5", environment=here)
        state = json.loads(run("sandbox", "status", "--json", environment=here))
        assert state["tron"]["faults"] == state["ton"]["faults"] == {"5xx": 0.5}
        assert state["tron"]["over_limit"] == state["ton"]["over_limit"] == 0
        state = json.loads(run("sandbox", "fault", "--network", "ton", "--json", environment=here))
        assert (state["tron"]["faults"], state["ton"]["faults"]) == ({"5xx": 0.5}, {})


def test_a_wrong_amount_and_a_late_payment_go_to_review(tmp_path: Path) -> None:
    """The amount is the caller's, and `late` puts the clock forward."""
    with sandbox("--dir", str(tmp_path)) as told:
        here = bare() | told["environment"]
        short, late = (
            json.loads(run("order", "licence", "--method", "ton", "--json", environment=here))[
                "order"
            ]["id"]
            for _ in range(2)
        )
        run("sandbox", "pay", short, "--amount", "1.5", environment=here)
        run("sandbox", "pay", late, "--kind", "late", environment=here)
        run("scan", "--network", "ton", "--once", environment=here)
        queue = json.loads(run("review", "--json", environment=here))["reviews"]
        found = {one["order"]: (one["cause"], one["amount"]) for one in queue}
        assert found == {short: ("underpaid", "1.5"), late: ("late", "3.2")}


def test_ctrl_c_ends_it_and_takes_its_directory_along() -> None:
    """That is its meant end: no error, one object in all, and its temporary directory is gone."""
    with sandbox() as told:
        directory = Path(told["environment"]["X0TTA6BL4_STATE_DIR"])
        assert directory.is_dir()
        process = told["process"]
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=120)
        assert (process.returncode, rest) == (0, "")
        assert said.splitlines()[-1] == "SIGINT: ending"
        assert not directory.exists()


def test_a_watcher_ends_by_a_signal_without_an_error(tmp_path: Path) -> None:
    """`x0 pay scan` without --once goes on until it is asked to end, which is no failure."""
    with sandbox("--dir", str(tmp_path)) as told:
        watcher = subprocess.Popen(
            [*X0, "scan", "--network", "tron"],
            env=bare() | told["environment"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert watcher.stdout is not None
            assert watcher.stdout.readline().startswith("watching ")
            watcher.send_signal(signal.SIGTERM)
            _, said = watcher.communicate(timeout=120)
        finally:
            watcher.kill()
        assert (watcher.returncode, said.splitlines()[-1]) == (0, "SIGTERM: ending")


@pytest.mark.parametrize("command", [("status",), ("pay", "x"), ("confirm",), ("fault",)])
def test_without_a_sandbox_nobody_is_told_to_set_a_wallet(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Where no sandbox is known, the way out is its environment."""
    here = bare() | {"X0TTA6BL4_STATE_DIR": str(tmp_path)}
    said = run("sandbox", *command, environment=here, code=2)
    assert "source the file" in said
    assert "WALLET" not in said


def test_bad_arguments_say_what_is_good(tmp_path: Path) -> None:
    """An error of one line with a remedy, and exit code 2."""
    with sandbox("--dir", str(tmp_path)) as told:
        here = bare() | told["environment"]
        order = json.loads(run("order", "licence", "--method", "tron", "--json", environment=here))[
            "order"
        ]["id"]
        wrong = {
            ("sandbox", "pay", "nonsense"): "no order 'nonsense'",
            ("sandbox", "pay", order, "--kind", "nonsense"): "Choose from exact, short",
            ("sandbox", "pay", order, "--kind", "silent"): "exists with ton-usdt only",
            ("sandbox", "pay", order, "--amount", "nine"): "not a decimal number",
            ("sandbox", "pay", order, "--amount", "0.0000001"): "more than 6 decimals",
            ("sandbox", "fault", "nonsense"): "there are reset, cut",
            ("sandbox", "fault", "429=2"): "together at most 1",
            ("sandbox", "fault", "429=1", "--network", "bitcoin"): "Choose from tron, ton",
            ("sandbox", "confirm", "nonsense"): "refuses what it was asked",
        }
        for arguments, told_so in wrong.items():
            text = run(*arguments, environment=here, code=2)
            assert told_so in text
            assert text.count("\n") == 1
    assert "no sandbox answers" in run("sandbox", "status", environment=here, code=4)
    real = bare() | {"X0TTA6BL4_TRON_WALLET": here["X0TTA6BL4_TRON_WALLET"]}
    assert "on this machine" in run("sandbox", "status", environment=real, code=2)
    assert "Choose from tonapi" in run(
        "sandbox", "--dialect", "nonsense", environment=bare(), code=2
    )


def test_the_kinds_are_listed_without_a_sandbox() -> None:
    """With the methods that they exist with."""
    rows = json.loads(run("sandbox", "kinds", "--json", environment=bare()))["kinds"]
    assert {"kind", "methods", "means"} == set(rows[0])
    assert {row["kind"] for row in rows} >= {"exact", "fake-token", "bounced", "unconfirmed"}


def test_the_demo_ends_as_it_should() -> None:
    """All orders and all checks, with a JSON account of it, and nothing of the caller's touched."""
    outside = bare() | {"X0TTA6BL4_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    done = subprocess.run(
        [*X0, "demo", "--json"], env=outside, capture_output=True, text=True, check=True
    )
    account = json.loads(done.stdout)
    assert account["ok"]
    assert all(one["ok"] for one in account["orders"] + account["checks"])
    assert len(account["orders"]) == 40
    ended = {one["state"] for one in account["orders"]}
    assert ended == {"delivered", "expired", "closed"}
    assert {one["method"] for one in account["orders"]} == {"tron", "ton", "ton-usdt"}
    assert "was killed after" in done.stderr


def test_the_demo_fails_if_an_order_ends_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is not for show: with a wrong expectation it says what is wrong."""
    wrong = (*demo_cases.MAIN, DemoCase(Method.TON, None, OrderState.DELIVERED))
    monkeypatch.setattr(demo_cases, "MAIN", wrong)
    for name in list(os.environ):
        if name.startswith("X0TTA6BL4_"):
            monkeypatch.delenv(name)
    done = CliRunner().invoke(pay.app, ["demo"])
    assert done.exit_code == 3
    assert "NOT delivered" in done.output
    assert "NOT AS IT SHOULD BE: licences that are genuine" in done.output
