"""Files that come with a message: an Ads Manager export is imported before the question about it is answered."""

import asyncio
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from agents.state import Answer
from business.ads.importer import FIELDS, Hints, field_of
from business.ads.imports import Imported, Imports
from core.errors import ArgumentsWrong, MutiraoError
from core.ids import new_id
from core.turn import StepFinished, StepStarted, Turn
from prompts.texts import Texts

_WAIT = 20.0  # seconds a turn waits for an import; a longer one goes on in the background
_PROBLEMS_SHOWN = 5
_PENDING = "pending_import"

_DECIMALS = {"virgula": ",", "comma": ",", "coma": ",", "ponto": ".", "point": ".", "punto": ".", "dot": "."}
_DATES = {"dia/mes": "dmy", "day/month": "dmy", "dmy": "dmy", "mes/dia": "mdy", "month/day": "mdy", "mdy": "mdy"}


@dataclass
class FileIntake:
    imports: Imports
    texts: Texts

    async def take(self, turn: Turn, attachments: list[dict[str, Any]]) -> Answer | None:
        """Import what was attached, or try a file again with what the person said about it. None: nothing to do.

        Sets `account` of the session to the imported file, so that questions are about it.
        """
        answers = [await self._import(turn, file["file_id"], file["name"], Hints()) for file in attachments]
        pending = turn.session.get(_PENDING)
        if not attachments and pending and (hints := parse_hints(turn.text, Hints(**pending["hints"]))):
            answers.append(await self._import(turn, pending["file_id"], pending["name"], hints))
        return Answer("\n\n".join(answers)) if answers else None

    async def _import(self, turn: Turn, file_id: str, name: str, hints: Hints) -> str:
        identity, language = turn.identity, turn.language
        step, began, ok = new_id("step"), time.monotonic(), False
        turn.progress(StepStarted(step, "tool", "import_ads_file", self.texts.say(language, "step.import")))
        try:
            started = await self.imports.start(identity, file_id, hints)
            done = started if started.state == "done" else await self._wait(turn, started.id)
            ok = done.error is None
        except ArgumentsWrong as error:
            turn.session[_PENDING] = {"file_id": file_id, "name": name, "hints": asdict(hints)}
            asks = error.code.startswith(
                ("import_columns", "import_map", "import_currency_unknown", "import_decimals_a")
            )
            asks = asks or error.code == "import_dates_ambiguous"
            how = [self.texts.say(language, "import.ask_columns")] if asks else []
            return "\n\n".join([self.texts.error(language, error), *how])
        finally:
            turn.progress(StepFinished(step, time.monotonic() - began, ok))
        turn.session.pop(_PENDING, None)
        if done.error is not None:
            reason = self.texts.error(language, MutiraoError(done.error[0], **done.error[1]))
            return self.texts.say(language, "import.failed", name=name, reason=reason)
        if done.state != "done":
            return self.texts.say(language, "import.running", name=name, rows=done.rows)
        turn.session["account"] = done.account_id
        turn.session.pop("accounts", None)
        return told(self.texts, language, done)

    async def _wait(self, turn: Turn, import_id: str) -> Imported:
        """Read it here and now, which is what its job would do; after a while leave it to run in the background."""
        reading = asyncio.ensure_future(self.imports.run(turn.identity.tenant_id, import_id))
        _keep(reading)
        try:
            return await asyncio.wait_for(asyncio.shield(reading), _WAIT)
        except TimeoutError:
            return await self.imports.announce_in(turn.identity.tenant_id, import_id, turn.conversation_id)


def told(texts: Texts, language: str, done: Imported) -> str:
    """What came of an import, in words: lines taken, total, and the first reasons of those left out."""
    lines = [texts.say(language, "import.done", **done.told())]
    lines += [f"- {texts.say(language, key, **params)}" for key, params in done.problems[:_PROBLEMS_SHOWN]]
    if len(done.problems) > _PROBLEMS_SHOWN:
        lines.append("- …")
    return "\n".join(lines)


def parse_hints(text: str, known: Hints) -> Hints | None:
    """`Column = field`, `moeda = BRL`, `decimais = vírgula`, `datas = dia/mês`, one per line. None when none is there.

    ArgumentsWrong is left to the import: a column or field that does not exist is told there.
    """
    hints, found = known, False
    for line in re.split(r"[\n;]", text):
        left, equals, right = line.partition("=")
        name, value = left.strip().strip("\"'`"), right.strip().strip("\"'`.")
        if not equals or not name or not value:
            continue
        found = True
        word, meaning = _plain(name), _plain(value)
        if word in ("moeda", "currency", "moneda") and re.fullmatch(r"[a-z]{3}", meaning):
            hints = replace(hints, currency=meaning.upper())
        elif word in ("decimais", "decimals", "decimales", "decimal") and meaning in _DECIMALS:
            hints = replace(hints, decimals=_DECIMALS[meaning])  # type: ignore[arg-type]
        elif word in ("datas", "dates", "fechas") and meaning in _DATES:
            hints = replace(hints, dates=_DATES[meaning])  # type: ignore[arg-type]
        else:
            field_name = _field(meaning)
            hints = replace(hints, columns={**hints.columns, name: field_name})
    return hints if found else None


def _field(meaning: str) -> str:
    """A field by its name or by what people call it; an unknown word is kept, and the import says what there is."""
    if meaning in FIELDS:
        return meaning
    return field_of(meaning) or meaning


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().strip())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


_running: set["asyncio.Future[Imported]"] = set()


def _keep(task: "asyncio.Future[Imported]", done: Callable[..., None] = _running.discard) -> None:
    """The event loop holds tasks weakly; one that outlives its turn must not be collected."""
    _running.add(task)
    task.add_done_callback(done)
