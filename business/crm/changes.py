"""Erasing a person or a company: the one thing of the CRM that cannot be put back, so a person says yes to it first.

What other modules know of the same company goes with it; modules know nothing of one another, so they come as a
callable.
"""

from collections.abc import Awaitable, Callable

from business.approvals.model import Change, Preview, ReadBack
from business.crm.access import AREA
from business.crm.identity import KeyKind
from business.crm.model import Company, Contact, Subject
from business.crm.service import Crm
from core.errors import MutiraoError
from core.tenancy import Identity

KIND = "crm_erase"

Forget = Callable[[Identity, str], Awaitable[bool]]
"""(who, CNPJ of 14 letters and digits) → whether anything was known; for what was found out but is no record yet."""
ForgetTalks = Callable[[Identity, Subject, str], Awaitable[object]]
"""(who, contact or company, its id): erases what conversations keep of it, before the record goes."""
IdentityOf = Callable[[str, str], Awaitable[Identity]]


async def plan_erase(crm: Crm, who: Identity, subject: Subject, record_id: str, *, keep_out: bool) -> Change:
    """The change that erases a record and all that hangs on it. `keep_out`: its telephones and addresses are not to be
    contacted again, whoever brings them. Its name is in the preview alone, which can be emptied when it is done.
    Refused: crm_not_allowed (who may change only their own too), crm_unknown.
    """
    crm.must_be_allowed_to_erase(who)
    record: Contact | Company
    if subject is Subject.CONTACT:
        record = await crm.contact(who, record_id)
        deals = await crm.deals(who, contact_id=record_id)
        entries = await crm.timeline(who, contact_id=record_id, limit=500)
    else:
        record = await crm.company(who, record_id)
        deals = await crm.deals(who, company_id=record_id)
        entries = await crm.timeline(who, company_id=record_id, limit=500)
    data = {
        "subject": subject.value,
        "keep_out": keep_out,
        "keys": len(record.keys),
        "deals": len(deals),
        "entries": len(entries),
        "by": who.user_id,
    }
    return Change(KIND, record_id, data)


class CrmErasure:
    """The handler of approved erasures. `identity_of` reads who proposed it again: whoever lost the right, cannot."""

    kind = KIND
    area = AREA

    def __init__(
        self,
        crm: Crm,
        identity_of: IdentityOf,
        forget: Forget | None = None,
        forget_talks: ForgetTalks | None = None,
    ) -> None:
        self._crm = crm
        self._identity_of = identity_of
        self._forget = forget
        self._forget_talks = forget_talks

    def effect(self, change: Change) -> str:
        return "WRITE"

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        data = change.data
        record = await self._look(await self._identity_of(tenant_id, data["by"]), change)
        name = record.name if isinstance(record, Contact) else record.trade_name or record.legal_name
        return Preview(
            title=f"crm.erase.title.{data['subject']}",
            title_params={"name": name or change.target},
            lines=[
                ("crm.erase.keys", data["keys"]),
                ("crm.erase.deals", data["deals"]),
                ("crm.erase.entries", data["entries"]),
                ("crm.erase.keep_out", ("crm.erase.kept_out" if data["keep_out"] else "crm.erase.not_kept_out", {})),
            ],
            warnings=[("crm.erase.for_ever", {})],
        )

    async def recheck(self, tenant_id: str, change: Change) -> None:
        """Refused: crm_not_allowed, crm_unknown."""
        who = await self._identity_of(tenant_id, change.data["by"])
        self._crm.must_be_allowed_to_erase(who)
        await self._look(who, change)

    async def apply(self, tenant_id: str, change: Change) -> None:
        who = await self._identity_of(tenant_id, change.data["by"])
        record = await self._look(who, change)
        for key in record.keys:
            if self._forget is not None and key.kind is KeyKind.CNPJ:
                await self._forget(who, key.value)
        if self._forget_talks is not None:
            await self._forget_talks(who, Subject(change.data["subject"]), change.target)
        await self._crm.erase(who, Subject(change.data["subject"]), change.target, keep_out=change.data["keep_out"])

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        try:
            await self._look(await self._identity_of(tenant_id, change.data["by"]), change)
        except MutiraoError as error:
            return ReadBack.APPLIED if error.code == "crm_unknown" else ReadBack.OTHER
        return ReadBack.NOT_APPLIED

    def inverse(self, change: Change) -> Change | None:
        return None

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        return change  # nothing of it can be typed over

    async def _look(self, who: Identity, change: Change) -> Contact | Company:
        if Subject(change.data["subject"]) is Subject.CONTACT:
            return await self._crm.contact(who, change.target)
        return await self._crm.company(who, change.target)
