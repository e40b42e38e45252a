"""What a figure was measured on: enough to judge it by, nothing that names a host or a path."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CPU_INFO: Final = Path("/proc/cpuinfo")
_GIT_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where and when a benchmark ran.

    Attributes:
        commit: abbreviated commit of the project, with "and local changes" where files differ.
        date: UTC, ISO 8601 to the minute, at the end of the run.
        cpu: model.
        cores: number of cores that the operating system schedules on.
        memory_gib: memory of the machine, GiB.
        system: kernel name and release.
        python: version.
        packages: versions of the packages that matter to the figures.
        load_before: runnable processes, mean of the minute before the run; near 0 when the machine
            was the benchmark's own.
    """

    commit: str
    date: str
    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    packages: Mapping[str, str]
    load_before: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        packages = (f"{name} {number}" for name, number in self.packages.items())
        programs = ", ".join([f"Python {self.python}", *packages])
        return (
            f"Commit {self.commit}, {self.date}. {self.cpu}, {self.cores} cores,"
            f" {self.memory_gib:g} GiB, {self.system}, {programs}."
            f" Load before the run: {self.load_before:.2f}."
        )


class Processors:
    """What all processors of this machine do from now on."""

    def __init__(self) -> None:
        self._begun, self._at = psutil.cpu_times(), time.monotonic()

    def cores(self) -> tuple[float, float]:
        """Cores that were busy since then, and cores that the machine's host withheld (steal)."""
        now, wall = psutil.cpu_times(), time.monotonic() - self._at
        spent = {name: getattr(now, name) - getattr(self._begun, name) for name in now._fields}
        # guest is within user already; see proc_stat(5).
        busy = sum(spent[name] for name in ("user", "nice", "system", "irq", "softirq"))
        return busy / wall, spent["steal"] / wall


def load() -> float:
    """Mean number of runnable processes in the last minute."""
    return os.getloadavg()[0]


def provenance(
    packages: Sequence[str], load_before: float, others: Mapping[str, str]
) -> Provenance:
    """Describe this run.

    Args:
        packages: installed distributions whose versions matter.
        load_before: what `load` said before the run.
        others: versions of programs that are no Python packages.

    Raises:
        importlib.metadata.PackageNotFoundError: one of `packages` is not installed.
    """
    return Provenance(
        commit=_commit(),
        date=time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        cpu=_cpu(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages={**{name: version(name) for name in packages}, **others},
        load_before=round(load_before, 2),
    )


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    if commit is None:
        return "unknown (not run from a git checkout)"
    # RESULTS.md changes by being written, which changes nothing that is measured.
    changed = _git("status", "--porcelain", "--", ":/", ":(exclude,top)loadtests/RESULTS.md")
    return f"{commit} and local changes" if changed else commit


def _git(*arguments: str) -> str | None:
    """What git says about the project's checkout; None where there is no git or no checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run(  # noqa: S603 - fixed arguments of this module
        [git, "-C", str(Path(__file__).parent), *arguments],
        capture_output=True,
        text=True,
        timeout=_GIT_TIMEOUT_S,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu() -> str:
    if _CPU_INFO.exists():
        for line in _CPU_INFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine()
