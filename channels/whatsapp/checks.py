"""What the doctor says of the door: whether it is open, and whether what came in is being sorted."""

from datetime import timedelta

from business.messaging.inbox import Inbox
from core.clock import Clock
from core.doctor import Finding, Say

_LONG = timedelta(minutes=2)  # the sorter takes half a second; longer, and nobody works


class IntakeCheck:
    """`secret`: whether there is an app secret to check signatures with; without it the route is not there."""

    area = "whatsapp_intake"

    def __init__(self, inbox: Inbox, clock: Clock, say: Say, *, secret: bool) -> None:
        self._inbox = inbox
        self._clock = clock
        self._say = say
        self._secret = secret

    async def run(self, live: bool) -> list[Finding]:
        findings = []
        if not self._secret:
            findings.append(Finding(self.area, "missing", self._say("doctor.intake.closed")))
        waiting = await self._inbox.waiting()
        known = [one for one in waiting if one.tenant_id is not None]
        strangers = sum(one.waiting for one in waiting if one.tenant_id is None)
        if known:
            oldest = self._clock.now() - min(one.oldest for one in known)
            count, minutes = sum(one.waiting for one in known), int(oldest / timedelta(minutes=1))
            late = oldest > _LONG
            key = "doctor.intake.late" if late else "doctor.intake.waiting"
            findings.append(
                Finding(self.area, "broken" if late else "note", self._say(key, count=count, minutes=minutes))
            )
        elif self._secret:
            findings.append(Finding(self.area, "ok", self._say("doctor.intake.sorted")))
        if strangers:
            findings.append(Finding(self.area, "note", self._say("doctor.intake.strangers", count=strangers)))
        return findings
