"""The text of a document, in a process of its own: `python -m integrations.documents.extract <kind> <pages> <signs>`,
the document on standard input, one JSON line on standard output.

Documents come from strangers, and the reader of PDFs is C++ (PDFium, the one of Chromium): what makes it crash, hang or
eat memory ends this process alone.
"""

import io
import json
import resource
import sys
import zipfile
from collections.abc import Iterator

_MEMORY = 1_500 * 1024 * 1024
_CPU_SECONDS = 20
_UNPACKED = 30 * 1024 * 1024
"""Of a document's text inside its ZIP: more is a bomb."""
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


class Unreadable(Exception):
    """The reason in one word: protected, broken, no_text."""


def main() -> None:
    """Read, and tell {"text", "pages", "cut"} or {"reason"}."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    kind, pages, signs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    content = sys.stdin.buffer.read()
    try:
        told = _tell(_pdf(content, pages) if kind == "pdf" else _docx(content), signs, pages)
    except Unreadable as unreadable:
        told = {"reason": str(unreadable)}
    except Exception as error:  # whatever a hostile file leads to
        told = {"reason": "broken", "detail": type(error).__name__}
    sys.stdout.write(json.dumps(told) + "\n")


def _tell(parts: Iterator[str], signs: int, pages: int) -> dict[str, object]:
    found: list[str] = []
    length, number, cut = 0, 0, False
    for number, part in enumerate(parts, 1):
        if number > pages:
            cut = True
            break
        found.append(part)
        length += len(part)
        if length > signs:
            cut = True
            break
    text = "\n\n".join(part.strip() for part in found).strip()
    if not any(sign.isalnum() for sign in text):
        raise Unreadable("no_text")  # scanned, most often
    return {"text": text[:signs], "pages": number, "cut": cut}


def _pdf(content: bytes, pages: int) -> Iterator[str]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise Unreadable("protected" if "password" in str(error).lower() else "broken") from None
    for place in range(min(len(document), pages + 1)):
        yield document[place].get_textpage().get_text_range()


def _docx(content: bytes) -> Iterator[str]:
    from defusedxml import ElementTree

    with zipfile.ZipFile(io.BytesIO(content)) as packed, packed.open("word/document.xml") as part:
        whole = part.read(_UNPACKED + 1)
    if len(whole) > _UNPACKED:
        raise Unreadable("broken")
    said: list[str] = []
    for paragraph in ElementTree.fromstring(whole).iter(f"{_WORD}p"):
        words = "".join(node.text or "\t" for node in paragraph.iter() if node.tag in (f"{_WORD}t", f"{_WORD}tab"))
        said.append(words)
    yield "\n".join(said)


if __name__ == "__main__":
    main()
