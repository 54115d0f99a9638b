"""What the simulators of messengers share (whatsapp_cloud, evolution): what they write down, how they are told to
behave, and the files of the phone in the browser. Their couriers are apart: the real ones try again in different ways.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from starlette.requests import Request
from starlette.responses import Response

Line = dict[str, Any]


class Journal:
    """Two files of a folder. `witness.jsonl` has one line for every request to the API, synced to disk before anything
    is done about it: the oracle of tests that kill processes. `journal.jsonl` has what came of it, and is read again at
    a start by `apply`. A line torn by a kill never happened."""

    def __init__(self, folder: Path, apply: Callable[[Line], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.witnessed = list(_lines(folder / "witness.jsonl"))
        for line in _lines(folder / "journal.jsonl"):
            apply(line)
        self._apply = apply
        self._witness, self._journal = _appending(folder / "witness.jsonl"), _appending(folder / "journal.jsonl")

    def close(self) -> None:
        self._witness.close()
        self._journal.close()

    def witness(self, line: Line) -> None:
        """On disk before this returns."""
        self.witnessed.append(line)
        _append(self._witness, line)
        os.fsync(self._witness.fileno())

    def note(self, line: Line) -> None:
        """Let something have happened, now and after a restart."""
        self._apply(line)
        _append(self._journal, line)

    def since(self, request: Request) -> Line:
        """What `GET /__witness?since=N` answers."""
        told = request.query_params.get("since", "0")
        since = int(told) if told.isdecimal() else 0
        return {"requests": self.witnessed[since:], "count": len(self.witnessed)}


class Behaviour:
    """Base of a dataclass of plain settings, which `POST /__config` sets."""

    def change(self, wishes: Line) -> None:
        """ValueError for a name or a kind of value that there is not."""
        known = vars(self)
        for name, value in wishes.items():
            if name not in known or not isinstance(value, int | float | str):
                raise ValueError(f"no such setting: {name}")
            setattr(self, name, type(known[name])(value))


def shown_file(content: bytes | None, mime: str | None) -> Response:
    """A file for the phone in the browser; what it holds is somebody's, so no page is made of it."""
    safe = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox"}
    return Response(content, 200 if content else 404, safe, media_type=mime)


def wa_id_of(phone: str) -> str:
    """What WhatsApp registered for a Brazilian mobile: above area code 28 often without the ninth digit."""
    if len(phone) == 13 and phone.isdecimal() and phone[:2] == "55" and phone[4] == "9" and int(phone[2:4]) > 28:
        return phone[:4] + phone[5:]
    return phone


def _appending(path: Path) -> IO[str]:
    file = path.open("a+", encoding="utf-8")
    file.seek(max(0, file.tell() - 1))
    if file.read() not in ("", "\n"):
        file.write("\n")  # after a torn line
    return file


def _append(file: IO[str], line: Line) -> None:
    file.write(json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n")
    file.flush()


def _lines(file: Path) -> Iterator[Line]:
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue  # torn by a kill
        if isinstance(found, dict):
            yield found
