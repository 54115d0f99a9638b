"""A log line is JSON and holds neither secrets nor personal data; what helps to find a fault stays."""

import io
import json
import logging

import pytest
import structlog

from core.telemetry import holds_token, mask_secrets, mask_text, may_hold_secret
from tests.core.typed_secrets import TYPED, seen_of

CANARIES = {
    "canary@ipe.example.com": "an e-mail",
    "+55 11 98765-4321": "a mobile phone",
    "(11) 3456-7890": "a landline",
    "5511987654321": "a WhatsApp number",
    "11987654321": "a bare mobile number",
    "529.982.247-25": "a CPF",
    "52998224725": "a bare CPF",
    "11.222.333/0001-81": "a CNPJ",
    "11222333000181": "a bare CNPJ",
    "12.ABC.345/01DE-35": "a CNPJ of 2026",
}


def written(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


@pytest.mark.parametrize("canary", CANARIES)
def test_no_canary_passes_in_any_place(lines: io.StringIO, canary: str) -> None:
    log = structlog.get_logger("test")
    log.info(f"in the event {canary}.", value=canary, deep={"list": [f"x {canary}"], "pair": (canary, 1)}, name=canary)
    logging.getLogger("a.library").warning("said %s", canary)
    try:
        raise ValueError(f"in an error: {canary}")
    except ValueError:
        log.exception("failed")
    assert canary not in lines.getvalue()
    assert len(written(lines)) == 3


@pytest.mark.parametrize("secret", TYPED.values(), ids=TYPED)
def test_no_credential_is_logged_and_the_words_around_it_are(lines: io.StringIO, secret: str) -> None:
    log = structlog.get_logger("test")
    log.info("said", text=f"use {secret}", deep={"list": [json.dumps({"said": f"use {secret}", "days": 7})]})
    logging.getLogger("a.library").warning("said %s", secret)
    assert [part for part in seen_of(secret) if part in lines.getvalue()] == []
    assert lines.getvalue().count("[secret]") == 3
    assert str(written(lines)[0]["text"]).startswith("use ")


@pytest.mark.parametrize("secret", TYPED.values(), ids=TYPED)
def test_the_quick_look_misses_no_credential_and_what_is_masked_holds_none(secret: str) -> None:
    for text in (f"use {secret}", json.dumps({"said": json.dumps({"deeper": f"use {secret}"})})):
        assert may_hold_secret(text) and holds_token(text)
        assert not holds_token(mask_secrets(text))


def test_what_follows_a_private_key_is_kept() -> None:
    assert mask_secrets(f"antes {TYPED['a private key']} depois") == "antes [secret] depois"


@pytest.mark.parametrize(
    "name",
    [
        "re_engajamento_novembro_lookalike",
        "Task-force de vendas: sk-verao-2026",
        "ghp_novembro",
        "AKIAHOTEL Spa",
        "xox-promo",
        "hf_remarketing_frio_sudeste",
        "Bearer of good news",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_names_of_campaigns_are_no_credentials(name: str) -> None:
    assert not holds_token(name)
    assert mask_secrets(name) == name


@pytest.mark.parametrize(
    "name", ["password", "senha", "api_key", "access_token", "Authorization", "app_secret", "cookie", "database_dsn"]
)
def test_what_is_named_a_secret_is_one(lines: io.StringIO, name: str) -> None:
    structlog.get_logger("test").info("x", **{name: "plain words"}, nested={name: "plain words"})
    assert "plain words" not in lines.getvalue()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgresql://app:hunter22@db:5432/x", "postgresql://app:[secret]@db:5432/x"),
        ("GET /v26.0/act_1/insights?access_token=abcdef123&limit=5", "?access_token=[secret]&limit=5"),
        ('{"password": "abc12345", "n": 1}', '"password": "[secret]", "n": 1'),
        ("Authorization: Bearer abc.def.ghi-123", "Bearer [secret]"),
        ("host=/run user=app password='x y z1234' dbname=m", "password='[secret]"),
    ],
)
def test_secrets_inside_a_text_are_cut_out_of_it(text: str, kept: str) -> None:
    assert kept in mask_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "act_100000000000001",
        "campaign 120210000000012345 paused",
        "turn_0197f0c2a3b47abc8def012345678901",
        "prompt_tokens=1234 total_tokens=5678",
        "1234567,89 and 2026-11-20T15:00:00Z in 12.5 s",
        "1763650800123 ms",
        "127.0.0.1:54321 - GET /chat/login 200",
        "R$ 1.234.567,89",
        "key error.busy",
    ],
)
def test_what_helps_to_find_a_fault_stays(text: str) -> None:
    assert mask_text(text) == text


def test_a_line_says_when_who_and_how_bad(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(turn="turn_1"):
        structlog.get_logger("core.jobs").warning("job_rescued", job=7)
    logging.getLogger("httpx").info("HTTP Request: GET http://x?access_token=abc")
    (line,) = written(lines)
    assert line["timestamp"]
    del line["timestamp"]
    assert line == {"event": "job_rescued", "job": 7, "level": "warning", "logger": "core.jobs", "turn": "turn_1"}
