"""Logs: one JSON object per line on stderr, without secrets and without personal data.

What people write is never logged. What slips in (an error's text, a library's message) is masked here, at the last
step, for our own lines and for every library's.
"""

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog

_SECRET_NAMES = re.compile(
    r"pass(word|wd)?$|senha|secret|token$|api_?key|authorization|cookie|credential|appsecret_proof|dsn$", re.IGNORECASE
)

_SECRET_WORDS = r"(?:access_token|appsecret_proof|client_secret|api_?key|key|password|passwd|senha|secret|token)"

_PRIVATE_KEY = r"PRIVATE KEY(?: BLOCK)?-----"

# What a credential looks like by itself, whatever stands around it. The one list of it: these are masked in logs and in
# records of turns, and a model's answer that holds one is not shown (agents/guards.py). Lengths are those below which
# ordinary names are found, such as that of a campaign "re_engajamento_novembro".
_TOKEN_FORMS = (
    r"\bEAA[0-9A-Za-z]{16,}",  # Meta access tokens
    r"\bsk-[0-9A-Za-z_\-]{16,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek
    r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}",  # Stripe
    r"\bAIza[0-9A-Za-z_\-]{20,}",  # Google
    r"\bgsk_[0-9A-Za-z]{20,}",  # Groq
    r"\bhf_[0-9A-Za-z]{20,}",  # Hugging Face
    r"\btvly-[0-9A-Za-z\-]{16,}",  # Tavily
    r"\bre_(?:[0-9A-Za-z]{8}_[0-9A-Za-z]{20,}|[0-9A-Za-z]{24,})",  # Resend
    r"\bgh[opsur]_[0-9A-Za-z]{20,}|\bgithub_pat_[0-9A-Za-z_]{20,}",
    r"\bxox[a-z]-[0-9A-Za-z\-]{10,}|\bxapp-[0-9A-Za-z\-]{10,}",  # Slack
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # names of AWS keys
    r"\beyJ[0-9A-Za-z_\-]{8,}\.[0-9A-Za-z_\-]{4,}\.[0-9A-Za-z_\-]*",  # JSON web tokens
    r"\b[Bb]earer\s+[0-9A-Za-z._~+/\-]{20,}=*",
    # To its end or, cut off, to where the text or the JSON string ends.
    rf'-----BEGIN [0-9A-Z ]*{_PRIVATE_KEY}[^"]*?(?:-----END [0-9A-Z ]*{_PRIVATE_KEY}|(?="|\Z))',
    r"://[^/\s:@]*:(?!\[secret\])[^@\s/]+@",  # user:password@host
)
_TOKENS = re.compile("|".join(_TOKEN_FORMS))

# (what it looks like, what is written instead), in this order: what words before it tell, which are kept.
_SECRETS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"\b(Bearer|Basic)\s+[0-9A-Za-z._~+/\-]{8,}=*", re.IGNORECASE), r"\1 [secret]"),
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+@"), r"\1[secret]@"),
    (re.compile(rf"({_SECRET_WORDS}[\"']?\s*[=:]\s*)([\"'])(?!\[).{{3,}}?\2", re.IGNORECASE), r"\1\2[secret]\2"),
    (re.compile(rf"({_SECRET_WORDS}[\"']?\s*[=:]\s*)(?![\[\"'])[^\s\"'&,;}}\]]{{4,}}", re.IGNORECASE), r"\1[secret]"),
]

# The same, loosely and without alternatives at the front that would make looking slow.
_TOKEN_LIKE = re.compile(
    r"EAA[0-9A-Za-z]{16}|AIza[0-9A-Za-z_\-]{20}|eyJ[0-9A-Za-z_\-]{8}|sk-[0-9A-Za-z_\-]{16}|sk_[0-9A-Za-z]{20}"
    r"|k_(?:live|test)_|hf_[0-9A-Za-z]{20}|tvly-|re_[0-9A-Za-z]{8}|gh[opsur]_[0-9A-Za-z]{20}|github_pat_"
    r"|xox[a-z]-|xapp-|A[KS]IA[0-9A-Z]{16}|-----BEGIN |[Bb]earer\s|://[^/\s:@]*:[^@\s/]+@"
)
_NAMED_SECRETS = [
    (word, re.compile(rf"{word}[\\\"']{{0,4}}\s*[=:]\s*[^\s\[{{]"))
    for word in ("token", "appsecret_proof", "client_secret", "key", "password", "passwd", "senha", "secret")
] + [(word, re.compile(rf"{word}\s+[0-9a-z._~+/\-]{{8}}")) for word in ("bearer", "basic")]

