"""What the shop is: which wallets it has, on which networks, through which APIs.

Invariants: payments are off while no wallet is set; everything set is consistent (an address has a
checksum that is right, a contract belongs to the network of the API, a key is not sent in clear
text over the network), or nothing starts and the error names the variable.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from datetime import UTC
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

from actors.payments import catalogue
from actors.payments.chains import addresses, money
from actors.payments.chains.money import Method, Network
from actors.payments.errors import PaymentsOff
from actors.payments.ledger.order_book import WINDOW_MS
from actors.runtime.database_settings import url_of
from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pydantic import SecretStr

    from actors.payments.settings import PaymentsSettings

TRON_USDT: Final = {
    "main net": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    "Nile": "TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf",
    "Shasta": "TG3XXyExBkPp9nzdajDZsozEu4BkaSJozs",
}
TRON_HOSTS: Final = {
    "api.trongrid.io": "main net",
    "nile.trongrid.io": "Nile",
    "api.shasta.trongrid.io": "Shasta",
}
TON_USDT: Final = "0:b113a994b5024a16719f69139328eb759596c38a25f59028b146fecdc3621dfe"
# Requests per second that public APIs take without a key, and with one (15 and 10) less a margin.
KEYLESS_TRON: Final = (3.0, 14.0)
KEYLESS_TON: Final = (0.9, 9.0)
TON_TEST_HOSTS: Final = frozenset({"testnet.tonapi.io", "testnet.toncenter.com"})
TON_MAIN_HOSTS: Final = frozenset({"tonapi.io", "toncenter.com"})
CATALOGUE: Final = "catalogue.yaml"  # in the state directory, unless set
DATABASE: Final = "payments.db"  # in the state directory, unless set


@dataclass(frozen=True, slots=True)
class ShopChain:
    """One network as the shop uses it.

    Attributes:
        network: the network.
        api_url: without a slash at its end.
        api_key: key of the API, or None.
        wallet: address that buyers pay to, as `Transfer.wallet`.
        contract: contract of USDT, as `Transfer.contract`; empty where USDT is not taken.
        rate: requests per second, at most.
        test: whether addresses are shown as of a test net.
        since_ms: transfers before this time do not concern the shop; 0 means that all do.
        window_ms: how long an order may be paid.
        tolerance: share of the price that may lack, in fraction of 1; on TRON nothing may, because
            there the amount names the order.
        dust: amount below which a transfer that names no order is counted and not queued, by
            method; none for those that are left out.
    """

    network: Network
    api_url: str
    api_key: SecretStr | None
    wallet: str
    contract: str
    rate: float
    test: bool = False
    since_ms: int = 0
    window_ms: int = WINDOW_MS
    tolerance: Fraction = Fraction(0)
    dust: Mapping[Method, int] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[Method, ...]:
        """The ways to pay that this network offers."""
        if self.network is Network.TRON:
            return (Method.TRON,)
        return (Method.TON, Method.TON_USDT) if self.contract else (Method.TON,)

    def tolerated(self, method: Method, price: int) -> int:
        """What may lack of a price, in its smallest unit."""
        return 0 if method is Method.TRON else int(price * self.tolerance)

    def contract_of(self, method: Method) -> str:
        """The token's contract; empty for the coin itself."""
        return "" if method is Method.TON else self.contract

    def shown_wallet(self) -> str:
        """The wallet as buyers are shown it."""
        if self.network is Network.TRON:
            return self.wallet
        return addresses.ton_friendly(self.wallet, test=self.test)


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop.

    Attributes:
        chains: the chains that it takes payments on; empty while payments are off.
        database_url: URL of the ledger's database, for SQLAlchemy.
        catalogue: path of the catalogue.
        public_url: under which buyers reach the gateway, without a slash at its end; empty if
            unset.
        state_dir: directory that holds the key of download links.
    """

    chains: dict[Network, ShopChain]
    database_url: SecretStr
    catalogue: Path
    public_url: str
    state_dir: Path

    @classmethod
    def of(cls, settings: PaymentsSettings) -> Shop:
        """The shop of these settings.

        Raises:
            ConfigurationError: they are wrong or contradict each other.
        """
        chains = [chain for chain in (_tron(settings), _ton(settings)) if chain is not None]
        return cls(
            chains={chain.network: chain for chain in chains},
            database_url=url_of(settings, DATABASE),
            catalogue=settings.catalogue or settings.state_dir / CATALOGUE,
            public_url=(settings.public_url or "").rstrip("/"),
            state_dir=settings.state_dir,
        )

    @property
    def on(self) -> bool:
        """Whether anything can be paid."""
        return bool(self.chains)

    def chain(self, network: Network) -> ShopChain:
        """The chain of a network.

        Raises:
            PaymentsOff: no wallet is set at all.
            ConfigurationError: none is set for that network.
        """
        if not self.chains:
            raise PaymentsOff
        try:
            return self.chains[network]
        except KeyError:
            name = variable(f"{network}_wallet")
            raise ConfigurationError(
                f"{network} is not offered",
                "it has no wallet",
                f"Set {name}.",
                variable=name,
            ) from None

    def only(self, network: Network) -> Shop:
        """The shop as one that has this network alone, with the secrets of no other.

        Raises:
            PaymentsOff, ConfigurationError: as `chain`.
        """
        return replace(self, chains={network: self.chain(network)})

    def check_catalogue(self) -> None:
        """Refuse a catalogue whose plans could not be delivered; while payments are off, none is.

        Raises:
            ConfigurationError: it cannot be used, or a download has no URL that it is reached by.
            GoodsMissing: a plan brings a file that is not there.
        """
        if self.on and self.catalogue.exists():
            found = catalogue.load(self.catalogue)
            if found.has_downloads:
                self.base_url()
            for plan in found.plans:
                found.check(plan)

    def base_url(self) -> str:
        """The start of download links.

        Raises:
            ConfigurationError: it is not set.
        """
        if not self.public_url:
            name = variable("public_url")
            raise ConfigurationError(
                "a plan delivers a download and nobody could open it",
                f"{name} is not set",
                f"Set {name} to the URL under which buyers reach the gateway.",
                variable=name,
            )
        return self.public_url


def _tron(settings: PaymentsSettings) -> ShopChain | None:
    host = _checked_url("tron", settings)
    if settings.tron_wallet is None:
        _refuse_orphans(settings, "tron_wallet", "tron_api_key", "tron_usdt_contract")
        return None
    wallet = _address("tron_wallet", settings.tron_wallet, addresses.tron)
    net = TRON_HOSTS.get(host)
    given = settings.tron_usdt_contract
    contract = TRON_USDT[net or "main net"]
    if given is not None:
        contract = _address("tron_usdt_contract", given, addresses.tron)
        other = next((name for name, known in TRON_USDT.items() if known == contract), None)
        if net is not None and other is not None and other != net:
            _contradiction("tron_usdt_contract", f"is of {other}, and {host} is of {net}")
    if wallet == contract:
        _contradiction("tron_wallet", "is the address of the USDT contract")
    return ShopChain(
        Network.TRON,
        settings.tron_api_url.rstrip("/"),
        settings.tron_api_key,
        wallet,
        contract,
        settings.tron_rate or _rate(KEYLESS_TRON, net is not None, settings.tron_api_key),
        since_ms=_since_ms(settings),
        window_ms=_window_ms(settings),
        dust={Method.TRON: _dust("dust_usdt", settings.dust_usdt, Method.TRON)},
    )


def _ton(settings: PaymentsSettings) -> ShopChain | None:
    host = _checked_url("ton", settings)
    if settings.ton_wallet is None:
        _refuse_orphans(settings, "ton_wallet", "ton_api_key", "ton_usdt_master")
        return None
    wallet = _address("ton_wallet", settings.ton_wallet, addresses.ton)
    public = host in TON_TEST_HOSTS | TON_MAIN_HOSTS
    test = host in TON_TEST_HOSTS or addresses.is_ton_test(settings.ton_wallet)
    if test and host in TON_MAIN_HOSTS:
        _contradiction("ton_wallet", f"is of a test net, and {host} is of the main net")
    master = "" if test else TON_USDT
    if settings.ton_usdt_master is not None:
        master = _address("ton_usdt_master", settings.ton_usdt_master, addresses.ton)
        if host in TON_TEST_HOSTS and master == TON_USDT:
            _contradiction("ton_usdt_master", f"is of the main net, and {host} is of a test net")
    if wallet == master:
        _contradiction("ton_wallet", "is the address of the USDT master")
    return ShopChain(
        Network.TON,
        settings.ton_api_url.rstrip("/"),
        settings.ton_api_key,
        wallet,
        master,
        settings.ton_rate or _rate(KEYLESS_TON, public, settings.ton_api_key),
        test,
        _since_ms(settings),
        _window_ms(settings),
        Fraction(str(settings.payments_tolerance_percent)) / 100,
        {
            Method.TON: _dust("dust_ton", settings.dust_ton, Method.TON),
            Method.TON_USDT: _dust("dust_usdt", settings.dust_usdt, Method.TON_USDT),
        },
    )


def _since_ms(settings: PaymentsSettings) -> int:
    since = settings.payments_since
    if since is None:
        return 0
    return max(0, int((since if since.tzinfo else since.replace(tzinfo=UTC)).timestamp() * 1000))


def _window_ms(settings: PaymentsSettings) -> int:
    return settings.payments_window_minutes * 60_000


def _dust(name: str, text: str, method: Method) -> int:
    """A bound of dust in the smallest unit; 0 for none."""
    try:
        return 0 if text.strip() == "0" else money.parse(text, method)
    except ValueError as error:
        raise ConfigurationError(
            f"{variable(name)} cannot be used",
            str(error),
            "Write an amount such as 0.01, or 0 for no bound.",
            variable=variable(name),
        ) from None


def _rate(keyless: tuple[float, float], public: bool, key: SecretStr | None) -> float:  # noqa: FBT001 - private
    return keyless[0] if public and key is None else keyless[1]


def _checked_url(network: str, settings: PaymentsSettings) -> str:
    """The host of a network's API."""
    parts = urlsplit(getattr(settings, f"{network}_api_url"))
    host = parts.hostname or ""
    if (
        getattr(settings, f"{network}_api_key") is not None
        and parts.scheme == "http"
        and not is_private(host)
    ):
        _contradiction(f"{network}_api_url", "is not https, and the key would travel in clear text")
    return host


def is_private(host: str) -> bool:
    """Whether a host is of this machine or of a network that is nobody else's."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def _address(name: str, text: str, parse: Callable[[str], str]) -> str:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{variable(name)} is {text[:70]!r}",
            str(error),
            "Copy the address again, whole.",
            variable=variable(name),
        ) from None


def _refuse_orphans(settings: PaymentsSettings, wallet: str, *others: str) -> None:
    for other in others:
        if getattr(settings, other) is not None:
            raise ConfigurationError(
                f"{variable(other)} is set",
                f"{variable(wallet)} is not, so it would do nothing",
                f"Set {variable(wallet)}, or unset {variable(other)}.",
                variable=variable(wallet),
            )


def _contradiction(name: str, why: str) -> NoReturn:
    raise ConfigurationError(
        f"{variable(name)} cannot be used",
        f"it {why}",
        "Correct one of the two.",
        variable=variable(name),
    )
