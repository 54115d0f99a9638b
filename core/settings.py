"""The settings: read once from the environment (and a `.env` in the folder we are started in), checked, handed on.

Every name is `MUTIRAO_` + the field in capitals; the providers' keys are also read from their own usual names.
An unknown `MUTIRAO_` name is refused, because a slip of the pen that is ignored costs an afternoon.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from core.errors import SetupError
from core.turn import Limits

PREFIX = "MUTIRAO_"

# The providers' own names, in the order in which they are looked at after the MUTIRAO_ name.
PROVIDER_KEY_NAMES = {
    "openai_api_key": ("OPENAI_API_KEY",),
    "anthropic_api_key": ("ANTHROPIC_API_KEY",),
    "google_api_key": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}


class Settings(BaseModel):
    """What the product can be told. Every field has a default that serves a newcomer on a laptop.

    Building a `Settings` directly reads no environment: tests say exactly what they mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["sandbox", "production"] = "sandbox"
    """In the sandbox nothing leaves loopback and demo users exist; each integration goes live by its own setting."""
    data_dir: Path = Path("var")
    """Everything that lasts on this machine: the embedded database, secrets, the simulators' state."""
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65_535)
    allowed_origins: list[str] = Field(default_factory=list)
    """Web origins besides our own that may talk to the server; in the environment separated by commas."""
    upload_max_mb: int = Field(50, ge=1, le=2_000)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    language: Literal["pt-BR", "en", "es"] = "pt-BR"
    time_zone: str = "America/Sao_Paulo"

    database_url: str | None = None
    """PostgreSQL for the application; None runs the embedded server."""
    database_owner_url: str | None = None
    """PostgreSQL with the right to migrate; None migrates over `database_url`."""
    redis_url: str | None = None
    """Redis for the copy of the sessions; None keeps them in PostgreSQL alone."""
    qdrant_url: str | None = None
    """A Qdrant server (1.19 or later) for the long-term memory's index; None keeps it in the data folder."""
    qdrant_api_key: SecretStr | None = None
    qdrant_prefix: str = Field("mutirao", pattern=r"^[a-z][a-z0-9]{0,30}$")
    """How the names of our collections begin: another one for each installation that shares a Qdrant server."""
    embedding_model: str = "hash"
    """`provider/model` whose embeddings the long-term memory compares meanings by; `hash`: none, only spelling."""
    embedding_size: int | None = Field(None, ge=64, le=4_096)
    """How many numbers an embedding has, when it is not what memory/embeddings.py knows of the model."""

    meta_ads: Literal["sandbox", "live"] = "sandbox"
    meta_graph_url: str = "https://graph.facebook.com"
    meta_app_secret: SecretStr | None = None

    whatsapp: Literal["sandbox", "live"] = "sandbox"
    """Talking with people outside: the simulated WhatsApp on this computer, or the numbers that are connected."""
    whatsapp_app_secret: SecretStr | None = None
    """The secret of the Meta app whose webhooks we take; without one, live webhooks of Meta are not taken at all."""
    whatsapp_verify_token: SecretStr | None = None
    """What Meta has to bring when it checks our address; None: one that the data folder keeps."""
    public_url: str | None = None
    """Where the outside reaches this server, such as https://mutirao.example.com: the address of the webhooks, and
    of the link by which one leaves from an e-mail."""

    minha_receita: Literal["sandbox", "live"] = "sandbox"
    """The public company registry."""
    minha_receita_url: str = "https://minhareceita.org"
    """Also a server of one's own: the software is free."""
    brasil_places: Literal["sandbox", "live"] = "sandbox"
    """Cities, postal codes, activity codes and holidays: BrasilAPI, ViaCEP and the IBGE."""
    brasilapi_url: str = "https://brasilapi.com.br/api"
    viacep_url: str = "https://viacep.com.br"
    ibge_url: str = "https://servicodados.ibge.gov.br/api"

    web_search: Literal["sandbox", "live"] = "sandbox"
    """Searches of the web, maps and news: the vendors that have a key, in the order SerpAPI, Brave Search, Serper."""
    serpapi_key: SecretStr | None = None
    brave_key: SecretStr | None = None
    serper_key: SecretStr | None = None
    web_search_monthly: int = Field(250, ge=0, le=1_000_000)
    """What a tenant may use of each search vendor in a month, in its units: what SerpAPI's free plan gives."""
    web_search_days: int = Field(30, ge=0, le=365)
    """How long an answer of the web is good: the same question is not asked, and not paid for, again. 0: it is."""
    web_pages: Literal["sandbox", "live"] = "sandbox"
    """Reading company pages: the simulated sites alone, or the public internet (never private addresses)."""

    model: str | None = None
    """`provider/model` for every role, instead of the catalog's choice; `offline` for the playbooks alone."""
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    google_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    anthropic_base_url: str | None = None
    google_base_url: str | None = None
    compatible_base_url: str | None = None
    """Any server that speaks OpenAI's wire: Ollama, vLLM, Together, OpenRouter."""
    compatible_api_key: SecretStr | None = None
    compatible_model: str | None = None
    ignore_provider_keys: bool = False
    """Tests, evals and the bench set it, so that a key lying in the shell is never used or paid for."""
    model_first_byte_seconds: float = Field(8, gt=0, le=3_600)
    """How long a model may be silent: until the first sign of its answer, and between two pieces of it."""
    model_deadline_seconds: float = Field(30, gt=0, le=7_200)
    """For one question to the models, over all links of the chain, while a person waits."""
    model_background_seconds: float = Field(300, gt=0, le=7_200)
    """The same for work in the background, which may wait for a provider to come back."""
    model_time_scale: float = Field(1, gt=0, le=1_000)
    """Multiplies every limit and wait of the model layer (silence, deadlines, retries, breaker): for tests."""
    model_breaker_failures: int = Field(5, ge=1, le=1_000)
    model_breaker_seconds: float = Field(60, gt=0, le=86_400)
    model_hedging: bool = False
    """Ask a second provider when the first is slower than it usually is (its own p95); costs tokens twice then."""

    budget_day_usd: Decimal | None = Field(Decimal(10), ge=0)
    """What the models of a tenant may cost a day, in US dollars; None: no budget. For one tenant: `mutirao budgets`."""
    budget_day_tokens: int | None = Field(None, ge=0)
    budget_agent_day_usd: Decimal | None = Field(None, ge=0)
    """The same for each role of the catalog."""
    budget_agent_day_tokens: int | None = Field(None, ge=0)
    budget_ceiling_percent: int = Field(150, ge=100, le=1_000)
    """Of a budget: from there on no model is asked until the day is over, and the playbooks answer."""
    usd_brl: str | None = None
    """Reais for one US dollar and the day of that rate, such as 5.40@2026-11-20; costs are then shown in both."""

    turn_record_days: int = Field(90, ge=1, le=3_650)
    """How long the whole record of a turn is kept; after that only its figures."""
    metrics_port: int | None = Field(None, ge=1, le=65_535)
    """Where Prometheus reads metrics: its own port, because the chat's is open to others. None for none."""
    metrics_host: str = "127.0.0.1"
    otlp_endpoint: str | None = None
    """An OpenTelemetry collector (OTLP over HTTP) such as http://127.0.0.1:4318; None sends no traces."""

    turn_max_steps: int = Field(Limits.steps, ge=1, le=200)
    turn_max_model_calls: int = Field(Limits.model_calls, ge=1, le=200)
    turn_max_tokens: int = Field(Limits.tokens, ge=1_000, le=5_000_000)
    turn_max_cost_usd: Decimal = Field(Limits.cost_usd, ge=0, le=100)
    turn_max_seconds: float = Field(Limits.seconds, gt=0, le=7_200)
    proposal_hours: int = Field(24, ge=1, le=24 * 30)

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("data_dir")
    @classmethod
    def _from_home(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("not an IANA time zone such as America/Sao_Paulo")
        ZoneInfo(value)
        return value

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _postgres_url(cls, value: str | None) -> str | None:
        # libpq takes two forms: a URL, and words such as "host=/run dbname=x".
        if value is not None and not (value.startswith(("postgresql://", "postgres://")) or "=" in value):
            raise ValueError("not a PostgreSQL address such as postgresql://user:password@host:5432/name")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("not a Redis address such as redis://host:6379/0")
        return value

    @field_validator(
        "meta_graph_url",
        "public_url",
        "minha_receita_url",
        "brasilapi_url",
        "viacep_url",
        "ibge_url",
        "openai_base_url",
        "anthropic_base_url",
        "google_base_url",
        "compatible_base_url",
        "otlp_endpoint",
        "qdrant_url",
    )
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise ValueError("not a web address such as https://host/path")
        return value.rstrip("/") if value else value

    @field_validator("usd_brl")
    @classmethod
    def _dated_rate(cls, value: str | None) -> str | None:
        if value is None:
            return None
        rate, _, day = value.partition("@")
        try:
            if not 0 < Decimal(rate) < 1_000:
                raise ValueError
            date.fromisoformat(day)
        except (ValueError, ArithmeticError):
            raise ValueError("not a rate with its day such as 5.40@2026-11-20") from None
        return value

    @property
    def rate_brl(self) -> tuple[Decimal, date] | None:
        """(reais for one US dollar, the day of that rate), None when no rate is set."""
        if self.usd_brl is None:
            return None
        rate, _, day = self.usd_brl.partition("@")
        return Decimal(rate), date.fromisoformat(day)

    @property
    def sandbox(self) -> bool:
        return self.mode == "sandbox"

    @property
    def limits(self) -> Limits:
        """The hard caps of every turn."""
        return Limits(
            steps=self.turn_max_steps,
            model_calls=self.turn_max_model_calls,
            tokens=self.turn_max_tokens,
            cost_usd=self.turn_max_cost_usd,
            seconds=self.turn_max_seconds,
        )


def load_settings(
    environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env"), **chosen: Any
) -> Settings:
    """The settings of this process. `chosen` are values given on the command line; they win over the environment,
    which wins over `env_file` (skipped when it does not exist).

    SetupError("setting_unknown", setting, near) for a MUTIRAO_ name that does not exist;
    SetupError("setting_broken", setting, reason) naming every setting whose value is impossible, without the value:
    it may be a secret.
    """
    named = {name: value for name, value in _read(env_file) if value is not None}
    named.update(os.environ if environ is None else environ)
    # An empty value is how shells and compose files say "not set".
    named = {name: value for name, value in named.items() if value != ""}
    known = {PREFIX + field.upper(): field for field in Settings.model_fields}
    for name in sorted(named):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise SetupError(
                "setting_unknown",
                f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""),
                setting=name,
                near=near[0] if near else "",
            )
    values: dict[str, Any] = {field: named[name] for name, field in known.items() if name in named}
    values.update(chosen)
    for field, names in PROVIDER_KEY_NAMES.items():
        found = next((named[name] for name in names if name in named), None)
        if found is not None:
            values.setdefault(field, found)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        broken = {PREFIX + str(e["loc"][0]).upper(): _plain(e["msg"]) for e in error.errors()}
        raise SetupError(
            "setting_broken",
            "; ".join(f"{name}: {reason}" for name, reason in broken.items()),
            setting=", ".join(broken),
            reason="; ".join(broken.values()),
        ) from None
    if settings.ignore_provider_keys:
        return settings.model_copy(update={field: None for field in PROVIDER_KEY_NAMES})
    return settings


def _read(env_file: Path | None) -> Iterator[tuple[str, str | None]]:
    if env_file is not None and env_file.is_file():
        try:
            yield from dotenv_values(env_file, interpolate=False).items()
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError("env_file_unreadable", f"{env_file}: {error}", path=str(env_file)) from None


def _plain(message: str) -> str:
    """Pydantic's sentence without its "Value error, " in front."""
    return re.sub(r"^Value error, ", "", message)
