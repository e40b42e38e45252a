"""What people write of nodes: lists of them."""

from __future__ import annotations

import csv


def listed(text: str) -> list[str]:
    r"""The names of `a,b`, without blanks around them and without empty ones.

    A name with a comma in it is quoted as in CSV (RFC 4180): `"Tower, south",b`.
    """
    try:
        names = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:  # a quote that is no quoting, as in `a"b`, and a NUL
        names = text.split(",")
    return [name for each in names if (name := each.strip(" "))]
