"""The lock files leave nothing for pip to choose, today or after any later release of a package."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.unit.packaging.locks import (
    DEVELOPMENT,
    PROJECT,
    ROOT,
    RUNTIME,
    TRAINING,
    asked,
    installed,
    linux,
    pins,
    read,
    unmet,
    unread,
)

HERE = platform.python_version()
# The first release and any late one of each Python that is supported: markers may tell them apart.
PYTHONS = [f"3.{minor}.{micro}" for minor in (11, 12, 13) for micro in (0, 99)]
PACKAGES = installed()


def test_these_pythons_are_what_the_project_supports() -> None:
    """The Pythons that are checked here are those that pyproject.toml admits, and no others."""
    supported = SpecifierSet(PROJECT["project"]["requires-python"])
    admitted = [minor for minor in range(30) if f"3.{minor}.1" in supported]
    assert admitted == [11, 12, 13]


@pytest.mark.parametrize("python", PYTHONS)
def test_whatever_running_requires_is_locked(python: str) -> None:
    """The first lock file meets every requirement of the project and of each package in it."""
    environment = linux(python)
    assert unmet(pins(read(RUNTIME), environment), asked("setup"), PACKAGES, environment) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_whatever_development_requires_is_locked(python: str) -> None:
    """Both lock files together meet every requirement, and pin each package once."""
    environment = linux(python)
    chosen = pins(read(RUNTIME, DEVELOPMENT), environment)
    assert unmet(chosen, asked("setup", "dev"), PACKAGES, environment) == []


@pytest.mark.parametrize("python", [*PYTHONS, HERE])
def test_whatever_training_requires_is_locked_but_torch(python: str) -> None:
    """So is what torch-geometric requires, and on this Python torch, which no lock file has."""
    environment = linux(python)
    chosen = pins(read(RUNTIME, TRAINING), environment)
    wanted = asked("setup", "train")
    torch = PACKAGES.get(canonicalize_name("torch"))
    if torch is not None and python == HERE:
        wanted += [one for one in torch.requires if one.marker is None]
    assert unmet(chosen, wanted, PACKAGES, environment) == []


@pytest.mark.parametrize("other", [DEVELOPMENT, TRAINING])
def test_what_is_locked_is_what_is_installed(other: str) -> None:
    """On this Python every locked package is installed in its locked version, so all were read."""
    assert unread(pins(read(RUNTIME, other), linux(HERE)), PACKAGES) == []


@pytest.mark.parametrize("python", PYTHONS[::2])
def test_only_what_another_python_has_in_another_version_was_not_read(python: str) -> None:
    """What a package requires is not known where it is locked for another Python alone."""
    lock = read(RUNTIME, DEVELOPMENT)
    here, there = pins(lock, linux(HERE)), pins(lock, linux(python))
    other = {f"{name} {there[name]}" for name in there if there[name] != here.get(name)}
    left = unread(there, PACKAGES)
    assert set(left) <= other
    if left:
        pytest.skip(f"not installed here, so what they require is unknown: {', '.join(left)}")


def test_a_pin_that_is_removed_is_missed() -> None:
    """Whichever line is taken out of the lock files, somebody asks for what it pinned."""
    environment = linux(HERE)
    whole = pins(read(RUNTIME, DEVELOPMENT), environment)
    wanted = asked("setup", "dev")
    for name in whole:
        rest = {other: version for other, version in whole.items() if other != name}
        missing = unmet(rest, wanted, PACKAGES, environment)
        assert missing, name
        assert all(f"asks for {name}" in canonicalize_name(line) for line in missing)


def test_a_pin_that_is_too_old_or_wanted_with_an_extra_is_told() -> None:
    """Versions count, and so does what a package requires for an extra that somebody asks for."""
    environment = linux(HERE)
    chosen = pins(read(RUNTIME), environment)
    old = {**chosen, canonicalize_name("httpcore"): pins([Requirement("x==0.1")], environment)["x"]}
    assert any("and 0.1 is locked" in line for line in unmet(old, [], PACKAGES, environment))
    extra = [Requirement("httpx[http2]")]
    (line,) = unmet(chosen, extra, PACKAGES, environment)
    assert "asks for h2" in line


def test_make_installs_nothing_else() -> None:
    """All but torch: what is resolved is nothing and, with all installed, needs no registry."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        ["make", "--dry-run", "--always-make", "setup-dev", "setup-train"],
        cwd=ROOT, env=clean, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    commands = [shlex.split(line) for line in said.splitlines() if "pip install" in line]
    locked = [command for command in commands if "-r" in command]
    assert [command[-1] for command in locked] == [RUNTIME, DEVELOPMENT, TRAINING]
    (torch,) = [command for command in commands if "--no-deps" not in command]
    assert torch[-1].startswith("torch==")
    for command in locked:
        assert {"--require-hashes", "--only-binary"} <= set(command)
        offline = [sys.executable, *command[1:], "--isolated", "--no-index", "--dry-run"]
        subprocess.run(offline, cwd=ROOT, check=True, capture_output=True)
