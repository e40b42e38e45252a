"""What a laboratory does in the kernel: namespaces, veth pairs, loss, by `ip` and `nft`.

Needs root, iproute2, and nftables for loss.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAMESPACES: Final = Path("/run/netns")
_TIMEOUT_S: Final = 60.0  # limit for one batch of commands
_CONFIGURATION: Final = "/proc/sys/net/ipv6/conf"


def require(programs: Iterable[tuple[str, str]]) -> None:
    """See that this process may make namespaces, and that programs are there.

    Args:
        programs: each program, and Debian's package that has it.

    Raises:
        ConfigurationError: something is missing.
    """
    for program, package in programs:
        if shutil.which(program) is None:
            raise ConfigurationError(
                "a network of namespaces cannot be made",
                f"there is no program {program}",
                f"Install it: apt-get install {package}",
                variable="PATH",
            )
    if os.geteuid() != 0:
        raise ConfigurationError(
            "a network of namespaces cannot be made",
            "only root may make network namespaces",
            "Run this as root.",
            variable="USER",
        )


def present() -> set[str]:
    """The names of all namespaces."""
    return {path.name for path in NAMESPACES.iterdir()} if NAMESPACES.is_dir() else set()


def remove(names: Iterable[str]) -> None:
    """Remove those of these namespaces that exist, and with them their interfaces."""
    here = present()
    ip(f"netns del {name}" for name in names if name in here)


def configure(namespace: str, interface: str, key: str, value: int) -> None:
    """Set a kernel variable of IPv6 in a namespace."""
    write = f"echo {value} > {_CONFIGURATION}/{interface}/{key}"
    run(["ip", "netns", "exec", namespace, "sh", "-c", write])


def lose(namespace: str, device: str, percent: int) -> None:
    """Drop this share of what comes in over a device; 0: nothing any more."""
    table = f"inet x0lab_{device}"
    rules = f"add table {table}\ndelete table {table}\n"
    if percent:
        share = "" if percent == 100 else f" numgen random mod 100 < {percent}"
        hook = "type filter hook prerouting priority raw;"
        rule = f'iifname "{device}"{share} drop'
        rules += f"table {table} {{\nchain incoming {{\n{hook}\n{rule}\n}}\n}}\n"
    run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], rules)


def ip(commands: Iterable[str], namespace: str = "") -> None:
    """Have `ip` carry out commands, in one process."""
    inside = ["-n", namespace] if namespace else []
    run(["ip", *inside, "-batch", "-"], "\n".join(commands))


def run(command: Sequence[str], text: str = "") -> None:
    """Run a command to its end.

    Raises:
        Unavailable: it fails; the error repeats its first line.
    """
    done = subprocess.run(  # noqa: S603 - all parts are made here
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        start_new_session=True,  # a Ctrl-C must not leave half of it done
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Unavailable(
            f"`{' '.join(command)}` failed",
            said[0],
            "The kernel must offer network namespaces, veth and IPv6, and allow them here.",
            retry_after_s=1.0,
        )
