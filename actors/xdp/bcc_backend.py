"""Compiles the program on this host with bcc, in place of the object that is shipped.

For who develops the program, or mistrusts the shipped object: it takes seconds and needs bcc and
the headers of a kernel, of any version, since the program uses only what stays. bcc is Debian's
python3-bpfcc, which belongs to the Python of the system; the package `bcc` of PyPI is another
thing. So it runs in a process of that Python, which ends with the compiler's memory.

bcc makes maps by macros of its own, knows no variables that are the value of a map, and no calls
between functions; the source has libbpf's ways. Here bcc is told that each map is a number, which
`instructions` replaces by the descriptor of a map that there is: so the same tables, in the same
layout, are continued by the program of either backend. All functions go into their callers.
"""

from __future__ import annotations

import functools
import json
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.xdp import layout
from actors.xdp.errors import XdpUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHON: Final = "/usr/bin/python3"
SOURCE: Final = Path(__file__).parents[2] / "bpf" / "mesh.bpf.c"
_LONGEST_S: Final = 120.0
_INSTRUCTION: Final = struct.Struct("=BBhi")  # code, registers, offset, immediate
_LOAD_64: Final = 0x18  # BPF_LD | BPF_IMM | BPF_DW, of two instructions
_OF_MAPS: Final = frozenset({1, 2})  # BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE
_MAP_NAME: Final = re.compile(r'^\}\s*(\w+)\s+SEC\("\.maps"\);', re.MULTILINE)
# A variable that is the only value of the map of its section's name.
_VARIABLE: Final = re.compile(r'^(struct \w+) (\w+) SEC\("(\.data\.\w+)"\) = .*;$', re.MULTILINE)
_NO_BCC: Final = ("ModuleNotFoundError:", "ImportError:")
_NO_HEADERS: Final = re.compile("Unable to find kernel headers|error: .* file not found")
_SHIPPED: Final = "X0TTA6BL4_XDP_BACKEND=libbpf loads the object that is shipped."
_INSTALL: Final = (
    "apt-get install python3-bpfcc linux-headers-$(uname -r), or name by BCC_KERNEL_SOURCE a"
    f" directory of another kernel's headers (Debian's two packages of them in one). {_SHIPPED}"
)

# Stands for bpf/bpf_helpers.h. To compare the address of a map is done by the compiler.
_HELPERS: Final = """
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#undef SEC
#define SEC(name)
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#undef __noinline
#define __noinline __always_inline
#define X0_MAP(map) bpf_pseudo_fd(1, (void *)(map) == 0 ? 0 : NUMBERS)
#define bpf_map_lookup_elem(map, key) bpf_map_lookup_elem_(X0_MAP(map), (void *)(key))
#define bpf_map_update_elem(map, key, value, flags) \\
    bpf_map_update_elem_(X0_MAP(map), (void *)(key), (void *)(value), flags)
#define bpf_ringbuf_reserve(map, size, flags) \\
    bpf_ringbuf_reserve((void *)X0_MAP(map), size, flags)
"""

_COMPILE: Final = """
import json, sys
told = json.load(sys.stdin)
from bcc import BPF
made = BPF(text=told["text"], cflags=["-w", '-DSOURCE_HASH="bcc"'])
print(json.dumps({name: made.dump_func(name.encode()).hex() for name in told["names"]}))
"""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Instructions in which a map is its number.

    Attributes:
        code: of each program, by name.
        tables: names of the maps; the first has number 1.
    """

    code: Mapping[str, bytes]
    tables: tuple[str, ...]


def compiled() -> Compiled:
    """Compile the source; once, as long as it stays as it is.

    Raises:
        XdpUnavailable: there is no source, no bcc or no headers, or it cannot be compiled.
    """
    try:
        text = SOURCE.read_text()
    except OSError as error:
        raise XdpUnavailable(
            f"the source of the program cannot be read: {error}",
            f"Run this in a checkout of the project. {_SHIPPED}",
        ) from error
    return _compiled(text)


@functools.lru_cache(maxsize=1)
def _compiled(text: str) -> Compiled:
    tables = tables_of(text)
    told = json.dumps({"text": for_bcc(text, tables), "names": sorted(layout.PROGRAMS)})
    try:
        done = subprocess.run(  # noqa: S603 - the system's Python, no shell
            [PYTHON, "-I", "-c", _COMPILE],
            input=told,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise XdpUnavailable(f"bcc cannot be run: {error}", _INSTALL) from error
    if done.returncode:
        raise _refused(done.stdout + done.stderr)
    code = json.loads(done.stdout.splitlines()[-1])
    return Compiled({name: bytes.fromhex(text) for name, text in code.items()}, tables)


def _refused(said: str) -> XdpUnavailable:
    """What matters of what was written when it failed, and what to do."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    missing = [line for line in lines if _NO_HEADERS.search(line) or line.startswith(_NO_BCC)]
    wrong = [line for line in lines if "error:" in line]
    last = lines[-1:] or ["it does not say why"]
    return XdpUnavailable(
        f"bcc cannot compile the program: {(missing or wrong or last)[0][:300]}",
        _INSTALL if missing or not wrong else f"Correct {SOURCE.name}. {_SHIPPED}",
    )


def tables_of(text: str) -> tuple[str, ...]:
    """Names of the maps of the source."""
    return (*_MAP_NAME.findall(text), *(found[3] for found in _VARIABLE.finditer(text)))


def for_bcc(text: str, tables: tuple[str, ...]) -> str:
    """The source as bcc takes it: maps are numbers, and what libbpf would set stays as it is."""
    number = {name: at for at, name in enumerate(tables, start=1)}
    numbers = " ".join(
        f"(void *)(map) == (void *)&{name} ? {number[name]} :" for name in _MAP_NAME.findall(text)
    )
    text = _VARIABLE.sub(
        lambda found: f"#define {found[2]} (*({found[1]} *)bpf_pseudo_fd(2, {number[found[3]]}))",
        text,
    )
    # The kernel's headers have what these two have.
    text = text.replace("#include <stddef.h>\n", "").replace("#include <bpf/bpf_endian.h>\n", "")
    helpers = _HELPERS.replace("NUMBERS", f"{numbers} 0")
    text = text.replace("#include <bpf/bpf_helpers.h>\n", helpers)
    return re.sub(r"^const volatile ", "static const ", text, flags=re.MULTILINE)


def instructions(made: Compiled, program: str, maps: Mapping[str, int]) -> bytes:
    """The instructions of a program with these maps.

    Args:
        made: what has been compiled.
        program: its name.
        maps: descriptors by name.

    Raises:
        XdpUnavailable: the source has a map that the shipped object has not.
    """
    code = bytearray(made.code[program])
    for at in range(0, len(code), _INSTRUCTION.size):
        kind, registers, offset, number = _INSTRUCTION.unpack_from(code, at)
        if kind != _LOAD_64 or registers >> 4 not in _OF_MAPS:
            continue
        name = made.tables[number - 1]
        if name not in maps:
            raise XdpUnavailable(
                f"the shipped object has no map {name}, which the source has",
                "Build the object of this source first: make -C bpf",
            )
        _INSTRUCTION.pack_into(code, at, kind, registers, offset, maps[name])
    return bytes(code)
