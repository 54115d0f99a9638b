"""A text as WhatsApp shows it: its own marks instead of Markdown, and long answers in parts that end with a sentence.

WhatsApp's marks: *bold*, _italic_, ~strike~, `code`, ```block```, "- " and "1. " lists, "> " quotes (WhatsApp's help
centre; green-api.com/en/docs/faq/how-to-format-messages). Tables, headings, links with a text and rules it has not.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

Hold = Callable[[str], str]
"""Puts a piece aside, and gives a sign that stands for it."""

LONGEST = 4096
"""UTF-16 units of a text message (integrations/whatsapp_cloud/limits.py has the sources)."""

COMFORTABLE = 900
"""What is read on a telephone without being put off: ours."""

MOST_PARTS = 4
"""Parts of one answer before they are made longer: more than this is not read, and each costs 6 seconds. Ours."""

_FENCE = re.compile(r"(^|\n)[ \t]*```(?:[\w+#.-]{0,20}[ \t]*\n)?(.*?)(?:```|\Z)", re.S)
_CODE = re.compile(r"`[^`\n]+`")
_HELD = re.compile("\ue000(\\d+)\ue001")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\([ \t]*<?([^()\s>]{1,2000})>?(?:[ \t]+\"[^\"\n]{0,300}\")?[ \t]*\)")
_AUTO_LINK = re.compile(r"<((?:https?|mailto):[^<>\s]{1,2000})>")
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(\S.*)$", re.M)
_RULE = re.compile(r"^[ \t]{0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$", re.M)
_BULLET = re.compile(r"^([ \t]*)[*+•][ \t]+", re.M)
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.{1,1000}?)(?<=\S)\1")
_BOLD_ITALIC = re.compile(r"\*\*\*(?=\S)(.{1,1000}?)(?<=\S)\*\*\*")
_STRIKE = re.compile(r"~~(?=\S)(.{1,1000}?)(?<=\S)~~")
_BREAK = re.compile(r"[ \t]{0,9}<br[ \t]{0,9}/?>[ \t]{0,9}", re.I)
_ROW = re.compile(r"^[ \t]*\|(.+)\|[ \t]*$")
_LINE_OF_TABLE = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$")
_ALLOWED = {"\n", "\t", "\u200d", "\ufe0f"}  # the last two hold emojis together

_LOOKED_AT = 60  # places before the target, the nearest ones, at which a cut would leave no mark open

# A full stop after one of these ends no sentence.
_SHORT = frozenset(
    "sr sra srs sras srta dr dra drs prof profa eng arq adv av tel cel nº núm art inc pág págs aprox cia ltda s.a mr"
    " mrs ud uds depto dpto apto e.g i.e p.ex vs".split()
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]*_~]*(?=\s)")


def for_whatsapp(text: str) -> str:
    """Markdown (or nothing of the kind) as WhatsApp shows it. Code stays as it is; signs that nobody sees, and that
    could hide or turn words round, are taken out; what is WhatsApp's already stays."""
    held: list[str] = []

    def hold(kept: str) -> str:
        held.append(kept)
        return f"\ue000{len(held) - 1}\ue001"

    found = _clean(text)
    found = _FENCE.sub(lambda one: one[1] + hold(_block(one[2])), found)
    found = _CODE.sub(lambda one: hold(one[0]), found)
    found = "\n".join(_without_tables(found.split("\n")))
    found = _BREAK.sub("\n", found)
    found = _LINK.sub(lambda one: _link(one, hold), found)
    found = _AUTO_LINK.sub(lambda one: hold(one[1].removeprefix("mailto:")), found)
    found = re.sub(r"https?://[^\s)\]]+", lambda one: hold(one[0]), found)
    found = _RULE.sub("", found)
    found = _BULLET.sub(r"\1- ", found)
    found = _HEADING.sub(lambda one: _heading(one[1], hold), found)
    found = _BOLD_ITALIC.sub(lambda one: f"{hold('*_')}{one[1]}{hold('_*')}", found)
    found = _BOLD.sub(lambda one: f"{hold('*')}{one[2]}{hold('*')}", found)
    found = _STRIKE.sub(r"~\1~", found)
    found = "\n".join(line.rstrip() for line in found.split("\n"))
    found = re.sub(r"\n{3,}", "\n\n", found).strip()
    while _HELD.search(found):
        found = _HELD.sub(lambda one: held[int(one[1])], found)
    return found


def _block(code: str) -> str:
    return f"```\n{code.rstrip()}\n```" if "\n" in code.rstrip("\n") or code.endswith("\n") else f"```{code}```"


def _heading(heading: str, hold: Hold) -> str:
    """A heading is one bold line; marks within it would end the bold."""
    plain = re.sub(r"\*\*|__|(?<!\w)[*_]|[*_](?!\w)", "", heading.rstrip("# \t")).strip()
    return f"{hold('*')}{plain}{hold('*')}"


