"""Files that come with a message: an Ads Manager export is imported before the question about it is answered; a list of
people or companies is looked at, and brought into the CRM when the person says so."""

import asyncio
import re
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from agents.state import Answer
from business.ads.importer import FIELDS, Hints, field_of, is_currency
from business.ads.imports import Imported, Imports
from business.crm.imports import CrmImports
from business.crm.imports import Imported as ImportedList
from core.errors import ArgumentsWrong, MutiraoError
from core.ids import new_id
from core.turn import Lookup, StepFinished, StepStarted, Turn
from core.words import squeezed
from crews.crm.words import imported_in_words
from prompts.texts import Texts
from tools.crm import PENDING_IMPORT as _PENDING_LIST
from tools.crm_results import imported, previewed

_FIRST_TOLD = 50_000  # rows after which a step says how far it is, then at twice as many each time
_PROBLEMS_SHOWN = 5

# In the session: a file that could not be read without a word from the person, and one that is being read.
_PENDING = "pending_import"
_READING = "reading_import"

_DECIMALS = {"virgula": ",", "comma": ",", "coma": ",", "ponto": ".", "point": ".", "punto": ".", "dot": "."}
_DATES = {"dia/mes": "dmy", "day/month": "dmy", "dmy": "dmy", "mes/dia": "mdy", "month/day": "mdy", "mdy": "mdy"}
_CURRENCIES = {"reais": "BRL", "real": "BRL", "r$": "BRL", "dolares": "USD", "dolar": "USD", "dollars": "USD"}
_CURRENCIES |= {"us$": "USD", "euros": "EUR", "euro": "EUR"}

log = structlog.get_logger(__name__)


