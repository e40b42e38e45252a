"""What several queries of the ledger have in common.

Bytes of a database may be damaged where its own structure is whole, and then it returns what was
never written: a word that is none, a text for a number. That costs the record it is in, and none
beside it: whoever asks for that one gets an error, and lists go without it and say so in the log.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actors.payments.errors import DamagedRecord
from actors.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import sqlalchemy as sa
    from sqlalchemy.engine import Connection, Row

T = TypeVar("T")

_log = log.get(__name__)
_CHUNK: Final = 400  # values in one IN, whose number databases limit


def fields(row: Row[Any]) -> dict[str, Any]:
    """The values of a row by column, to be changed at will."""
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


@functools.cache
def _types(table: sa.Table) -> tuple[tuple[str, type, bool], ...]:
    columns = table.columns
    return tuple((one.name, one.type.python_type, bool(one.nullable)) for one in columns)


def sound(row: Row[Any], table: sa.Table, record: str) -> dict[str, Any]:
    """The values of a row of a table by column.

    Raises:
        DamagedRecord: one of them is of another type than its column.
    """
    values = fields(row)
    for name, kind, nullable in _types(table):
        value = values[name]
        if not isinstance(value, kind) and not (nullable and value is None):
            raise DamagedRecord(record, f"its {name} is of a wrong type")
    return values


def readable(rows: Iterable[Row[Any]], read: Callable[[Row[Any]], T]) -> list[T]:
    """What `read` makes of each row, without those whose record is damaged."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except DamagedRecord as error:
            _log.error("a record is left out", error=str(error))
    return found


def one_of(column: sa.ColumnElement[Any], words: Iterable[str]) -> sa.ColumnElement[bool]:
    """Whether a column of text holds one of a few words, such as states."""
    return column.in_([str(word) for word in words])


def select_in(
    connection: Connection,
    query: sa.Select[Any],
    column: sa.ColumnElement[Any],
    values: Iterable[Any],
) -> Iterator[Row[Any]]:
    """Rows of `query` whose `column` is among `values`, of which there may be any number."""
    for some in chunks(values):
        yield from connection.execute(query.where(column.in_(some)))


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Different values in ascending order, as many at a time as may stand in one IN."""
    asked = sorted(set(values))
    for start in range(0, len(asked), _CHUNK):
        yield asked[start : start + _CHUNK]
