"""What a browser records, as the voice note that WhatsApp passes on: Opus taken out of WebM and put into Ogg.

Chromium's MediaRecorder writes WebM (Matroska, RFC 9559) with Opus, WhatsApp's phones send Ogg with Opus (RFC 7845,
Ogg: RFC 3533). The packets are the same, so nothing is encoded anew.
"""

import struct
from collections.abc import Iterator

_CONTAINERS = {0x18538067, 0x1F43B675, 0xA0, 0x1654AE6B, 0xAE}  # Segment, Cluster, BlockGroup, Tracks, TrackEntry
_SIMPLE_BLOCK, _BLOCK, _CODEC, _PRIVATE = 0xA3, 0xA1, 0x86, 0x63A2
_RATE = 48_000  # Opus in Ogg counts at 48 kHz, whatever was recorded
_CELT_MS = (2.5, 5, 10, 20)
_FULL = 150
"""Pieces of up to 255 bytes in a page; it holds 255, and the largest packet of Opus has 61."""


def voice_note(webm: bytes) -> bytes:
    """The Ogg file of a WebM recording. ValueError when it holds no Opus."""
    codec, head, packets = b"", b"", []
    for element, payload in _elements(webm, 0, len(webm)):
        if element == _CODEC:
            codec = payload
        elif element == _PRIVATE:
            head = payload
        elif element in (_SIMPLE_BLOCK, _BLOCK) and len(payload) > 4:
            packets.append(payload[4:])  # track number (one byte below 127), time in two, flags in one
    if codec != b"A_OPUS" or not packets:
        raise ValueError("no recording with Opus")
    if not head.startswith(b"OpusHead"):
        head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 312, _RATE, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 8) + b"mutirao " + struct.pack("<I", 0)
    pages = [_page([head], 0, 0, first=True), _page([tags], 0, 1)]
    at, some, pieces = 0, [], 0
    for number, packet in enumerate(packets, 1):
        some.append(packet)
        at += _samples(packet)
        pieces += len(packet) // 255 + 1
        if pieces > _FULL or number == len(packets):
            pages.append(_page(some, at, len(pages), last=number == len(packets)))
            some, pieces = [], 0
    return b"".join(pages)


def _elements(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The elements that are no containers, in their order. A recording that is written live leaves sizes open."""
    at = start
    while at < end:
        width = 9 - data[at].bit_length() if data[at] else 9
        element, at = int.from_bytes(data[at : at + width], "big"), at + width
        if at >= end or width > 4:
            return
        width = 9 - data[at].bit_length() if data[at] else 9
        size = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
        is_open, at = size == (1 << 7 * width) - 1, at + width
        if element in _CONTAINERS:
            continue  # go on inside it
        if is_open or at + size > end:
            return
        yield element, data[at : at + size]
        at += size


def _samples(packet: bytes) -> int:
    """How long an Opus packet sounds, in samples at 48 kHz (RFC 6716, section 3.1)."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame: float = (10, 20, 40, 60)[config % 4]
    elif config < 16:
        frame = (10, 20)[config % 2]
    else:
        frame = _CELT_MS[config % 4]
    frames = 1 if code == 0 else 2 if code < 3 else (packet[1] & 63 if len(packet) > 1 else 1)
    return int(frame * frames * _RATE / 1000)


def _page(packets: list[bytes], granule: int, number: int, *, first: bool = False, last: bool = False) -> bytes:
    lacing = bytearray()
    for packet in packets:
        lacing += bytes([255] * (len(packet) // 255)) + bytes([len(packet) % 255])
    flags = (2 if first else 0) | (4 if last else 0)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, number, 0, len(lacing))
    page = bytearray(head + bytes(lacing) + b"".join(packets))
    page[22:26] = struct.pack("<I", _crc(page))
    return bytes(page)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


def _crc(data: bytes | bytearray) -> int:
    """Ogg's own checksum: CRC-32 with the usual polynomial, unreflected, beginning with 0."""
    table, value = _crc_table(), 0
    for byte in data:
        value = ((value << 8) & 0xFFFFFFFF) ^ table[(value >> 24) ^ byte]
    return value
