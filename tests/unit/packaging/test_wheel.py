"""The project is also a package: its wheel has every file that it needs, and runs by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.packaging.locks import PROJECT, ROOT

PACKAGES = ("actors", "cluster", "jobs", "serve_apps")
ANYTHING_MADE = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")


def _environment(state: Path) -> dict[str, str]:
    """Give this environment without what is set in it for Python and for the project."""
    foreign = ("PYTHON", "PIP", "X0TTA6BL4", "VIRTUAL_ENV", "RAY", "COV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "X0TTA6BL4_STATE_DIR": str(state)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout, built from a copy without the registry."""
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"
    source.mkdir()
    for name in ("pyproject.toml", PROJECT["project"]["readme"], "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "loadtests", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=ANYTHING_MADE)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(directory)]
    command = [sys.executable, "-m", "pip", "--isolated", "wheel", *offline, str(source)]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    (made,) = directory.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def bin_directory(wheel: Path) -> Path:
    """Where `x0` is, in an environment that has the wheel and sees the dependencies of the tests.

    Their directory is added as a path, so that of the editable project in it nothing is seen.
    """
    environment = wheel.parent / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(environment / "bin/python")
    install = ["install", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    command = [sys.executable, "-m", "pip", "--isolated", "--python", python, *install]
    subprocess.run(command, check=True, capture_output=True)
    return environment / "bin"


def _run(program: Path, *arguments: str, state: Path) -> str:
    """Run a program of the wheel's environment outside the checkout and return what it says."""
    done = subprocess.run(
        [str(program), *arguments],
        cwd=state, env=_environment(state), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    """Code, migrations and whatever else lies in the packages is in the wheel; tests are not."""
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = set(zipfile.ZipFile(wheel).namelist())
    about = {name for name in held if PurePosixPath(name).parts[0].endswith(".dist-info")}
    assert held - about == wanted
    assert any(name.endswith("licenses/LICENSE") for name in about)


def test_its_command_says_what_it_can_do_and_which_it_is(
    bin_directory: Path, tmp_path: Path
) -> None:
    """`x0 --help` and `x0 --version` run, by the wheel's own code."""
    assert "what-if" in _run(bin_directory / "x0", "--help", state=tmp_path)
    version = PROJECT["project"]["version"]
    assert _run(bin_directory / "x0", "--version", state=tmp_path) == f"x0 {version}\n"
    where = _run(
        bin_directory / "python", "-c", "import jobs; print(jobs.__file__)", state=tmp_path
    )
    assert Path(where).is_relative_to(bin_directory.parent)


def test_it_opens_a_ledger_that_is_not_there_yet(bin_directory: Path, tmp_path: Path) -> None:
    """The migrations are found where the wheel was installed, and make the tables."""
    assert json.loads(_run(bin_directory / "x0", "pay", "orders", "--json", state=tmp_path)) == {
        "orders": []
    }
    assert (tmp_path / "payments.db").is_file()
