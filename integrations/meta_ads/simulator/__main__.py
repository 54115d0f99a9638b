"""`python -m integrations.meta_ads.simulator --dir DIR [--now ISO] [--port N | --socket FD]`"""

import argparse
import socket
from datetime import datetime
from pathlib import Path

from core.clock import Clock, FixedClock, SystemClock
from integrations.meta_ads.simulator.server import Simulator, serve
from integrations.meta_ads.simulator.state import ZONE
from integrations.sandbox_http import listen


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m integrations.meta_ads.simulator", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where the world, the token and the writes are kept")
    parser.add_argument(
        "--now", type=datetime.fromisoformat, help="stand still at this moment (São Paulo time if naive)"
    )
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parser.add_argument("--socket", type=int, help="file descriptor of a listening socket handed over by the parent")
    asked = parser.parse_args()
    server = listen(asked.port) if asked.socket is None else socket.socket(fileno=asked.socket)
    clock: Clock = SystemClock()
    if asked.now is not None:
        clock = FixedClock(asked.now if asked.now.tzinfo else asked.now.replace(tzinfo=ZONE))
    serve(Simulator(asked.dir, clock), server)


if __name__ == "__main__":
    main()
