"""`python -m integrations.evolution.simulator --dir DIR [--port N | --socket FD]`"""

import argparse

from integrations.evolution.simulator.server import Evolution
from integrations.evolution.simulator.state import State
from integrations.sandbox_http import Responder, main


def _build(asked: argparse.Namespace) -> Responder:
    return Evolution(State(asked.dir)).respond


if __name__ == "__main__":
    main("evolution", _build)
