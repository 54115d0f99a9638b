"""An address of ours to which nobody may come."""

from tests.integrations.evolution.conftest import ours

__all__ = ["ours"]
