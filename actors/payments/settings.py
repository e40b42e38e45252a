"""The settings of payments. What they say together is checked by `Shop.of`."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, SecretStr

from actors.payments.chains.money import GRAM
from actors.runtime.database_settings import DatabaseSettings
from actors.runtime.settings import URL, AbsolutePath


class PaymentsSettings(DatabaseSettings):
    """Wallets, the APIs of their chains, and the Telegram bot."""

    catalogue: AbsolutePath | None = Field(
        None, description="YAML file of the plans that can be bought"
    )
    payments_since: datetime | None = Field(
        None, description="time such as 2026-01-31; what came in before is not the shop's"
    )
    payments_window_minutes: int = Field(
        45, ge=5, le=1440, description="minutes that a buyer has to pay, by the time of the block"
    )
    payments_tolerance_percent: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        description="share of the price that may lack on TON, such as the fee of an exchange",
    )
    dust_usdt: str = Field(
        "0.01", description="less in USDT that names no order is counted and not queued; 0 for none"
    )
    dust_ton: str = Field("0.005", description=f"the same in {GRAM}")
    public_url: str | None = Field(
        None, pattern=URL, description="http(s) URL under which buyers reach the gateway"
    )
    tron_api_url: str = Field(
        "https://api.trongrid.io", pattern=URL, description="http(s) URL of a TronGrid API"
    )
    tron_api_key: SecretStr | None = Field(None, description="key of the TronGrid API")
    tron_wallet: str | None = Field(None, description="TRON address that buyers pay USDT to")
    tron_usdt_contract: str | None = Field(
        None, description="TRON address of the USDT contract, if not that of the network"
    )
    tron_rate: float | None = Field(
        None, ge=0.1, le=1000, description="requests per second to the TronGrid API, at most"
    )
    ton_api_url: str = Field(
        "https://tonapi.io", pattern=URL, description="http(s) URL of a tonapi or toncenter API"
    )
    ton_api_key: SecretStr | None = Field(None, description="key of the TON API")
    ton_wallet: str | None = Field(None, description="TON address that buyers pay to")
    ton_usdt_master: str | None = Field(
        None, description="TON address of the USDT jetton master, if not that of the main net"
    )
    ton_rate: float | None = Field(
        None, ge=0.1, le=1000, description="requests per second to the TON API, at most"
    )
    telegram_token: SecretStr | None = Field(None, description="token of the Telegram bot")
    telegram_api_url: str = Field(
        "https://api.telegram.org", pattern=URL, description="http(s) URL of a Telegram Bot API"
    )

    def for_orders(self) -> Self:
        """These settings without the secrets that only watchers and the bot need."""
        others = ("tron_api_key", "ton_api_key", "telegram_token")
        return self.model_copy(update=dict.fromkeys(others))
