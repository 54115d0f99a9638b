"""What `mutirao doctor` says of models: which roles run on what, and, when asked, whether the providers answer."""

from typing import ClassVar

from core.doctor import Finding, Say
from llm.router import Router


class ModelsCheck:
    """`live` asks each provider that has a key for one word, which costs a few tokens."""

    area: ClassVar[str] = "models"

    def __init__(self, router: Router, say: Say) -> None:
        self._router = router
        self._say = say

    async def run(self, live: bool) -> list[Finding]:
        findings = []
        for plan in self._router.describe():
            models = " → ".join(model.ref for model in plan.models)
            key = "doctor.role_runs" if models else "doctor.role_playbook"
            findings.append(Finding(self.area, "note", self._say(key, role=plan.role, models=models)))
        if live:
            for provider, failure in (await self._router.check()).items():
                key = "doctor.provider_fails" if failure else "doctor.provider_answers"
                text = self._say(key, provider=provider, reason=failure or "")
                findings.append(Finding(self.area, "broken" if failure else "ok", text))
        return findings
