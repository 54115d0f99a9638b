"""What the messages' crew says and shows, computed from tool results: sentences and tables."""

from datetime import datetime
from typing import Any

from core import formats
from core.door import Table
from core.turn import ToolRecord
from crews.wording import Wording


class Words(Wording):
    """Writes results in one language. Moments in results are the user's own clock's already."""

    def about(self, topic: str, environment: str = "") -> str:
        """What there is of something that the tools do not do: where it is done."""
        return self.say(f"messages.about.{topic}", sandbox=environment == "sandbox")

    def moment(self, value: str) -> str:
        at = datetime.fromisoformat(value)
        return f"{formats.day(at.date(), self.language)} {at:%H:%M}"

    def result(self, record: ToolRecord) -> str:
        """What a finished call says; an error in its sentence."""
        if record.error == "chat_which":
            asked = self.error(record)
            named = [
                f"{one['n']}. {formats.plain(', '.join(filter(None, [one['name'], one['detail']])))}"
                for one in record.error_params["candidates"]
            ]
            return "\n".join([asked, *named])
        if record.result is None:
            return self.error(record)
        write = getattr(self, f"_{record.name}", None)
        return str(write(record.result)) if write else ""

    def _list_conversations(self, result: dict[str, Any]) -> str:
        lines = [
            self.say(
                "messages.list",
                show=result["show"],
                search=formats.plain(result["search"]),
                days=result["days"] or 0,
                found=result["found"],
                shown=len(result["conversations"]),
                partly=result["partly"],
            )
        ]
        if result["oldest"] and result["show"] == "waiting":
            lines.append(self.say("messages.oldest", since=self.moment(result["oldest"])))
        lines.append(self.say("messages.open", **result["open"]))
        return " ".join(lines)

    def _show_conversation(self, result: dict[str, Any]) -> str:
        one = result["conversation"]
        lines = [
            self.say(
                "messages.shown",
                name=formats.plain(one["name"]),
                phone=one["phone"] if one["phone"] != one["name"] else "",
                channel=formats.plain(result["channel"]),
                held=one["held"],
                held_by=formats.plain(one["held_by"]),
            )
        ]
        if one["waits_since"]:
            lines.append(self.say("messages.waits", since=self.moment(one["waits_since"])))
        until = result["may_write_until"]
        if not result["no_window"]:
            lines.append(self.say("messages.window", until=self.moment(until) if until else ""))
        if result["summary"]:
            lines.append(self.say("messages.summary", summary=formats.plain(result["summary"])))
        lines.append(self.say("messages.open_one", link=result["link"]))
        return "\n\n".join([lines[0], " ".join(lines[1:])])

    def _message_contact(self, result: dict[str, Any]) -> str:
        told = result["change"]
        return self.say("messages.proposed", name=formats.plain(told["name"]), template=told.get("template") or "")

    def _list_templates(self, result: dict[str, Any]) -> str:
        ready = sum(one["status"] in ("APPROVED", "ACTIVE") for one in result["templates"])
        return self.say(
            "messages.templates",
            count=len(result["templates"]),
            ready=ready,
            number=formats.plain(result["number"] or ""),
        )

    def _whatsapp_status(self, result: dict[str, Any]) -> str:
        lines = [self.say("messages.status", environment=result["environment"], count=len(result["numbers"]))]
        for one in result["numbers"]:
            lines.append(
                "- "
                + self.say(
                    "messages.number",
                    name=formats.plain(one["name"]),
                    number=formats.phone(one["number"]),
                    provider=one["provider"],
                    state=one["state"],
                    people=one["people"] or 0,
                    stopped=", ".join(map(str, one["stopped"])),
                )
            )
        lines.append(self.say("messages.queue", waiting=result["waiting"], asks=result["asks"]))
        return "\n".join(lines)

    # --- tables -----------------------------------------------------------------------------------

    def tables(self, record: ToolRecord) -> list[Table]:
        result = record.result
        if result is None:
            return []
        match record.name:
            case "list_conversations" if result["conversations"]:
                return [self._lines(result["conversations"])]
            case "show_conversation" if result["messages"]:
                return [self._messages(result)]
            case "list_templates" if result["templates"]:
                return [self._template_table(result["templates"])]
            case _:
                return []

    def _columns(self, *names: str) -> list[str]:
        return [self.say(f"messages.column.{name}") for name in names]

    def _lines(self, rows: list[dict[str, Any]]) -> Table:
        told = [
            [
                str(row["n"]),
                row["name"],
                row["held_by"] or self._held(row["held"]),
                f"{self._author(row['last_by'], '')}: {row['last_words'] or '…'}" if row["last_by"] else "–",
                self.moment(row["last_at"]),
                self.moment(row["waits_since"]) if row["waits_since"] else "–",
            ]
            for row in rows
        ]
        columns = ["#", *self._columns("who", "held", "last", "when", "waits")]
        return Table("", columns, told, ["right", *["left"] * 5])  # type: ignore[list-item]

    def _messages(self, result: dict[str, Any]) -> Table:
        name = result["conversation"]["name"]
        told = [
            [
                self.moment(one["at"]),
                one["name"] or self._author(one["by"], name),
                one["text"] or self._kind(one["what"]),
                self._status(one["status"]),
            ]
            for one in result["messages"]
        ]
        return Table(name, self._columns("when", "who", "words", "state"), told, ["left"] * 4)

    def _template_table(self, rows: list[dict[str, Any]]) -> Table:
        told = [
            [
                one["name"],
                one["language"],
                self._named("messages.template_status", one["status"]),
                self._named("messages.quality", one["quality"]),
                ", ".join(self.say(f"outbox.purpose.{use}") for use in one["uses"]) or "–",
                one["text"],
            ]
            for one in rows
        ]
        return Table("", self._columns("template", "language", "state", "quality", "uses", "words"), told, ["left"] * 6)

    def _held(self, held: str) -> str:
        return self.say("messages.closed") if held == "closed" else self.say(f"messaging.held.{held}")

    def _author(self, by: str, name: str) -> str:
        return name if by == "contact" and name else self.say(f"messages.by.{by}")

    def _kind(self, kind: str) -> str:
        key = f"inbox.kind.{kind}"
        return self.say(key if self.texts.has(key) else "inbox.kind.unknown")

    def _status(self, status: str) -> str:
        return self._named("inbox.status", status) if status else ""

    def _named(self, prefix: str, value: str) -> str:
        """The word for one of a provider's values; the value itself where it is new to us."""
        key = f"{prefix}.{value.lower()}"
        return self.say(key) if self.texts.has(key) else value
