"""`python -m integrations.brasil_places.simulator --dir DIR [--port N | --socket FD]`"""

from integrations.brasil_places.simulator.wire import respond
from integrations.sandbox_http import main

if __name__ == "__main__":
    main("brasil_places", lambda asked: respond)
