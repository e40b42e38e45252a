"""The plans that can be bought, from a YAML file.

    plans:
      - id: month
        title: {en: One month, ru: Один месяц}
        price: {tron: "9.90", ton: "3.2", ton-usdt: "9.90"}
        delivers: {download: files/month.zip}
      - id: licence
        title: Licence
        price: {tron: "25"}
        delivers: licence

Invariants: prices are text, so that none passes through a float; two TRON prices that differ lie
further apart than the tails that tell orders apart reach, so an amount belongs to one price; a
download is a file below the catalogue's own directory.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from actors.payments.chains import money
from actors.payments.chains.money import Method
from actors.payments.errors import UnknownPlan
from actors.payments.ledger import amount_tails
from actors.payments.ledger.orders import Delivers
from actors.runtime import strict_yaml
from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable
from actors.runtime.strict_yaml import NotYaml

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 2**20
MAX_PLANS: Final = 200
LANGUAGES: Final = ("en", "ru")


@dataclass(frozen=True, slots=True)
class ShopPlan:
    """What can be bought.

    Attributes:
        id: 1 to 32 of a-z 0-9 -.
        titles: the title in each language; "en" is always there.
        prices: the price for each method, in its smallest unit.
        delivers: what the buyer gets.
    """

    id: str
    titles: Mapping[str, str]
    prices: Mapping[Method, int]
    delivers: Delivers

    def title(self, language: str) -> str:
        """The title in a language, or in English."""
        return self.titles.get(language, self.titles["en"])

    def price(self, method: Method) -> int:
        """The price in the smallest unit.

        Raises:
            UnknownPlan: it cannot be paid in that way.
        """
        try:
            return self.prices[method]
        except KeyError:
            ways = ", ".join(self.prices)
            raise UnknownPlan(self.id, f"it can be paid with {ways}, not with {method}") from None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All plans, in the order of the file, and the directory that downloads are in."""

    plans: tuple[ShopPlan, ...]
    directory: Path

    def plan(self, name: str) -> ShopPlan:
        """The plan with the id `name`.

        Raises:
            UnknownPlan: there is no such plan.
        """
        for plan in self.plans:
            if plan.id == name:
                return plan
        raise UnknownPlan(
            name, "the catalogue has no such id", known=(plan.id for plan in self.plans)
        )

    @property
    def has_downloads(self) -> bool:
        """Whether any plan delivers a download."""
        return any(plan.delivers.kind == "download" for plan in self.plans)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Download(_Strict):
    download: StrictStr = Field(min_length=1, max_length=255)


class _Titles(_Strict):
    en: StrictStr = Field(min_length=1, max_length=80)
    ru: StrictStr | None = Field(None, min_length=1, max_length=80)


_Title = Annotated[StrictStr, Field(min_length=1, max_length=80)]


class _Plan(_Strict):
    id: StrictStr = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    title: _Title | _Titles
    price: dict[Method, StrictStr] = Field(min_length=1)
    delivers: StrictStr | _Download


class _File(_Strict):
    plans: list[_Plan] = Field(min_length=1, max_length=MAX_PLANS)


def load(path: Path) -> Catalogue:
    """Read the catalogue at `path`.

    Raises:
        ConfigurationError: it cannot be read, or breaks a rule of this module.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(path, (error.strerror or str(error)).lower()) from None
    if len(content) > MAX_BYTES:
        raise _refused(path, f"it is larger than {MAX_BYTES} bytes")
    try:
        return _checked(_File.model_validate(strict_yaml.load(content)), path)
    except NotYaml as error:
        raise _refused(path, f"it is not YAML as a catalogue has it: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _refused(path, f"{where or 'the document'}: {first['msg']}") from None
    except ValueError as error:
        raise _refused(path, str(error)) from None


def _checked(file: _File, path: Path) -> Catalogue:
    plans = tuple(_plan(entry) for entry in file.plans)
    names = [plan.id for plan in plans]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two plans have the id {name}")
    _check_tiers(plans)
    return Catalogue(plans, path.absolute().parent)


def _plan(entry: _Plan) -> ShopPlan:
    titles = entry.title
    named = {"en": titles} if isinstance(titles, str) else titles.model_dump(exclude_none=True)
    prices = {method: _price(entry.id, method, text) for method, text in entry.price.items()}
    return ShopPlan(entry.id, named, prices, _delivers(entry))


def _price(plan: str, method: Method, text: str) -> int:
    try:
        return money.parse(text, method)
    except ValueError as error:
        raise ValueError(f"plan {plan}: price: {error}") from None


def _delivers(entry: _Plan) -> Delivers:
    if isinstance(entry.delivers, str):
        if entry.delivers != "licence":
            raise ValueError(
                f"plan {entry.id}: delivers: is {entry.delivers[:40]!r}; "
                "allowed are licence and {download: FILE}"
            )
        return Delivers("licence")
    file = PurePosixPath(entry.delivers.download)
    if file.is_absolute() or ".." in file.parts or "\0" in entry.delivers.download:
        raise ValueError(f"plan {entry.id}: {file} is not below the catalogue's directory")
    return Delivers("download", str(file))


def _check_tiers(plans: tuple[ShopPlan, ...]) -> None:
    prices = sorted({plan.prices[Method.TRON] for plan in plans if Method.TRON in plan.prices})
    for lower, upper in itertools.pairwise(prices):
        if upper - lower <= amount_tails.LARGEST:
            shown = " and ".join(money.text(price, Method.TRON) for price in (lower, upper))
            reach = money.text(amount_tails.LARGEST, Method.TRON)
            raise ValueError(f"tron prices {shown} are not further apart than {reach}")


def _refused(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the catalogue {path} cannot be used",
        why,
        f"Write it as the README shows under Payments, or set {variable('catalogue')} to another.",
        variable=variable("catalogue"),
    )
