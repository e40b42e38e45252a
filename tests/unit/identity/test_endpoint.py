"""The address of a Workload API is a Unix socket with an absolute path (rule 1)."""

from __future__ import annotations

import pytest

from actors.identity.endpoint import VARIABLE, of_environment, socket_path
from actors.runtime.errors import ConfigurationError


@pytest.mark.parametrize("endpoint", ["unix:///run/spire/agent.sock", "unix:/run/spire/agent.sock"])
def test_both_forms_of_an_absolute_path_are_read(endpoint: str) -> None:
    """One slash or three mean the same path."""
    assert socket_path(endpoint) == "/run/spire/agent.sock"
    assert of_environment({VARIABLE: endpoint}) == endpoint


def test_an_environment_without_an_address_names_none() -> None:
    """Empty counts as not set."""
    assert of_environment({}) is None
    assert of_environment({VARIABLE: ""}) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "/run/agent.sock",
        "unix:agent.sock",
        "unix://agent.sock",
        "unix://host/run/agent.sock",
        "unix:///run/agent.sock?x=1",
        "unix:///run/agent.sock#x",
        "unix:///run/",
        "unix:",
        "unix:///run/a\0b",
        "unix://[",
        "tcp://127.0.0.1:8081",
        "http:///run/agent.sock",
        f"unix:///{'x' * 107}",
    ],
)
def test_any_other_address_names_the_variable_to_correct(endpoint: str) -> None:
    """What is no absolute path of a Unix socket stops the start."""
    with pytest.raises(ConfigurationError) as caught:
        of_environment({VARIABLE: endpoint})
    assert caught.value.variable == VARIABLE
