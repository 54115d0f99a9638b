"""`mutirao turns list | show | replay`: what happened in a turn, and whether it would happen again."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from business.conversations.records import VERSION, Figures, TurnLine, TurnRecord, decode, encode, replayable
from channels.commands import Run, admin_of, table_lines
from channels.services import Services
from core import formats
from core.door import Difference
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.telemetry import mask_data, mask_text
from core.tenancy import Identity

_SHORT_ID = 8  # of its random end, which `find` takes for the whole
_SAID = 60  # characters of a message in the list
_WIDE = 200  # characters of arguments or of a failure in one line
_PLAYBOOK = "offline"
_NOT_KEPT = ("turn_running", "turn_no_record", "turn_record_cut", "turn_not_begun")
"""Why one of the newest turns is passed over in silence: there is nothing to run again."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def add_to(cli: click.Group, run: Run) -> None:
    """Give the command line its `turns`."""

    def of_tenant(command: Any) -> Any:
        return click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")(command)

    @cli.group("turns")
    def turns() -> None:
        """O que aconteceu em cada turno: modelos, ferramentas, custos; e se aconteceria de novo."""

    @turns.command("list")
    @of_tenant
    @click.option("--conversation", help="Só os desta conversa.")
    @click.option("--since", help="Desde um dia (2026-11-20) ou há um tempo (30m, 24h, 7d).")
    @click.option("--failed", is_flag=True, help="Só os que acabaram mal, ou em que um modelo falhou.")
    @click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
    def _list(tenant: str | None, conversation: str | None, since: str | None, failed: bool, limit: int) -> None:
        """Lista os turnos, os mais novos primeiro."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            begin = None if since is None else _since(since, services.clock.now(), ZoneInfo(who.time_zone))
            found = await services.turns.list(
                who.tenant_id, conversation_id=conversation, since=begin, failed=failed, limit=limit
            )
            click.echo("\n".join(_Words(services, who).table(found)))

        run(work)

    @turns.command("show")
    @click.argument("turn_id", metavar="ID")
    @of_tenant
    @click.option("--json", "as_json", is_flag=True, help="O registro inteiro, como JSON.")
    @click.option("--plain", is_flag=True, help="Sem cobrir telefones, e-mails, CPF e CNPJ.")
    def _show(turn_id: str, tenant: str | None, as_json: bool, plain: bool) -> None:
        """Conta um turno: mensagem, caminho, modelos, ferramentas, resposta, custos."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            found = await services.turns.find(who.tenant_id, turn_id)
            if as_json:
                record = json.loads(encode(found.record))
                click.echo(json.dumps(record if plain else mask_data(record), ensure_ascii=False, indent=2))
            else:
                record = found.record if found.cut else replayable(found)
                words = _Words(services, who, cover=None if plain else mask_text)
                click.echo("\n".join(words.story(found, record)))

        run(work)

    @turns.command("replay")
    @click.argument("which", metavar="[ID | FILE]...", nargs=-1)
    @of_tenant
    @click.option("--last", type=click.IntRange(1, 1_000), help="Os N turnos mais novos que têm registro.")
    def _replay(which: tuple[str, ...], tenant: str | None, last: int | None) -> None:
        """Repete turnos sem rede, com as respostas gravadas; sai com 1 se algo muda.

        FILE é o que `turns show ID --json --plain` imprimiu, também de outra máquina.
        """
        if not which and last is None:
            raise ArgumentsWrong("turn_nothing_to_replay", "neither an id nor --last")

        async def work(services: Services) -> int:
            who = await admin_of(services, tenant)
            words = _Words(services, who)
            newest = await services.turns.list(who.tenant_id, limit=last) if last else []
            same = differ = refused = 0
            for name in [*which, *(line.id for line in newest)]:
                try:
                    record = await _record(services, who, name)
                    difference = await services.replay(record)
                except MutiraoError as error:
                    if name in which or error.code not in _NOT_KEPT:
                        click.echo(services.texts.error(who.language, error), err=True)
                        refused += 1
                    continue
                click.echo("\n".join(words.replayed(record, difference)))
                same, differ = (same + 1, differ) if difference is None else (same, differ + 1)
            if same + differ + refused != 1:
                say = partial(services.texts.say, who.language)
                click.echo(say("turns.replay.sum", same=same, differ=differ, refused=refused))
            return 1 if differ or refused else 0

        run(work)


