"""Files that a company writes itself: read, checked, and refused with what is wrong and where."""

from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import ArgumentsWrong

LARGEST = 200_000  # characters of a file of settings
F = TypeVar("F", bound="Part")


class Part(BaseModel):
    """A mapping of a file. An unknown field is refused: a slip of the pen that is ignored costs an afternoon."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def read_yaml(text: str, kind: type[F], name: str) -> F:
    """The file `name` as `kind`. ArgumentsWrong: sales_file_unreadable (file, detail), sales_file_field (file, where,
    detail)."""
    if len(text) > LARGEST:
        raise ArgumentsWrong("sales_file_unreadable", "too long", file=name, detail=f"> {LARGEST}")
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        detail = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else str(error)[:200]
        raise ArgumentsWrong("sales_file_unreadable", detail, file=name, detail=detail) from None
    if not isinstance(data, dict):
        raise ArgumentsWrong("sales_file_unreadable", "no fields", file=name, detail="no `field: value` lines")
    return checked(data, kind, name)


def checked(data: dict[Any, Any], kind: type[F], name: str, where: str = "") -> F:
    """Data as `kind`. ArgumentsWrong("sales_file_field", file, where, detail) for the first thing that is wrong."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(filter(None, [where, *(str(part) for part in first["loc"])])) or "file"
        detail = str(first["msg"]).removeprefix("Value error, ")[:300]
        raise ArgumentsWrong("sales_file_field", f"{place}: {detail}", file=name, where=place, detail=detail) from None