def parts(text: str, *, longest: int = LONGEST, comfortable: int = COMFORTABLE, most: int = MOST_PARTS) -> list[str]:
    """`text` (as `for_whatsapp` gives it) in parts of about `comfortable` signs, none longer than `longest` UTF-16
    units.

    Cut between paragraphs, else between lines, else between sentences, else between words; a word that is longer than a
    message is cut between signs, never within an emoji. Parts get longer rather than more than `most`, as long as
    `longest` allows. A bold, italic, struck or code passage that is cut is closed and opened again. [] for nothing.
    """
    left = text.strip()
    if not left:
        return []
    if width(left) <= min(comfortable * 4 // 3, longest):
        return [left]
    target = min(max(comfortable, -(-width(left) * 9 // 8 // most)), longest)
    room = max(longest - 8, longest // 2)  # for marks that are closed and opened again
    target = min(target, room)
    found: list[str] = []
    again = ""
    while left:
        if width(again + left) <= max(target, min(target * 9 // 8, room)):
            found.append(again + left)
            break
        cut = _cut(left, max(target - len(again), 1), max(room - len(again), 1))
        part, left = again + left[:cut].rstrip(), left[cut:].lstrip()
        ends, again = _open_marks(part)
        if not left:
            ends, again = "", ""
        found.append(part + ends)
    return [one for one in found if one.strip()]


def width(text: str) -> int:
    """UTF-16 units: an emoji counts two. Meta does not say how it counts; this is the larger."""
    return len(text) + sum(1 for sign in text if ord(sign) > 0xFFFF)


def _clean(text: str) -> str:
    whole = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ")
    return "".join(
        sign for sign in whole if sign in _ALLOWED or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co")
    )


def _link(found: "re.Match[str]", hold: Hold) -> str:
    label, address = found[1].strip(), found[2].removeprefix("mailto:").removeprefix("tel:")
    shown = hold(address)
    if not label or label == address or re.sub(r"^https?://(www\.)?|/$", "", address) == label:
        return shown
    return f"{label}: {shown}"


def _without_tables(lines: list[str]) -> Iterator[str]:
    """Rows as "- *first cell*: heading value; heading value"."""
    at = 0
    while at < len(lines):
        head = _ROW.match(lines[at])
        if head is None or at + 1 >= len(lines) or not _LINE_OF_TABLE.match(lines[at + 1]):
            yield lines[at]
            at += 1
            continue
        names = _cells(head[1])
        at += 2
        while at < len(lines) and (row := _ROW.match(lines[at])):
            cells = _cells(row[1])
            first, rest = (cells[0] if cells else ""), list(zip(names[1:], cells[1:], strict=False))
            told = "; ".join(f"{name}: {cell}" if name else cell for name, cell in rest if cell)
            bold = re.sub(r"[*_]{1,3}", "", first)
            yield f"- **{bold}** — {told}" if bold and told else f"- {bold or told}"
            at += 1


def _cells(row: str) -> list[str]:
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", row)]


def _cut(text: str, target: int, room: int) -> int:
    """Where to cut: the last good place up to `target` signs, or the first one after it up to `room`."""
    reach = _units(text, room)
    near = min(_units(text, target), reach)
    least = near // 3
    for places in (_paragraphs, _lines, _sentences, _words):
        found = [place for place in places(text, reach) if place > 0]
        before = [place for place in found if least <= place <= near]
        latest = before[-_LOOKED_AT:]
        calm = next((place for place in reversed(latest) if not any(_open_marks(text[:place]))), None)
        if latest:
            return latest[-1] if calm is None else calm
        after = [place for place in found if near < place <= min(reach, near * 3 // 2)]
        if after and places is not _words:
            return min(after)
    found = [place for place in _words(text, reach) if place > 0]
    return max(found) if found else _sign(text, reach)


def _units(text: str, count: int) -> int:
    """How many characters make up at most `count` UTF-16 units; 1 at least."""
    if text[:count].isascii():
        return min(count, len(text))
    used = 0
    for at, sign in enumerate(text):
        used += 2 if ord(sign) > 0xFFFF else 1
        if used > count:
            return max(at, 1)
    return len(text)


def _paragraphs(text: str, reach: int) -> list[int]:
    return [one.start() for one in re.finditer(r"\n\s*\n", text[: reach + 1]) if one.start() <= reach]


def _lines(text: str, reach: int) -> list[int]:
    return [one.start() for one in re.finditer(r"\n", text[: reach + 1]) if one.start() <= reach]


def _sentences(text: str, reach: int) -> list[int]:
    return [one.end() for one in _SENTENCE_END.finditer(text, 0, min(reach + 1, len(text))) if _ends(text, one)]


def _words(text: str, reach: int) -> list[int]:
    return [one.start() for one in re.finditer(r"\s+", text[: reach + 1]) if one.start() <= reach]


def _ends(text: str, found: "re.Match[str]") -> bool:
    if not found[0].startswith(".") or found[0].startswith(".."):
        return True
    word = re.split(r"[\s(\[\"'“]", text[: found.start()])[-1].strip("*_~").lower()
    if word in _SHORT or (len(word) == 1 and word.isalpha()):
        return False
    line_start = text.rfind("\n", 0, found.start()) + 1
    return not (word.isdigit() and text[line_start : found.start()].strip() == word)  # "1." of a list


def _sign(text: str, at: int) -> int:
    """A place at or before `at` that is not within an emoji or between a letter and its accent."""
    place = at
    while place > 1 and place < len(text) and (_joins(text[place]) or text[place - 1] == "\u200d"):
        place -= 1
    return place if place > 1 or at == 1 else at


def _joins(sign: str) -> bool:
    return sign in "\u200d\ufe0f" or unicodedata.combining(sign) != 0 or 0x1F3FB <= ord(sign) <= 0x1F3FF


def _open_marks(text: str) -> tuple[str, str]:
    """What closes the marks that are open at the end of `text`, and what opens them again."""
    if text.count("```") % 2:
        return "\n```", "```"
    last = text.rsplit("\n", 1)[-1]
    bare = re.sub(r"```.*?```|`[^`]*`|https?://\S+", "", last)
    open_now: list[str] = []
    for found in re.finditer(r"(?<!\w)([*_~])(?=\S)|(?<=\S)([*_~])(?!\w)", bare):
        mark = found[1] or found[2]
        if mark in open_now and found.start() and not bare[found.start() - 1].isspace():
            open_now.remove(mark)
        elif found[1] and mark not in open_now and mark in bare[found.start() + 1 :] + mark:
            open_now.append(mark)
    return "".join(reversed(open_now)), "".join(open_now)
