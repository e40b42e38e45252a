"""The object that is shipped is built from the source that stands beside it."""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from actors.xdp.program import OBJECT

BPF = Path(__file__).parents[3] / "bpf"
VARIED = BPF.parent / "loadtests" / "xdp_varied.bpf.o"
OBJECTS = {OBJECT: ("mesh.bpf.c",), VARIED: ("varied.bpf.c", "mesh.bpf.c")}
# What differs between compilers that do the same: instructions and what describes them.
MEANINGFUL = (".maps", ".rodata", "license", "xdp", "xdp.frags")


def sections(image: bytes) -> dict[str, bytes]:
    """The sections of an ELF file of 64 bits, by name."""
    offset = struct.unpack_from("<Q", image, 40)[0]
    size, count, names = struct.unpack_from("<HHH", image, 58)
    heads = [struct.unpack_from("<IIQQQQ", image, offset + at * size) for at in range(count)]
    text = image[heads[names][4] :]
    return {
        text[head[0] : text.index(b"\0", head[0])].decode(): image[head[4] : head[4] + head[5]]
        for head in heads
    }


def built_with(image: bytes) -> tuple[str, str]:
    """Hash of the source, and the compiler, that the object states."""
    said = sections(image)[".x0.built"].decode()
    found = re.match(r"source=([0-9a-f]{64}) compiler=([^\0]+)\0", said)
    assert found is not None, said
    return found[1], found[2]


@pytest.mark.parametrize("made", OBJECTS)
def test_it_states_the_hash_of_its_source(made: Path) -> None:
    """A change of the source without `make -C bpf` fails here, with or without a compiler."""
    stated, _ = built_with(made.read_bytes())
    source = b"".join((BPF / name).read_bytes() for name in OBJECTS[made])
    assert stated == hashlib.sha256(source).hexdigest(), "run `make -C bpf`"


def test_it_is_what_the_compiler_makes_of_its_source(tmp_path: Path) -> None:
    """By the same compiler, byte for byte; by another one, the same tables and programs."""
    missing = [name for name in ("clang", "llvm-strip", "make") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"there is no {', '.join(missing)}")
    if not Path("/usr/include/bpf/bpf_helpers.h").exists():
        pytest.skip("there is no libbpf-dev")
    for name in (*OBJECTS[VARIED], "Makefile"):
        shutil.copy(BPF / name, tmp_path)
    made = {OBJECT: tmp_path / "made.o", VARIED: tmp_path / "varied.o"}
    where = [f"OBJECT={made[OBJECT]}", f"VARIED={made[VARIED]}"]
    subprocess.run(["make", "-C", str(tmp_path), *where], check=True, capture_output=True)
    for object_file, copy in made.items():
        shipped, rebuilt = object_file.read_bytes(), copy.read_bytes()
        if built_with(shipped) == built_with(rebuilt):
            assert shipped == rebuilt
        ours, theirs = sections(shipped), sections(rebuilt)
        for name in MEANINGFUL:
            assert (name in ours) == (name in theirs)
        for name in (".maps", ".rodata", "license"):
            assert ours[name] == theirs[name]


def test_it_says_nothing_of_where_it_was_built() -> None:
    """No path of the machine is in it."""
    assert str(BPF).encode() not in OBJECT.read_bytes()
    assert b"/home/" not in OBJECT.read_bytes()
