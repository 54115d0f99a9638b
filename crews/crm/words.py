"""What the CRM's crew says and shows, computed from tool results: sentences, tables, views.

Nothing here adds up or guesses: what is written stands in a tool result. Unknown is said to be unknown.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from core import formats
from core.door import Table, View
from core.errors import ArgumentsWrong
from core.money import Money
from core.turn import ToolRecord
from crews.wording import Wording
from prompts.texts import Texts

_ENTRIES = 5  # of a timeline, in the text; the page of the record has more
_DEALS = 20  # of the board, in a table
_LINES = 5  # of a list that is brought in, with what is wrong with them


class Words(Wording):
    """Writes results in one language."""

    # --- values -----------------------------------------------------------------------------

    def money(self, amount: Any, currency: str | None) -> str:
        """The sum, or that it is not known: never 0 for that."""
        if amount is None or currency is None:
            return self.say("crm.no_amount")
        return formats.money(Money(Decimal(str(amount)), currency), self.language)

    def moment(self, value: Any) -> str:
        at = _moment(value)
        return f"{formats.weekday(at.date(), self.language)}, {formats.day(at.date(), self.language)} {at:%H:%M}"

    def day(self, value: Any) -> str:
        return formats.day(_moment(value).date(), self.language)

    def field(self, name: str) -> str:
        """A field's label; the tenant's own fields by their name."""
        key = f"crm.field.{name}"
        return self.say(key) if self.texts.has(key) else name.removeprefix("custom.")

    def source(self, row: dict[str, Any]) -> str:
        """Where a field is from: "dito por Carlos", "lista.csv, 12", an address."""
        key = f"crm.source.{row['source'] or 'unknown'}"
        return self.say(key if self.texts.has(key) else "crm.source.other", name=row["source"], where=row["reference"])

    # --- results ----------------------------------------------------------------------------

    def result(self, record: ToolRecord, about: str = "") -> str:
        """What a finished call says; an error in its sentence, a proposal nothing (its card says everything)."""
        if record.result is None:
            return self.error(record)
        if record.proposal_id:
            return ""
        write = getattr(self, f"_{record.name}", None)
        return str(write(record.result, about)) if write else ""

    def _crm_search(self, result: dict[str, Any], about: str) -> str:
        count = len(result["records"])
        return self.say("crm.found", query=result["query"], count=count, more=result["more"])

    def _crm_record(self, result: dict[str, Any], about: str) -> str:
        if about == "where_from":
            return self._where_from(result)
        if about in ("phone", "email"):
            kinds = {"phone": ("phone", "wa_id"), "email": ("email",)}[about]
            known = [row for row in result["fields"] if row["name"] in kinds]
            if not known:
                return self.say("crm.field_unknown", name=result["name"], field=self.field(about).lower())
            told = [f"{row['value']} ({self.source(row)}, {self.day(row['known_since'])})" for row in known]
            lines = [self.say("crm.field_known", name=result["name"], field=self.field(about), values="; ".join(told))]
            return "\n\n".join(lines + self._blocked(result))
        lines = [self._title(result)]
        if result["tags"]:
            lines.append(self.say("crm.record.tags", tags=", ".join(result["tags"])))
        for deal in result["deals"][:_ENTRIES]:
            lines.append(f"- {self._deal_line(deal)}")
        if len(result["deals"]) > _ENTRIES:
            lines.append(self.say("crm.record.more_deals", count=len(result["deals"]) - _ENTRIES))
        if not result["deals"]:
            lines.append(self.say("crm.record.no_deals"))
        lines += [f"- {self.say('crm.record.task', task=self._task_line(task))}" for task in result["tasks"][:_ENTRIES]]
        entries = [self._entry(entry) for entry in result["timeline"][:_ENTRIES]]
        if entries:
            lines.append(self.say("crm.record.timeline"))
            lines += [f"- {entry}" for entry in entries]
        return "\n".join(lines + self._blocked(result))

    def _blocked(self, result: dict[str, Any]) -> list[str]:
        return [self.say("crm.record.blocked", keys=", ".join(result["blocked"]))] if result["blocked"] else []

    def _title(self, result: dict[str, Any]) -> str:
        fields = {row["name"]: row["value"] for row in reversed(result["fields"])}
        details = [fields.get(name) for name in ("title", "company_name", "city")]
        return self.say(
            "crm.record.title",
            name=result["name"],
            kind=result["kind"],
            details=", ".join(one for one in details if one),
            owner=result["owner"],
        )

    def _where_from(self, result: dict[str, Any]) -> str:
        lines = [self.say("crm.where_from", name=result["name"], since=self.day(result["since"]))]
        origins: dict[tuple[str, str], list[str]] = {}
        for row in sorted(result["fields"], key=lambda row: str(row["known_since"])):
            origins.setdefault((self.source(row), self.day(row["known_since"])), []).append(self.field(row["name"]))
        for (source, day), names in origins.items():
            lines.append(f"- {', '.join(dict.fromkeys(names))}: {source}, {day}")
        lines.append(self.say("crm.purpose", purpose=result["purpose"]))
        return "\n".join(lines + self._blocked(result))

    def _crm_board(self, result: dict[str, Any], about: str) -> str:
        if not result["deals"]:
            return self.say("crm.board.empty")
        live = [column for column in result["columns"] if column["state"] == "open"]
        worth = "; ".join(self.money(one["amount"], one["currency"]) for one in result["open_sums"])
        return self.say("crm.board", count=sum(c["count"] for c in live), all=result["deals"], worth=worth)

    def _crm_tasks(self, result: dict[str, Any], about: str) -> str:
        tasks = result["tasks"]
        return self.say("crm.tasks", count=len(tasks), overdue=sum(task["overdue"] for task in tasks))

    def _crm_export(self, result: dict[str, Any], about: str) -> str:
        return self.say("crm.exported", **{name: result[name] for name in ("what", "name", "count")})

    def _crm_save(self, result: dict[str, Any], about: str) -> str:
        if result["outcome"] == "ambiguous":
            lines = [self.say("crm.saved.ambiguous", name=result["name"])]
            for one in result["candidates"]:
                why = "; ".join(self.say(key, **params) for key, params in one["why"])
                name = ", ".join(filter(None, [one["name"] or self.say("crm.of_a_colleague"), one["detail"]]))
                lines.append(f"{one['n']}. {name} ({why})")
            return "\n".join([*lines, self.say("crm.saved.which")])
        lines = [
            self.say(
                f"crm.saved.{result['outcome']}", name=result["name"], kind=result["kind"], dry_run=result["dry_run"]
            )
        ]
        for name, (before, after) in result["changes"].items():
            kind, _, given = name.partition(" ")
            label, value = (self.field(kind), given) if given else (self.field(name), after)
            if name == "owner_id" or name == "company_id":
                continue
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append(f"- {self.say('crm.change', field=label, before=_shown(before), after=shown)}")
        lines += [
            f"- {self.say('crm.saved.not_valid', value=given, why=self.say(why))}" for given, why in result["not_valid"]
        ]
        if result["kept"]:
            lines.append(self.say("crm.saved.kept", fields=", ".join(map(self.field, result["kept"]))))
        return "\n".join(lines)

    def _crm_deal(self, result: dict[str, Any], about: str) -> str:
        deal, before = result["deal"], result["before"]
        was = self.money(before.get("amount"), before.get("currency")) if before.get("amount") else None
        now = self.money(deal["amount"], deal["currency"])
        return self.say(
            f"crm.deal.{result['did']}",
            name=deal["name"],
            stage=deal["stage"],
            before=before.get("stage"),
            amount=now,
            known=deal["amount"] is not None,
            changed=was if was != now and before.get("amount") else None,
            reason=deal["lost_reason"],
            expected=self.day(deal["expected_on"]) if deal["expected_on"] else None,
        )

    def _crm_task(self, result: dict[str, Any], about: str) -> str:
        task = result["task"]
        return self.say(
            f"crm.task.{result['did']}",
            title=task["name"],
            due=self.moment(task["due"]) if task["due"] else None,
            of=task["of"],
            timed=result["timed"],
            done=task["done"],
        )

    def _crm_mark(self, result: dict[str, Any], about: str) -> str:
        data, said = result["data"], []
        for did in result["did"].split("+"):
            said.append(
                self.say(
                    f"crm.marked.{did}",
                    name=result["name"],
                    note=data.get("note"),
                    kind=data.get("note_kind"),
                    tags=", ".join(data.get("tags", [])),
                    owner=data.get("owner"),
                )
            )
        return "\n".join(said)

    def _crm_merge(self, result: dict[str, Any], about: str) -> str:
        return self.say(f"crm.{result['did']}", name=result["name"], other=result["data"].get("other"))

    def _crm_do_not_contact(self, result: dict[str, Any], about: str) -> str:
        keys = result["data"].get("keys")
        return self.say(f"crm.{result['did']}", name=result["name"], keys=", ".join(keys or []), known=keys is not None)

    def _crm_setup(self, result: dict[str, Any], about: str) -> str:
        stages = " → ".join(name for name, _ in result["stages"])
        fields = [self.say("crm.setup.field", of=of, label=label, type=kind) for of, label, kind in result["fields"]]
        return "\n".join([self.say("crm.setup.stages", stages=stages), *(f"- {one}" for one in fields)])

    def _crm_import(self, result: dict[str, Any], about: str) -> str:
        if result["error"]:
            code, params = result["error"]
            return self.texts.error(self.language, ArgumentsWrong(code, **params))
        if result["state"] != "preview" and result["running"]:
            return self.say("crm.import.running", name=result["name"], rows=result["rows"])
        return imported_in_words(self.texts, self.language, result)

    # --- lines ------------------------------------------------------------------------------

    def _deal_line(self, deal: dict[str, Any]) -> str:
        return self.say(
            "crm.record.deal",
            name=deal["name"],
            stage=deal["stage"],
            amount=self.money(deal["amount"], deal["currency"]),
            reason=deal["lost_reason"],
        )

    def _task_line(self, task: dict[str, Any]) -> str:
        due = self.moment(task["due"]) if task["due"] else self.say("crm.no_date")
        return f"{task['name']} ({due})"

    def _entry(self, entry: dict[str, Any]) -> str:
        key = f"crm.entry.{entry['kind']}"
        what = self.say(key if self.texts.has(key) else "crm.entry.other", kind=entry["kind"], **_entry_data(entry))
        text = " ".join(entry["text"].split())
        by = f" ({entry['by']})" if entry["by"] else ""
        return f"{self.day(entry['at'])}{by}: {what}" + (f": {text}" if text else "")

    # --- tables and views -------------------------------------------------------------------

    def tables(self, record: ToolRecord) -> list[Table]:
        """What one would rather look at: hits, fields with their sources, stages and deals, tasks."""
        result = record.result
        if result is None:
            return []
        match record.name:
            case "crm_search" if len(result["records"]) > 1:
                return [self._hits(result["records"])]
            case "crm_record":
                return [self._fields(result)]
            case "crm_board" if result["deals"]:
                return self._board_tables(result)
            case "crm_tasks" if result["tasks"]:
                return [self._task_table(result["tasks"])]
            case _:
                return []

    def _hits(self, records: list[dict[str, Any]]) -> Table:
        names = ("name", "kind", "company", "city", "phone", "email", "tags", "owner")
        shown = [name for name in names if any(row.get(name) for row in records)]
        rows = []
        for row in records:
            cells = {**row, "kind": self.say(f"crm.kind.{row['kind']}"), "tags": ", ".join(row["tags"])}
            rows.append([str(row["n"]), *(str(cells.get(name) or "–") for name in shown)])
        return Table(
            "", ["#", *(self.say(f"crm.column.{name}") for name in shown)], rows, _left(len(shown), number=True)
        )

    def _fields(self, result: dict[str, Any]) -> Table:
        rows = [
            [self.field(row["name"]), row["value"], self.source(row), self.day(row["known_since"])]
            for row in result["fields"]
        ]
        columns = [self.say(f"crm.column.{name}") for name in ("field", "value", "source", "since")]
        return Table(self.say("crm.table.fields", name=result["name"]), columns, rows, ["left"] * 4, view="crm_record")

    def _board_tables(self, result: dict[str, Any]) -> list[Table]:
        stages = [
            [
                c["stage"],
                str(c["count"]),
                "; ".join(self.money(one["amount"], one["currency"]) for one in c["sums"]) or "–",
            ]
            for c in result["columns"]
            if c["count"] or c["state"] == "open"
        ]
        columns = [self.say(f"crm.column.{name}") for name in ("stage", "deals", "sum")]
        tables = [Table("", columns, stages, ["left", "right", "right"], view="crm_board")]
        deals = [deal for column in result["columns"] for deal in column["deals"]][:_DEALS]
        rows = [
            [
                str(deal["n"]),
                deal["name"],
                deal["stage"],
                self.money(deal["amount"], deal["currency"]),
                deal["owner"] or "–",
            ]
            for deal in deals
        ]
        columns = ["#", *(self.say(f"crm.column.{name}") for name in ("deal", "stage", "sum", "owner"))]
        return [*tables, Table("", columns, rows, ["right", "left", "left", "right", "left"], view="crm_board")]

    def _task_table(self, tasks: list[dict[str, Any]]) -> Table:
        rows = [
            [
                str(task["n"]),
                task["name"],
                (self.moment(task["due"]) if task["due"] else "–")
                + (f" {self.say('crm.late')}" if task["overdue"] else ""),
                task["of"] or "–",
                task["owner"] or "–",
            ]
            for task in tasks
        ]
        columns = ["#", *(self.say(f"crm.column.{name}") for name in ("task", "due", "of", "owner"))]
        return Table("", columns, rows, _left(4, number=True))

    def views(self, record: ToolRecord) -> list[View]:
        """The page of one record, the board: drawn by doors with a screen, with the rights of who looks."""
        result = record.result
        if result is None:
            return []
        if record.name == "crm_record":
            return [View("crm_record", result["name"], result["id"])]
        if record.name == "crm_save" and result["outcome"] in ("created", "updated") and not result["dry_run"]:
            return [View("crm_record", result["name"], result["id"])]
        if record.name == "crm_export":
            return [View("file", result["name"], result["file"], {"mime": result["mime"]})]
        if record.name == "crm_board" and result["deals"]:
            return [View("crm_board", self.say("crm.board.title"))]
        return []


def imported_in_words(texts: Texts, language: str, result: dict[str, Any]) -> str:
    """What would become, or became, of a list: counts by outcome, columns, the first lines with something wrong."""

    def say(key: str, **params: Any) -> str:
        return texts.say(language, key, **params)

    outcomes = result["outcomes"]
    told = [say(f"crm.import.{name}", count=count) for name, count in outcomes.items() if count]
    state = "preview" if result["state"] == "preview" else "done"
    lines = [
        say(f"crm.import.{state}", name=result["name"], rows=result["rows"], kind=result["kind"], more=result["more"])
    ]
    lines += [f"- {one}" for one in told]
    if result["columns"]:
        pairs = [f"{header} → {_label(texts, language, name)}" for header, name in result["columns"].items()]
        lines.append(say("crm.import.columns", columns="; ".join(pairs)))
    if result["ignored"]:
        lines.append(say("crm.import.ignored", columns=", ".join(result["ignored"])))
    for line, _, key, params in result["problems"][:_LINES]:
        if key == "crm.import.not_valid":
            params = {**params, "why": say(params["why"])}
        lines.append(f"- {say('crm.import.line', line=line, why=say(key, **params))}")
    if state == "preview":
        lines.append(say("crm.import.ask"))
    return "\n".join(lines)


def _label(texts: Texts, language: str, name: str) -> str:
    key = f"crm.field.{name}"
    return texts.say(language, key) if texts.has(key) else name.removeprefix("custom.")


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def _shown(before: Any) -> str | None:
    return ", ".join(map(str, before)) if isinstance(before, list) else (None if before is None else str(before))


def _entry_data(entry: dict[str, Any]) -> dict[str, Any]:
    data = entry["data"]
    return {"before": data.get("from"), "after": data.get("to"), "stage": data.get("stage"), "score": data.get("score")}


def _left(count: int, *, number: bool) -> list[Any]:
    return [*(["right"] if number else []), *["left"] * count]
