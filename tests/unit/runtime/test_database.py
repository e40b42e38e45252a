"""A database that cannot be used is told apart from one that does not answer now."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from actors.payments.ledger.ledger import Ledger
from actors.runtime.errors import ConfigurationError, Unavailable
from tests.unit.payments.shop import order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 4096


def use(path: Path) -> None:
    """Open a ledger, and read and write all over it."""
    with Ledger(SecretStr(f"sqlite:///{path}")) as ledger:
        ledger.orders.listing(channel="pull", recipient="x")
        ledger.report()
        ledger.intake.cursors()
        ledger.reviews.listing(closed=True)
        ledger.reviews.count()
        ledger.outbox.claim("pull", 0)
        with ledger.database.alone("x", timeout_s=1), ledger.database.writing():
            pass


@pytest.fixture(scope="module")
def made() -> Iterator[bytes]:
    """A ledger's file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        use(path)
        with Ledger(SecretStr(f"sqlite:///{path}")) as ledger:
            for number in range(40):
                order(ledger, number)
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        yield path.read_bytes()


@given(data=st.data(), spoiled=st.binary(min_size=1, max_size=2 * PAGE))
@settings(max_examples=100)
def test_a_damaged_file_is_told_as_that(made: bytes, data: st.DataObject, spoiled: bytes) -> None:
    """Whatever stands anywhere in it, or wherever it ends: it works, or a person is told to restore
    it; never that it will pass, and never a defect of the program."""
    at = data.draw(st.integers(0, len(made) - 1))
    cut = data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        path.write_bytes(made[:at] if cut else made[:at] + spoiled + made[at + len(spoiled) :])
        try:
            use(path)
        except ConfigurationError as error:
            said = str(error)
        else:
            said = ""
    assert "as it" not in said
    assert not said or ("X0TTA6BL4_DATABASE_URL" in said and "ledger.db" in said)


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE orders (number INTEGER)")
    database.close()


def _without_a_table(path: Path) -> None:
    use(path)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE reviews")
    database.close()


def _without_a_column(path: Path) -> None:
    use(path)
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE orders RENAME COLUMN plan TO planned")
    database.close()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_bytes(b"Dear diary, " * 999), "is not a database.*copy"),
        (_foreign, "orders already exists.*of its own"),
        (_without_a_table, "no such table: reviews.*copy"),
        (_without_a_column, "no such column: orders.plan.*copy"),
        (Path.mkdir, "unable to open.*user that runs this|is a directory"),
    ],
    ids=["no database", "another's tables", "a table less", "a column less", "a directory"],
)
def test_a_file_of_something_else_is_told_as_that(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    """Which file, what is wrong with it, and what to do; not that nothing is lost."""
    path = tmp_path / "ledger.db"
    make(path)
    with pytest.raises(ConfigurationError, match=f"(?i){path}.*({why})") as caught:
        use(path)
    assert "nothing is lost" not in str(caught.value).lower()
    assert caught.value.variable == "X0TTA6BL4_DATABASE_URL"


@pytest.fixture
def someone_elses() -> Iterator[Path]:
    """A ledger of this user's in a directory that all may write, while this process is another."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o777)
    use(directory / "ledger.db")
    os.seteuid(65534)
    try:
        yield directory / "ledger.db"
    finally:
        os.seteuid(0)
        shutil.rmtree(directory)


@pytest.mark.parametrize("readable", ["", "ledger.db", "ledger.db ledger.db.open.lock"])
def test_a_file_of_another_user_is_told_as_that(someone_elses: Path, readable: str) -> None:
    """Whether it, or only a file beside it, may not be opened or written."""
    os.seteuid(0)
    for name in readable.split():
        (someone_elses.parent / name).chmod(0o644 if name == "ledger.db" else 0o666)
    os.seteuid(65534)
    with pytest.raises(ConfigurationError, match=r"ledger.db.*user that runs this"):
        use(someone_elses)


def test_a_file_that_another_process_holds_passes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not called damaged, or another's."""
    monkeypatch.setattr("actors.runtime.database.BUSY_S", 0.1)
    path = tmp_path / "ledger.db"
    use(path)
    holding = sqlite3.connect(path, isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="Nothing is lost"):
        use(path)
    holding.close()
