"""What `mutirao doctor` says of a public source: simulated, not asked yet, or asked with `--live`, step by step.

The steps are the questions that our clients really ask, so that `mutirao doctor --live` is the proof that was not
possible when the client was written: it was written from the documents, and has seen the simulator only.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.doctor import Finding, Say, State
from core.errors import MutiraoError

Explain = Callable[[MutiraoError], str]


@dataclass(frozen=True)
class Step:
    """One question. `ask` gives None when the answer was as expected, else what was odd about it."""

    key: str
    """`doctor.<key>` in the texts: what is asked."""
    ask: Callable[[], Awaitable[str | None]]


class SourceCheck:
    """The check of one source. Nothing is asked but with `live`, and never while the sandbox stands for the source."""

    def __init__(
        self,
        area: str,
        source: str,
        setting: str,
        url: str,
        sandbox: bool,
        steps: list[Step],
        say: Say,
        explain: Explain,
    ) -> None:
        """`setting` is the name of the setting that makes it live."""
        self.area = area
        self._source = source
        self._setting = setting
        self._url = url
        self._sandbox = sandbox
        self._steps = steps
        self._say = say
        self._explain = explain

    async def run(self, live: bool) -> list[Finding]:
        if self._sandbox:
            return [self._found("note", "source_sandbox", source=self._source, setting=self._setting)]
        if not live:
            return [self._found("unverified", "source_not_asked", source=self._source, url=self._url)]
        findings = []
        for step in self._steps:
            told = {"source": self._source, "step": self._say(f"doctor.{step.key}")}
            try:
                odd = await step.ask()
            except MutiraoError as error:
                findings.append(self._found("broken", "source_step_wrong", **told, reason=self._explain(error)))
                continue
            if odd is None:
                findings.append(self._found("ok", "source_step", **told))
            else:
                findings.append(self._found("broken", "source_step_wrong", **told, reason=odd))
        return findings

    def _found(self, state: State, key: str, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))
