"""`python -m integrations.google_calendar.simulator --dir DIR [--port N | --socket FD]`"""

from integrations.google_calendar.simulator.wire import CalendarWire
from integrations.sandbox_http import main

if __name__ == "__main__":
    main("google_calendar", lambda asked: CalendarWire().respond)
