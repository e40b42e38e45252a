"""Watchers as actors: started by `x0 up`, named by `x0 status`, settling on their own."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from actors.payments.ledger.database import now_ms
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.orders import State
from tests.integration.test_cli_mesh import UP, x0
from tests.unit.payments.http_chain import Chains, serving
from tests.unit.payments.shop import USDT, WALLET, log, order, receipt, row

if TYPE_CHECKING:
    from pathlib import Path


def test_a_mesh_with_a_wallet_takes_payments(tmp_path: Path) -> None:
    """An order that is paid while the mesh is up is delivered, and nobody had to ask."""
    chains = Chains(head_ms=now_ms())
    with serving(chains) as url:
        values = {
            "TRON_API_URL": url,
            "TRON_WALLET": WALLET,
            "TRON_USDT_CONTRACT": USDT,
            "DATABASE_URL": f"sqlite:///{tmp_path / 'shop.db'}",
        }
        with Ledger(SecretStr(values["DATABASE_URL"])) as ledger:
            one = order(ledger, now_ms=now_ms())
            at = now_ms() + 5
            chains.add(
                row(one.amount, "t", block_ms=at), receipt(log(one.amount), name="t", block_ms=at)
            )
            up = x0(tmp_path, "up", *UP, "--json", **values)
            try:
                assert up.returncode == 0, up.stderr
                assert json.loads(up.stdout)["payments"] == ["payments-tron"]
                status = json.loads(x0(tmp_path, "status", "--json").stdout)
                assert status["payments"] == ["payments-tron"]
                deadline = time.monotonic() + 60
                while ledger.orders.get(one.id).state is not State.DELIVERED:
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            finally:
                down = x0(tmp_path, "down")
            assert down.returncode == 0, down.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("TRON_WALLET", "nonsense"), ("TON_API_KEY", "canary")]
)
def test_nothing_starts_with_a_wrong_setting(tmp_path: Path, name: str, value: str) -> None:
    """The variable is named, and no process is left."""
    refused = x0(tmp_path, "up", *UP, "--json", **{name: value})
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["error"]["type"] == "ConfigurationError"
    assert "X0TTA6BL4_T" in refused.stderr
    assert "canary" not in refused.stderr
    assert x0(tmp_path, "status").returncode == 1
