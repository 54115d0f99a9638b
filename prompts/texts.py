"""The words people read: short texts by key, in pt-BR, en and es, from `prompts/texts/<language>/*.yaml`.

A text is a Jinja2 template with strict variables: a missing parameter is an error, not a gap. The filters `money`,
`number`, `percent`, `day` and `window` write values as the language does; `inline` puts a name into a sentence.
"""

from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from core import formats
from core.errors import MutiraoError
from core.turn import LANGUAGES

_FOLDER = Path(__file__).parent / "texts"


class Texts:
    """Every text of every language, compiled on first use."""

    def __init__(self, sources: dict[str, dict[str, str]]) -> None:
        self.sources = sources
        self._environments = {language: _environment(language) for language in sources}
        self._compiled: dict[tuple[str, str], Any] = {}

    @classmethod
    @cache
    def load(cls, folder: Path = _FOLDER) -> "Texts":
        """All files of all languages, read once in a process. A key in two files of one language is an error."""
        sources: dict[str, dict[str, str]] = {}
        for language in LANGUAGES:
            merged: dict[str, str] = {}
            for file in sorted((folder / language).glob("*.yaml")):
                texts = yaml.load(
                    file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
                )
                if twice := merged.keys() & texts.keys():
                    raise ValueError(f"{file}: these keys stand in another file too: {sorted(twice)}")
                merged |= texts
            sources[language] = merged
        return cls(sources)

    def has(self, key: str) -> bool:
        return key in self.sources["pt-BR"]

    def say(self, language: str, key: str, /, **params: Any) -> str:
        """The text `key` in `language` (pt-BR where the language is not ours). KeyError for an unknown key."""
        if language not in self.sources:
            language = "pt-BR"
        template = self._compiled.get((language, key))
        if template is None:
            template = self._environments[language].from_string(self.sources[language][key])
            self._compiled[language, key] = template
        return str(template.render(params)).strip()

    def error(self, language: str, error: MutiraoError) -> str:
        """What a person is told about `error`: what is wrong and what to do."""
        key = f"error.{error.code}"
        return self.say(language, key if self.has(key) else "error.unnamed", **{"code": error.code, **error.params})


def _environment(language: str) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    for name in ("money", "number", "percent", "day", "window"):
        environment.filters[name] = partial(_in_language, getattr(formats, name), language)
    environment.filters["inline"] = _inline
    return environment


def _inline(name: str) -> str:
    """A name as it stands inside a sentence: "Gasto" becomes "gasto", "CTR" stays."""
    return name if name.isupper() else name[:1].lower() + name[1:]


def _in_language(write: Any, language: str, value: Any, *args: Any, **kwargs: Any) -> str:
    return str(write(value, language, *args, **kwargs))
