"""Templates: what Meta tells about ours, what a new one must look like, and how one is filled.

A variable is `{{1}}` (by position) or `{{first_name}}` (by name); one template uses one kind (meta:templates/overview).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ArgumentsWrong
from integrations.whatsapp_cloud import limits, messages
from integrations.whatsapp_cloud.errors import answer_broken
from integrations.whatsapp_cloud.limits import TEMPLATE_LIMITS, malformed
from integrations.whatsapp_cloud.messages import Content, HeaderMedia

CATEGORIES = ("MARKETING", "UTILITY")
"""In which a template may be created here; one of AUTHENTICATION has another shape (a one-time code)."""
APPROVED = "APPROVED"
_VARIABLE = re.compile(r"\{\{\s*([a-z0-9_]+)\s*\}\}")
_ALONE = re.compile(r"^\s*\{\{[^}]*\}\}|\{\{[^}]*\}\}\s*$")
_SIDE_BY_SIDE = re.compile(r"\}\}\s*\{\{")


@dataclass(frozen=True)
class TemplateButton:
    """`kind`: QUICK_REPLY, URL, PHONE_NUMBER, or one that we only pass on (COPY_CODE, FLOW, …)."""

    kind: str
    text: str
    url: str | None = None
    phone_number: str | None = None

    @property
    def variable(self) -> bool:
        """Whether its address ends in a variable."""
        return self.kind == "URL" and bool(_VARIABLE.search(self.url or ""))


@dataclass(frozen=True)
class Template:
    """A template as Meta has it."""

    id: str
    name: str
    language: str
    status: str
    """APPROVED, PENDING, REJECTED, PAUSED, DISABLED, …: only an approved one can be sent."""
    category: str
    header: str | None
    """Its text, with at most one variable; None when it has media or nothing."""
    header_media: str | None
    """image, video or document"""
    body: str
    footer: str | None
    buttons: tuple[TemplateButton, ...]
    quality: str | None
    reason: str | None
    """Why it was rejected."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Of the body, in order: ("1", "2") or names."""
        return variables(self.body)

    @property
    def header_variable(self) -> str | None:
        found = variables(self.header or "")
        return found[0] if found else None


@dataclass(frozen=True)
class Definition:
    """A template to be created, with a text header or none (media headers want Meta's Resumable Upload API, which we do
    not speak). `examples`: one value for each variable of the body, by its name or place."""

    name: str
    language: str
    category: str
    body: str
    header: str | None = None
    footer: str | None = None
    buttons: tuple[TemplateButton, ...] = ()
    examples: Mapping[str, str] | None = None
    header_example: str | None = None

    def as_fields(self) -> dict[str, Any]:
        """The parts that `limits.TEMPLATE_LIMITS` speaks of."""
        fields: dict[str, Any] = {"name": self.name, "body": self.body}
        fields |= {
            name: value for name, value in (("header", self.header), ("footer", self.footer)) if value is not None
        }
        if self.buttons:
            fields["buttons"] = [
                {"text": one.text}
                | ({"url": one.url} if one.url is not None else {})
                | ({"phone_number": one.phone_number} if one.phone_number is not None else {})
                for one in self.buttons
            ]
        return fields

    def request(self) -> dict[str, Any]:
        """The body of POST /{waba id}/message_templates, refused when Meta would refuse it (`check`)."""
        self.check()
        components: list[dict[str, Any]] = []
        if self.header is not None:
            example = {"example": {"header_text": [self.header_example]}} if self.header_example is not None else {}
            components.append({"type": "HEADER", "format": "TEXT", "text": self.header} | example)
        components.append({"type": "BODY", "text": self.body} | self._body_example())
        if self.footer is not None:
            components.append({"type": "FOOTER", "text": self.footer})
        if self.buttons:
            components.append({"type": "BUTTONS", "buttons": [_button(one) for one in self.buttons]})
        named = any(not one.isdecimal() for one in variables(self.body))
        kind = {"parameter_format": "NAMED"} if named else {}
        return {
            "name": self.name,
            "language": self.language,
            "category": self.category,
            "components": components,
        } | kind

    def check(self) -> None:
        """ArgumentsWrong as `limits.check`; reasons: name, language, category, variables, example."""
        if not messages.TEMPLATE_NAME.fullmatch(self.name):
            raise malformed("template_name", "name", "name")
        if not messages.LANGUAGE.fullmatch(self.language):
            raise malformed("language", "language", "language")
        if self.category not in CATEGORIES:
            raise malformed("category", "category", "category")
        limits.check(self.as_fields(), TEMPLATE_LIMITS)
        wanted = variables(self.body)
        numbers = [int(one) for one in wanted if one.isdecimal()]
        mixed = bool(numbers) and len(numbers) != len(wanted)
        if mixed or (numbers and sorted(numbers) != list(range(1, len(numbers) + 1))):
            raise malformed("body", "variables", "body")
        if _ALONE.search(self.body) or _SIDE_BY_SIDE.search(self.body):
            raise malformed("body", "variables", "body")
        if set(wanted) - set(self.examples or {}):
            raise malformed("body", "example", "body")
        in_header = variables(self.header or "")
        if len(in_header) > 1 or bool(in_header) != (self.header_example is not None):
            raise malformed("header", "example" if len(in_header) < 2 else "variables", "header")
        if self.footer is not None and variables(self.footer):
            raise malformed("footer", "variables", "footer")

    def _body_example(self) -> dict[str, Any]:
        wanted, values = variables(self.body), self.examples or {}
        if not wanted:
            return {}
        if wanted[0].isdecimal():
            return {"example": {"body_text": [[values[one] for one in sorted(wanted, key=int)]]}}
        return {"example": {"body_text_named_params": [{"param_name": one, "example": values[one]} for one in wanted]}}


