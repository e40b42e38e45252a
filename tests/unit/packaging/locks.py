"""What the lock files pin on one Python, and what of it nobody has pinned."""

from __future__ import annotations

import re
import tomllib
from collections import deque
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = "requirements.lock"
DEVELOPMENT = "requirements-dev.lock"
TRAINING = "requirements-train.lock"

Pins = dict[NormalizedName, Version]


@dataclass(frozen=True, slots=True)
class Installed:
    """One package of this environment, by its own metadata."""

    version: Version
    requires: tuple[Requirement, ...]


def installed() -> dict[NormalizedName, Installed]:
    """Read the metadata of every package that is installed beside the tests."""
    return {
        canonicalize_name(one.name): Installed(
            Version(one.version), tuple(map(Requirement, one.requires or ()))
        )
        for one in distributions()
    }


def linux(python: str) -> Environment:
    """Give the values of markers on Linux, for CPython of the full version `python`."""
    environment = default_environment()
    environment["python_version"] = ".".join(python.split(".")[:2])
    environment["python_full_version"] = environment["implementation_version"] = python
    return environment


def read(*names: str) -> list[Requirement]:
    """Read the requirements of lock files, which hold a package in each line that is not indented.

    Raises:
        packaging.requirements.InvalidRequirement: if a line is none.
    """
    lines = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names).splitlines()
    return [Requirement(re.sub(r"\s*\\$", "", line)) for line in lines if line[:1].strip()]


def _applies(one: Requirement, environment: Environment, extra: str = "") -> bool:
    return one.marker is None or one.marker.evaluate({**environment, "extra": extra})


def pins(lock: Iterable[Requirement], environment: Environment) -> Pins:
    """Choose what of a lock is for `environment`.

    Raises:
        ValueError: if a line pins no version, or two lines pin the same package.
    """
    chosen: Pins = {}
    for one in lock:
        if not _applies(one, environment):
            continue
        (exactly,) = one.specifier
        name = canonicalize_name(one.name)
        if exactly.operator != "==" or name in chosen:
            raise ValueError(f"no single version of {name}: {one}")
        chosen[name] = Version(exactly.version)
    return chosen


def asked(*groups: str) -> list[Requirement]:
    """Say what pyproject.toml asks for: to run, and for `groups`."""
    texts = PROJECT["project"]["dependencies"] + [
        text for group in groups for text in PROJECT["dependency-groups"][group]
    ]
    return [Requirement(text) for text in texts]


def _complaints(asker: str, one: Requirement, chosen: Pins) -> Iterator[str]:
    name = canonicalize_name(one.name)
    if name not in chosen:
        yield f"{asker} asks for {one}, which is not locked"
    elif not one.specifier.contains(chosen[name], prereleases=True):
        yield f"{asker} asks for {one}, and {chosen[name]} is locked"


def unmet(
    chosen: Pins,
    asked_for: Iterable[Requirement],
    packages: Mapping[NormalizedName, Installed],
    environment: Environment,
) -> list[str]:
    """List what the project and the pinned packages require, with extras, and no pin meets.

    Of packages that are not installed in their pinned version nothing is known: see `unread`.
    """
    missing = []
    extras: deque[tuple[NormalizedName, str]] = deque((name, "") for name in chosen)
    seen = set(extras)

    def check(asker: str, one: Requirement) -> None:
        missing.extend(_complaints(asker, one, chosen))
        wanted = {(canonicalize_name(one.name), extra) for extra in one.extras} - seen
        seen.update(wanted)
        extras.extend(wanted)

    for one in asked_for:
        if _applies(one, environment):
            check("pyproject.toml", one)
    while extras:
        name, extra = extras.popleft()
        package = packages.get(name)
        if package is None or package.version != chosen.get(name):
            continue
        for one in package.requires:
            if _applies(one, environment, extra):
                check(f"{name} {package.version}", one)
    return missing


def unread(chosen: Pins, packages: Mapping[NormalizedName, Installed]) -> list[str]:
    """List the pinned packages whose metadata is not here."""
    return [
        f"{name} {version}"
        for name, version in sorted(chosen.items())
        if name not in packages or packages[name].version != version
    ]
