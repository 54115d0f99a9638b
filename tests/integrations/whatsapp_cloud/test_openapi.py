"""Every message of ours is one by Meta's own OpenAPI description, and what breaks its figures is refused by us first.

The shapes are in openapi_messages.yaml, cut out of the official file by machine. Where that file is mistaken or older
than the API, it is patched here, each time with the reason; a patch that nothing needs fails a test.
"""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from core.errors import ArgumentsWrong
from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.limits import LIMITS, Limit
from integrations.whatsapp_cloud.messages import Content
from integrations.whatsapp_cloud.simulator.validate import complaint
from tests.integrations.whatsapp_cloud.contents import EVERY, WAMID
from tests.integrations.whatsapp_cloud.test_messages import TO, _places, _stretched

OFFICIAL = yaml.load((Path(__file__).parent / "openapi_messages.yaml").read_text(), yaml.CSafeLoader)
Defs = dict[str, Any]


@dataclass(frozen=True)
class Patch:
    """`lines` of the official file; `why` it cannot be meant as it stands."""

    name: str
    lines: str
    why: str
    apply: Callable[[Defs], None]


def _whole_object(defs: Defs) -> None:
    for name in OFFICIAL["messages"].values():
        for part in defs[name]["allOf"]:
            part.pop("additionalProperties", None)


def _user_ids(defs: Defs) -> None:
    base = defs["BaseMessageProperties"]
    base["required"].remove("to")
    base["properties"]["recipient"] = {"type": "string"}
    base["anyOf"] = [{"required": ["to"]}, {"required": ["recipient"]}]


def _callback(defs: Defs) -> None:
    defs["BaseMessageProperties"]["properties"]["biz_opaque_callback_data"] = {"type": "string", "maxLength": 512}


def _index(defs: Defs) -> None:
    for holder in _holders(defs["TemplateComponent"], "pattern"):
        if holder["pattern"].startswith("^[2-6"):
            holder["pattern"] = "^[0-9]$"


def _link_buttons(defs: Defs) -> None:
    defs["InteractiveObject"]["properties"]["type"]["enum"].append("cta_url")
    label, url = {"type": "string", "minLength": 1, "maxLength": 20}, {"type": "string", "pattern": "^https?://"}
    parameters = {"required": ["display_text", "url"], "properties": {"display_text": label, "url": url}}
    action = {"required": ["name", "parameters"], "properties": {"name": {"enum": ["cta_url"]}}}
    action["properties"] |= {"parameters": parameters}
    defs["ActionObject"]["oneOf"].append(action)


PATCHES = (
    Patch(
        "the whole object",
        "2110, 2132, 2153 …",
        "additionalProperties: false stands in one part of an allOf and so refuses the fields of the other parts, even"
        " messaging_product: no message at all would be one",
        _whole_object,
    ),
    Patch(
        "user ids",
        "2022",
        "`to` is required; since 2026 `recipient` with a business-scoped user id will do (pywa:pywa/api.py:568)",
        _user_ids,
    ),
    Patch(
        "callback data",
        "1478",
        "biz_opaque_callback_data is described with calls only; messages have it too (pywa:pywa/client.py:684)",
        _callback,
    ),
    Patch("index", "1652", "the pattern ^[2-6, 11-14]$ of a button's index is a footnote gone astray", _index),
    Patch(
        "link buttons",
        "2293, 2361",
        "cta_url is newer than the file (meta:messages/interactive-cta-url-messages)",
        _link_buttons,
    ),
)


def _holders(raw: Any, name: str) -> Iterator[dict[str, Any]]:
    if isinstance(raw, dict):
        if isinstance(raw.get(name), str):
            yield raw
        for value in raw.values():
            yield from _holders(value, name)
    elif isinstance(raw, list):
        for value in raw:
            yield from _holders(value, name)


def validators(patches: tuple[Patch, ...] = PATCHES) -> dict[str, Any]:
    """By the kind of message."""
    defs = copy.deepcopy(OFFICIAL["$defs"])
    for patch in patches:
        patch.apply(defs)
    return {
        kind: jsonschema.Draft202012Validator({"$defs": defs, "$ref": f"#/$defs/{name}"})
        for kind, name in OFFICIAL["messages"].items()
    }


def requests() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, content in EVERY.items():
        yield name, say.message(TO, content, reply_to=WAMID, callback_data="out_1")
        # A reaction and contacts, too: to somebody whose telephone is hidden.
        yield f"{name}, to a user id", say.message("BR.abcDEF123456", content)


def complaints(by_kind: dict[str, Any], request: dict[str, Any]) -> list[str]:
    return [
        f"{list(error.absolute_path)}: {error.message[:200]}" for error in by_kind[request["type"]].iter_errors(request)
    ]


def test_every_message_of_ours_is_one_by_metas_own_description() -> None:
    by_kind = validators()
    assert {request["type"] for _, request in requests()} == set(OFFICIAL["messages"])
    assert {name: found for name, request in requests() if (found := complaints(by_kind, request))} == {}


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_each_patch_is_needed(patch: Patch) -> None:
    by_kind = validators(tuple(one for one in PATCHES if one is not patch))
    if patch.name == "callback data":  # nothing else forbids a field that is not described
        assert "biz_opaque_callback_data" not in json.dumps(OFFICIAL["$defs"])
        return
    assert any(complaints(by_kind, request) for _, request in requests()), patch.why


@pytest.mark.parametrize("limit", [one for one in LIMITS if "openapi" in one.source], ids=lambda limit: limit.field)
def test_what_breaks_a_figure_of_the_description_is_refused_by_it_and_by_us_before_it_is_sent(limit: Limit) -> None:
    by_kind, tried = validators(), 0
    for content in EVERY.values():
        for size, fits in ((limit.most, True), (limit.most + 1, False)):
            request = json.loads(json.dumps(say.message(TO, content, callback_data="out_1")))
            if limit.part == "rows":
                del request.get("interactive", {}).get("action", {}).get("sections", [])[1:]
            for holder, name in _places(request, limit.field):
                if limit.list and not holder[name]:
                    continue
                holder[name] = _stretched(limit, holder[name], size)
                tried += 1
                assert (not complaints(by_kind, request)) is (fits or limit.field in _NOT_THERE)
                assert (complaint(request) is None) is fits
                if not fits:
                    with pytest.raises(ArgumentsWrong):
                        _sent(content, request)
                break
    assert tried >= 2


def _sent(content: Content, request: dict[str, Any]) -> None:
    say.message(TO, content, callback_data=request["biz_opaque_callback_data"])
    Content.from_json(request)


_NOT_THERE = ("image.caption", "video.caption", "document.caption")
"""Their figure stands in MediaObject_1 (2065), which the file's messages do not refer to."""
