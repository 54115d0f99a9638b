"""Whether a company is one of those that were asked for, by what is known. Pure, with the reason.

Unknown is no reason to leave a company out: it is kept, and its score says that something is unknown. Where sources
disagree, one that says yes is enough.
"""

from collections.abc import Iterable
from datetime import date

from business.prospecting.evidence import Evidence, Kind, of_kind
from business.prospecting.model import IdealCustomer
from business.prospecting.plan import Check
from business.prospecting.score import SIGNAL_KINDS, in_places


def left_out(profile: IdealCustomer, evidence: Iterable[Evidence], today: date) -> Check | None:
    """Why the company is none of those asked for; None when it is one as far as is known."""
    pieces = tuple(evidence)

    def values(kind: Kind) -> list[object]:
        return [one.value for one in of_kind(pieces, kind)]

    if (active := values(Kind.ACTIVE)) and True not in active:
        return Check.NOT_ACTIVE
    if not profile.branches and (head := values(Kind.HEAD_OFFICE)) and True not in head:
        return Check.BRANCH
    asked = {one.code for one in profile.activities}
    main, further = values(Kind.ACTIVITY), values(Kind.FURTHER_ACTIVITY)
    if main and not asked.intersection(str(one) for one in (*main, *further)):
        return Check.OTHER_ACTIVITY
    if main and {str(one) for one in main} <= {one.code for one in profile.without_activities}:
        return Check.EXCLUDED_ACTIVITY
    cities = [str(one) for one in values(Kind.CITY)]
    if cities and profile.places and not any(in_places(profile.places, one) for one in cities):
        return Check.OTHER_PLACE
    if cities and all(in_places(profile.without_places, one) for one in cities):
        return Check.EXCLUDED_PLACE
    first, last = profile.age.opened(today)
    opened = [one for one in values(Kind.OPENED) if isinstance(one, date)]
    if opened and last is not None and min(opened) > last:
        return Check.TOO_YOUNG
    if opened and first is not None and max(opened) < first:
        return Check.TOO_OLD
    if profile.sizes and (sizes := values(Kind.SIZE)) and not {str(one) for one in sizes} & set(profile.sizes):
        return Check.OTHER_SIZE
    if profile.mei is not None and (mei := values(Kind.MEI)) and profile.mei not in mei:
        return Check.NOT_MEI if profile.mei else Check.MEI
    for wish in profile.wishes:
        told = values(SIGNAL_KINDS[wish.signal])
        if told and not any((one is not False) == wish.has for one in told):
            return Check.WISH
    return None
