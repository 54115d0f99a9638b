"""The wiring of what is sold to people outside: each company's files, what a lead said of their need, meetings."""

from dataclasses import dataclass
from typing import Any

from business.sales.files import SalesFiles
from business.sales.google_calendar import LinkedCalendar, Links
from business.sales.house_calendar import HouseCalendar
from business.sales.records import SalesRecords
from integrations.google_calendar.client import GoogleCalendar
from integrations.google_calendar.tokens import Tokens
from tools.library import Library
from tools.meetings import Meetings
from tools.opening import Opening
from tools.reminders import Reminders
from tools.sdr_desk import SdrDesk
from wiring.floor import Floor
from wiring.outreach import Outreach
from wiring.records import Records


@dataclass(frozen=True)
class Selling:
    records: SalesRecords
    files: SalesFiles
    library: Library
    reminders: Reminders
    links: Links
    calendar: LinkedCalendar
    meetings: Meetings
    desk: SdrDesk


def open_selling(floor: Floor, records: Records, outreach: Outreach) -> Selling:
    db, clock, http, texts = floor.db, floor.clock, floor.http, floor.texts
    sales_records, sales_files = SalesRecords(db, clock), SalesFiles(floor.settings.data_dir)
    library = Library(db, clock, floor.memory, sales_files)
    house_calendar = HouseCalendar(db, clock, Opening(db, outreach.rules))
    links = Links(db, floor.vault, clock, lambda credentials: GoogleCalendar(http, Tokens(http, credentials, clock)))
    calendar = LinkedCalendar(house_calendar, links.of)

    async def tell(tenant_id: str, user_id: str | None, kind: str, about: dict[str, Any], key: str) -> None:
        await outreach.notify.tell(tenant_id, user_id, kind, about, key=key)

    meetings = Meetings(
        db, clock, house_calendar, sales_records, records.crm, floor.people, texts, tell, outreach.outbox
    )
    return Selling(
        records=sales_records,
        files=sales_files,
        library=library,
        reminders=Reminders(db, house_calendar, outreach.outbox, texts, clock),
        links=links,
        calendar=calendar,
        meetings=meetings,
        desk=SdrDesk(
            db, clock, sales_records, sales_files, library, records.crm, floor.people, texts,
            calendar=calendar, followed=meetings, tell=tell, ledger=outreach.ledger,
        ),
    )  # fmt: skip
