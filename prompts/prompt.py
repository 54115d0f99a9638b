"""Prompts for models: Markdown files with strict variables, one per language, each with the hash that is recorded.

`prompts/<name>.<language>.md`; the language falls back to pt-BR where a translation is missing.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Prompt:
    """A prompt ready to send. `hash` names the file's text before filling in: same hash, same words."""

    text: str
    hash: str


class Prompts:
    def __init__(self, *folders: Path) -> None:
        """`folders` are looked through before our own: prompts of crews that are declared elsewhere."""
        self._folders = (*folders, _FOLDER)
        self._environment = Environment(
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
        )
        self._templates: dict[tuple[str, str], tuple[Any, str]] = {}

    def fill(self, name: str, language: str, /, **variables: Any) -> Prompt:
        """The prompt `name` in `language`. jinja2.UndefinedError for a missing variable, FileNotFoundError."""
        template, digest = self._template(name, language)
        return Prompt(template.render(variables).strip(), digest)

    def _template(self, name: str, language: str) -> tuple[Any, str]:
        if (name, language) not in self._templates:
            files = [folder / f"{name}.{tongue}.md" for tongue in (language, "pt-BR") for folder in self._folders]
            source = next((file for file in files if file.exists()), files[-1]).read_text(encoding="utf-8")
            digest = hashlib.sha256(source.encode()).hexdigest()[:12]
            self._templates[name, language] = (self._environment.from_string(source), digest)
        return self._templates[name, language]
