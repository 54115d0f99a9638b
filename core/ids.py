"""Ids are text: a short kind, an underscore, and 32 hex digits that sort by time (UUIDv7)."""

import os
import time


def new_id(kind: str) -> str:
    """A fresh id such as `conv_0197f0c2…`; later ids of one kind sort after earlier ones (millisecond grain)."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | (0x7 << 76) | int.from_bytes(os.urandom(10)) >> 4
    return f"{kind}_{value:032x}"
