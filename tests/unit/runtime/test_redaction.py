"""Secrets never reach a log line."""

from __future__ import annotations

import json
import signal
import string
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from actors.runtime import redaction
from actors.runtime.redaction import redacted, scrub

# Long enough that no canary is part of the text around it by accident.
CANARY = st.text(string.ascii_letters + string.digits, min_size=20, max_size=60).map(
    lambda text: "Zq7" + text
)
BOT_TOKEN = st.tuples(
    st.integers(10**8, 10**10),
    st.text(string.ascii_letters + string.digits + "_-", min_size=35, max_size=35),
).map(lambda parts: f"{parts[0]}:{parts[1]}")
KEYS = [
    "token",
    "api_key",
    "apiKey",
    "API-KEY",
    "privateKey",
    "X0TTA6BL4_TELEGRAM_TOKEN",
    "password",
    "client_secret",
    "Authorization",
    "mnemonic",
    "keys",
]
FORMS = [
    "Authorization: Bearer {}",
    "authorization=Basic {}",
    "{{'Authorization': 'Bearer {}'}}",
    "sent bearer {} to it",
    "GET https://user:{}@example.net/x",
    "GET https://{}@example.net/map.json",
    "redis://:{}@127.0.0.1:6379/0",
    "GET https://example.net/x?a=1&token={}&b=2",
    "access_token={}",
    'password="{}"',
    "Settings(api_key='{}', shards=2)",
    '{{"client_secret": "{}"}}',
    'Authorization: Digest username="u", response="{}"',
    "mnemonic: abandon ability {} about",
    "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n{}",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("form", FORMS)
@given(canary=CANARY)
def test_a_secret_inside_text_is_taken_out(form: str, canary: str) -> None:
    """Whatever form a secret takes in a string, it is not in the result."""
    assert canary not in scrub(form.format(canary))


@pytest.mark.parametrize(
    "form",
    ["{}", "https://api.telegram.org/bot{}/sendMessage", "ConnectError({!r})", "bot {} said"],
)
@given(token=BOT_TOKEN)
def test_a_bot_token_is_taken_out_wherever_it_stands(form: str, token: str) -> None:
    """A Telegram bot token is recognised without a name beside it."""
    assert token.split(":")[1] not in scrub(form.format(token))


@given(canary=CANARY, key=st.sampled_from(KEYS), around=VALUES, depth=st.integers(0, 4))
def test_a_value_under_a_secret_name_is_taken_out(
    canary: str, key: str, around: object, depth: int
) -> None:
    """A secret name hides its value at any depth of dicts and lists, whatever stands beside it."""
    value: object = {key: canary, "beside": around, "deep": {key: [canary]}}
    for _ in range(depth):
        value = {"inner": [value]}
    assert canary not in json.dumps(redacted(value))


@given(canary=CANARY)
def test_objects_are_shown_without_their_secrets(canary: str) -> None:
    """SecretStr, dataclasses, bytes and exceptions give nothing away through their text."""

    @dataclass
    class Login:
        user: str
        password: str

    values = [
        SecretStr(canary),
        Login("ada", canary),
        {"token": canary.encode()},
        ValueError(f"refused: token={canary}"),
    ]
    assert canary not in json.dumps([redacted(value) for value in values])


@given(VALUES)
def test_redacting_twice_changes_nothing(value: object) -> None:
    """Redaction is idempotent."""
    once = redacted(value)
    assert json.dumps(redacted(once), sort_keys=True) == json.dumps(once, sort_keys=True)


@pytest.mark.parametrize(
    "text",
    [
        "n46fd lost its neighbour n94ee after 3.5 s",
        "shard mesh-shard-03 holds 72 nodes",
        "GET https://map.example.net/meshviewer.json 200",
        "mac 00:11:22:33:44:55 seen at 2026-01-01T00:00:00Z",
        "monkey keyboard basics",
    ],
)
def test_harmless_text_is_left_alone(text: str) -> None:
    """What is no secret is logged as it is."""
    assert scrub(text) == text


def test_harmless_names_are_left_alone() -> None:
    """A name is secret by its words, not by its letters."""
    for name in ("monkey", "keyboard", "seed", "shard", "tokenized", "node_id"):
        assert not redaction.is_secret_name(name)
    for name in KEYS:
        assert redaction.is_secret_name(name)


def test_size_and_depth_are_bounded() -> None:
    """A cycle ends, a long list and a long string are cut, and what was cut is said."""
    cycle: dict[str, object] = {}
    cycle["self"] = cycle
    assert "too deep" in json.dumps(redacted(cycle))
    assert "800 more" in json.dumps(redacted(list(range(1000))))
    assert len(str(redacted("a" * 10**6))) < 20_000


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "token",
        "token=",
        "-----BEGIN ",
        "://",
        "://a@",
        "bearer ",
        "1",
        "1:",
        " ",
        "token='\\\\",
        "=",
    ],
)
def test_the_time_is_linear_in_the_text(part: str) -> None:
    """Text made to slow the search down costs no more than any other: it may come from outside."""

    def not_linear(*_: object) -> None:
        raise AssertionError("it takes hundreds of times as long as it should")

    before = signal.signal(signal.SIGVTALRM, not_linear)
    # Of this process's own time, of which tenths of a second are needed; quadratic takes hours.
    signal.setitimer(signal.ITIMER_VIRTUAL, 60.0)
    try:
        scrub(part * (10**6 // len(part)))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def test_an_object_that_cannot_be_shown_is_still_logged() -> None:
    """A failing __repr__ costs the value, not the line."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert redacted(Broken()) == "[unprintable Broken]"
