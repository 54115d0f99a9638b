"""Media is what its bytes are, comes only from Meta, and fits what WhatsApp passes on."""

import pytest

from core.errors import ArgumentsWrong, Refused
from integrations.whatsapp_cloud.limits import MEDIA_LIMITS
from integrations.whatsapp_cloud.media import UNKNOWN, check_upload, check_url, honest, mime_of, same_kind

FILES: dict[str, bytes] = {
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(20),
    "image/png": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "image/gif": b"GIF89a" + bytes(10),
    "application/pdf": b"%PDF-1.7\n",
    "audio/ogg": b"OggS" + bytes(24) + b"OpusHead",
    "audio/amr": b"#!AMR\n",
    "audio/mpeg": b"ID3\x04" + bytes(10),
    "audio/aac": b"\xff\xf1\x50\x80",
    "audio/mp4": b"\x00\x00\x00\x20ftypM4A \x00",
    "video/mp4": b"\x00\x00\x00\x20ftypisom",
    "video/3gpp": b"\x00\x00\x00\x20ftyp3gp4",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": b"PK\x03\x04" + bytes(30) + b"xl/workbook.xml",
    "application/zip": b"PK\x03\x04" + bytes(30),
    "application/x-ole-storage": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "text/plain": "Olá, é a proposta".encode(),
    "text/html": b"  <!DOCTYPE html><script>alert(1)</script>",
    UNKNOWN: b"MZ\x90\x00\x03",
}


@pytest.mark.parametrize("mime", FILES)
def test_a_file_is_known_by_its_first_bytes(mime: str) -> None:
    assert mime_of(FILES[mime]) == mime
    assert same_kind(mime + "; codecs=opus", mime)


def test_a_file_may_not_call_itself_what_it_is_not() -> None:
    assert mime_of(b"") == UNKNOWN
    for told, found in (("image/jpeg", "text/html"), ("audio/ogg", "application/zip"), ("image/png", "image/gif")):
        assert not same_kind(told, found)
    assert same_kind("application/msword", "application/x-ole-storage")
    assert same_kind("audio/mp4", "video/mp4")  # the same container


NOTHING_KNOWN = b"Rar!\x1a\x07\x00" + bytes(30)
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("nome;preço\r\nJoão;R$ 900,00".encode("cp1252"), "text/csv"),
        ("nome;preço\r\nJoão;R$ 900,00".encode("cp1252"), "application/vnd.ms-excel"),  # a CSV where Excel is installed
        ("preço".encode("utf-16"), "text/plain"),
        (b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?><nfeProc><NFe/></nfeProc>', "application/xml"),
        (b"<?xml version='1.0'?><nfeProc/>", "text/xml"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b'{"a": 1}', "application/json"),
        (rb"{\rtf1\ansi Contrato}", "application/rtf"),
        (rb"{\rtf1\ansi Contrato}", "application/msword"),
        (NOTHING_KNOWN, "application/vnd.rar"),
        (b"8BPS" + bytes(30), "image/vnd.adobe.photoshop"),
        (b"%PDF-1.5 %AI", "application/postscript"),
        (FILES["application/zip"], "application/x-zip-compressed"),
        (FILES["application/zip"] + b"mimetypeapplication/vnd.oasis", "application/vnd.oasis.opendocument.text"),
        (b"PK\x03\x04" + bytes(300_000) + b"xl/workbook.xml" + bytes(30), SHEET),
        (FILES[SHEET], "application/vnd.ms-excel.sheet.macroEnabled.12"),
        (FILES["application/x-ole-storage"], SHEET),  # protected by a password
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"\x00\x00\x00\x14ftypqt  ", "video/quicktime"),
        (FILES["application/pdf"], "application/octet-stream"),
        (FILES["text/html"], ""),
    ],
)
def test_what_comes_may_be_of_more_kinds_than_we_know(content: bytes, told: str) -> None:
    assert honest(told, mime_of(content)), mime_of(content)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        *((FILES["text/html"], told) for told in ("image/png", "application/pdf", "text/plain", "application/xml")),
        (b"<?xml version='1.0'?><html><script>1</script></html>", "application/xml"),
        (b"<?xml version='1.0'?><svg/>", "text/xml"),
        *((FILES["text/plain"], told) for told in ("application/pdf", "image/jpeg", SHEET, "text/html")),
        *((NOTHING_KNOWN, told) for told in ("audio/ogg", "video/mp4", "application/pdf", SHEET)),
        *((FILES["application/zip"], told) for told in ("application/pdf", "image/png")),
        (FILES["image/gif"], "image/png"),
        (FILES["application/pdf"], "application/msword"),
    ],
)
def test_what_comes_is_a_lie_where_it_is_surely_something_else(content: bytes, told: str) -> None:
    assert not honest(told, mime_of(content))


@pytest.mark.parametrize("kind", MEDIA_LIMITS)
def test_an_upload_is_checked_for_size_and_type_before_it_leaves(kind: str) -> None:
    limit = MEDIA_LIMITS[kind]
    mime = next(one for one in limit.types if one in FILES)
    head = FILES[mime] + (b"ANIM" if kind == "sticker" else b"")
    filler = b" " if mime == "text/plain" else b"\x00"
    if kind != "document":  # a hundred megabytes show nothing more
        check_upload(kind, head + filler * (limit.most_bytes - len(head)), mime)
        with pytest.raises(ArgumentsWrong) as big:
            check_upload(kind, head + filler * (limit.most_bytes - len(head) + 1), mime)
        assert big.value.code == "whatsapp_media_too_big"
    for content, told in ((FILES["text/html"], mime), (FILES["image/gif"], "image/gif"), (b"", mime)):
        with pytest.raises(ArgumentsWrong) as wrong:
            check_upload(kind, content, told)
        assert wrong.value.code == "whatsapp_media_type"


def test_a_still_sticker_must_be_smaller_than_an_animated_one() -> None:
    still = FILES["image/webp"] + bytes(110 * 1024)
    with pytest.raises(ArgumentsWrong, match="112656 bytes of at most 102400"):
        check_upload("sticker", still, "image/webp")
    check_upload("sticker", FILES["image/webp"] + b"ANIM" + still[20:], "image/webp")


OURS = "http://127.0.0.1:4711"


@pytest.mark.parametrize(
    "url",
    [
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
        "https://scontent.xx.fbcdn.net/v/1",
        "https://mmg.whatsapp.net:443/d/f/1",
        f"{OURS}/whatsapp_business/attachments/?mid=1",
    ],
)
def test_media_comes_from_meta_or_from_the_api_itself(url: str) -> None:
    check_url(url, OURS)


@pytest.mark.parametrize(
    "url",
    [
        "http://lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com.evil.example/x",
        "https://evilfbcdn.net/x",
        "https://evil.example/?lookaside.fbsbx.com",
        "https://lookaside.fbsbx.com@evil.example/x",
        "https://me@lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com:8443/x",
        "http://127.0.0.1:5432/",
        "http://127.0.0.1:4711@169.254.169.254/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:4711/",
        "file:///etc/passwd",
        "https://[",
        "",
    ],
)
def test_media_from_anywhere_else_is_not_fetched(url: str) -> None:
    with pytest.raises(Refused) as refused:
        check_url(url, OURS)
    assert refused.value.code == "whatsapp_media_host"