def variables(text: str) -> tuple[str, ...]:
    """The variables of a text, each once, in the order in which they appear."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def shown(template: Template, values: Mapping[str, str] | Sequence[str]) -> str:
    """The body as the contact will read it. The values as for `fill`."""
    given = _by_name(template, values)
    return _VARIABLE.sub(lambda found: given[found.group(1)], template.body)


def fill(
    template: Template,
    values: Mapping[str, str] | Sequence[str] = (),
    *,
    header: str | HeaderMedia | None = None,
    button_values: Mapping[int, str] | None = None,
) -> Content:
    """The template with its variables, ready to send. `button_values`: the end of an address or the payload of a quick
    reply, by the button's place.

    ArgumentsWrong("whatsapp_template_unusable", name, status) unless it is approved; ("whatsapp_template_values", name,
    missing, extra) when values are missing or nobody asks for them.
    """
    if template.status != APPROVED:
        raise ArgumentsWrong(
            "whatsapp_template_unusable",
            f"{template.name} is {template.status}",
            name=template.name,
            status=template.status,
        )
    given = _by_name(template, values)
    wants_media = template.header_media
    wrong = (isinstance(header, HeaderMedia) and header.kind != wants_media) or (
        wants_media is not None and not isinstance(header, HeaderMedia)
    )
    if wrong or (template.header_variable is not None) != isinstance(header, str):
        raise _values_wrong(template, ["header"], [])
    places = {place for place, one in enumerate(template.buttons) if one.variable}
    told = set(button_values or {})
    quick = {place for place, one in enumerate(template.buttons) if one.kind == "QUICK_REPLY"}
    if places - told or told - places - quick:
        raise _values_wrong(template, sorted(map(str, places - told)), sorted(map(str, told - places - quick)))
    named = any(not one.isdecimal() for one in template.variables)
    positions = [given[one] for one in sorted(template.variables, key=int)] if not named else []
    header_name = template.header_variable
    return messages.template(
        template.name,
        template.language,
        header=header,
        header_name=header_name if header_name is not None and not header_name.isdecimal() else None,
        body={one: given[one] for one in template.variables} if named else positions,
        button_values={
            place: ("quick_reply" if place in quick else "url", value) for place, value in (button_values or {}).items()
        },
    )


def read(raw: Any) -> Template:
    """One row of GET /{waba id}/message_templates. Unavailable("whatsapp_answer_broken") when it is none."""
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str) or not isinstance(raw.get("status"), str):
        raise answer_broken("a template without a name or status")
    parts = [one for one in raw.get("components") or () if isinstance(one, dict)]
    header = _part(parts, "HEADER")
    form = str(header.get("format") or "").lower()
    quality = raw.get("quality_score")
    reason = raw.get("rejected_reason")
    return Template(
        id=str(raw.get("id") or ""),
        name=raw["name"],
        language=str(raw.get("language") or ""),
        status=raw["status"],
        category=str(raw.get("category") or ""),
        header=str(header["text"]) if form == "text" and header.get("text") else None,
        header_media=form if form in ("image", "video", "document") else None,
        body=str(_part(parts, "BODY").get("text") or ""),
        footer=str(_part(parts, "FOOTER").get("text") or "") or None,
        buttons=tuple(
            TemplateButton(
                str(one.get("type") or "").upper(), str(one.get("text") or ""), one.get("url"), one.get("phone_number")
            )
            for one in _part(parts, "BUTTONS").get("buttons") or ()
            if isinstance(one, dict)
        ),
        quality=str(quality["score"]) if isinstance(quality, dict) and quality.get("score") else None,
        reason=str(reason) if reason and reason != "NONE" else None,
    )


def _part(parts: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next((one for one in parts if str(one.get("type") or "").upper() == kind), {})


def _by_name(template: Template, values: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    given = dict(values) if isinstance(values, Mapping) else {str(place): one for place, one in enumerate(values, 1)}
    missing = [one for one in template.variables if not given.get(one, "").strip()]
    extra = sorted(set(given) - set(template.variables))
    if missing or extra:
        raise _values_wrong(template, missing, extra)
    return given


def _values_wrong(template: Template, missing: list[str], extra: list[str]) -> ArgumentsWrong:
    return ArgumentsWrong(
        "whatsapp_template_values",
        f"{template.name}: missing {missing}, nobody asks for {extra}",
        name=template.name,
        missing=", ".join(missing),
        extra=", ".join(extra),
    )


def _button(button: TemplateButton) -> dict[str, Any]:
    found = {"type": button.kind, "text": button.text}
    if button.url is not None:
        found["url"] = button.url
    if button.phone_number is not None:
        found["phone_number"] = button.phone_number
    return found
