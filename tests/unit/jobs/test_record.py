"""The record of what was started."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from actors.runtime.errors import ConfigurationError
from jobs.launch.record import NAME, SessionRecord

if TYPE_CHECKING:
    from pathlib import Path

RECORD = SessionRecord(
    address="127.0.0.1:1",
    dashboard_url="",
    namespace="x0",
    own_cluster=True,
    source="radio:8",
    pid=1,
    started_at=2.5,
)


def test_a_record_comes_back_and_is_private(tmp_path: Path) -> None:
    """What was saved is loaded, and others cannot read it."""
    assert SessionRecord.load(tmp_path) is None
    RECORD.save(tmp_path)
    assert SessionRecord.load(tmp_path) == RECORD
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_only_its_own_record_is_removed(tmp_path: Path) -> None:
    """A mesh that ends late does not remove the record of the next one."""
    newer = replace(RECORD, started_at=3.5)
    newer.save(tmp_path)
    RECORD.remove(tmp_path)
    assert SessionRecord.load(tmp_path) == newer
    newer.remove(tmp_path)
    newer.remove(tmp_path)
    assert SessionRecord.load(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"address": "x"}', b'{"more": 1}'])
def test_a_broken_record_is_said_with_its_path(tmp_path: Path, content: bytes) -> None:
    """A record that cannot be read is an error that names the file, not a mesh that is not."""
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ConfigurationError, match=str(tmp_path / NAME)):
        SessionRecord.load(tmp_path)
