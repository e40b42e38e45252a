"""A shop to try the sandbox with: its environment, and a directory with a catalogue.

The directory holds all state of the trial, its ledger included, so a trial touches nothing else
and goes with its directory.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from actors.payments.shop import CATALOGUE
from actors.runtime.settings import variable
from actors.runtime.state_files import ensure_directory, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENVIRONMENT: Final = "env"  # name of the file
DIALECTS: Final = {"tonapi": "/ton", "toncenter": "/ton/api/v2"}
PLANS: Final = """\
plans:
  - id: licence
    title: {en: Licence, ru: Лицензия}
    price: {tron: "9.90", ton: "3.2", ton-usdt: "9.90"}
    delivers: licence
  - id: support
    title: {en: A year of support, ru: Год поддержки}
    price: {tron: "120", ton: "40", ton-usdt: "120"}
    delivers: licence
"""


def environment(
    directory: Path, url: str, state: Mapping[str, Any], *, dialect: str = "tonapi"
) -> dict[str, str]:
    """What points the product at a sandbox.

    Args:
        directory: where the shop keeps its state.
        url: URL of the sandbox.
        state: see `Sandbox.state`.
        dialect: which TON API the sandbox speaks, a key of `DIALECTS`.
    """
    values = {
        "state_dir": str(directory),
        "tron_api_url": f"{url}/tron",
        "tron_wallet": state["tron"]["wallet"],
        "tron_usdt_contract": state["tron"]["contract"],
        "ton_api_url": url + DIALECTS[dialect],
        "ton_wallet": state["ton"]["wallet"],
        "ton_usdt_master": state["ton"]["contract"],
    }
    return {variable(name): value for name, value in values.items()}


def furnish(directory: Path, values: Mapping[str, str]) -> Path:
    """Write the environment, and a catalogue if there is none; the file to source.

    Args:
        directory: made if it is not there.
        values: see `environment`.
    """
    ensure_directory(directory)
    catalogue = directory / CATALOGUE
    if not catalogue.exists():
        write_atomic(catalogue, PLANS.encode())
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    path = directory / ENVIRONMENT
    write_atomic(path, "".join(lines).encode(), private=True)
    return path
