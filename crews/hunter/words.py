"""What the hunter says and shows, computed from tool results: sentences, tables, and where things are from.

Nothing here is guessed: what is not known is said so. The playbook uses all of it; with a model, only the model's own
sentences replace the sentences.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from core import formats
from core.door import Table
from core.money import Money
from crews.wording import Wording

_LEFT_OUT = 5
"""Reasons for leaving companies out that are listed."""
_LESSONS = 3
"""What feedback has taught, the strongest first, that is told with a search."""
_REASONS = 2
"""Reasons in a row of a table."""


class HunterWords(Wording):
    """Writes in one language."""

    # --- a search ---------------------------------------------------------------------------------

    def asking(self, found: dict[str, Any]) -> str:
        """What has to be said before anything is searched, after what has been understood so far."""
        known = [line for line in found["profile"] if found["wish"]["activities"] or found["wish"]["places"]]
        parts = [self.say("hunter.so_far") + "\n" + _bullets(known)] if known else [self.say("hunter.needed")]
        parts.append("\n".join(dict.fromkeys(found["questions"] + found["notes"])))
        parts.append(self.say("hunter.nothing_searched" if known else "hunter.examples"))
        return "\n\n".join(parts)

    def found(self, found: dict[str, Any], *, drafted: bool = False) -> str:
        """The profile for correction, what came of the search, what was left out, what it cost, and what to do next."""
        search = found["search"]
        none_left = found["goes_on"] and not found["companies"] and found["state"] == "done"
        intro = "hunter.none_left" if none_left else "hunter.goes_on" if found["goes_on"] else "hunter.understood"
        parts = [self.say(intro) + "\n" + _bullets([*found["profile"], *found["notes"]])]
        parts.append(self.counts(search, found["state"]))
        if left_out := self.left_out(search):
            parts.append(left_out)
        if found["learnt"]:
            parts.append(self.say("hunter.learnt") + "\n" + _bullets(found["learnt"][:_LESSONS]))
        parts.append(self.cost(search))
        if not drafted:
            parts.append(self.next_steps(found))
        return "\n\n".join(parts)

    def counts(self, search: dict[str, Any], state: str) -> str:
        told = [self.say(f"hunter.state.{state}", ended=search["ended"] or "")]
        kept = search["qualified"] + search["person"] + search["below"]
        key = "hunter.counts" if kept else "hunter.counts_none"
        names = ("seen", "qualified", "person", "below", "duplicates", "wanted")
        told.append(self.say(key, **{name: search[name] for name in names}))
        if search["lookups_failed"]:
            told.append(self.say("hunter.lookups_failed", count=search["lookups_failed"]))
        if search["web_off"]:
            told.append(search["web_off"])
        return " ".join(part for part in told if part)

    def left_out(self, search: dict[str, Any]) -> str:
        reasons = [f"{one['why']}: {self._number(one['count'])}" for one in search["left_out"][:_LEFT_OUT]]
        return self.say("hunter.left_out", reasons="; ".join(reasons)) if reasons else ""

    def cost(self, search: dict[str, Any]) -> str:
        """As the end of a search in the background tells it (crews/hunter/ending.py)."""
        cost, month = search["cost"], search["month"]
        parts = [self.say("hunts.cost.pages", count=cost["pages"])]
        for vendor, count in sorted((vendor, count) for vendor, count in cost["searches"].items() if count):
            told = {"used": month.get(vendor, count), "limit": search["month_limit"]}
            parts.append(self.say("hunts.cost.searches", count=count, vendor=vendor, **told))
        if cost["sites"]:
            parts.append(self.say("hunts.cost.sites", count=cost["sites"]))
        if cost["model_calls"]:
            price = formats.money(Money(Decimal(cost["model_usd"]), "USD"), self.language)
            parts.append(self.say("hunts.cost.model", calls=cost["model_calls"], price=price))
        return self.say("hunts.cost", parts=parts)

    def next_steps(self, found: dict[str, Any]) -> str:
        if found["state"] == "running":
            return self.say("hunter.next_running", contact=found["contact"])
        rows = found["companies"]
        if not rows:
            return self.say("hunter.next_none_simulated" if found["simulated"] else "hunter.next_none")
        counted = found["search"]
        return self.say("hunter.next", score=rows[0]["score"], person=counted["person"], qualified=counted["qualified"])

    def companies(self, found: dict[str, Any]) -> str:
        """A list that was asked for, in a sentence above its table."""
        search, count = found["search"], len(found["companies"])
        if not count:
            return self.say(f"hunter.list_none.{found['verdict']}", sentence=search["sentence"])
        said = self.say(f"hunter.list.{found['verdict']}", count=count + found["more"], sentence=search["sentence"])
        if found["more"]:
            said = f"{said} {self.say('hunter.list_more', shown=count)}"
        return said

    def status(self, found: dict[str, Any], *, learnt: bool) -> str:
        """Where searches stand; the newest in sentences, the others in a table (see `status_table`)."""
        if learnt:
            lines = found["learnt"]
            return self.say("hunter.learnt") + "\n" + _bullets(lines) if lines else self.say("hunter.learnt_nothing")
        if not found["searches"]:
            return self.say("hunter.no_searches")
        newest = found["searches"][0]
        parts = [
            self.say("hunter.status", sentence=newest["sentence"], started=date.fromisoformat(newest["started"])),
            self.counts(newest, newest["state"]),
            self.cost(newest),
        ]
        return "\n\n".join([" ".join(parts[:2]), *parts[2:]])

    def steered(self, found: dict[str, Any], action: str) -> str:
        search = found["searches"][0]
        wanted = {"pause": "paused", "resume": "running"}[action]
        key = f"hunter.steered.{action}" if search["state"] == wanted else "hunter.steered.not"
        state = self.say(f"hunter.is.{search['state']}")
        return self.say(key, sentence=search["sentence"], state=state)

    # --- a company --------------------------------------------------------------------------------

    def explained(self, found: dict[str, Any], score_said: int | None, *, facts: bool = False) -> str:
        """Why a company has its score; with `facts` first what is known of it, each with its source and day."""
        company = found["company"]
        if company is None:
            return self._rules(found)
        score, said = company["score"], []
        if score_said is not None and score_said != score:
            said.append(self.say("hunter.other_score", name=company["name"], score=score, said=score_said))
        verdict = self.say(f"prospecting.verdict.{company['verdict']}")
        said.append(
            self.say(
                "hunter.explained",
                name=company["name"],
                score=score,
                verdict=verdict,
                version=found["version"],
                qualified=found["qualified_from"],
                person=found["person_from"],
            )
        )
        known = [self._piece(one) for one in company["known"]] if facts else []
        parts = [self._part(one) for one in found["parts"]]
        lines = [_bullets([*parts, *found["feedback"], *found["limits"]])]
        unknown = list(dict.fromkeys(one["looks_at"] for one in found["rules"] if one["outcome"] == "unknown"))
        if unknown:
            share = Decimal(str(found["unknown_counts"])) * 100
            lines.append(self.say("hunter.unknown_half", names=", ".join(unknown), share=self._number(share)))
        return "\n\n".join([_bullets(known), " ".join(said), *lines] if known else [" ".join(said), *lines])

    def _rules(self, found: dict[str, Any]) -> str:
        said = self.say(
            "hunter.rules",
            version=found["version"],
            qualified=found["qualified_from"],
            person=found["person_from"],
            share=self._number(Decimal(str(found["unknown_counts"])) * 100),
        )
        parts = [f"{one['name']}: {self._number(Decimal(str(one['of'])))}" for one in found["parts"]]
        return f"{said}\n{_bullets(parts)}"

    def _part(self, one: dict[str, Any]) -> str:
        points, of = (formats.number(Decimal(str(one[key])), self.language, 1) for key in ("points", "of"))
        return self.say("hunter.part", name=one["name"], points=points, of=of)

    def decided(self, found: dict[str, Any]) -> str:
        company = found["company"]
        said = self.say(f"hunter.decided.{found['decision']}", name=company["name"])
        if company["note"] and found["decision"] == "save":  # why it is not saved after all
            said = f"{said} {company['note']}"
        return f"{said}\n{_bullets(found['changes'])}" if found["changes"] else said

    # --- tables -----------------------------------------------------------------------------------

    def company_table(self, found: dict[str, Any]) -> list[Table]:
        """Number, company, city, score, verdict, reason, telephone, where it is from."""
        rows = found["companies"]
        if not rows:
            return []
        columns = ["n", "company", "city", "score", "verdict", "reason", "phone", "source"]
        return [
            Table(
                title=self.say("hunter.table.title"),
                columns=[self.say(f"hunter.table.{column}") for column in columns],
                rows=[
                    [
                        str(row["n"]),
                        row["name"],
                        row["city"] or self.say("hunter.unknown"),
                        str(row["score"]),
                        self.verdict(row),
                        self.reason(row),
                        row["phone"] or row["email"] or self.say("hunter.unknown"),
                        self.sources(row),
                    ]
                    for row in rows
                ],
                align=["right", "left", "left", "right", "left", "left", "left", "left"],
            )
        ]

    def verdict(self, row: dict[str, Any]) -> str:
        said = self.say(f"prospecting.verdict.{row['verdict']}")
        return f"{said} ({self.say('hunter.saved')})" if row["state"] == "saved" else said

    def reason(self, row: dict[str, Any]) -> str:
        return str(row["note"] or "; ".join(row["reasons"][:_REASONS]))

    def sources(self, row: dict[str, Any]) -> str:
        """Each source with the day on which it last told something."""
        days: dict[str, str] = {}
        for one in row["known"]:
            days[one["source"]] = max(days.get(one["source"], ""), one["on"])
        return "; ".join(f"{source} {self._day(day)}" for source, day in sorted(days.items()))

    def score_table(self, found: dict[str, Any]) -> list[Table]:
        """Every rule with its points and its evidence; of no company, every rule of the file."""
        names = {one["part"]: one["name"] for one in found["parts"]}
        if found["company"] is None:
            rows = [
                [names[one["part"]], one["name"], self._number(Decimal(str(one["points"])))] for one in found["file"]
            ]
            columns = [self.say(f"hunter.table.{column}") for column in ("part", "rule", "points")]
            return [Table(self.say("hunter.table.rules"), columns, rows, ["left", "left", "right"])]
        rows = [
            [
                names[one["part"]],
                one["name"],
                one["judged"],
                formats.number(Decimal(str(one["points"])), self.language, 1),
                formats.number(Decimal(str(one["of"])), self.language, 1),
                "; ".join(self._piece(piece) for piece in one["evidence"]) or self.say("hunter.no_evidence"),
            ]
            for one in found["rules"]
        ]
        columns = [self.say(f"hunter.table.{one}") for one in ("part", "rule", "met", "points", "of", "evidence")]
        title = self.say("hunter.table.score_of", name=found["company"]["name"], score=found["company"]["score"])
        return [Table(title, columns, rows, ["left", "left", "left", "right", "right", "left"])]

    def status_table(self, found: dict[str, Any]) -> list[Table]:
        if len(found["searches"]) < 2:
            return []
        columns = ["started", "sentence", "state", "seen", "qualified", "person"]
        rows = [
            [
                self._day(one["started"]),
                one["sentence"],
                self.say(f"hunter.is.{one['state']}"),
                *(self._number(one[name]) for name in ("seen", "qualified", "person")),
            ]
            for one in found["searches"]
        ]
        titles = [self.say(f"hunter.table.{column}") for column in columns]
        return [
            Table(self.say("hunter.table.searches"), titles, rows, ["left", "left", "left", "right", "right", "right"])
        ]

    def footer(self, lists: Sequence[dict[str, Any]]) -> str:
        """Where the companies of the answer are from."""
        sources = {one["source"] for found in lists for row in found["companies"] for one in row["known"]}
        if not sources:
            return ""
        simulated = any(found.get("simulated") for found in lists)
        return self.say("hunter.footer", sources=", ".join(sorted(sources)), simulated=simulated)

    def _piece(self, piece: dict[str, Any]) -> str:
        value = piece["value"]
        if piece["about"] in _DAYS and isinstance(value, str):
            value = self._day(value)
        elif value in (True, "True"):
            value = self.say("hunter.yes")
        elif value in (False, "False"):
            value = self.say("hunter.no")
        about = self.say(f"prospecting.kind.{piece['about']}")
        return f"{about}: {value} ({piece['source']}, {self._day(piece['on'])})"

    def _day(self, value: str) -> str:
        return formats.day(date.fromisoformat(value), self.language)

    def _number(self, value: Decimal | int) -> str:
        return formats.number(Decimal(value), self.language)


_DAYS = frozenset({"opened", "changed", "news"})


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
