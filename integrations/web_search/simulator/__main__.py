"""`python -m integrations.web_search.simulator --dir DIR [--port N | --socket FD] [--quota N]`"""

import argparse

from integrations.sandbox_http import Responder, main
from integrations.web_search.simulator.wires import Wires


def _build(asked: argparse.Namespace) -> Responder:
    return Wires(asked.quota).respond


if __name__ == "__main__":
    main("web_search", _build, ("--quota", {"type": int, "default": 1_000_000, "help": "searches each vendor grants"}))
