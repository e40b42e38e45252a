"""The sources that a command was given: `KIND:WHERE` in its words, and TOML files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from actors.observe.sources import opening, source_spec, sources_file
from actors.runtime.errors import InvalidInput
from actors.topology.fetch import is_url
from jobs.launch.options import absolute

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from actors.observe.contract import ReadingSource


def given(texts: Sequence[str], file: Path | None) -> tuple[ReadingSource, ...]:
    """The sources of a command.

    Raises:
        InvalidInput: there is none, or one of them cannot be used.
    """
    specs = [source_spec.parse(text) for text in texts]
    if file is not None:
        specs += sources_file.read(file)
    if not specs:
        raise InvalidInput(
            "nothing is to be observed",
            "no source is given",
            "Give KIND:WHERE, a path or a URL, or --sources FILE; `x0 source kinds` lists the"
            " kinds.",
        )
    # An actor runs in another working directory.
    specs = [
        replace(spec, where=absolute(spec.where))
        if spec.kind == "map" and not is_url(spec.where)
        else spec
        for spec in specs
    ]
    return opening.open_sources(specs)
