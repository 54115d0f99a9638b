"""Files in conversations: which may be sent, and how one is laid out."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from business.messaging.conversation import Message
from business.messaging.outbox import OUR_FILE
from channels.inbox_look import Data, Look, kind_of
from core import formats

UPLOADS: Mapping[str, tuple[str, str]] = {
    ".jpg": ("image", "image/jpeg"),
    ".jpeg": ("image", "image/jpeg"),
    ".png": ("image", "image/png"),
    ".webp": ("sticker", "image/webp"),
    ".mp4": ("video", "video/mp4"),
    ".3gp": ("video", "video/3gpp"),
    ".mp3": ("audio", "audio/mpeg"),
    ".m4a": ("audio", "audio/mp4"),
    ".aac": ("audio", "audio/aac"),
    ".amr": ("audio", "audio/amr"),
    ".ogg": ("audio", "audio/ogg"),
    ".pdf": ("document", "application/pdf"),
    ".txt": ("document", "text/plain"),
    ".doc": ("document", "application/msword"),
    ".docx": ("document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ".xls": ("document", "application/vnd.ms-excel"),
    ".xlsx": ("document", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ".ppt": ("document", "application/vnd.ms-powerpoint"),
    ".pptx": ("document", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
}
"""Ending → (WhatsApp's kind, media type): what WhatsApp takes (integrations/whatsapp_cloud/media.py)."""
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
FILMS = frozenset({"video/mp4", "video/3gpp", "video/webm"})


def file_of(look: Look, one: Message) -> Data | None:
    """The file of a message: what came in is a row of chat_media, what one of ours sent a file in the message."""
    row = one.media
    if row is None:
        payload = one.content.get(one.kind)
        id_ = str(payload.get("id") or "") if isinstance(payload, Mapping) else ""
        if one.kind not in ("image", "video", "audio", "document", "sticker") or not id_.startswith(OUR_FILE):
            return None
        assert isinstance(payload, Mapping)
        name = str(payload.get("filename") or "")
        row = {"id": id_, "kind": one.kind, "state": "kept", "file_id": id_, "name": name, "mime": ""}
    kept = row.get("state") == "kept" and bool(row.get("file_id"))
    kind, mime = str(row.get("kind") or one.kind), str(row.get("mime") or "").partition(";")[0]
    label = str(row.get("name") or "") or kind_of(look, one)
    words, state = str(row.get("words") or ""), str(row.get("words_state") or "none")
    by = str(row.get("words_by") or "")
    by = "" if by.startswith("mutirao/") else by  # a reader of ours: no model whose word it would be
    known = {"audio": "transcript", "image": "description", "sticker": "description"}.get(kind, "text")
    shows = kind if mime == "" else "image" if mime in PICTURES else "video" if mime in FILMS else "file"
    reason = str(row.get("reason") or "")
    why = look.word(f"media.reason.{reason}", look.say("media.reason.other")) if reason else ""
    gone = f"inbox.media.{row.get('state')}"
    return {
        "id": str(row["id"]),
        "kind": kind,
        "state": str(row.get("state") or ""),
        "shows": "image" if shows == "sticker" else shows,
        "url": f"/chat/data/inbox/media/{row['id']}?chat={one.chat_id}" if kept else "",
        "label": label,
        "name": str(row.get("name") or ""),
        "alt": words[:300] or label,
        "size": _size(look, row.get("size")),
        "seconds": float(row["seconds"]) if row.get("seconds") else 0,
        "note": "" if kept else f"{look.word(gone, '')} {why}".strip(),
        "words": words if state == "done" else "",
        "words_label": look.say(f"inbox.words.{known}", by=by) if state == "done" else "",
        "words_note": why
        if state == "failed" and kept
        else look.say("inbox.words.waiting")
        if state == "waiting"
        else "",
    }


def _size(look: Look, size: Any) -> str:
    if not isinstance(size, int) or size <= 0:
        return ""
    unit, by = ("MB", 1_048_576) if size >= 1_048_576 else ("kB", 1_024)
    return f"{formats.number(Decimal(size) / by, look.who.language, 1 if unit == 'MB' else 0)} {unit}"
