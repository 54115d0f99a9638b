"""The models we know, the roles they serve, and what an answer costs."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import SetupError
from llm.messages import Usage

Ability = Literal["tools", "structured", "vision", "streaming", "temperature"]
_ALL_ABILITIES: frozenset[Ability] = frozenset({"tools", "structured", "vision", "streaming", "temperature"})
_PROVIDERS = frozenset({"openai", "anthropic", "google", "compatible"})  # those llm/providers.py can build
_FILE = Path(__file__).with_name("catalog.toml")
OFFLINE = "offline"
_ANY_COMPATIBLE = "compatible/*"

# A model that is forced by name and not in the file: small enough to be safe with most models of today.
_UNKNOWN_CONTEXT_WINDOW = 32_000


@dataclass(frozen=True)
class Model:
    """`context_window` is in tokens, prompt and answer together."""

    provider: str
    name: str
    title: str
    context_window: int
    abilities: frozenset[Ability]
    effort: str | None = None
    """How hard it thinks before it answers, in its provider's own word; None leaves it to the provider."""

    @property
    def ref(self) -> str:
        return f"{self.provider}/{self.name}"


@dataclass(frozen=True)
class RolePlan:
    """What serves a role now, for doctor. `left_out` names the links that cannot serve and the setting they lack."""

    role: str
    tier: str
    models: list[Model]
    left_out: dict[str, str]


# --- the form of catalog.toml -------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _ProviderEntry(_Strict):
    title: str
    setting: str
    context_window: Annotated[int, Field(ge=1_000)] | None = None
    abilities: frozenset[Ability] = frozenset()


class _ModelEntry(_Strict):
    title: str
    context_window: int = Field(ge=1_000)
    abilities: frozenset[Ability]
    effort: str | None = None


class _RoleEntry(_Strict):
    tier: Literal["strong", "fast"]
    needs: frozenset[Ability] = frozenset()
    chain: list[str] = Field(min_length=1)


class _CatalogFile(_Strict):
    providers: dict[str, _ProviderEntry]
    models: dict[str, _ModelEntry]
    roles: dict[str, _RoleEntry]


# --- the catalog --------------------------------------------------------------------------------


class Catalog:
    """Roles, their chains and the models in them. Made by `load_catalog`."""

    def __init__(self, file: _CatalogFile, *, forced: str | None, compatible_model: str | None) -> None:
        self._file = file
        self._forced = forced
        self._compatible_model = compatible_model
        self._models = {ref: self._from_entry(ref, entry) for ref, entry in file.models.items()}

    @property
    def roles(self) -> list[str]:
        return list(self._file.roles)

    @property
    def forced_provider(self) -> str | None:
        """The provider of the model that takes the place of every chain, None when there is no such model."""
        return None if self._forced in (None, OFFLINE) else str(self._forced).partition("/")[0]

    def setting_of(self, provider: str) -> str:
        """The name of the setting without which a provider is left out."""
        return self._file.providers[provider].setting

    def chain(self, role: str, providers: Collection[str]) -> list[Model]:
        """The models that may serve a role, first choice first; only those of `providers`, the ones that have a key.

        An unknown role is a slip in the code: KeyError.
        """
        return self._plan(role, providers).models

    def context_window(self, role: str, providers: Collection[str]) -> int:
        """Tokens that every model of the chain takes; the playbook alone takes any, so a large figure is given."""
        return min((model.context_window for model in self.chain(role, providers)), default=1_000_000)

    def describe(self, providers: Collection[str]) -> list[RolePlan]:
        """For doctor: which roles run on what, and which links are left out for which missing setting."""
        return [self._plan(role, providers) for role in self._file.roles]

    def _plan(self, role: str, providers: Collection[str]) -> RolePlan:
        entry = self._file.roles[role]
        models: list[Model] = []
        left_out: dict[str, str] = {}
        for ref in self._wanted(entry):
            provider = ref.partition("/")[0]
            if ref == _ANY_COMPATIBLE and self._compatible_model is None:
                left_out[ref] = "MUTIRAO_COMPATIBLE_MODEL"
            elif provider not in providers:
                left_out[ref] = self.setting_of(provider)
            else:
                models.append(self._model(ref))
        return RolePlan(role, entry.tier, models, left_out)

    def _wanted(self, entry: _RoleEntry) -> list[str]:
        if self._forced is None:
            return entry.chain
        return [] if self._forced == OFFLINE else [self._forced]

    def _model(self, ref: str) -> Model:
        if ref in self._models:
            return self._models[ref]
        provider, _, name = ref.partition("/")
        if ref == _ANY_COMPATIBLE:
            name = self._compatible_model or ""
        entry = self._file.providers[provider]
        window = entry.context_window or _UNKNOWN_CONTEXT_WINDOW
        return Model(provider, name, name, window, entry.abilities or _ALL_ABILITIES - {"temperature"})

    @staticmethod
    def _from_entry(ref: str, entry: _ModelEntry) -> Model:
        provider, _, name = ref.partition("/")
        return Model(provider, name, entry.title, entry.context_window, entry.abilities, entry.effort)


