"""The CRM as one service; each part of it is a file of its own."""

from business.crm.custom import CustomPart
from business.crm.search import SearchPart
from business.crm.upsert import UpsertPart


class Crm(UpsertPart, SearchPart, CustomPart):
    """Contacts and companies (upsert.py), searching (search.py), the tenant's own fields (custom.py)."""
