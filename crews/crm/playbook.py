"""What the CRM's crew does without a model: the same tools, chosen by rules, and their results in ready sentences.

It holds the turn. `next_step` gives the tool calls that are still missing for what was asked, one part of the message
after the other, because the second may speak of what the first made; then the text.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from core.turn import ToolRecord, Turn
from core.words import folded, plain
from crews.contract import CrewTask
from crews.crm.named import keys_in_text
from crews.crm.request import NEW_STAGE, WRITES, Asked, understand
from crews.crm.words import Words
from crews.orders import denies, kind_of
from llm.messages import ToolCall
from tools.crm import PENDING_IMPORT
from tools.crm_targets import place_named

_MOST_WORDS = 8  # of an answer to our own question
_IS_NEW = re.compile(
    r"\b(?:nov[oa]|outr[oa]|new|another|different|nuev[oa]|otr[oa]|nenhum\w*|none|ningun\w*|neither)\b"
)
_YES = re.compile(
    r"\b(?:sim|s|pode|importa\w*|import|manda|vai|ok|okay|isso|claro|yes|yep|sure|go ahead|do it|si|dale|adelante"
    r"|confirm\w*"
    r"|bring)\b"
)
_NO = re.compile(r"\b(?:nao|no|nope|cancel\w*|deixa|esquece|never ?mind|dejalo|olvida\w*)\b")
_KINDS = frozenset({"contact", "company", "deal", "task"})
_KEPT_BASES = frozenset({"crm.record", "crm.board"})
"""Intents that a follow-up may go on with by itself; nothing is written because something was written before."""


@dataclass(frozen=True)
class Call:
    """A call the playbook wants, and whether it was made: `record` is None until then."""

    name: str
    arguments: dict[str, Any]
    record: ToolRecord | None = None


@dataclass(frozen=True)
class Part:
    """One request with what has to be asked for first, and what is said beside its results."""

    task: CrewTask
    asked: Asked
    said: tuple[str, ...] = field(default=())


class CrmPlaybook:
    """One turn's requests to the CRM. `words` writes in the turn's language."""

    def __init__(self, turn: Turn, tasks: list[CrewTask], words: Words) -> None:
        self._turn = turn
        self._tasks = tasks
        self._words = words
        self._parts: list[Part] | None = None
        self._pointed: dict[int, dict[str, Any]] = {}

    # --- which calls --------------------------------------------------------------------------

    def next_step(self) -> list[ToolCall] | str:
        for part in self.parts():
            missing = [call for call in self._calls(part) if call.record is None]
            if missing:
                return [ToolCall("", call.name, call.arguments) for call in missing]
            self._points_at(part)
        return self.text()

    def parts(self) -> list[Part]:
        """Every request of the message; a message that answers our own question is the request that waited for it."""
        if self._parts is None:
            answered = self._answered()
            self._parts = [answered] if answered else [self._read(task) for task in self._tasks]
        return self._parts

    def _read(self, task: CrewTask) -> Part:
        intent = task.intent
        if intent == "followup":
            intent = task.base if task.base in _KEPT_BASES else "crm.record"
            if task.base == "crm.task" and self._turn.session.get("last_tool") == "crm_tasks":
                return Part(task, self._understood(f"tarefas {task.text}?", "crm.task"))
        return Part(task, self._understood(task.text, intent))

    def _understood(self, text: str, intent: str) -> Asked:
        who = self._turn.identity
        pending = bool(self._turn.session.get(PENDING_IMPORT))
        return understand(text, intent, now=self._turn.now, time_zone=who.time_zone, pending_import=pending)

    def _calls(self, part: Part) -> list[Call]:
        """The calls of a part so far: a search with one hit is followed by its record, a task whose contact nobody
        knows is written without one."""
        asked = part.asked
        if asked.missing or not asked.tool:
            return []
        asked = replace(asked, arguments=self._arguments(part))
        call = self._call(asked.tool, asked.arguments)
        if call.record is None:
            return [call]
        result = call.record.result
        if call.name == "crm_search" and result:
            query = asked.arguments.get("query", "")
            same = [one for one in result["records"] if folded(one["name"]) == folded(query)]
            one = result["records"] if len(result["records"]) == 1 and not result["more"] else same
            if len(one) == 1:
                return [call, self._call("crm_record", {"record": one[0]["id"]})]
        if call.name == "crm_setup" and result and asked.about.startswith(NEW_STAGE):
            return [call, self._call("crm_setup", {"stages": _with_stage(result["stages"], asked.about)})]
        if call.name == "crm_task" and call.record.error == "crm_nobody" and "title" in asked.arguments:
            bare = {name: value for name, value in asked.arguments.items() if name != "record"}
            return [call, self._call("crm_task", bare)]
        return [call]

    def _arguments(self, part: Part) -> dict[str, Any]:
        """The arguments with what "ela" meant when the part's turn had come: what it makes is spoken of after it."""
        if id(part) not in self._pointed:
            focus = self._turn.session.get("focus") or {}
            shown = {"ela": focus["id"]} if focus.get("kind") in _KINDS else {}
            self._pointed[id(part)] = {
                name: shown.get(value, value) if isinstance(value, str) else value
                for name, value in part.asked.arguments.items()
            }
        return self._pointed[id(part)]

    def _call(self, name: str, arguments: dict[str, Any]) -> Call:
        record = next((r for r in self._turn.results if r.name == name and _same(r.arguments, arguments)), None)
        return Call(name, arguments, record)

    def _points_at(self, part: Part) -> None:
        """ "Cadastra a Ana e cria um negócio com ela": what a part made is what the next one may point at."""
        for call in self._calls(part):
            if call.record is not None and (focus := focus_of(call.record)):
                self._turn.session["focus"] = focus

    # --- what was asked back ------------------------------------------------------------------

    def _answered(self) -> Part | None:
        """The request that waited for this message, with what the message adds to it."""
        waiting, text = self._turn.session.get("open") or {}, self._turn.text
        task = self._tasks[0]
        if not str(waiting.get("intent", "")).startswith("crm.") or len(self._tasks) > 1:
            return None
        if waiting.get("confirm") == "crm_import":
            return self._about_import(task)
        if denies(re.sub(r"^\W*(?:nao|não|no)\s*,\s*", "", text, flags=re.I)) or kind_of(text) not in (
            "order",
            "question",
        ):
            refused = len(text.split()) <= 3 and waiting.get("call") in WRITES
            return Part(task, Asked("", missing="denied")) if refused else None
        short, follows = len(text.split()) <= _MOST_WORDS, task.intent == "followup"
        if candidates := waiting.get("candidates"):
            return self._chosen(task, waiting, candidates) if short else None
        if waiting.get("text") and (follows or (short and self._understood(text, "crm.record").tool not in WRITES)):
            if not follows and task.intent not in (waiting["intent"], "crm.record", "crm.save"):
                return None
            return Part(task, self._completed(waiting, text))
        return None

    def _about_import(self, task: CrewTask) -> Part | None:
        """Yes, no, or which column is what, to a list that was shown."""
        said = plain(self._turn.text)
        if columns := _columns_told(self._turn.text):
            return Part(task, Asked("crm_import", {"preview": True, "columns": columns}))
        if len(said.split()) > _MOST_WORDS:
            return None
        if _NO.search(said) and not re.search(r"\bimport", said):
            self._turn.session.pop(PENDING_IMPORT, None)
            return Part(task, Asked(""), (self._words.say("crm.kept_as_is"),))
        if _NO.search(said):
            return None
        return Part(task, Asked("crm_import")) if _YES.search(said) else None

    def _chosen(self, task: CrewTask, waiting: dict[str, Any], candidates: list[dict[str, Any]]) -> Part | None:
        text = self._turn.text.strip().strip(".!?")
        arguments = dict(waiting["arguments"])
        if waiting["call"] == "crm_save" and _IS_NEW.search(plain(text)) and place_named(text) is None:
            return Part(task, Asked("crm_save", {**arguments, "as_new": True}))
        picked = _picked(text, candidates)
        if picked is None:
            return None
        slot = waiting["slot"]
        arguments[slot] = [picked["id"]] if slot == "records" else picked["id"]
        if slot == "records" and len(waiting["arguments"].get("records", [])) == 2:
            both = list(waiting["arguments"]["records"])
            place = next((n for n, one in enumerate(both) if folded(one) == folded(waiting["mention"])), 0)
            both[place] = picked["id"]
            arguments[slot] = both
        name = "crm_record" if waiting["call"] == "crm_search" else waiting["call"]
        return Part(task, Asked(name, {"record": picked["id"]} if name == "crm_record" else arguments, slot))

    def _completed(self, waiting: dict[str, Any], text: str) -> Asked:
        """The request with the answer put where it was missing."""
        missing, arguments = waiting["missing"], dict(waiting["arguments"])
        tool = waiting["call"]
        match missing:
            case "name":
                asked = self._understood(f"cadastra {text}", "crm.save")
                return replace(
                    asked, arguments={**asked.arguments, **{k: v for k, v in arguments.items() if k == "kind"}}
                )
            case "task_what":
                return self._understood(f"me lembra de {text}", "crm.task")
            case "tag" | "stage" | "merge":
                return self._understood(f"{waiting['text']} {text}", str(waiting["intent"]))
            case _:
                slot = {"deal": "deal", "deal_of": "of", "task_done": "finish"}.get(missing, "record")
                keys, _ = keys_in_text(text)
                arguments[slot] = keys[0] if keys else text.strip(" .!?")
                return Asked(tool, arguments, slot, about=waiting.get("about", ""))

    def open_question(self) -> dict[str, Any] | None:
        """What the answer asked back: which of several, a yes to a list, or what was missing."""
        for part in self.parts():
            asked = part.asked
            base: dict[str, Any] = {"intent": _intent_of(part.task), "text": part.task.text, "call": asked.tool}
            base |= {"arguments": asked.arguments, "slot": asked.slot}
            if asked.missing and asked.missing not in (
                "question",
                "denied",
                "condition",
                "exception",
                "import",
                "not_there",
                "not_erasable",
                "one_by_one",
            ):
                return base | {"missing": asked.missing, "about": asked.about}
            for call in self._calls(part):
                if question := question_of(call.record, asked.slot, base["intent"]):
                    return question
        return None

    # --- in words -----------------------------------------------------------------------------

    def text(self) -> str:
        """Everything asked, answered from the results that are there."""
        said: list[str] = []
        for part in self.parts():
            said += part.said
            if part.asked.missing:
                said.append(self._words.say(f"crm.ask.{part.asked.missing}"))
            said += self._answer(part)
            if part.asked.held:
                said.append(self._words.say(f"crm.ask.{part.asked.held}"))
        return "\n\n".join(dict.fromkeys(one for one in [*said, *self._proposed()] if one))

    def _proposed(self) -> list[str]:
        made = any(record.name == "crm_erase" and record.proposal_id for record in self._turn.results)
        return [self._words.say("crm.proposed")] if made else []

    def _answer(self, part: Part) -> list[str]:
        calls = [call for call in self._calls(part) if call.record is not None]
        shown = calls[1:] if len(calls) > 1 and calls[0].name in ("crm_search", "crm_setup") else calls
        said = []
        for call in shown:
            assert call.record is not None
            if call.name == "crm_task" and call.record.error == "crm_nobody" and len(calls) > 1:
                continue
            said.append(self._words.result(call.record, part.asked.about))
        if len(calls) > 1 and calls[0].name == "crm_task":
            said.append(self._words.say("crm.task.added_without", who=calls[0].arguments["record"]))
        return said

    def results_in_words(self) -> str:
        """Every result of the turn in sentences, whoever asked for it: for when a model's own words cannot be used."""
        said = [self._words.result(r) for r in self._turn.results if r.result is not None or r.error]
        return "\n\n".join(dict.fromkeys(one for one in [*said, *self._proposed()] if one))


