"""Bodies of requests, checked against the model that documents them."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from actors.runtime.errors import InvalidInput

Model = TypeVar("Model", bound=BaseModel)
EXAMPLES = "See the examples in /docs."


def parse(model: type[Model], value: object) -> Model:
    """Check what a body says.

    Raises:
        InvalidInput: a field is missing or breaks a rule; the error names it.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        entry = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise missing(entry) from None
        raise InvalidInput(
            f"{f'field {entry}' if entry else 'the body'} is refused",
            first["msg"],
            EXAMPLES,
            source="body",
            entry=entry,
        ) from None


def missing(entry: str, remedy: str = EXAMPLES) -> InvalidInput:
    """A field that has to be given and is not."""
    return InvalidInput(
        f"field {entry} is missing", "it has to be given", remedy, source="body", entry=entry
    )
