"""Media by what it is, not by what it says it is; and the hosts from which it may be fetched.

A file is known by its first bytes. What we do not know is "application/octet-stream", and what is text is "text/plain"
unless it looks like a page or is XML. Signatures: IANA and the formats' own specifications.

What we send has to be what it says (`same_kind`). What people send may say more than we can see (`honest`): there are
more kinds of files than are known here, and who refuses them as lies loses invoices and drawings for good.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import ArgumentsWrong, Refused
from integrations.whatsapp_cloud.limits import MEDIA_LIMITS, STATIC_STICKER_BYTES

HOSTS = ("lookaside.fbsbx.com",)
"""Where Meta keeps media (pywa:pywa/_helpers.py:247, Graph's answer to GET /{media id})."""
HOST_ENDS = (".fbsbx.com", ".fbcdn.net", ".whatsapp.net")
MOST_BYTES = 100 * 1024 * 1024
"""Of one file: the largest that WhatsApp passes on, a document."""
UNKNOWN = "application/octet-stream"
_ZIP_OFFICE = {
    b"word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_OLD_OFFICE = frozenset({"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"})
_PAGES = (b"<!doctype html", b"<html", b"<script", b"<svg", b"<iframe", b"<body", b"<head")
_MARGIN = 200_000  # bytes at either end of a ZIP archive in which the names of its files are looked for
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))
_XML = "text/xml"
_OLE = "application/x-ole-storage"
_SILENT = ("", UNKNOWN, "binary/octet-stream")
_FORMLESS = frozenset({UNKNOWN, "text/plain", _XML})
_CONTAINERS = frozenset({"application/zip", _OLE, *_ZIP_OFFICE.values()})
_SIGNED = frozenset(
    {
        *("image/jpeg", "image/jpg", "image/png", "image/webp", "image/gif", "image/heic", "image/avif"),
        *("audio/ogg", "audio/amr", "audio/mpeg", "audio/mp3", "audio/aac", "audio/mp4"),
        *("video/mp4", "video/3gpp", "application/pdf", "text/html", "image/svg+xml"),
    }
)
"""What has a signature of its own: without it nothing is one of these."""
_OTHER_NAMES = {
    "application/pdf": frozenset({"application/x-pdf", "application/postscript", "application/illustrator"}),
    "audio/ogg": frozenset({"audio/opus", "application/ogg", "video/ogg"}),
    "audio/mp4": frozenset({"audio/m4a", "audio/x-m4a"}),
    "audio/mpeg": frozenset({"audio/x-mp3", "audio/mpeg3"}),
    "image/jpeg": frozenset({"image/pjpeg"}),
    "image/heic": frozenset({"image/heif"}),
    "video/mp4": frozenset({"video/quicktime", "video/x-m4v"}),
    "text/html": frozenset({"image/svg+xml", "application/xhtml+xml"}),
}
"""Type by content → what it is called besides. Illustrator's drawings are PDF."""


@dataclass(frozen=True)
class MediaInfo:
    """Where a media object is, for five minutes (openapi:19419)."""

    id: str
    url: str
    mime: str
    sha256: str | None
    size: int | None
    """Bytes, when told."""


@dataclass(frozen=True)
class Fetched:
    """A media object that was fetched and is what it says."""

    content: bytes
    mime: str
    """By its content."""


def mime_of(content: bytes) -> str:
    """The type of a file by its content; UNKNOWN when it is none that we know."""
    head = content[:16]
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"#!AMR"):
        return "audio/amr"
    if head[4:8] == b"ftyp":
        return _mp4(content[8:12])
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] in (0xFB, 0xF3, 0xF2, 0xFA)):
        return "audio/mpeg"
    if len(head) > 1 and head[0] == 0xFF and head[1] in (0xF1, 0xF9):
        return "audio/aac"
    if head.startswith(b"PK\x03\x04"):
        names = content[:_MARGIN] + content[-_MARGIN:]  # its table of contents is at the end
        return next((mime for mark, mime in _ZIP_OFFICE.items() if mark in names), "application/zip")
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _OLE
    return _text(content)


