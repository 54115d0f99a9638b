"""What the ads crew says and shows, computed from tool results: sentences, tables, charts, and what the numbers are of.

Nothing here adds, divides or guesses: every figure stands in a tool result and is only written out in the language of
the reply. The playbook uses all of it; with a model, only the model's own sentences replace the sentences.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from core import formats
from core.door import Chart, Series, Table
from core.money import Money
from crews.wording import Wording

_MONEY = frozenset({"spend", "cost_per_result", "cpc", "cpm", "purchase_value"})
_PERCENT = frozenset({"ctr"})
_RATIO = frozenset({"roas", "frequency"})
_DIVIDED_BY = {
    "cost_per_result": "results",
    "ctr": "impressions",
    "cpc": "clicks",
    "cpm": "impressions",
    "roas": "spend",
    "frequency": "reach",
}
_TABLE = ("spend", "results", "cost_per_result", "ctr")
_TABLE_COMPARED = ("spend", "results", "cost_per_result")
_BARS = 10  # entities in a chart; more cannot be told apart
_DAYS = 7  # days without data that are listed
_LEADERS = 3  # entities named in a sentence


class Words(Wording):
    """Writes figures and sentences in one language."""

    def has(self, key: str) -> bool:
        return self.texts.has(key)

    # --- figures ----------------------------------------------------------------------------

    def figure(self, metric: str, value: Any, currency: str) -> str:
        """One figure as people write it; "sem dados" where there is none."""
        if value is None:
            return self.say("ads.no_data")
        number = Decimal(str(value))
        if metric in _MONEY:
            return formats.money(Money(number, currency), self.language)
        if metric in _PERCENT:
            return formats.percent(number, self.language, 2)
        if metric in _RATIO:
            return formats.number(number, self.language, 2)
        decimals = 0 if number == number.to_integral_value() else 2
        return formats.number(number, self.language, decimals)

    def change(self, value: Any) -> str:
        return "–" if value is None else formats.percent(Decimal(str(value)), self.language, 1, signed=True)

    def metric(self, metric: str) -> str:
        return self.say(f"ads.metric.{metric}")

    def kind(self, kind: str | None, count: Any = None) -> str:
        """What a result is: "compras", "conversas"; the plain word where the kind is not known."""
        one = count is not None and Decimal(str(count)) == 1
        return self.say(f"ads.kind.{kind or 'result'}", one=one)

    def day(self, value: Any) -> str:
        return formats.day(_date(value), self.language)

    def window(self, window: dict[str, Any]) -> str:
        return formats.window(_date(window["since"]), _date(window["until"]), self.language)

    def days(self, days: Sequence[Any]) -> str:
        """The first of them, with dots for the rest."""
        return ", ".join([*(self.day(day) for day in days[:_DAYS]), *(["…"] if len(days) > _DAYS else [])])

    # --- sentences --------------------------------------------------------------------------

    def report(self, result: dict[str, Any], intent: str, sort_by: str) -> str:
        """An ads_report in sentences: per account what was spent and what came of it, the change, what leads."""
        reports = result["reports"]
        if intent == "ranking":  # an account without the figure has no place in its ranking
            reports = [one for one in reports if self._leaders_of(one, sort_by)] or reports
        paragraphs = [self._account(report, intent, sort_by, len(result["reports"])) for report in reports]
        for total in result.get("totals", []) if intent != "ranking" else []:
            if total.get("now"):
                spent = self.figure("spend", total["now"]["spend"], total["currency"])
                change = total.get("change", {}).get("spend")
                paragraphs.append(
                    self.say(
                        "ads.together", accounts=total["accounts"], spend=spent, change=change and self.change(change)
                    )
                )
        paragraphs += self._left_out(result)
        return "\n\n".join(paragraphs)

    def _account(self, report: dict[str, Any], intent: str, sort_by: str, accounts: int) -> str:
        currency, name = report["account"]["currency"], report["account"]["name"]
        subject = name if report["total_of"] == "account" else f"{report['total_of']} ({name})"
        now, before, change = report["total"], report["before"], report["change"]
        lines = []
        if intent == "ranking" and self._all_zero(report, sort_by):
            window = self.window(report["window"])
            return self.say("ads.none_of", subject=subject, metric=self.metric(sort_by), window=window)
        if now is None or (now["spend"] is None and now["impressions"] is None):
            lines.append(self.say("ads.nothing", subject=subject, window=self.window(report["window"])))
        elif intent == "ranking":
            lines.append(
                self.say(
                    "ads.ranking", subject=subject, metric=self.metric(sort_by), window=self.window(report["window"])
                )
            )
        else:
            if now.get(sort_by) is not None and sort_by != "spend":  # the figure that was asked for comes first
                lines.append(
                    self.say(
                        "ads.asked",
                        subject=subject,
                        metric=self.metric(sort_by),
                        value=self.figure(sort_by, now[sort_by], currency),
                        change=self.change(change[sort_by]) if change.get(sort_by) is not None else None,
                        window=self.window(report["window"]),
                    )
                )
            spent = None if now["spend"] is None else self.figure("spend", now["spend"], currency)
            lines.append(self.say("ads.spent", subject=subject, spend=spent, window=self.window(report["window"])))
            kinds = report["kinds"] or [{"kind": now["result_kind"], "now": now, "before": before, "change": change}]
            lines += [f"- {self._kind(kind, currency, report['compare'] is not None)}" for kind in kinds if kind["now"]]
        if report["compare"] is not None and now is not None:
            lines.append(self._compared(report, currency))
        leaders = self._leaders_of(report, sort_by)
        if leaders and (intent == "ranking" or (report["total_of"] == "account" and len(report["rows"]) > 1)):
            lines.append(self._leaders(leaders, intent, sort_by, currency))
        if now is not None and (days := report["days_without_data"]):
            lines.append(self.say("ads.days_without_data", count=len(days), days=self.days(days)))
        if before is not None and (days := report["compare_days_without_data"]):
            lines.append(self.say("ads.compare_days_without_data", count=len(days), days=self.days(days)))
        if report["window"]["partial"]:
            lines.append(self.say("ads.partial"))
        if report["compare"] and report["compare"]["days"] != report["window"]["days"]:
            lines.append(
                self.say("ads.lengths_differ", days=report["window"]["days"], compare_days=report["compare"]["days"])
            )
        if report["compare"] and _overlap(report["window"], report["compare"]):
            lines.append(self.say("ads.windows_overlap"))
        return "\n".join(lines)

    def _leaders_of(self, report: dict[str, Any], metric: str) -> list[dict[str, Any]]:
        """The rows that have the figure, in their order."""
        return [row for row in report["rows"] if row["now"] and row["now"].get(metric) is not None]

    def budgets(self, result: dict[str, Any]) -> list[str]:
        """A sentence for each budget in the rows; the ones on another level are not there."""
        lines = []
        for report in result["reports"]:
            for row in report["rows"]:
                budget = row["daily_budget"] or row["lifetime_budget"]
                if budget is not None:
                    amount = formats.money(Money(Decimal(str(budget)), report["account"]["currency"]), self.language)
                    daily = row["daily_budget"] is not None
                    lines.append(self.say("ads.budget", name=row["name"], budget=amount, daily=daily))
        return lines

    def statuses(self, result: dict[str, Any]) -> list[str]:
        """What runs and what does not, by account: the names under each status. Only what has figures in the window is
        in a report, and the heading says so."""
        paragraphs = []
        for report in result["reports"]:
            by_status: dict[str, list[str]] = {}
            for row in report["rows"]:
                by_status.setdefault(row["status"], []).append(row["name"])
            lines = [f"- {self.status(status)}: {', '.join(names)}." for status, names in by_status.items() if status]
            if lines:
                window = self.window(report["window"])
                heading = self.say("ads.statuses", account=report["account"]["name"], window=window)
                paragraphs.append("\n".join([heading, *lines]))
        return paragraphs

    def _all_zero(self, report: dict[str, Any], metric: str) -> bool:
        """Whether something was counted and none of it happened: a ranking of zeros says nothing."""
        values = [row["now"][metric] for row in report["rows"] if row["now"] and row["now"].get(metric) is not None]
        return bool(values) and not any(Decimal(str(value)) for value in values)

    def _kind(self, kind: dict[str, Any], currency: str, compared: bool) -> str:
        now = kind["now"]
        if now["results"] is None:
            return self.say("ads.no_results_known")
        parts = [
            self.say(
                "ads.results",
                count=self.figure("results", now["results"], currency),
                what=self.kind(kind["kind"], now["results"]),
                cost=None
                if now["cost_per_result"] is None
                else self.figure("cost_per_result", now["cost_per_result"], currency),
            )
        ]
        if now["roas"] is not None and kind["kind"] == "purchase":
            value = (
                None
                if now["purchase_value"] is None
                else self.figure("purchase_value", now["purchase_value"], currency)
            )
            parts.append(self.say("ads.roas", roas=self.figure("roas", now["roas"], currency), value=value))
        if compared:
            parts += [
                self.say("ads.changed", metric=self.metric(metric), change=self.change(kind["change"][metric]))
                for metric in ("results", "cost_per_result")
                if kind["change"].get(metric) is not None
            ]
        return ", ".join(parts) + "."

    def _compared(self, report: dict[str, Any], currency: str) -> str:
        before, change = report["before"], report["change"]
        window = self.window(report["compare"])
        if before is None:
            return self.say("ads.nothing_before", window=window)
        told = [
            self.say(
                "ads.change_of",
                metric=self.metric(metric),
                change=self.change(change[metric]),
                before=self.figure(metric, before[metric], currency),
            )
            for metric in ("spend", "ctr", "cpm", "roas")
            if change.get(metric) is not None
        ]
        return self.say("ads.compared", window=window, changes="; ".join(told))

    def _leaders(self, rows: list[dict[str, Any]], intent: str, sort_by: str, currency: str) -> str:
        shown = rows[: _LEADERS if intent != "ranking" else 5]
        named = [f"{row['name']} ({self.figure(sort_by, row['now'][sort_by], currency)})" for row in shown]
        if intent == "ranking":
            return "\n".join(f"{n}. {text}" for n, text in enumerate(named, 1))
        return self.say("ads.leaders", metric=self.metric(sort_by), names=", ".join(named))

    def trend(self, result: dict[str, Any]) -> str:
        lines = []
        for series in result["series"]:
            currency = series["account"]["currency"]
            known = [point for point in series["points"] if point[1] is not None]
            if not known:
                lines.append(self.say("ads.nothing", subject=series["of"], window=self.window(series["window"])))
                continue
            whole = known[:-1] if series["window"]["partial"] and len(known) > 1 else known  # today is not over
            first, last = whole[0], whole[-1]

            def at(point: list[Any], metric: str = series["metric"], currency: str = currency) -> str:
                return f"{self.figure(metric, point[1], currency)} ({self.day(point[0])})"

            lines.append(
                self.say(
                    "ads.trend",
                    subject=series["of"],
                    metric=self.metric(series["metric"]),
                    kind=self.kind(series["result_kind"]) if series["result_kind"] else None,
                    first=at(first),
                    last=at(last),
                    highest=at(series["highest"]),
                    lowest=at(series["lowest"]),
                )
            )
            if series["days_without_data"]:
                days = series["days_without_data"]
                lines.append(self.say("ads.days_without_data", count=len(days), days=self.days(days)))
        return "\n\n".join([*lines, *self._left_out(result)])

    def diagnosis(self, result: dict[str, Any]) -> str:
        """What ads_diagnose found, each finding with its evidence; nothing found is said too."""
        paragraphs = []
        for found in result["accounts"]:
            name, window = found["account"]["name"], self.window(found["window"])
            if not found["findings"]:
                paragraphs.append(self.say("ads.nothing_found", checked=found["checked"], account=name, window=window))
                continue
            lines = [self.say("ads.found", account=name, window=window)]
            lines += [self._finding(finding, found["window"]) for finding in found["findings"]]
            paragraphs.append("\n".join(lines))
        return "\n\n".join([*paragraphs, *self._left_out(result)])

    def _finding(self, finding: dict[str, Any], window: dict[str, Any]) -> str:
        name = finding["name"] if not finding["campaign"] else f"{finding['name']} ({finding['campaign']})"
        what = self.say(f"finding.kind.{finding['kind']}")
        do = self.say("ads.suggestion", what=self.say(f"finding.suggestion.{finding['suggestion']}"))
        facts = "; ".join(self.fact(fact, window) for fact in finding["evidence"])
        return f"- **{name}**: {what}. {do}" + (f"\n    - {facts}." if facts else "")

    def fact(self, fact: dict[str, Any], window: dict[str, Any] | None = None) -> str:
        """One piece of evidence: what was measured, its value, and over which days where they are not `window`."""
        value: Any = fact["value"]
        match fact["unit"]:
            case "money":
                value = formats.money(Money(Decimal(str(value)), fact["currency"]), self.language)
            case "percent":
                value = formats.percent(Decimal(str(value)), self.language, 2)
            case "ratio":
                value = formats.number(Decimal(str(value)), self.language, 2)
            case "day":
                value = self.day(value)
            case "number":
                value = self.figure("results", value, "")
        text = f"{self.say(fact['label'])} {value}"
        same = window is not None and (fact["since"], fact["until"]) == (window["since"], window["until"])
        if fact["since"] and fact["unit"] != "day" and not same:
            days = formats.window(_date(fact["since"]), _date(fact["until"]), self.language)
            return f"{text} ({days})"
        return text

    def accounts(self, result: dict[str, Any]) -> str:
        lines = [self.say("ads.accounts", count=len(result["accounts"]))]
        for account in result["accounts"]:
            lines.append(
                self.say(
                    "ads.account",
                    name=account["name"],
                    currency=account["currency"],
                    zone=account["time_zone"],
                    file=account["source"] == "file",
                    active=account["active"],
                )
            )
        return "\n".join([*lines, *self._left_out(result)])

    def _left_out(self, result: dict[str, Any]) -> list[str]:
        lines = []
        for source in result.get("not_answering", []):
            kind, _, code = source.partition(": ")
            reason = self.say(f"error.{code}") if code and self._plain_error(code) else code
            lines.append(self.say("ads.not_answering", source=kind, reason=reason))
        if result.get("accounts_left_out"):
            lines.append(self.say("ads.accounts_left_out", count=result["accounts_left_out"]))
        return lines

    def _plain_error(self, code: str) -> bool:
        """Whether the error's words need no parameter: the tool's result keeps only its code."""
        source = self.texts.sources[self.language].get(f"error.{code}", "{{")
        return "{{" not in source and "{%" not in source

    # --- what the numbers are of --------------------------------------------------------------

    def footer(self, reports: Iterable[dict[str, Any]]) -> str:
        """Account, window, zone, attribution and currency of every number, once each."""
        windows: dict[tuple[str, str, bool], list[str]] = {}
        for report in reports:
            account, window = report["account"], report["window"]
            text = self.window(window)
            if window["partial"]:
                text = self.say("ads.footer_partial", window=text)
            if report.get("compare"):
                text = self.say("ads.footer_compare", window=text, compare=self.window(report["compare"]))
            setting = self.say(
                "ads.footer",
                zone=window["time_zone"],
                attribution=report["attribution"] or None,
                currency=account["currency"],
            )
            key = (account["name"], setting, account["source"] == "file")
            if text not in windows.setdefault(key, []):
                windows[key].append(text)
        return " · ".join(
            self.say("ads.footer_account", account=account, file=file, windows="; ".join(texts), setting=setting)
            for (account, setting, file), texts in windows.items()
        )

    # --- tables and charts --------------------------------------------------------------------

    def tables(self, result: dict[str, Any], first: int = 1) -> list[Table]:
        """One table per account of an ads_report. `first` is the number of the first row: follow-ups count on."""
        tables = []
        for report in result["reports"]:
            if not self.has_table(report, result["sort_by"]):
                continue
            tables.append(self._table(report, result["level"], result["sort_by"], first))
            first += len(report["rows"])
        return tables

    def has_table(self, report: dict[str, Any], sort_by: str) -> bool:
        """False where a table would hold nothing but "no data", or a ranking of zeros; the text says so."""
        return any(row["now"] or row["before"] for row in report["rows"]) and not self._all_zero(report, sort_by)

    def _table(self, report: dict[str, Any], level: str, sort_by: str, first: int) -> Table:
        currency = report["account"]["currency"]
        compared = report["compare"] is not None
        metrics = list(_TABLE_COMPARED if compared else _TABLE)
        if sort_by not in metrics:
            metrics.append(sort_by)
        statuses = {row["status"] for row in report["rows"]}
        with_status = statuses != {"ACTIVE"} and statuses != {""}  # a column that says the same of all says nothing
        columns = ["#", self.say(f"ads.level.{level}"), *(self.metric(metric) for metric in metrics)]
        rows = []
        for n, row in enumerate(report["rows"], first):
            cells = [str(n), row["name"], *(self._cell(row, metric, currency, compared) for metric in metrics)]
            rows.append([*cells, self.status(row["status"])] if with_status else cells)
        title = f"{report['account']['name']} · {self.window(report['window'])}"
        if compared:
            title = self.say("ads.table_compared", title=title, window=self.window(report["compare"]))
        aligns: list[Any] = ["right", "left", *(["right"] * len(metrics))]
        if with_status:
            columns.append(self.say("ads.status"))
            aligns.append("left")
        return Table(title, columns, rows, aligns)

    def _cell(self, row: dict[str, Any], metric: str, currency: str, compared: bool) -> str:
        """The figure; "–" where there are data but nothing to divide by: a cost per result of no results."""
        now = row["now"] or {}
        by = _DIVIDED_BY.get(metric)
        divisor = None if by is None else now.get(by)
        nothing = now.get(metric) is None and divisor is not None and Decimal(str(divisor)) == 0
        text = "–" if nothing else self.figure(metric, now.get(metric), currency)
        if metric == "results" and now.get("results") is not None and now.get("result_kind"):
            text = f"{text} {self.kind(now['result_kind'], now['results'])}"
        change = row["change"].get(metric)
        return f"{text} ({self.change(change)})" if compared and change is not None else text

    def status(self, status: str) -> str:
        key = f"ads.status.{status}"
        return self.say(key) if status and self.has(key) else status.replace("_", " ").capitalize()

    def report_charts(self, result: dict[str, Any]) -> list[Chart]:
        """A bar per campaign (ad set, ad) by the figure asked about, beside the compared period where there is one."""
        charts = []
        for report in result["reports"]:
            metric = result["sort_by"]
            rows = [row for row in report["rows"] if row["now"] and row["now"].get(metric) is not None][:_BARS]
            if len(rows) < 2:
                continue
            currency = report["account"]["currency"]
            series = [Series(self.window(report["window"]), [_float(row["now"][metric]) for row in rows])]
            if report["compare"] is not None:
                before = [_float((row["before"] or {}).get(metric)) for row in rows]
                series.append(Series(self.window(report["compare"]), before))
            title = f"{self.metric(metric)} · {report['account']['name']}"
            charts.append(Chart(title, "bar", [row["name"] for row in rows], series, self.unit(metric, currency)))
        return charts

    def trend_charts(self, result: dict[str, Any]) -> list[Chart]:
        """One chart for each account and unit; a line per campaign or kind of result."""
        groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for series in result["series"]:
            groups.setdefault((series["account"]["id"], series["metric"], str(series["window"])), []).append(series)
        charts = []
        for members in groups.values():
            one = members[0]
            lines = [
                Series(
                    f"{m['of']} – {self.kind(m['result_kind'])}" if m["result_kind"] and len(members) > 1 else m["of"],
                    [_float(value) for _, value in m["points"]],
                )
                for m in members
            ]
            title = f"{self.metric(one['metric'])} · {one['account']['name']}"
            x = [formats.day(_date(day), self.language) for day, _ in one["points"]]
            charts.append(Chart(title, "line", x, lines, self.unit(one["metric"], one["account"]["currency"])))
        return charts

    def unit(self, metric: str, currency: str) -> str:
        if metric in _MONEY:
            return currency
        return "%" if metric in _PERCENT else self.metric(metric)


def of_kind(result: dict[str, Any], kind: str | None) -> dict[str, Any]:
    """An ads_report with only the rows that count this kind of result, and only the accounts that have such rows; as it
    is where there are none, or no kind is given."""
    kept = [
        {**report, "rows": [row for row in report["rows"] if row["now"] and row["now"]["result_kind"] == kind]}
        for report in result["reports"]
    ]
    kept = [report for report in kept if report["rows"]]
    return {**result, "reports": kept} if kind and kept else result


def _overlap(window: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a day is in both; dates compare as their ISO form does."""
    return bool(window["since"] <= other["until"] and other["since"] <= window["until"])


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)
