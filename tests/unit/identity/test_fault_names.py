"""The page about identities explains exactly the faults and states that there are."""

from __future__ import annotations

import re
from pathlib import Path

from actors.identity.contract import IdentityFault, SvidState

PAGE = (Path(__file__).parents[3] / "docs" / "identities.md").read_text(encoding="utf-8")


def test_each_fault_and_state_is_explained_once() -> None:
    """Whoever sees a fault in the status finds it in the table."""
    rows = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted([*map(str, SvidState), *map(str, IdentityFault)])
