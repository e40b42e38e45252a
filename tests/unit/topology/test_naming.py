"""What people write of nodes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.ids import is_node_id
from actors.topology import naming

NAMES = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ,, ", ["a", "b"]),
        ("", []),
        ('"Tower, south",b', ["Tower, south", "b"]),
        ("Kirchturm Süd", ["Kirchturm Süd"]),
        ('a"b,c', ['a"b', "c"]),
        ('"a"b,c', ['"a"b', "c"]),
        ('"open,c', ['"open', "c"]),
    ],
)
def test_a_list_of_names(text: str, names: list[str]) -> None:
    """Commas part names; quotes keep one together; a quote that closes nothing is a character."""
    assert naming.listed(text) == names


@given(st.lists(NAMES.filter(is_node_id), min_size=1, max_size=5))
def test_what_csv_writes_is_read(names: list[str]) -> None:
    """Any ids can be listed."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    assert naming.listed(line.getvalue()) == names
