"""What the simulated WhatsApp remembers, on disk: accounts, templates, media, conversations; and the witness.

Requests and what came of them: `witness.jsonl` and `journal.jsonl` (integrations/sandbox_chats.py).
"""

import asyncio
import hashlib
import os
import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from integrations.sandbox_chats import Journal, wa_id_of

TOKEN_PREFIX = "EAASANDBOX"
"""How every token of the simulators begins, so that neither it nor a real one is ever sent to the wrong address."""
WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Account:
    """A WhatsApp business account with one number. Two of them, so that tenants can be told apart."""

    waba_id: str
    number_id: str
    display: str
    name: str


ACCOUNTS = (
    Account("100000000000101", "100000000000201", "551940000001", "Aurora Móveis"),
    Account("100000000000102", "100000000000202", "551940000002", "Vitória Studio"),
)


def _starting(
    name: str, category: str, language: str, body: str, examples: list[str], *more: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "category": category,
        "language": language,
        "status": "APPROVED",
        "components": [{"type": "BODY", "text": body, "example": {"body_text": [examples]}}, *more],
        "quality_score": {"score": "GREEN", "date": 1763650000},
        "rejected_reason": "NONE",
        "parameter_format": "POSITIONAL",
    }


_STOP = {"type": "FOOTER", "text": "Responda SAIR para não receber mais mensagens."}
TEMPLATES = (
    _starting(
        "primeiro_contato",
        "MARKETING",
        "pt_BR",
        "Olá, {{1}}! Aqui é {{2}}, da {{3}}. {{4}} Posso contar mais em dois minutos?",
        ["Ana", "Rui", "Aurora", "Vi o seu escritório."],
        _STOP,
        {
            "type": "BUTTONS",
            "buttons": [{"type": "QUICK_REPLY", "text": "Pode sim"}, {"type": "QUICK_REPLY", "text": "Agora não"}],
        },
    ),
    _starting(
        "retomar_conversa",
        "MARKETING",
        "pt_BR",
        "Olá, {{1}}! Ficou faltando terminar a nossa conversa sobre {{2}}. Quer continuar?",
        ["Ana", "as mesas"],
        _STOP,
    ),
    _starting(
        "voltar_ao_contato",
        "MARKETING",
        "pt_BR",
        "Olá, {{1}}! Escrevi há alguns dias e volto só para saber se faz sentido conversarmos. Quer saber mais?",
        ["Ana"],
        _STOP,
    ),
    _starting(
        "voltar_por_ultimo",
        "MARKETING",
        "pt_BR",
        "Olá, {{1}}! Esta é a minha última mensagem por aqui. Se um dia fizer sentido, é só me chamar.",
        ["Ana"],
        _STOP,
    ),
    _starting(
        "confirmar_reuniao",
        "UTILITY",
        "pt_BR",
        "Olá, {{1}}! Sua reunião está marcada para {{2}}. Até lá, equipe {{3}}.",
        ["Ana", "amanhã", "Aurora"],
    ),
    _starting(
        "primer_contacto",
        "MARKETING",
        "es",
        "¡Hola, {{1}}! Soy {{2}}, de {{3}}. {{4}} ¿Le cuento más?",
        ["Ana", "Rui", "Aurora", "Vi su estudio."],
    ),
    _starting(
        "first_contact",
        "MARKETING",
        "en",
        "Hello {{1}}, this is {{2}} of {{3}}. {{4}} May I tell you more?",
        ["Ana", "Rui", "Aurora", "I saw your studio."],
    ),
)


@dataclass
class Chat:
    """One message, of ours ("out") or of the contact ("in")."""

    id: str
    number_id: str
    contact: str
    """The contact's wa_id."""
    direction: str
    at: float
    body: dict[str, Any]
    """type and content, as sent."""
    callback_data: str | None = None
    statuses: list[list[Any]] = field(default_factory=list)
    """[status, seconds, code of the error or None], in the order in which they came about."""
    reply_to: str | None = None
    held: bool = False
    """Written on a phone without a connection: it leaves when that is back."""

    @property
    def status(self) -> str | None:
        return self.statuses[-1][0] if self.statuses else None

    @property
    def lies_on_the_phone(self) -> bool:
        """Whether the contact can see it: it is theirs, or it was delivered."""
        return self.direction == "in" or any(told[0] in ("delivered", "read") for told in self.statuses)


@dataclass
class Contact:
    """Whose phone it is."""

    wa_id: str
    phone: str
    user_id: str
    name: str
    stopped: bool = False
    """Marketing messages, by WhatsApp's own switch."""
    line: str = "on"
    """on, airplane (it may write, and what it writes waits) or off."""


