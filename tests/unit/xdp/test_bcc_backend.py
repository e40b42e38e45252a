"""What bcc is given of the source, and what is made of what it gives back."""

from __future__ import annotations

import struct

import pytest

from actors.xdp import bcc_backend, layout
from actors.xdp.bcc_backend import Compiled, for_bcc, instructions
from actors.xdp.errors import XdpUnavailable

# r1 = map 2; r3 = the value of map 1; r2 = 2, a number of 64 bits; exit.
CODE = b"".join(
    struct.pack("=BBhi", *one)
    for one in (
        (0x18, 0x11, 0, 2),
        (0, 0, 0, 0),
        (0x18, 0x23, 0, 1),
        (0, 0, 0, 0),
        (0x18, 0x02, 0, 2),
        (0, 0, 0, 1),
        (0x95, 0, 0, 0),
    )
)
MADE = Compiled({"x0_mesh": CODE}, ("x0_one", "x0_two"))


def test_a_number_of_a_map_becomes_its_descriptor() -> None:
    """And no other number does."""
    found = instructions(MADE, "x0_mesh", {"x0_two": 77, "x0_one": 5})
    of_map, of_value = (
        struct.pack("=BBhi", 0x18, registers, 0, fd) for registers, fd in ((0x11, 77), (0x23, 5))
    )
    assert found == of_map + CODE[8:16] + of_value + CODE[24:]


def test_a_map_that_only_the_source_has_is_named() -> None:
    """The tables are those of the shipped object."""
    with pytest.raises(XdpUnavailable, match="x0_two") as caught:
        instructions(MADE, "x0_mesh", {"x0_one": 5})
    assert "make -C bpf" in caught.value.remedy


def test_the_source_is_changed_where_bcc_differs_and_nowhere_else() -> None:
    """Every table that is read has a number; of libbpf's headers none is left."""
    text = bcc_backend.SOURCE.read_text()
    tables = bcc_backend.tables_of(text)
    assert set(tables) == set(layout.SIZES)
    made = for_bcc(text, tables)
    assert "<bpf/" not in made
    assert all(f"&{name} ?" in made for name in tables if name != layout.CONFIG)
    number = tables.index(layout.CONFIG) + 1
    assert f"#define x0_config (*(struct config *)bpf_pseudo_fd(2, {number}))" in made
    lines = made.splitlines()
    changed = [line for line in text.splitlines() if line not in lines]
    assert len(changed) == 5, changed  # three headers, a variable, a constant


@pytest.mark.parametrize(
    ("wrote", "said", "remedy"),
    [
        (
            "warning: x\nmain.c:7:1: error: unknown type name 'this'\n1 error generated.\n",
            "unknown type name",
            "Correct mesh.bpf.c",
        ),
        ("Traceback\nImportError: no bcc\n\n", "ImportError: no bcc", "python3-bpfcc"),
        ("chdir(/x): No such file\nUnable to find kernel headers.\n", "headers", "linux-headers"),
        ("k.h:5:10: fatal error: 'a.h' file not found\n", "'a.h'", "linux-headers"),
        ("Killed", "Killed", "python3-bpfcc"),
        ("", "it does not say why", "python3-bpfcc"),
    ],
)
def test_of_much_that_is_written_what_matters_is_repeated(
    wrote: str, said: str, remedy: str
) -> None:
    """With what to do about that."""
    error = bcc_backend._refused(wrote)
    assert said in error.reason
    assert remedy in error.remedy
    assert "X0TTA6BL4_XDP_BACKEND=libbpf" in error.remedy
