"""The version of govpool; `pyproject.toml` states the same (a test compares them)."""

from typing import Final

VERSION: Final = "0.1.0"
