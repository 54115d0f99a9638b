"""The models we know and the roles they serve: read from catalog.toml, and from the overlay in the data folder.

The overlay is a file of the same form that holds only what is to be different. One rule: a key written there takes the
place of the same key of ours; what is not written stays. It may change roles and models and add models, nothing else.
"""

import difflib
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import SetupError

Ability = Literal[
    "tools", "structured", "vision", "streaming", "temperature", "cache_marks", "images", "audio", "embeddings"
]
Tier = Literal["reasoning", "classification", "extraction", "long_context", "images", "audio", "embeddings"]
Language = Literal["pt-BR", "en", "es"]
_PROVIDERS = frozenset({"openai", "anthropic", "google", "compatible"})  # those llm/providers.py can build
_FILE = Path(__file__).with_name("catalog.toml")
OVERLAY = "catalog.toml"
"""The name of the overlay in the data folder."""
OFFLINE = "offline"
_ANY_COMPATIBLE = "compatible/*"

# A model that is not in the file, or whose window nobody tells: small enough to be safe with most models of today, and
# able to do what they all can.
_UNKNOWN_CONTEXT_WINDOW = 32_000
_UNKNOWN_ABILITIES: frozenset[Ability] = frozenset({"tools", "structured", "vision", "streaming"})


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens: of the prompt, of the answer, and of a prompt's tokens read from a cache."""

    input: Decimal
    output: Decimal
    cached: Decimal


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
    weak_in: frozenset[Language] = frozenset()
    """Languages of turns for which the others of a chain are asked first."""
    price: Price | None = None
    """Only for where genai-prices has none."""

    @property
    def ref(self) -> str:
        return f"{self.provider}/{self.name}"


@dataclass(frozen=True)
class RolePlan:
    """What serves a role now, for doctor.

    `left_out` names the links that cannot serve and the setting they lack; `unfit` a forced model that lacks abilities
    the role needs, and which. `planned`: no code asks for this role yet.
    """

    role: str
    tier: str
    models: list[Model]
    left_out: dict[str, str]
    unfit: dict[str, list[str]] = field(default_factory=dict)
    planned: bool = False


# --- the form of catalog.toml -------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _ProviderEntry(_Strict):
    title: str
    setting: str
    context_window: Annotated[int, Field(ge=1_000)] | None = None
    abilities: frozenset[Ability] = frozenset()


class _PriceEntry(_Strict):
    """US dollars for a million tokens. `cached`: read from the provider's cache; left out, they cost as new ones."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached: Decimal | None = Field(None, ge=0)


class _ModelEntry(_Strict):
    title: str
    context_window: int = Field(_UNKNOWN_CONTEXT_WINDOW, ge=1_000)
    abilities: frozenset[Ability]
    effort: str | None = None
    weak_in: frozenset[Language] = frozenset()
    usd_per_million: _PriceEntry | None = None
    """Used only where genai-prices has no price. Who writes one says beside it where it is from, and of which day:
    nothing renews it. 0 for a server of one's own that costs nothing by the token."""


class _RoleEntry(_Strict):
    tier: Tier
    needs: frozenset[Ability] = frozenset()
    chain: list[str] = Field(min_length=1)
    planned: bool = False

    @property
    def all_needs(self) -> frozenset[Ability]:
        """What it says it needs, and streaming where the answer is text: answers are shown as they are written."""
        return self.needs if self.tier in ("images", "audio", "embeddings") else self.needs | {"streaming"}


class _CatalogFile(_Strict):
    providers: dict[str, _ProviderEntry]
    models: dict[str, _ModelEntry]
    roles: dict[str, _RoleEntry]


# --- the catalog --------------------------------------------------------------------------------


class Catalog:
    """Roles, their chains and the models in them. Made by `load_catalog`."""

    def __init__(
        self,
        file: _CatalogFile,
        *,
        forced: str | None = None,
        compatible_model: str | None = None,
        overlay: Path | None = None,
        changed: Sequence[str] = (),
    ) -> None:
        self._file = file
        self._forced = forced
        self._compatible_model = compatible_model
        self._models = {ref: self._from_entry(ref, entry) for ref, entry in file.models.items()}
        self.overlay = overlay
        """The file that was laid over ours, None when there is none."""
        self.changed = list(changed)
        """What it changes: "roles.router.chain", "models.openai/x", …"""

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

    def describe(self, providers: Collection[str]) -> list[RolePlan]:
        """For doctor: which roles run on what, and which links are left out for which missing setting."""
        return [self._plan(role, providers) for role in self._file.roles]

    def models_of(self, provider: str) -> list[Model]:
        """The models of a provider that stand in any chain, each once, for comparing with the provider's own list."""
        plans = self.describe([provider])
        return list({model.ref: model for plan in plans for model in plan.models}.values())

    def _plan(self, role: str, providers: Collection[str]) -> RolePlan:
        entry = self._file.roles[role]
        plan = RolePlan(role, entry.tier, [], {}, {}, entry.planned)
        for ref in self._wanted(entry):
            provider = ref.partition("/")[0]
            if ref == _ANY_COMPATIBLE and self._compatible_model is None:
                plan.left_out[ref] = "MUTIRAO_COMPATIBLE_MODEL"
            elif provider not in providers:
                plan.left_out[ref] = self.setting_of(provider)
            elif lacks := sorted(entry.all_needs - self._model(ref).abilities):
                plan.unfit[ref] = [str(ability) for ability in lacks]
            elif (model := self._model(ref)) not in plan.models:  # compatible/* may be one that is named as well
                plan.models.append(model)
        return plan

    def _wanted(self, entry: _RoleEntry) -> list[str]:
        if self._forced is None:
            return entry.chain
        return [] if self._forced == OFFLINE else [self._forced]

    def _model(self, ref: str) -> Model:
        """A model of the file, or one that only a setting names."""
        provider, _, name = ref.partition("/")
        if ref == _ANY_COMPATIBLE:
            name = self._compatible_model or ""
        if known := self._models.get(f"{provider}/{name}"):
            return known
        entry = self._file.providers[provider]
        window = entry.context_window or _UNKNOWN_CONTEXT_WINDOW
        return Model(provider, name, name, window, entry.abilities or _UNKNOWN_ABILITIES)

    @staticmethod
    def _from_entry(ref: str, entry: _ModelEntry) -> Model:
        provider, _, name = ref.partition("/")
        price = None
        if (told := entry.usd_per_million) is not None:
            price = Price(told.input, told.output, told.input if told.cached is None else told.cached)
        return Model(
            provider, name, entry.title, entry.context_window, entry.abilities, entry.effort, entry.weak_in, price
        )