def focus_of(record: ToolRecord) -> dict[str, Any] | None:
    """The one record that a finished call was about: what "ela" means after it."""
    result = record.result
    if result is None:
        return None
    match record.name:
        case "crm_record" | "crm_mark" | "crm_merge" | "crm_do_not_contact":
            found = result
        case "crm_save" if result["id"]:
            found = result
        case "crm_deal":
            found = result["deal"]
        case "crm_search" if len(result["records"]) == 1:
            found = result["records"][0]
        case _:
            return None
    return {"id": found["id"], "name": found["name"], "kind": found["kind"]} if found["id"] else None


def question_of(record: ToolRecord | None, slot: str, intent: str) -> dict[str, Any] | None:
    """What a call's outcome asks back: which of the candidates, or a yes to a list that was shown."""
    if record is None:
        return None
    base = {"intent": intent, "call": record.name, "arguments": record.arguments, "slot": slot}
    result = record.result or {}
    if record.name == "crm_import" and result.get("state") == "preview":
        return base | {"confirm": "crm_import"}
    if record.error == "crm_ambiguous":
        mention = str(record.error_params.get("mention", ""))
        named = [
            name
            for name, value in record.arguments.items()
            if value == mention or folded(str(value)) == folded(mention)
        ]
        own = slot if slot in record.arguments or not named else named[0]
        if named and record.arguments.get(own) != mention:
            own = named[0]
        return base | {"slot": own, "mention": mention, "candidates": record.error_params["candidates"]}
    if record.name == "crm_save" and result.get("outcome") == "ambiguous":
        shown = [one for one in result["candidates"] if one["id"]]
        return base | {"slot": "record", "mention": "", "candidates": shown} if shown else None
    return None


