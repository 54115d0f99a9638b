"""`python -m integrations.web_pages.simulator --dir DIR [--port N | --socket FD]`"""

import argparse
import socket
from pathlib import Path

from integrations.sandbox_http import listen
from integrations.web_pages.simulator.server import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="web_pages simulator", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where its log, port and authority are kept")
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parser.add_argument("--socket", type=int, help="file descriptor of a listening socket handed over by the parent")
    asked = parser.parse_args()
    run(asked.dir, listen(asked.port) if asked.socket is None else socket.socket(fileno=asked.socket))
