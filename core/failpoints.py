"""Places where a test may kill this process: MUTIRAO_FAILPOINT names one, and how many times it is passed before.

What must survive a crash is tried by crashing there (`make chaos`). Without the variable a call costs nothing.
"""

import os
import signal

_WANTED, _, _passes = os.environ.get("MUTIRAO_FAILPOINT", "").partition(":")
_left = int(_passes or 1)


def reach(name: str) -> None:
    """SIGKILL to ourselves when MUTIRAO_FAILPOINT is `name`, or `name:3` at the third time."""
    global _left
    if name != _WANTED:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
