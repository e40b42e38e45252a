"""What several queries of the ledger have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import sqlalchemy as sa
    from sqlalchemy.engine import Connection, Row

_CHUNK: Final = 400  # values in one IN, whose number databases limit


def fields(row: Row[Any]) -> dict[str, Any]:
    """The values of a row by column, to be changed at will."""
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


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
