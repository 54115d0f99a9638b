"""A browser's recording becomes a voice note."""

import struct

import pytest

from integrations.sounds import seconds_of
from integrations.whatsapp_cloud.media import mime_of
from integrations.whatsapp_cloud.simulator.voice import voice_note

PACKET = bytes([0b01001000]) + bytes(40)  # SILK, 20 ms, one frame


def element(identity: int, payload: bytes, size: int | None = None) -> bytes:
    name = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return name + (b"\x01" + b"\xff" * 7 if size == -1 else struct.pack(">Q", len(payload) | 1 << 56)) + payload


def recording(packets: int, codec: bytes = b"A_OPUS") -> bytes:
    """As MediaRecorder writes it: Segment and Cluster without a size."""
    track = element(0xAE, element(0xD7, b"\x01") + element(0x86, codec))
    blocks = b"".join(element(0xA3, b"\x81" + struct.pack(">HB", n * 20, 0x80) + PACKET) for n in range(packets))
    cluster = element(0x1F43B675, element(0xE7, b"\0") + blocks, size=-1)
    return element(0x1A45DFA3, b"webm") + element(0x18538067, element(0x1654AE6B, track) + cluster, size=-1)


def test_webm_with_opus_becomes_ogg_of_the_same_length() -> None:
    note = voice_note(recording(120))
    assert mime_of(note) == "audio/ogg" and note.count(b"OggS") == 3
    assert seconds_of(note, "audio/ogg") == pytest.approx(120 * 0.02, abs=0.01)
    assert note[5] == 2 and note[note.rfind(b"OggS") + 5] == 4, "the first page begins, the last page ends the stream"


@pytest.mark.parametrize("content", [b"", b"\x1a\x45\xdf\xa3", recording(3, b"A_VORBIS"), recording(0)])
def test_what_holds_no_opus_is_no_voice_note(content: bytes) -> None:
    with pytest.raises(ValueError, match="Opus"):
        voice_note(content)