# --- reading it -----------------------------------------------------------------------------------


def load_catalog(
    *,
    forced: str | None = None,
    compatible_model: str | None = None,
    overlay: Path | None = None,
    file: Path = _FILE,
) -> Catalog:
    """Read and check the catalog.

    `forced` is "provider/model", or "offline" for the playbooks alone (setting `model`); `compatible_model` the model
    of the OpenAI-compatible server; `overlay` a file that need not exist (`<data_dir>/catalog.toml`).
    SetupError("catalog_broken", file=, where=, reason=) names the file with the first broken key;
    SetupError("model_unknown_provider", model=, providers=) when `forced` names a provider that does not exist.
    """
    tables = _read(file)
    entries = _checked(tables, file)
    changed: list[str] = []
    if overlay is not None and overlay.exists():
        changed = _lay_over(tables, _read(overlay), overlay)
        entries = _checked(tables, overlay)  # ours was right by itself: what is wrong now comes from the overlay
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
    return Catalog(
        entries,
        forced=forced,
        compatible_model=compatible_model,
        overlay=overlay if changed else None,
        changed=changed,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _broken(path, "file", error.strerror or "cannot be read") from error
    except UnicodeDecodeError as error:
        raise _broken(path, "file", "not a text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _broken(path, "file", str(error)) from error


def _lay_over(tables: dict[str, Any], laid_over: dict[str, Any], overlay: Path) -> list[str]:
    """Put the overlay's keys in place of ours and say which. New roles are refused: no code would ask for them."""
    changed = []
    for section, entries in laid_over.items():
        if section not in ("roles", "models"):
            raise _broken(overlay, section, "only [roles.…] and [models.…] may stand here")
        if not isinstance(entries, dict):
            raise _broken(overlay, section, "must be a table")
        ours = tables[section]
        for name, entry in entries.items():
            if not isinstance(entry, dict):
                raise _broken(overlay, f"{section}.{name}", "must be a table")
            if section == "roles" and name not in ours:
                near = difflib.get_close_matches(name, ours, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise _broken(overlay, f"roles.{name}", f"there is no such role{hint}")
            ours[name] = {**ours.get(name, {}), **entry}
            changed += [f"{section}.{name}.{key}" for key in entry]
    return changed


def _checked(tables: dict[str, Any], file: Path) -> _CatalogFile:
    """The tables in their form, every link of every chain a model with what its role needs. `file` is for errors."""
    try:
        entries = _CatalogFile.model_validate(tables)
    except ValidationError as error:
        first = error.errors()[0]
        raise _broken(file, ".".join(map(str, first["loc"])), first["msg"]) from error
    if set(entries.providers) != _PROVIDERS:
        raise _broken(file, "providers", f"must be exactly: {', '.join(sorted(_PROVIDERS))}")
    for ref in entries.models:
        provider, slash, name = ref.partition("/")
        if provider not in entries.providers or not slash or not name:
            known = ", ".join(entries.providers)
            raise _broken(file, f"models.{ref}", f"must be provider/model with a provider of: {known}")
    for role, entry in entries.roles.items():
        where = f"roles.{role}.chain"
        for ref in entry.chain:
            if ref == _ANY_COMPATIBLE:
                lacks = entry.all_needs - entries.providers["compatible"].abilities
            elif ref in entries.models:
                lacks = entry.all_needs - entries.models[ref].abilities
            else:
                raise _broken(file, where, f"{ref} is not in [models]")
            if lacks:
                raise _broken(file, where, f"{ref} lacks: {', '.join(sorted(lacks))}")
            if entry.chain.count(ref) > 1:
                raise _broken(file, where, f"{ref} stands in it twice")
    return entries


def _broken(file: Path, where: str, reason: str) -> SetupError:
    name = file.name if file == _FILE else str(file)
    return SetupError("catalog_broken", f"{name}: {where}: {reason}", file=name, where=where, reason=reason)
