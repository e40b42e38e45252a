"""Strict JSON (RFC 8259): UTF-8, no NaN."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from actors.runtime.errors import InvalidInput

JSON: Final = "application/json"


def loads(text: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse a document.

    Raises:
        InvalidInput: it is not JSON.
    """
    try:
        return _decoder.decode(text.decode())
    except RecursionError:
        raise invalid_body("it is nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError is one
        raise invalid_body(f"it is not JSON in UTF-8 ({error})") from None


def invalid_body(why: str) -> InvalidInput:
    """A body that is refused as a whole."""
    return InvalidInput(
        "the request is refused", why, "See the examples in /docs.", source="body", entry="body"
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)  # making one takes as long as using it
