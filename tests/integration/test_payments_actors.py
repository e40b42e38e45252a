"""Watchers as actors: started by `x0 up`, named by `x0 status`, settling on their own.

None lives on without its loop, and one that cannot work says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from watchers import BreakableWatcher

from actors.payments import control
from actors.payments.chains.money import Network
from actors.payments.contract import WatcherOptions, actor_name
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.orders import OrderState
from actors.payments.shop import Shop
from actors.runtime import remote, spawn
from actors.runtime.actor_health import ActorContract
from actors.runtime.database import now_ms
from actors.runtime.errors import X0Error
from tests.exported_names import OF_FAILURES, OF_PAYMENTS, of_this_cluster, wait_exported
from tests.integration.test_cli_mesh import UP, x0
from tests.unit.payments.http_chain import Chains, serving
from tests.unit.payments.shop import USDT, WALLET, log, order, receipt, row, tron_chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.payments.contract import WatcherState

NAME = actor_name(Network.TRON)


def ray_exporter(state: Path) -> str:
    """The address that a session tells Prometheus of."""
    groups = json.loads((state / "prometheus" / "x0tta6bl4.json").read_text())
    return str(next(one["targets"][0] for one in groups if one["labels"]["job"] == "x0-ray"))


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
                deadline = time.monotonic() + 180
                while ledger.orders.get(one.id).state is not OrderState.DELIVERED:
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
                wait_exported(ray_exporter(tmp_path), OF_PAYMENTS)
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


def options(directory: Path, url: str) -> WatcherOptions:
    chain = tron_chain(url)
    database = SecretStr(f"sqlite:///{directory / 'shop.db'}")
    shop = Shop({chain.network: chain}, database, directory / "catalogue.yaml", "", directory)
    return WatcherOptions(Network.TRON, shop, "INFO")


async def settled(state: str) -> WatcherState:
    """The watcher once it is in a state, for which it has a minute."""
    async with asyncio.timeout(60):
        while True:
            (found,) = await control.states([NAME])
            if found.state == state:
                return found
            await asyncio.sleep(0.1)


@pytest.mark.usefixtures("namespace")
async def test_a_watcher_without_a_ledger_says_so(tmp_path: Path) -> None:
    """A newer program has changed the tables: the watcher has failed, and the reason is told; once
    that is mended, it watches without a new start."""
    wanted = options(tmp_path, "http://127.0.0.1:1")
    with Ledger(wanted.shop.database_url):
        pass
    with sqlite3.connect(tmp_path / "shop.db") as database:
        ((revision,),) = database.execute("SELECT version_num FROM alembic_version")
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    spawn.detached(BreakableWatcher, NAME, wanted)
    found = await settled("failed")
    assert "a newer program has changed its tables (revision 9999)" in found.why
    assert "X0TTA6BL4_DATABASE_URL" in found.why
    assert (await settled("failed")).why == found.why
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    database.close()
    assert await settled("watching")
    await asyncio.to_thread(wait_exported, of_this_cluster(), OF_FAILURES)


@pytest.fixture
def chain_url() -> Iterator[str]:
    with serving(Chains(head_ms=now_ms())) as url:
        yield url


@pytest.mark.usefixtures("namespace")
async def test_no_watcher_outlives_its_loop(tmp_path: Path, chain_url: str) -> None:
    """When its loop breaks, its process ends, and Ray starts another one that watches again."""
    spawn.detached(BreakableWatcher, NAME, options(tmp_path, chain_url))
    await settled("watching")
    asked = remote.proxy(ActorContract, NAME, timeout_s=5.0)
    before = (await asked.health()).pid
    with contextlib.suppress(Exception):  # its process may end before it has answered
        await spawn.find(NAME).break_loop.remote()  # no method of the contract: over Ray
    async with asyncio.timeout(60):
        after = before
        while after == before:
            await asyncio.sleep(0.1)
            with contextlib.suppress(X0Error):
                after = (await asked.health()).pid
    assert (await settled("watching")).why == ""
