"""Names and limits that others rely on."""

from __future__ import annotations

import pytest

from actors.mesh.contract import shard_name
from actors.runtime.errors import InvalidInput


def test_shard_names_are_as_documented() -> None:
    """The name has two digits, and numbers are bounded."""
    assert shard_name(3) == "mesh-shard-03"
    for index in (-1, 64):
        with pytest.raises(InvalidInput):
            shard_name(index)
