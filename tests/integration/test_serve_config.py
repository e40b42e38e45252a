"""The file for `serve deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from ray.serve._private.build_app import build_app
from ray.serve.schema import ServeDeploySchema

from serve_apps.gateway import app as gateway_app

if TYPE_CHECKING:
    import pytest

CONFIG = Path(__file__).parents[2] / "serve_apps" / "serve_config.yaml"


def test_the_file_is_valid_and_names_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It validates against Ray's schema, and its import path builds the one gateway."""
    monkeypatch.setenv("X0TTA6BL4_STATE_DIR", str(tmp_path))
    schema = ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text()))
    (application,) = schema.applications
    assert str(schema.http_options.host) == "127.0.0.1"
    module, _, name = application.import_path.partition(":")
    assert (module, name) == (gateway_app.__name__, "app")
    built = build_app(gateway_app.app(application.args), name=application.name)
    assert [deployment.name for deployment in built.deployments] == ["gateway"]