_EMAIL = re.compile(r"[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+")
_CNPJ = re.compile(r"\b[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d{2}\b")
_CPF = re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b")
_PHONE = re.compile(r"(?<![\w.])\+?(?:55[\s.\-]?)?\(?[1-9]\d\)?[\s.\-]?9?\d{4}[\s.\-]\d{4}(?![\w])|\+\d{10,14}\b")
_DIGITS = re.compile(r"(?<![\w.,\-])\d{11,14}(?![\w\-]|[.,]\d)")


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send our logs and those of all libraries to `stream` (stderr) as JSON lines. Calling it again replaces it."""
    before: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                masked,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Their INFO lines repeat every request with its address, whose query may hold a token.
    for name in (
        "httpx",
        "httpcore",
        "urllib3",
        "openai",
        "anthropic",
        "google_genai",
        "mcp",
        "procrastinate",
        "chainlit",
        "crewai",
        "crewai_core",
    ):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True


def masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last step before a line is written: every value masked, however deep it lies."""
    return {key: _mask(key, value, mask_text) for key, value in event.items()}


def mask_data(data: Any, mask: Callable[[str], str] | None = None) -> Any:
    """Plain data with every text masked, by `mask_text` or another, and without what stands under a secret's name."""
    return _mask("", data, mask or mask_text)


def _mask(name: str, value: Any, mask: Callable[[str], str]) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAMES.search(name):
        return "[secret]"
    if isinstance(value, Mapping):
        return {str(key): _mask(str(key), item, mask) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask("", item, mask) for item in value]
    return mask(str(value))


def mask_secrets(text: str) -> str:
    """The text with secrets replaced by [secret], and everything else as it was."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return _TOKENS.sub("[secret]", text) if _TOKEN_LIKE.search(text) else text


def holds_token(text: str) -> bool:
    """Whether something in the text is a credential by its looks alone: a token, a key, an address with a password."""
    return _TOKEN_LIKE.search(text) is not None and _TOKENS.search(text) is not None


def may_hold_secret(text: str) -> bool:
    """A quick look (1 ms for 60 kB) at a long text, JSON or not: False is certain, True is worth `mask_secrets`."""
    if _TOKEN_LIKE.search(text):
        return True
    lower = text.lower()
    return any(word in lower and named.search(lower) for word, named in _NAMED_SECRETS)


def mask_text(text: str) -> str:
    """The text with secrets replaced by [secret] and e-mails, phones, CPF and CNPJ made unreadable."""
    text = mask_secrets(text)
    text = _EMAIL.sub("[email]", text)
    text = _CNPJ.sub("[cnpj]", text)
    text = _CPF.sub("[cpf]", text)
    text = _DIGITS.sub(_mask_digits, text)
    return _PHONE.sub("[phone]", text)


def _mask_digits(found: re.Match[str]) -> str:
    """Digits without punctuation are masked when their check digits or the country code say what they are: most long
    numbers in a log are ids of campaigns, and those must stay readable."""
    digits = found[0]
    if len(digits) == 11 and _checks(digits, (range(10, 1, -1), range(11, 1, -1))):
        return "[cpf]"
    cnpj = ((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))
    if len(digits) == 14 and _checks(digits, cnpj):
        return "[cnpj]"
    if len(digits) in (12, 13) and digits.startswith("55"):
        return "[phone]"
    # Eleven digits of a mobile phone: area code without a zero, then a nine.
    return "[phone]" if len(digits) == 11 and re.fullmatch(r"[1-9][1-9]9\d{8}", digits) else digits


def _checks(digits: str, weights: Any) -> bool:
    """Modulo 11 over each row of weights gives the next digit (Receita Federal's rule for CPF and CNPJ)."""
    if len(set(digits)) == 1:
        return False
    for row in weights:
        places = list(row)
        rest = sum(int(digit) * weight for digit, weight in zip(digits, places, strict=False)) % 11
        if int(digits[len(places)]) != (0 if rest < 2 else 11 - rest):
            return False
    return True