def _picked(text: str, candidates: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Which candidate a short answer names: its number or place, its name, or a word that only it has."""
    place = place_named(text)
    if place is not None:
        return candidates[-1] if place == -1 else next((one for one in candidates if one.get("n") == place), None)
    if len(candidates) == 1 and _YES.fullmatch(plain(text).strip(" .!")):
        return candidates[0]
    wanted = set(folded(text).split()) - set("a o as os da do de the la el una um uma com em na no".split())
    whole = {id(one): set(folded(f"{one['name']} {one.get('detail') or ''}").split()) for one in candidates}
    fits = [one for one in candidates if wanted and wanted <= whole[id(one)]]
    return fits[0] if len(fits) == 1 else None


def _with_stage(stages: list[Any], about: str) -> list[str]:
    """The stages with a new one behind the last open one."""
    names = [name for name, _ in stages]
    live = [place for place, (_, kind) in enumerate(stages) if kind == "open"]
    names.insert(live[-1] + 1 if live else 0, about.removeprefix(NEW_STAGE))
    return names


def _columns_told(text: str) -> list[str]:
    """ "Fone = phone": which column is what, one per line."""
    pairs = [line.split("=", 1) for line in re.split(r"[\n;]", text) if "=" in line]
    return [f"{header.strip().strip(chr(34))}={name.strip()}" for header, name in pairs if header.strip()]


def _intent_of(task: CrewTask) -> str:
    return (task.base if task.intent == "followup" else task.intent) or "crm.record"


def _same(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    def bare(arguments: dict[str, Any]) -> dict[str, str]:
        return {key: str(value) for key, value in arguments.items() if value not in (None, "")}

    return bare(made) == bare(wanted)