@dataclass
class FileIntake:
    """`wait`: seconds a turn waits for an import; a longer one goes on in the background. `look`: seconds between looks
    at how far it has come."""

    imports: Imports
    texts: Texts
    lists: CrmImports | None = None
    wait: float = 20.0
    look: float = 1.0

    async def take(self, turn: Turn, attachments: list[dict[str, Any]]) -> Answer | None:
        """Import what was attached, or try a file again with what the person said about it. None: nothing to do.

        Sets `account` of the session to the imported file, so that questions are about it. What it found and changed
        is kept for the turn's record.
        """
        before, lookup = dict(turn.session), Lookup("files")
        try:
            answer = await self._take(turn, attachments)
        except MutiraoError as error:
            turn.lookups.append(replace(lookup, error=(error.code, error.params)))
            raise
        changed = {key: value for key, value in turn.session.items() if key not in before or value != before[key]}
        gone = [key for key in before if key not in turn.session]
        if answer is not None or changed or gone:
            said = None if answer is None else answer.text
            lookup.found = {"said": said, "session": changed, "gone": gone, "language": turn.language}
            turn.lookups.append(lookup)
        return answer

    async def _take(self, turn: Turn, attachments: list[dict[str, Any]]) -> Answer | None:
        await self._catch_up(turn)
        answers = [await self._import(turn, file["file_id"], file["name"], Hints()) for file in attachments]
        pending = turn.session.get(_PENDING)
        if not attachments and pending:
            hints = parse_hints(turn.text, Hints(**pending["hints"]), pending["asked"])
            if hints is not None:
                turn.language = pending["language"]  # "Investido = spend" says nothing of the language spoken
                answers.append(await self._import(turn, pending["file_id"], pending["name"], hints))
        if answers and not turn.text.strip() and turn.session.get("account"):
            answers.append(self.texts.say(turn.language, "import.next"))
        return Answer("\n\n".join(answers)) if answers else None

    async def _import(self, turn: Turn, file_id: str, name: str, hints: Hints) -> str:
        step, began, ok, summary = new_id("step"), time.monotonic(), False, ""
        turn.progress(StepStarted(step, "tool", "import_ads_file", self.texts.say(turn.language, "step.import")))
        try:
            started = await self.imports.start(turn.identity, file_id, hints)
            done = started if started.state == "done" else await self._wait(turn, started, step)
            ok = done.error is None
            summary = self.texts.say(turn.language, "step.import_rows", rows=done.rows + done.bad)
        except ArgumentsWrong as error:
            if shown := await self._look_at_list(turn, file_id, name, hints.columns):
                ok = True
                return shown
            self._ask(turn, file_id, name, error, hints)
            how = [self.texts.say(turn.language, "import.ask_columns")] if _asks_for_columns(error.code) else []
            return "\n\n".join([self.texts.error(turn.language, error), *how])
        finally:
            turn.progress(StepFinished(step, time.monotonic() - began, ok, summary))
        turn.session.pop(_PENDING, None)
        if done.state not in ("done", "failed"):
            return self.texts.say(turn.language, "import.running", name=name, rows=done.rows)
        self._remember(turn, done)
        return told(self.texts, turn.language, done)

    async def _look_at_list(self, turn: Turn, file_id: str, name: str, columns: dict[str, str]) -> str | None:
        """What would become of a list of people or companies, for the person to say yes to; None when it is none, or
        when they may not bring one in. `columns`: what the person said of them."""
        if self.lists is None:
            return None
        try:
            preview = await self.lists.preview(turn.identity, file_id, columns=columns or None)
        except MutiraoError:
            return None
        known = set(preview.columns.values())
        if len(known) < 2 and preview.ignored and not columns:  # a column of many that happens to be called "cliente"
            return None
        turn.session.pop(_PENDING, None)
        turn.session |= {
            _PENDING_LIST: {"file_id": file_id, "name": name, "columns": columns},
            "last_crew": "crm",
            "last_intent": "crm.import",
            "open": {"intent": "crm.import", "confirm": "crm_import"},
        }
        result = previewed(preview, name, preview.columns).model_dump(mode="json")
        return imported_in_words(self.texts, turn.language, result)

    async def _wait(self, turn: Turn, started: Imported, step: str) -> Imported:
        """Read it here and now, which is what its job would do; after a while leave it to go on in the background."""
        tenant_id, deadline, milestone = turn.identity.tenant_id, time.monotonic() + self.wait, _FIRST_TOLD
        reading = asyncio.ensure_future(self.imports.run(tenant_id, started.id))
        _keep(reading)
        turn.session[_READING] = started.id
        try:
            while not reading.done() and (left := deadline - time.monotonic()) > 0:
                await asyncio.wait({reading}, timeout=min(self.look, left))
                rows = 0 if reading.done() else (await self.imports.get(tenant_id, started.id)).rows
                if rows >= milestone:
                    title = self.texts.say(turn.language, "step.import_rows", rows=rows)
                    turn.progress(StepStarted(inner := new_id("step"), "tool", "import_ads_file", title, step))
                    turn.progress(StepFinished(inner, 0.0, True))
                    milestone = 2 * rows
        except asyncio.CancelledError:  # the turn was stopped, the file is read all the same
            await asyncio.shield(self.imports.announce_in(tenant_id, started.id, turn.conversation_id))
            raise
        if reading.done():
            return reading.result()
        return await self.imports.announce_in(tenant_id, started.id, turn.conversation_id)

    async def _catch_up(self, turn: Turn) -> None:
        """What was read in the background since the last message is what is spoken of now."""
        if import_id := turn.session.get(_READING):
            done = await self.imports.get(turn.identity.tenant_id, import_id)
            if done.state in ("done", "failed"):
                self._remember(turn, done)

    def _remember(self, turn: Turn, done: Imported) -> None:
        turn.session.pop(_READING, None)
        if done.error is None:
            # "E por campanha?" goes on from here, and nothing said before of other accounts is meant by it.
            for gone in ("accounts", "entities", "found", "focus", "metric", "period", "ranking"):
                turn.session.pop(gone, None)
            turn.session |= {"account": done.account_id, "last_account": done.account_id}
            turn.session |= {"last_intent": "ads.overview", "last_crew": "ads"}
        else:  # something beyond the file's beginning has to be asked
            self._ask(turn, done.file_id, done.name, ArgumentsWrong(done.error[0], **done.error[1]), done.hints)

    def _ask(self, turn: Turn, file_id: str, name: str, error: ArgumentsWrong, hints: Hints) -> None:
        if error.code == "import_map_unknown":  # a slip in this answer must not stand in the way of the next
            hints = Hints(**(turn.session.get(_PENDING) or {}).get("hints", {}))
        turn.session[_PENDING] = {
            "file_id": file_id,
            "name": name,
            "hints": asdict(hints),
            "asked": error.code,
            "language": turn.language,
        }


