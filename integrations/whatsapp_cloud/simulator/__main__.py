"""`python -m integrations.whatsapp_cloud.simulator --dir DIR [--port N | --socket FD]`"""

import argparse
import socket
from pathlib import Path

from integrations.sandbox_http import listen, serve
from integrations.whatsapp_cloud.simulator.server import Simulator
from integrations.whatsapp_cloud.simulator.state import State


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m integrations.whatsapp_cloud.simulator", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where conversations, secrets and the witness are kept")
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parser.add_argument("--socket", type=int, help="file descriptor of a listening socket handed over by the parent")
    asked = parser.parse_args()
    server = listen(asked.port) if asked.socket is None else socket.socket(fileno=asked.socket)
    serve(Simulator(State(asked.dir)).app, server, lifespan="on")


if __name__ == "__main__":
    main()
