"""`python -m integrations.resend.simulator --dir DIR [--port N | --socket FD]`"""

from integrations.resend.simulator.wire import ResendWire
from integrations.sandbox_http import main

if __name__ == "__main__":
    main("resend", lambda asked: ResendWire().respond)
