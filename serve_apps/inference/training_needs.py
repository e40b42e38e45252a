"""Whether what training needs besides is installed; nothing else here imports it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from serve_apps.inference.errors import TrainingNotInstalled

PACKAGES: Final = ("torch", "torch_geometric", "sklearn")


def require_training() -> None:
    """Raise `TrainingNotInstalled` if anything is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise TrainingNotInstalled(missing)