def same_kind(told: str, found: str) -> bool:
    """Whether a file that is `found` is surely `told` (parameters such as `; codecs=opus` do not matter)."""
    told = _bare(told)
    if told == found:
        return True
    if found == _OLE:  # the old Office formats share one container
        return told in _OLD_OFFICE
    if found in ("audio/mp4", "video/mp4", "video/3gpp"):  # one container, with or without a picture
        return told in ("audio/mp4", "video/mp4", "video/3gpp", "audio/aac", "audio/3gpp")
    return (told, found) in {("image/jpg", "image/jpeg"), ("audio/mp3", "audio/mpeg"), ("text/csv", "text/plain")}


def honest(told: str, found: str) -> bool:
    """Whether a file that came, and by its content is `found`, may call itself `told`: False where it says to be
    what it surely is not, or is surely something else than it says."""
    told = _bare(told)
    if told in _SILENT or same_kind(told, found) or told in _OTHER_NAMES.get(found, ()):
        return True
    if found in _CONTAINERS:  # archives, and what is made of them; Office's own, too, when they are protected
        return told not in _SIGNED
    return found in _FORMLESS and told not in _SIGNED and told not in _ZIP_OFFICE.values()


def check_upload(kind: str, content: bytes, mime: str) -> None:
    """Refuse what WhatsApp would not take as a `kind` (image, video, audio, document, sticker).

    ArgumentsWrong("whatsapp_media_too_big", kind, most, found) in MB, ("whatsapp_media_type", kind, told, found).
    """
    limit = MEDIA_LIMITS[kind]
    most = limit.most_bytes
    if kind == "sticker" and b"ANIM" not in content[:64]:
        most = STATIC_STICKER_BYTES
    if len(content) > most:
        raise ArgumentsWrong(
            "whatsapp_media_too_big",
            f"{kind}: {len(content)} bytes of at most {most} ({limit.source})",
            kind=kind,
            most=round(most / 1024 / 1024, 1),
            found=round(len(content) / 1024 / 1024, 1),
        )
    found = mime_of(content)
    told = _bare(mime)
    if not content or told not in limit.types or not same_kind(told, found):
        raise ArgumentsWrong(
            "whatsapp_media_type", f"{kind}: told {told}, is {found}", kind=kind, told=told, found=found
        )


def check_url(url: str, own_origin: str) -> None:
    """Refused("whatsapp_media_host", host) unless `url` is at Meta, over HTTPS, or at `own_origin` (the API's own)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _foreign("") from None
    if f"{parts.scheme}://{parts.netloc}" == own_origin:
        return
    known = host in HOSTS or host.endswith(HOST_ENDS)
    if not known or parts.scheme != "https" or port not in (None, 443) or "@" in parts.netloc:
        raise _foreign(host)


def _foreign(host: str) -> Refused:
    return Refused("whatsapp_media_host", f"{host!r} is no host of Meta's media", host=host[:100])


def _bare(mime: str) -> str:
    return mime.partition(";")[0].strip().lower()


def _mp4(brand: bytes) -> str:
    if brand.startswith((b"M4A", b"M4B")):
        return "audio/mp4"
    if brand in (b"heic", b"heix", b"mif1", b"msf1"):
        return "image/heic"
    if brand == b"avif":
        return "image/avif"
    return "video/3gpp" if brand.startswith(b"3g") else "video/mp4"


def _text(content: bytes) -> str:
    """Text in UTF-8, or in what Excel and older systems write on Windows."""
    if not content or b"\x00" in content:
        return UNKNOWN
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        if len(content.translate(None, _CONTROLS)) < len(content):
            return UNKNOWN
    start = content[:1_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<?xml"):
        return "text/html" if any(mark in start for mark in _PAGES) else _XML
    return "text/html" if start.startswith(_PAGES) else "text/plain"
