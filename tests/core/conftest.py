"""What tests of the floor share: our log, to look at."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from core.telemetry import configure_logging


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything that is logged, as the product writes it."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    configure_logging("INFO", stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()
