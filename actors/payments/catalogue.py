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
download is a file below the catalogue's own directory. Whether that file exists is asked whenever
it matters, for it may come and go: see `Catalogue.check`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictStr, ValidationError

from actors.payments import catalogue_words
from actors.payments.chains import money
from actors.payments.chains.money import Method
from actors.payments.errors import GoodsMissing, UnknownPlan
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
MAX_TITLE: Final = 80  # characters
MAX_FILE: Final = 255  # characters
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

    def check(self, plan: ShopPlan) -> None:
        """Refuse a plan that could not be delivered now.

        Raises:
            GoodsMissing: its file is not there.
        """
        file = plan.delivers.file
        if plan.delivers.kind == "download" and shelved(self.directory, file) is None:
            raise GoodsMissing(plan.id, file, str(self.directory))


def shelved(directory: Path, file: str) -> Path | None:
    """A file below a directory, wherever links lead; None if there is none."""
    root = directory.resolve()
    try:
        path = (root / file).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError):  # a name too long, links that lead in circles
        return None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _titles(value: object) -> dict[str, str]:
    given: dict[Any, Any] = value if isinstance(value, dict) else {"en": value}
    if "en" not in given:
        raise ValueError("has no en, which everybody reads who has no other")
    for language, text in given.items():
        if language not in LANGUAGES:
            name = catalogue_words.shown(language)
            raise ValueError(f"{name} is not known here; known are {', '.join(LANGUAGES)}")
        if not isinstance(text, str):
            raise ValueError(catalogue_words.unquoted(text))  # noqa: TRY004 - the validator's way
        if not 1 <= len(text) <= MAX_TITLE:
            raise ValueError(f"has {len(text)} characters; 1 to {MAX_TITLE} are allowed")
    return given


def _amount(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(catalogue_words.unquoted(value))  # noqa: TRY004 - the validator's way
    return value


def _delivers(value: object) -> Delivers:
    match value:
        case "licence":
            return Delivers("licence")
        case {"download": str(name), **others} if not others:
            file = PurePosixPath(name)
            if not 1 <= len(name) <= MAX_FILE or file.is_absolute() or {"..", "\0"} & {*file.parts}:
                raise ValueError(f"{catalogue_words.shown(name)} is not below its directory")
            return Delivers("download", str(file))
    given = catalogue_words.shown(value)
    raise ValueError(f"is {given}; allowed are licence and {{download: FILE}}")


class _Plan(_Strict):
    id: StrictStr = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    title: Annotated[dict[str, str], PlainValidator(_titles)]
    price: dict[Method, Annotated[str, PlainValidator(_amount)]] = Field(min_length=1)
    delivers: Annotated[Delivers, PlainValidator(_delivers)]


class _File(_Strict):
    plans: list[_Plan] = Field(min_length=1, max_length=MAX_PLANS)


def load(path: Path) -> Catalogue:
    """Read the catalogue at `path`.

    Raises:
        ConfigurationError: it cannot be read, or breaks a rule of this module.
    """
    return parse(read(path), path)


def read(path: Path) -> bytes:
    """What the file holds.

    Raises:
        ConfigurationError: it cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(path, (error.strerror or str(error)).lower()) from None
    if len(content) > MAX_BYTES:
        raise _refused(path, f"it is larger than {MAX_BYTES} bytes")
    return content


def parse(content: bytes, path: Path) -> Catalogue:
    """The catalogue that `content`, of the file `path`, says.

    Raises:
        ConfigurationError: it breaks a rule of this module.
    """
    document: object = None
    try:
        document = strict_yaml.load(content)
        return _checked(_File.model_validate(document), path)
    except NotYaml as error:
        raise _refused(path, f"it is not YAML as a catalogue has it: {error}") from None
    except ValidationError as error:
        raise _refused(path, catalogue_words.first(error.errors(), document)) from None
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
    prices = {method: _price(entry.id, method, text) for method, text in entry.price.items()}
    return ShopPlan(entry.id, entry.title, prices, entry.delivers)


def _price(plan: str, method: Method, text: str) -> int:
    try:
        return money.parse(text, method)
    except ValueError as error:
        raise ValueError(f"plan {plan}: price: {method}: {error}") from None


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
