"""What the simulated Evolution server remembers: its instance, messages, files, and every request, on disk."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

INSTANCE = "vendas"
"""The one instance of the sandbox's server."""
OWNER = "5511900000001"
KEY_PREFIX = "SANDBOX"
"""How the simulator's API keys begin: a real key never leaves for it, and its own never leaves this machine."""
STATUSES = ("PENDING", "SERVER_ACK", "DELIVERY_ACK", "READ", "PLAYED")


@dataclass
class Message:
    """A message of either side. `raw` is Evolution's shape of it (prepareMessage)."""

    id: str
    contact: str
    from_me: bool
    at: float
    raw: dict[str, Any]
    status: str = "PENDING"
    source: str = "phone"
    """phone, or api for what was sent by a request."""
    file: str = ""
    """Name of its file in the folder "files"; "" when it has none."""
    mime: str = ""


@dataclass
class State:
    """In `folder`: `api_key`, `journal.jsonl` (what happened), `witness.jsonl` (requests, synced before anything is
    done about them), `files/`."""

    folder: Path
    instance_state: str = "open"
    webhook: dict[str, Any] | None = None
    messages: dict[str, Message] = field(default_factory=dict)
    lids: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    witnessed: list[dict[str, Any]] = field(default_factory=list)
    presences: list[dict[str, Any]] = field(default_factory=list)
    presences_at: list[float] = field(default_factory=list)
    """When each of them came, in seconds since 1970."""
    met: dict[str, str] = field(default_factory=dict)
    """Names of the contacts that the phone in the browser has made."""
    read_by_us: set[str] = field(default_factory=set)
    """Ids of the contacts' messages that were marked as read."""
    phone_events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By contact: what it changed and took back, as the phone in the browser shows it (view.py)."""

    def __post_init__(self) -> None:
        (self.folder / "files").mkdir(parents=True, exist_ok=True)
        key = self.folder / "api_key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(KEY_PREFIX + secrets.token_hex(20).upper())
        self.api_key = key.read_text().strip()
        for line in _lines(self.folder / "journal.jsonl"):
            self._apply(line)
        self.witnessed = list(_lines(self.folder / "witness.jsonl"))
        self._journal = (self.folder / "journal.jsonl").open("a", encoding="utf-8")
        self._witness = (self.folder / "witness.jsonl").open("a", encoding="utf-8")

    def witness(self, method: str, path: str, body: Any, known: bool) -> None:
        """Write a request down, synced, before anything is done about it."""
        line = {"n": len(self.witnessed), "method": method, "path": path, "body": body, "key_known": known}
        self._witness.write(json.dumps(line, ensure_ascii=True) + "\n")
        self._witness.flush()
        os.fsync(self._witness.fileno())
        self.witnessed.append(line)

    def note(self, do: str, **more: Any) -> None:
        """Let something have happened, now and after a restart."""
        line = {"do": do, **more}
        self._journal.write(json.dumps(line, ensure_ascii=True) + "\n")
        self._journal.flush()
        self._apply(line)

    def keep(self, message: Message, content: bytes | None = None) -> Message:
        if content is not None:
            message.file = hashlib.sha256(content).hexdigest()
            (self.folder / "files" / message.file).write_bytes(content)
        self.note("message", message=asdict(message))
        return self.messages[message.id]

    def file(self, message: Message) -> bytes | None:
        path = self.folder / "files" / message.file
        return path.read_bytes() if message.file and path.is_file() else None

    def lid(self, contact: str) -> str:
        """The linked id of a telephone: always the same."""
        found = str(int(hashlib.sha256(contact.encode()).hexdigest()[:12], 16)).zfill(15)
        self.lids[f"{found}@lid"] = contact
        return f"{found}@lid"

    def thread(self, contact: str) -> list[Message]:
        return [one for one in self.messages.values() if one.contact == contact]

    def _apply(self, line: dict[str, Any]) -> None:
        match line.get("do"):
            case "message":
                message = Message(**line["message"])
                self.messages[message.id] = message
                self.lid(message.contact)
            case "status":
                if (found := self.messages.get(line["id"])) is not None:
                    found.status = line["status"]
            case "webhook":
                self.webhook = line["webhook"]
            case "state":
                self.instance_state = line["state"]
            case "met":
                self.met[line["contact"]] = line["name"]
            case "read_by_us":
                self.read_by_us.update(line["ids"])
            case "absent":
                self.absent.add(line["contact"])


def new_id() -> str:
    """As WhatsApp Web names a message."""
    return "3EB0" + secrets.token_hex(9).upper()


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue  # torn by a kill
        if isinstance(found, dict):
            yield found