class State:
    """All of it, of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token, self.app_secret, self.verify_token = made_secrets(folder)
        self.callback: str | None = None
        self.chats: dict[str, Chat] = {}
        self.contacts: dict[str, Contact] = {}
        self._threads: dict[tuple[str, str], list[Chat]] = {}
        self._known: dict[str, Contact] = {}
        self.templates: dict[str, dict[str, dict[str, Any]]] = {}
        """waba id → template id → as told by the API"""
        self.media: dict[str, dict[str, Any]] = {}
        self.typing: dict[tuple[str, str], float] = {}
        self.version = 0
        """Grows with every change that a phone may show."""
        self._changed = asyncio.Event()
        for account in ACCOUNTS:
            keys = {_number(account.waba_id, one["name"], one["language"]): one for one in TEMPLATES}
            self.templates[account.waba_id] = {key: {"id": key} | one for key, one in keys.items()}
        self.journal = Journal(folder, self._apply)

    def close(self) -> None:
        self.journal.close()

    # --- writing ------------------------------------------------------------------------------

    def witness(self, method: str, path: str, body: Any, authorized: bool) -> None:
        """Note a request, on disk before this returns."""
        self.journal.witness(
            {
                "n": len(self.journal.witnessed) + 1,
                "at": datetime.now(UTC).isoformat(),
                "method": method,
                "path": path,
                "authorized": authorized,
                "body": body,
            }
        )

    def note(self, kind: str, **what: Any) -> None:
        """Change the state, and remember it for the next start."""
        self.journal.note({"kind": kind, **what})
        self.touch()

    def touch(self) -> None:
        """Tell those who look on that there is something new."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def newer(self, than: int, seconds: float) -> None:
        """Wait while the version is still `than`, for at most so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.version == than and (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return

    def _apply(self, line: dict[str, Any]) -> None:
        kind = line.get("kind")
        if kind == "chat":
            chat = Chat(**line["chat"])
            self.chats[chat.id] = chat
            self._threads.setdefault((chat.number_id, chat.contact), []).append(chat)
        elif kind == "status":
            if line["id"] in self.chats:
                self.chats[line["id"]].statuses.append([line["status"], line["at"], line["code"]])
        elif kind == "left":
            if line["id"] in self.chats:
                self.chats[line["id"]].held = False
        elif kind == "contact":
            contact = Contact(**line["contact"])
            self.contacts[contact.wa_id] = contact
            self._known |= dict.fromkeys((contact.wa_id, contact.phone, contact.user_id), contact)
        elif kind == "template":
            self.templates[line["waba_id"]][line["template"]["id"]] = line["template"]
        elif kind == "media":
            self.media[line["media"]["id"]] = line["media"]
        elif kind == "media_gone":
            self.media.pop(line["id"], None)
        elif kind == "callback":
            self.callback = line["url"]

    # --- things -------------------------------------------------------------------------------

    def keep_media(self, content: bytes, mime: str, number_id: str) -> dict[str, Any]:
        """Store a file; its record has id, mime_type, sha256 (hex) and file_size."""
        media_id = str(secrets.randbelow(9 * 10**15) + 10**15)
        (self.folder / "media").mkdir(exist_ok=True)
        (self.folder / "media" / media_id).write_bytes(content)
        record = {
            "id": media_id,
            "mime_type": mime,
            "sha256": hashlib.sha256(content).hexdigest(),
            "file_size": len(content),
            "number_id": number_id,
        }
        self.note("media", media=record)
        return record

    def template(self, waba_id: str, name: str, language: str) -> dict[str, Any] | None:
        rows = self.templates[waba_id].values()
        return next((one for one in rows if one["name"] == name and one["language"] == language), None)

    def media_content(self, media_id: str) -> bytes:
        return (self.folder / "media" / media_id).read_bytes()

    def contact(self, told: str, name: str = "") -> Contact:
        """The contact of a phone number, wa_id or user id; made when new."""
        digits, found = told.lstrip("+"), self.find(told)
        if found is None or (name and found.name != name):
            wa_id = found.wa_id if found else wa_id_of(digits)
            made = (
                replace(found, name=name)
                if found
                else Contact(wa_id, digits, "BR." + _number("user", wa_id), name or f"Contato {wa_id[-4:]}")
            )
            self.note("contact", contact=asdict(made))
            found = self.contacts[made.wa_id]
        return found

    def find(self, told: str) -> Contact | None:
        """The contact of a phone number, wa_id or user id; None when there is none yet."""
        digits = told.lstrip("+")
        return self._known.get(digits) or self._known.get(wa_id_of(digits))

    def thread(self, number_id: str, wa_id: str) -> list[Chat]:
        return self._threads.get((number_id, wa_id), [])

    def window_open(self, number_id: str, wa_id: str, now: datetime) -> bool:
        """Whether the contact wrote in the last 24 hours."""
        last = next((one.at for one in reversed(self.thread(number_id, wa_id)) if one.direction == "in"), None)
        return last is not None and now - datetime.fromtimestamp(last, UTC) < WINDOW


def made_secrets(folder: Path) -> tuple[str, str, str]:
    """Token, app secret and verify token of the simulator of `folder`, made when they are not there; any process may
    ask first."""
    folder.mkdir(parents=True, exist_ok=True)
    return (
        _secret(folder, "token", TOKEN_PREFIX),
        _secret(folder, "app_secret", ""),
        _secret(folder, "verify_token", ""),
    )


def _secret(folder: Path, name: str, prefix: str) -> str:
    file = folder / name
    if not file.exists():
        fresh = folder / f"{name}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(prefix + secrets.token_hex(24))
        try:
            os.link(fresh, file)  # the first to come wins
        except FileExistsError:
            pass
        fresh.unlink()
    return file.read_text().strip()


def new_wamid() -> str:
    return "wamid." + secrets.token_urlsafe(30).replace("-", "A").replace("_", "B") + "="


def _number(*parts: str) -> str:
    """A stable id of 16 digits."""
    return f"1{int(hashlib.sha256('/'.join(parts).encode()).hexdigest(), 16) % 10**15:015d}"