async def _record(services: Services, who: Identity, name: str) -> dict[str, Any]:
    """The record of a turn by its id, or from a file. Refused and ArgumentsWrong as `find` and `replayable` say."""
    path = Path(name)
    if not path.is_file():
        return replayable(await services.turns.find(who.tenant_id, name))
    try:
        record = decode(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    if not isinstance(record, dict) or "version" not in record:
        raise ArgumentsWrong("turn_file_unreadable", f"{path} is no record of a turn", path=str(path))
    if record["version"] != VERSION:
        told = {"id": record.get("turn", name), "found": record["version"], "known": VERSION}
        raise Refused("turn_record_version", f"{path} has version {record['version']}", **told)
    if record.get("cut"):
        raise Refused("turn_record_cut", f"only figures are left in {path}", id=record.get("turn", name))
    return record


def _since(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The moment that `--since` means. ArgumentsWrong("turn_since_unclear")."""
    if ago := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentsWrong("turn_since_unclear", f"{text!r} is no time", value=text) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


class _Words:
    """Turns in words of the reader's language. `cover` is put over whatever people or models wrote."""

    def __init__(self, services: Services, who: Identity, cover: Callable[[str], str] | None = mask_text) -> None:
        self._say = partial(services.texts.say, who.language)
        self._services = services
        self._language = who.language
        self._zone = ZoneInfo(who.time_zone)
        self._cover = cover or (lambda text: text)
        self._covers = cover is not None

    # --- a list -----------------------------------------------------------------------------

    def table(self, found: list[TurnLine]) -> list[str]:
        if not found:
            return [self._say("turns.none")]
        names = ("when", "id", "ended", "answered", "intents", "calls", "tokens", "cost", "seconds", "said")
        rows = [
            [
                self._when(line.started_at),
                line.id[-_SHORT_ID:],
                self._ended(line),
                self._answered(line.figures),
                ", ".join(line.figures.intents) or "–",
                self._say("turns.calls", calls=line.figures.model_calls, failed=line.figures.failed_calls),
                formats.number(line.figures.prompt_tokens + line.figures.completion_tokens, self._language),
                self._cost(line.figures.cost_usd, line.figures.unpriced) if line.figures.models else "–",
                formats.number(Decimal(str(line.figures.seconds)), self._language, 1),
                _short(self._cover(line.said), _SAID),
            ]
            for line in found
        ]
        align = ["left"] * 5 + ["right"] * 4 + ["left"]
        columns = [self._say(f"turns.column.{name}") for name in names]
        return [*table_lines(columns, rows, align), "", self._say("turns.hint")]

    def _ended(self, line: TurnLine) -> str:
        if line.state in ("running", "interrupted"):
            return self._say(f"turns.ended.{line.state}")
        kind, _, detail = (line.figures.ended or "done").partition(":")
        return self._say(f"turns.ended.{kind}", detail=detail)

    def _answered(self, figures: Figures) -> str:
        models = ", ".join(model.partition("/")[2] for model in figures.models)
        if figures.by_model:
            return models
        if models:
            return self._say("turns.by.rules_after", models=models)
        return self._say("turns.by.rules" if figures.tool_calls else "turns.by.nobody")

    # --- one turn ---------------------------------------------------------------------------

    def story(self, found: TurnRecord, record: dict[str, Any]) -> list[str]:
        """Everything of a turn, from top to bottom; of a cut record there is less."""
        line, figures = found.line, found.line.figures
        head = [f"{line.id}  {self._when(line.started_at)}  {line.door}  {self._ended(line)}"]
        if who := record.get("who"):
            conversation = self._say("turns.show.conversation", id=line.conversation_id)
            head.append(f"{who['name']} ({who['role']}), {conversation}")
        if code := record.get("code"):
            head.append(self._say("turns.show.code", **code))
        parts = [
            ("message", [] if found.cut else self._message(record)),
            ("route", self._route(record)),
            ("questions", self._questions(record)),
            ("tools", [self._tool(tool) for tool in record.get("tools", [])]),
            ("lookups", [self._lookup(lookup) for lookup in record.get("lookups", [])]),
            ("proposals", record.get("proposals", [])),
            ("held_back", self._held_back(record)),
            ("notices", [self._say(key, **params) for key, params in record.get("notices", [])]),
            ("reply", self._text(record["reply"]["text"]) if "reply" in record else []),
            ("sum", self._sum(record, figures)),
        ]
        told = list(head)
        for name, lines in parts:
            if lines:
                told += ["", self._say(f"turns.show.{name}"), *(f"  {text}" for text in lines)]
        notes = []
        if found.cut:
            notes.append(self._say("turns.show.cut", days=self._services.settings.turn_record_days))
        if record.get("masked"):
            notes.append(self._say("turns.show.masked"))
        if self._covers and not found.cut:
            notes.append(self._say("turns.show.personal"))
        return [*told, *([""] if notes else []), *notes]

    def _message(self, record: dict[str, Any]) -> list[str]:
        message = record["message"]
        return [*self._text(message["text"]), *(f"+ {file['name']}" for file in message["attachments"])]

    def _route(self, record: dict[str, Any]) -> list[str]:
        told = []
        for part in record.get("route", []):
            confidence = formats.percent(Decimal(str(part["confidence"])) * 100, self._language, 0)
            how = f"  ({self._say('turns.show.how.' + part['how'], confidence=confidence)})" if "how" in part else ""
            base = f" = {part['base']}" if part.get("base") else ""
            told.append(f"{part['intent']}{base} → {part['to']}{how}")
            if "text" in part:
                told.append(f"  “{_short(self._cover(part['text']), _WIDE)}”: {part['why']}")
        if left_out := record.get("left_out"):
            told.append(self._say("turns.show.left_out", parts="; ".join(map(self._cover, left_out))))
        return told

    def _questions(self, record: dict[str, Any]) -> list[str]:
        """Each question with the requests that were made for it; of a cut record only the requests."""
        calls = record.get("model_calls", [])
        if "completions" not in record:
            return [self._model_call(call) for call in calls]
        told = []
        for number, asked in enumerate(record["completions"]):
            told.append(f"{number + 1}. {asked['role']}: {self._outcome(asked)}")
            told += [f"   – {self._say('turns.show.passed_over', link=link)}" for link in asked["passed_over"]]
            told += [f"   {self._model_call(call)}" for call in calls if call["completion"] == number]
        return told

    def _outcome(self, asked: dict[str, Any]) -> str:
        if not asked["provider"]:
            return self._say("turns.show.nobody")
        if asked["tool_calls"]:
            return self._say("turns.show.asked_for", tools=", ".join(call["name"] for call in asked["tool_calls"]))
        return self._say("turns.show.answered", characters=len(asked["text"]))

    def _model_call(self, call: dict[str, Any]) -> str:
        if call["provider"] == _PLAYBOOK:
            return f"✓ {self._say('turns.show.rules')}"
        used = {
            "prompt": call["prompt_tokens"],
            "completion": call["completion_tokens"],
            "cached": call["cached_tokens"],
            "written": call["cache_written_tokens"],
            "estimated": call["estimated"],
        }
        facts = [self._say("turns.show.tokens", **used)] if call["prompt_tokens"] or not call["failure"] else []
        if call["cost_usd"] is not None:
            facts.append(self._cost(Decimal(call["cost_usd"])))
        elif facts:
            facts.append(self._say("turns.show.no_price"))
        seconds = self._seconds(call["seconds"])
        if call["first_seconds"] is not None:
            facts.append(self._say("turns.show.first", seconds=seconds, first=self._seconds(call["first_seconds"])))
        else:
            facts.append(seconds)
        if call["attempt"] > 1:
            facts.append(self._say("turns.show.attempt", number=call["attempt"]))
        if call["hedge"]:
            facts.append(self._say("turns.show.hedge"))
        failed = f"  {_short(self._cover(call['failure']), _WIDE)}" if call["failure"] else ""
        return f"{'✗' if failed else '✓'} {call['provider']}/{call['model']}  {' · '.join(facts)}{failed}"

    def _tool(self, tool: dict[str, Any]) -> str:
        arguments = ""
        if "arguments" in tool:
            arguments = " " + _short(self._cover(json.dumps(tool["arguments"], ensure_ascii=False)), _WIDE)
        failed = f"  {tool['error']}" if tool["error"] else ""
        proposal = f"  → {tool['proposal_id']}" if tool.get("proposal_id") else ""
        seconds = self._seconds(tool["seconds"])
        mark = "✗" if failed else "✓"
        return f"{mark} {tool['name']}{arguments}  {tool['effect']} · {seconds}{failed}{proposal}"

    def _lookup(self, lookup: dict[str, Any]) -> str:
        if lookup["error"]:
            return f"✗ {lookup['what']}  {lookup['error'][0]}"
        said = lookup["found"].get("said")
        return f"✓ {lookup['what']}" + (f"  {said[0]}" if isinstance(said, list) else "")

    def _held_back(self, record: dict[str, Any]) -> list[str]:
        told = []
        for held in record.get("held_back", []):
            numbers = ", ".join(dict.fromkeys(held["numbers"]))
            told.append(self._say("turns.show.held", numbers=numbers, reworded=held["reworded"]))
            told += [f"  {line}" for line in self._text(held["text"])]
        return told

    def _sum(self, record: dict[str, Any], figures: Figures) -> list[str]:
        told = []
        if timing := record.get("timing"):
            told.append(self._say("turns.show.time", **{name: self._seconds(value) for name, value in timing.items()}))
        if not figures.model_calls:
            return [*told, self._say("turns.show.no_model")]
        counts = {"prompt": figures.prompt_tokens, "completion": figures.completion_tokens}
        tokens = self._say("turns.show.tokens", **counts, cached=figures.cached_tokens, written=0, estimated=False)
        return [*told, f"{tokens} · {self._cost(figures.cost_usd, figures.unpriced)}"]

    # --- a replay ---------------------------------------------------------------------------

    def replayed(self, record: dict[str, Any], difference: Difference | None) -> list[str]:
        short = record["turn"][-_SHORT_ID:]
        if difference is None:
            return [self._say("turns.replay.same", id=short)]
        what = self._say(f"turns.differs.{difference.what}", **difference.params)
        nothing = self._say("turns.replay.nothing")
        told = [self._say("turns.replay.differs", id=short, what=what)]
        for key, text in (("was", difference.was), ("now", difference.now)):
            shown = self._cover(text).replace("\n", " ⏎ ") or nothing
            told.append("  " + self._say(f"turns.replay.{key}", text=shown))
        told.append("  " + self._say("turns.show.code", **record["code"]))
        if record.get("masked"):
            told.append("  " + self._say("turns.show.masked"))
        return told

    # --- values -----------------------------------------------------------------------------

    def _when(self, at: datetime) -> str:
        local = at.astimezone(self._zone)
        return f"{formats.day(local.date(), self._language)} {local:%H:%M}"

    def _seconds(self, seconds: float) -> str:
        if seconds < 1:
            return f"{round(seconds * 1000)} ms"
        return formats.number(Decimal(str(seconds)), self._language, 1) + " s"

    def _cost(self, usd: Decimal, unpriced: int = 0) -> str:
        """Dollars to a hundredth of a cent, and reais where the settings have a rate. What has no price is said."""
        parts = []
        if usd or not unpriced:
            reais = self._services.settings.rate_brl
            told = f"US$ {formats.number(usd, self._language, 4)}"
            if reais is not None:
                told += f" (R$ {formats.number(usd * reais[0], self._language, 4)})"
            parts.append(told)
        if unpriced:
            parts.append(self._say("turns.unpriced", count=unpriced))
        return " + ".join(parts)

    def _text(self, text: str) -> list[str]:
        return self._cover(text).splitlines()


def _short(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
