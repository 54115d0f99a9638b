"""Only Meta's own bytes come in."""

import json

import pytest

from core.errors import Refused, SetupError
from integrations.whatsapp_cloud.signature import challenge, sign, verify

SECRET = "8f14e45fceea167a5a36dedd4bea2543"
BODY = json.dumps({"object": "whatsapp_business_account", "entry": [], "n": "São João 😊"}).encode()
RIGHT = sign(SECRET, BODY)


def test_the_signature_is_the_documented_one() -> None:
    # RFC 4231, test case 2, in the words of X-Hub-Signature-256.
    told = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign("Jefe", b"what do ya want for nothing?") == f"sha256={told}"
    verify(SECRET, BODY, RIGHT)
    verify(SECRET, b"x" * 3_000_000, [sign(SECRET, b"x" * 3_000_000)])


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        [],
        [RIGHT, RIGHT],
        RIGHT.removeprefix("sha256="),
        RIGHT.upper(),
        "sha256=" + RIGHT.removeprefix("sha256=").upper(),
        "sha1=" + RIGHT.removeprefix("sha256="),
        RIGHT + " ",
        RIGHT[:-1],
        RIGHT[:-1] + ("0" if RIGHT[-1] != "0" else "1"),
        sign("another app's secret", BODY),
        sign(SECRET, BODY + b"\n"),
        "sha256=é" + RIGHT,
    ],
)
def test_any_other_header_is_refused(given: str | list[str] | None) -> None:
    with pytest.raises(Refused) as refused:
        verify(SECRET, BODY, given)
    assert refused.value.code == "whatsapp_signature_wrong"


def test_one_flipped_bit_or_the_same_json_in_other_bytes_is_refused() -> None:
    flipped = [bytes([*BODY[:place], BODY[place] ^ 1, *BODY[place + 1 :]]) for place in range(0, len(BODY), 7)]
    rewritten = [
        json.dumps(json.loads(BODY), indent=1).encode(),
        json.dumps(json.loads(BODY), ensure_ascii=False).encode(),
    ]
    for body in flipped + rewritten:
        with pytest.raises(Refused):
            verify(SECRET, body, RIGHT)


def test_without_a_secret_nothing_is_let_in() -> None:
    for act in (
        lambda: verify("", BODY, sign(SECRET, BODY)),
        lambda: sign("", BODY),
        lambda: challenge("", {"hub.verify_token": ""}),
    ):
        with pytest.raises(SetupError) as missing:
            act()
        assert missing.value.code == "whatsapp_secret_missing"


def test_the_handshake_gives_the_challenge_back_only_for_our_token() -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "nosso", "hub.challenge": "1158201444"}
    assert challenge("nosso", asked) == "1158201444"
    for wrong in (
        {"hub.verify_token": "deles"},
        {"hub.verify_token": ""},
        {"hub.mode": "unsubscribe"},
        {"hub.challenge": ""},
        {"hub.challenge": "<script>é"},
        {"hub.challenge": "1" * 300},
    ):
        with pytest.raises(Refused):
            challenge("nosso", asked | wrong)
    with pytest.raises(Refused):
        challenge("nosso", {})
