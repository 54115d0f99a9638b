"""`python -m integrations.twilio.simulator --dir DIR [--port N | --socket FD]`"""

from integrations.sandbox_http import main
from integrations.twilio.simulator.wire import TwilioWire

if __name__ == "__main__":
    main("twilio", lambda asked: TwilioWire().respond)