def load_catalog(*, forced: str | None = None, compatible_model: str | None = None, file: Path = _FILE) -> Catalog:
    """Read and check the catalog.

    `forced` is "provider/model", or "offline" for the playbooks alone (setting `model`); `compatible_model` the model
    of the OpenAI-compatible server.
    SetupError("catalog_broken", file=, where=, reason=) names the first broken entry;
    SetupError("model_unknown_provider", model=, providers=) when `forced` names a provider that does not exist.
    """
    try:
        entries = _CatalogFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise _broken(file, "file", error.strerror or "cannot be read") from error
    except tomllib.TOMLDecodeError as error:
        raise _broken(file, "file", str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _broken(file, ".".join(map(str, first["loc"])), first["msg"]) from error
    _check_references(file, entries)
    if forced not in (None, OFFLINE):
        provider, slash, name = forced.partition("/")
        if not slash or not name or provider not in entries.providers:
            known = ", ".join(entries.providers)
            raise SetupError(
                "model_unknown_provider",
                f"MUTIRAO_MODEL={forced!r} is not provider/model with a provider of: {known}",
                model=forced,
                providers=known,
            )
    return Catalog(entries, forced=forced, compatible_model=compatible_model)


def _check_references(file: Path, entries: _CatalogFile) -> None:
    if set(entries.providers) != _PROVIDERS:
        raise _broken(file, "providers", f"must be exactly: {', '.join(sorted(_PROVIDERS))}")
    for ref in entries.models:
        if ref.partition("/")[0] not in entries.providers:
            raise _broken(file, f"models.{ref}", "its provider is not in [providers]")
    for role, entry in entries.roles.items():
        for ref in entry.chain:
            if ref == _ANY_COMPATIBLE:
                lacks = entry.needs - entries.providers["compatible"].abilities
            elif ref in entries.models:
                lacks = entry.needs - entries.models[ref].abilities
            else:
                raise _broken(file, f"roles.{role}.chain", f"{ref} is not in [models]")
            if lacks:
                raise _broken(file, f"roles.{role}.chain", f"{ref} lacks: {', '.join(sorted(lacks))}")


def _broken(file: Path, where: str, reason: str) -> SetupError:
    return SetupError("catalog_broken", f"{file.name}: {where}: {reason}", file=file.name, where=where, reason=reason)


def price_usd(model: Model, usage: Usage) -> Decimal | None:
    """What an answer cost in US dollars by the price list of genai-prices, None when it does not know the model.

    `usage.prompt_tokens` includes the cached ones. Nothing is asked over the network: the list is in the package.
    """
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    if model.provider == "compatible":
        return None
    try:
        price = calc_price(
            PricedUsage(
                input_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,
                cache_read_tokens=usage.cached_tokens or None,
            ),
            model_ref=model.name,
            provider_id=model.provider,
        )
    except LookupError:
        return None
    return price.total_price
