"""Reads the text of documents that strangers sent: PDF, Word, plain text and Markdown. No model takes part.

Pictures of text (a scanned page) have no text here, and say so.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from core.errors import ArgumentsWrong, Unavailable
from core.messages import storable

_ROOT = Path(__file__).parents[2]
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_APART = {"application/pdf": "pdf", _WORD: "docx"}
_PLAIN = ("text/plain", "text/csv", "text/markdown")
_SECONDS = 30.0
_AT_ONCE = 2
"""Documents read side by side in a process: each is a process of its own."""


@dataclass(frozen=True)
class DocumentText:
    """`pages` is 0 where there are none; `cut` when more was in it than was read."""

    text: str
    pages: int
    cut: bool


class DocumentReader:
    """`pages` and `signs` (characters) are the most that is read of one document."""

    def __init__(self, *, pages: int = 40, signs: int = 20_000) -> None:
        self._pages = pages
        self._signs = signs
        self._busy = asyncio.Semaphore(_AT_ONCE)

    async def read(self, content: bytes, mime: str) -> DocumentText:
        """`mime` is what it is by its content.

        ArgumentsWrong("document_unreadable", reason) with unsupported, protected, broken, no_text or too_slow;
        Unavailable("document_reader_failed") when no process can be started.
        """
        if mime in _PLAIN:
            text = storable(_decoded(content)).strip()
            if not text:
                raise _unreadable("no_text")
            return DocumentText(text[: self._signs], 0, len(text) > self._signs)
        if mime not in _APART:
            raise _unreadable("unsupported")
        async with self._busy:
            told = await self._ask(_APART[mime], content)
        if "reason" in told:
            raise _unreadable(str(told["reason"]))
        return DocumentText(storable(str(told["text"])), int(str(told["pages"])), bool(told["cut"]))

    async def _ask(self, kind: str, content: bytes) -> dict[str, object]:
        command = [sys.executable, "-m", "integrations.documents.extract", kind, str(self._pages), str(self._signs)]
        environment = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, cwd=_ROOT, env=environment
            )
        except OSError as error:
            raise Unavailable("document_reader_failed", str(error)) from None
        try:
            said, _ = await asyncio.wait_for(process.communicate(content), _SECONDS)
        except TimeoutError:
            return {"reason": "too_slow"}
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            found = json.loads(said)
        except ValueError:
            return {"reason": "broken"}  # it crashed
        return found if isinstance(found, dict) else {"reason": "broken"}


def _unreadable(reason: str) -> ArgumentsWrong:
    return ArgumentsWrong("document_unreadable", f"a document cannot be read: {reason}", reason=reason)


def _decoded(content: bytes) -> str:
    """In UTF-8, or as Excel writes CSV on Windows."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
