"""The CRM as one service; each part of it is a file of its own."""

from business.crm.custom import CustomPart
from business.crm.deals import DealsPart
from business.crm.events import EventsPart
from business.crm.faces import FacesPart
from business.crm.merges import MergesPart
from business.crm.privacy import PrivacyPart
from business.crm.search import SearchPart
from business.crm.upsert import UpsertPart


class Crm(UpsertPart, SearchPart, MergesPart, DealsPart, FacesPart, CustomPart, EventsPart, PrivacyPart):
    """Contacts and companies (upsert.py), searching (search.py), merging (merges.py), deals, timeline and tasks
    (deals.py), own fields (custom.py), events for other modules (events.py), what the law asks (privacy.py).

    Every method takes who asks, and sees and changes what their role may in the area "crm": everything, their own, or
    nothing. What is not theirs to see is not there (Refused("crm_unknown")).
    """
