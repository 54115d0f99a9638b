"""Documents of strangers: their text, or one word for why there is none."""

import io
import zipfile
from pathlib import Path

import pytest

from core.errors import ArgumentsWrong
from integrations.documents.reader import DocumentReader
from integrations.sounds import seconds_of

SAMPLES = Path(__file__).parents[3] / "channels" / "chat_assets" / "public" / "phone_samples"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_NS = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def docx(xml: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("word/document.xml", xml)
    return packed.getvalue()


async def test_pdf_word_and_plain_text_are_read_and_cut_where_they_are_long() -> None:
    pdf = await DocumentReader().read((SAMPLES / "proposta.pdf").read_bytes(), "application/pdf")
    assert "Verba atual em anuncios: R$ 1.200,00 por mes" in pdf.text and (pdf.pages, pdf.cut) == (1, False)
    paragraphs = "".join(f"<w:p><w:r><w:t>linha {n}</w:t></w:r></w:p>" for n in range(3))
    word = await DocumentReader().read(docx(f"<w:document {_NS}><w:body>{paragraphs}</w:body></w:document>"), WORD)
    assert word.text == "linha 0\nlinha 1\nlinha 2"
    plain = await DocumentReader(signs=5).read("preço\x00 alto".encode(), "text/plain")
    assert (plain.text, plain.cut) == ("preço", True)
    assert (await DocumentReader().read("João;preço".encode("cp1252"), "text/plain")).text == "João;preço"


@pytest.mark.parametrize(
    ("content", "mime", "reason"),
    [
        (b"%PDF-1.7 and then nothing", "application/pdf", "broken"),
        (b"PK\x03\x04", WORD, "broken"),
        (docx('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'), WORD, "broken"),
        (docx("<x>" + " " * 31 * 1024 * 1024 + "</x>"), WORD, "broken"),
        (docx(f"<w:document {_NS}/>"), WORD, "no_text"),
        (b" \n", "text/plain", "no_text"),
        (b"MZ", "application/octet-stream", "unsupported"),
    ],
    ids=["broken pdf", "broken zip", "entities", "a bomb", "empty", "blank", "a program"],
)
async def test_what_cannot_be_read_says_why(content: bytes, mime: str, reason: str) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        await DocumentReader().read(content, mime)
    assert refused.value.params["reason"] == reason


def test_how_long_a_recording_is_comes_from_its_container() -> None:
    voice = (SAMPLES / "voice_pt.ogg").read_bytes()
    assert seconds_of(voice, "audio/ogg") == pytest.approx(8.1, abs=0.1)
    assert seconds_of(b"#!AMR\n" + (b"\x04" + bytes(12)) * 100, "audio/amr") == pytest.approx(2.0)
    mvhd = b"\0\0\0\x6cmvhd" + bytes(12) + (1000).to_bytes(4, "big") + (2500).to_bytes(4, "big")
    assert seconds_of(b"\0\0\0\x18ftypM4A " + mvhd, "audio/mp4") == 2.5
    assert seconds_of(voice[:100], "audio/ogg") is None and seconds_of(b"", "audio/mpeg") is None