def _asks_for_columns(code: str) -> bool:
    return code in ("import_columns_unknown", "import_map_unknown")


def told(texts: Texts, language: str, done: Imported) -> str:
    """What came of an import, in words: lines taken, total, and the first reasons of those left out."""
    if done.error is not None:
        reason = texts.error(language, MutiraoError(done.error[0], **done.error[1]))
        return texts.say(language, "import.failed", name=done.name, reason=reason)
    lines = [texts.say(language, "import.done", **done.told())]
    lines += [f"- {texts.say(language, key, **params)}" for key, params in done.notes]
    lines += [f"- {texts.say(language, key, **params)}" for key, params in done.problems[:_PROBLEMS_SHOWN]]
    if done.bad > _PROBLEMS_SHOWN:
        why = [texts.say(language, f"{reason}.count", count=count) for reason, count in done.reasons.items()]
        lines.append("- " + texts.say(language, "import.reasons", reasons="; ".join(why)))
    return "\n".join(lines)


def told_of_list(texts: Texts, language: str, done: ImportedList) -> str:
    """What came of a list of people or companies, in words."""
    if done.error is not None:
        reason = texts.error(language, MutiraoError(done.error[0], **done.error[1]))
        return texts.say(language, "import.failed", name=done.name, reason=reason)
    return imported_in_words(texts, language, imported(done, running=False).model_dump(mode="json"))


def parse_hints(text: str, known: Hints, asked: str = "") -> Hints | None:
    """`Column = field`, `moeda = BRL`, `decimais = vírgula`, `datas = dia/mês`, one per line. None when none is there.

    `asked` is the code of the error that asked: then "BRL" or "vírgula" alone is an answer too.
    ArgumentsWrong is left to the import: a column or field that does not exist is told there.
    """
    hints, found = known, False
    for line in re.split(r"[\n;]", text):
        left, equals, right = line.partition("=")
        name, value = left.strip().strip("\"'`“”"), right.strip().strip("\"'`“”.")
        if not equals:
            if (alone := _alone(line, hints, asked)) is not None:
                hints, found = alone, True
            continue
        if not name or not value:
            continue
        found = True
        word, meaning = squeezed(name), squeezed(value)
        if word in ("moeda", "currency", "moneda") and (code := _currency(meaning)):
            hints = replace(hints, currency=code)
        elif word in ("decimais", "decimals", "decimales", "decimal") and meaning in _DECIMALS:
            hints = replace(hints, decimals=_DECIMALS[meaning])  # type: ignore[arg-type]
        elif word in ("datas", "dates", "fechas") and meaning in _DATES:
            hints = replace(hints, dates=_DATES[meaning])  # type: ignore[arg-type]
        else:
            field_name = _field(meaning)
            hints = replace(hints, columns={**hints.columns, name: field_name})
    return hints if found else None


def _alone(line: str, hints: Hints, asked: str) -> Hints | None:
    """The answer to the one question that was asked: "BRL", "em reais", "é vírgula", "dia/mês"."""
    words = [word.strip(".,!\"'`“”") for word in squeezed(line).split()]
    if not words or len(words) > 4:
        return None
    if asked == "import_currency_unknown" and (code := _currency(words[-1])):
        return replace(hints, currency=code)
    if asked in ("import_decimals_ambiguous", "import_decimals_mixed") and words[-1] in _DECIMALS:
        return replace(hints, decimals=_DECIMALS[words[-1]])  # type: ignore[arg-type]
    if asked == "import_dates_ambiguous" and words[-1] in _DATES:
        return replace(hints, dates=_DATES[words[-1]])  # type: ignore[arg-type]
    return None


def _currency(word: str) -> str | None:
    return _CURRENCIES.get(word) or (word.upper() if is_currency(word.upper()) else None)


def _field(meaning: str) -> str:
    """A field by its name or by what people call it; an unknown word is kept, and the import says what there is."""
    if meaning in FIELDS:
        return meaning
    return field_of(meaning) or meaning


_running: set["asyncio.Future[Imported]"] = set()


def _keep(task: "asyncio.Future[Imported]") -> None:
    """The event loop holds tasks weakly; one that outlives its turn must not be collected."""

    def over(task: "asyncio.Future[Imported]") -> None:
        _running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("import_left_to_its_job", reason=type(error).__name__)

    _running.add(task)
    task.add_done_callback(over)
