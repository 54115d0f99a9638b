"""What a person sent, made storable."""

import re
import unicodedata

from core.errors import ArgumentsWrong

LONGEST = 32_768
"""Characters of one message. More than that is a document, which is sent as a file."""

_LOOKS_EMPTY = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols by category, blank to the eye


def clean(text: str) -> str:
    """The same words in a form that PostgreSQL, JSON and every model take: NFC, newlines as \\n, no NUL and no control
    characters but newline and tab, U+FFFD for half of a surrogate pair, no blank edges.

    ArgumentsWrong("message_empty") when nothing is visible (an emoji is visible);
    ArgumentsWrong("message_too_long", limit) above 32,768 characters.
    """
    if len(text) > LONGEST:
        raise ArgumentsWrong("message_too_long", f"more than {LONGEST} characters", limit=LONGEST)
    text = unicodedata.normalize("NFC", storable(text)).strip()
    if not any(map(_visible, text)):
        raise ArgumentsWrong("message_empty", "the message has nothing to read")
    return text


def storable(text: str) -> str:
    """The same words as PostgreSQL, JSON and every wire take them: newlines as \\n, no NUL and no control characters
    but newline and tab, U+FFFD for half of a surrogate pair."""
    # Two halves that stand together become the character they mean; a half alone becomes U+FFFD.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = re.sub(r"\r\n?|[\u2028\u2029\x85]", "\n", text)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)


def _visible(character: str) -> bool:
    # C: control and format (zero width), Z: blanks, M: marks without a letter to stand on
    return unicodedata.category(character)[0] not in "CZM" and character not in _LOOKS_EMPTY
