"""What the words of every crew are made with."""

from dataclasses import dataclass
from typing import Any

from core.errors import ArgumentsWrong
from core.turn import ToolRecord
from prompts.texts import Texts


@dataclass(frozen=True)
class Wording:
    """Writes in one language."""

    texts: Texts
    language: str

    def say(self, key: str, /, **params: Any) -> str:
        return self.texts.say(self.language, key, **params)

    def error(self, record: ToolRecord) -> str:
        """Why a call failed, for people."""
        return self.texts.error(self.language, ArgumentsWrong(record.error or "unnamed", **record.error_params))
