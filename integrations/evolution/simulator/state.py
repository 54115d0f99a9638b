"""What the simulated Evolution server remembers: its instance, messages, files, and every request, on disk."""

import hashlib
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from integrations.sandbox_chats import Journal

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
    """In `folder`: `api_key`, `files/`, and the two files of a Journal."""

    folder: Path
    instance_state: str = "open"
    webhook: dict[str, Any] | None = None
    messages: dict[str, Message] = field(default_factory=dict)
    lids: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
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
        self.journal = Journal(self.folder, self._apply)

    def witness(self, method: str, path: str, body: Any, known: bool) -> None:
        """Write a request down, synced, before anything is done about it."""
        number = len(self.journal.witnessed)
        self.journal.witness({"n": number, "method": method, "path": path, "body": body, "key_known": known})

    def note(self, do: str, **more: Any) -> None:
        """Let something have happened, now and after a restart."""
        self.journal.note({"do": do, **more})

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
