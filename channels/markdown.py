"""Tables and proposals as Markdown, for the chat. What others wrote (names of ads, of files) stays plain text."""

import csv
import io
import re
from collections.abc import Sequence

from channels.crm_views import address
from core.door import ProposalCard, Table, View
from core.formats import plain
from prompts.texts import Texts

ROWS_SHOWN = 20
"""A longer table shows this many rows; a CSV file beside it has all."""

_BRACKET = re.compile(r"(\\*)([\[\]])")
_OUR_PAGE = re.compile(r"(?<![\\!\]])\[[^\[\]\n]{1,80}\]\(/(?:chat/inbox(?:/\w{1,60})?|sandbox/phone)\)")
_SMALL_PRINT = re.compile(r"_[^\n]+_")
_ITEM = re.compile(r"\s*([-*+]|\d{1,3}[.)])\s")
_NUMBER = re.compile(r"[+-]?[\d.,]+ ?%?")
_STATE_SIGN = {
    "pending": "●",
    "approved": "●",
    "executing": "●",
    "executed": "✓",
    "unknown": "?",
    "failed": "✗",
    "rejected": "✗",
    "expired": "○",
}


def unlinked(text: str) -> str:
    """`text` without links and images behind other words, but for those to the pages of this very house: a company may
    be called "[Pague aqui](https://…)". An address that stands there openly stays one."""
    parts, end = [], 0
    for ours in _OUR_PAGE.finditer(text):
        parts += [_bare(text[end : ours.start()]), ours[0]]
        end = ours.end()
    return "".join([*parts, _bare(text[end:])])


def _bare(text: str) -> str:
    return _BRACKET.sub(lambda found: f"{found[1]}\\{found[2]}" if len(found[1]) % 2 == 0 else found[0], text)


def table(table: Table, texts: Texts, language: str) -> str:
    """A Markdown table of at most `ROWS_SHOWN` rows, and a line that says so when there are more."""
    lines = [f"**{plain(table.title)}**", ""] if table.title else []
    lines.append(_row(table.columns))
    lines.append("|" + "|".join("---:" if side == "right" else ":---" for side in table.align) + "|")
    lines += [_row(row) for row in table.rows[:ROWS_SHOWN]]
    if len(table.rows) > ROWS_SHOWN:
        lines += ["", "_" + texts.say(language, "chat.more_rows", shown=ROWS_SHOWN, count=len(table.rows)) + "_"]
    return "\n".join(lines)


def answer(text: str, tables: list[Table], texts: Texts, language: str, views: Sequence[View] = ()) -> str:
    """The reply's text with its tables below, its small print (last paragraphs all in italics), and its views: each a
    link, which the page draws in its place (chat_assets/public/views.js)."""
    said = _lists_closed(unlinked(text)).split("\n\n")
    small: list[str] = []
    while tables and said and _SMALL_PRINT.fullmatch(said[-1].strip()):
        small.insert(0, said.pop())
    drawn = [view for view in views if address(view)]
    tables = [table for table in tables if table.view not in {view.kind for view in drawn}]
    links = [f"[{plain(texts.say(language, 'view.open_view', title=view.title))}]({address(view)})" for view in drawn]
    return "\n\n".join([*said, *(table(t, texts, language) for t in tables), *small, *links]).strip()


def _lists_closed(text: str) -> str:
    """A blank line after each list: Markdown would read the sentence that follows as part of the last item."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line and not line[0].isspace() and lines and _ITEM.match(lines[-1]) and not _ITEM.match(line):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def card(card: ProposalCard, texts: Texts, language: str) -> str:
    """A proposal as its approver sees it: what, where it stands, before → after, warnings, why."""
    state = f"{_STATE_SIGN.get(card.state, '')} {texts.say(language, f'chat.state.{card.state}')}"
    if card.state == "pending" and card.expires_at:
        state += " · " + texts.say(language, "chat.expires", when=plain(card.expires_at))
    elif card.outcome:
        state += f" · {plain(card.outcome)}"
    parts = [f"**{plain(card.title)}**", state]
    if card.lines:
        head = [texts.say(language, "chat.card_item"), texts.say(language, "chat.card_value")]
        parts.append("\n".join([_row(head), "|:---|:---|", *(_row(list(line)) for line in card.lines)]))
    parts += [f"⚠ {plain(warning)}" for warning in card.warnings]
    if card.evidence:
        why = "\n".join(f"- {plain(line)}" for line in card.evidence)
        parts.append(f"**{texts.say(language, 'chat.evidence')}**\n\n{why}")
    return "\n\n".join(parts)


def csv_file(table: Table) -> bytes:
    """The whole table for a spreadsheet: semicolons and a byte-order mark, as Excel in Portuguese opens it.

    A cell that would be read as a formula gets an apostrophe in front (CWE-1236).
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow([_cell(cell) for cell in table.columns])
    writer.writerows([_cell(cell) for cell in row] for row in table.rows)
    return out.getvalue().encode("utf-8-sig")


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in "=+-@\t\r" and text and not _NUMBER.fullmatch(text) else text


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(plain(cell) for cell in cells) + " |"
