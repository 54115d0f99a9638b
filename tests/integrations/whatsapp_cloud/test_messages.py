"""What we send is what Meta takes: every builder, every limit at its edge and just beyond it."""

import copy
import json
from typing import Any

import pytest

from core.errors import ArgumentsWrong
from integrations.whatsapp_cloud import limits
from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.limits import LIMITS, Limit
from integrations.whatsapp_cloud.messages import Button, Card, Content, HeaderMedia, MediaRef, Row, Section
from integrations.whatsapp_cloud.simulator.validate import complaint
from prompts.texts import Texts
from tests.integrations.whatsapp_cloud.contents import EVERY, LINKED, UPLOADED, WAMID

TO = "5519999990001"


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts.load()


@pytest.mark.parametrize("name", EVERY)
def test_every_message_has_the_shape_of_the_official_description_and_can_be_stored(name: str) -> None:
    content = EVERY[name]
    request = say.message(TO, content, reply_to=WAMID, callback_data="out_1")
    assert complaint(request) is None
    assert Content.from_json(json.loads(json.dumps(content.as_json()))) == content


def _places(payload: Any, path: str) -> list[tuple[Any, str]]:
    """(what holds it, its name) for every value at the limit's path."""
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    if not isinstance(payload, dict) or name not in payload:
        return []
    if not rest:
        return [(payload, name)]
    inner = payload[name] if head.endswith("[]") else [payload[name]]
    return [found for one in inner for found in _places(one, rest)]


def _stretched(limit: Limit, found: Any, size: int) -> Any:
    """The value made `size` long: a text, or a list whose elements stay different from each other."""
    if not limit.list:
        filled = ("https://e.co/" if limit.part == "url" else "") + "a" * size
        return filled[:size]
    grown = []
    for number in range(size):
        one = copy.deepcopy(found[0])
        for mark in (one, one.get("reply", {}), *one.get("rows", [])[:1]):
            if isinstance(mark, dict) and "id" in mark:
                mark |= {"id": f"id{number}", "title": f"t{number}"}
        if "rows" in one:
            one["rows"] = one["rows"][:1]
            one["title"] = f"s{number}"
        grown.append(one)
    return grown


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.field)
def test_each_limit_is_kept_to_the_last_character_and_broken_by_one_more(limit: Limit) -> None:
    """And the official shapes, which know nothing of our table, agree wherever they have a figure themselves."""
    assert limit.source
    tried = 0
    for content in EVERY.values():
        for size, fits in ((limit.most, True), (limit.most + 1, False)):
            request = json.loads(json.dumps(say.message(TO, content, callback_data="out_1")))
            if limit.part == "rows":  # those of other sections count, too
                del request.get("interactive", {}).get("action", {}).get("sections", [])[1:]
            for holder, name in _places(request, limit.field):
                if limit.list and not holder[name]:
                    continue
                holder[name] = _stretched(limit, holder[name], size)
                tried += 1
                if limit.field == "biz_opaque_callback_data":
                    sent = lambda request=request: say.message(TO, content, callback_data=request[limit.field])  # noqa: B023, E731
                else:
                    sent = lambda request=request: Content.from_json(request)  # noqa: E731
                if fits:
                    sent()
                    assert complaint(request) is None
                else:
                    with pytest.raises(ArgumentsWrong) as refused:
                        sent()
                    assert refused.value.code == ("whatsapp_too_many" if limit.list else "whatsapp_too_long")
                    assert refused.value.params["most"] == limit.most
                    assert refused.value.params["found"] == limit.most + 1
                    if "openapi" in limit.source:
                        assert complaint(request) is not None
                break
    assert tried >= 2


WRONG: dict[str, tuple[Any, str, str]] = {
    "an empty text": (lambda: say.text("  "), "text", "empty"),
    "a NUL": (lambda: say.text("a\x00b"), "text", "control"),
    "half an emoji": (lambda: say.text("a\ud83d"), "text", "control"),
    "no media": (lambda: say.image(MediaRef()), "media", "media"),
    "two media": (lambda: say.image(MediaRef("1", "https://e.co/a")), "media", "media"),
    "a path as an id": (lambda: say.image(MediaRef("../1")), "media", "media"),
    "a file address": (lambda: say.image(MediaRef(link="file:///etc/passwd")), "media", "url"),
    "an address without host": (lambda: say.link_button("a", "b", "https://"), "url", "url"),
    "an address with a space": (lambda: say.link_button("a", "b", "https://e.co/a b"), "url", "url"),
    "a script": (lambda: say.link_button("a", "b", "javascript:alert(1)"), "url", "url"),
    "a caption under a sticker": (
        lambda: Content.from_json({"type": "sticker", "sticker": {"id": "1", "caption": "x"}}),
        "caption",
        "not_here",
    ),
    "beyond the pole": (lambda: say.location(90.1, 0), "location", "range"),
    "nowhere": (lambda: say.location(float("nan"), 0), "location", "range"),
    "a nameless contact": (lambda: say.contacts([Card(" ")]), "contact_name", "empty"),
    "no contact": (lambda: say.contacts([]), "contacts", "empty"),
    "a wrong e-mail": (lambda: say.contacts([Card("A", emails=("a@b",))]), "email", "email"),
    "a word as a reaction": (lambda: say.reaction(WAMID, "ok"), "emoji", "emoji"),
    "a reaction to nothing": (lambda: say.reaction("123", "👍"), "message_id", "message_id"),
    "no button": (lambda: say.buttons("a", []), "buttons", "empty"),
    "the same button twice": (lambda: say.buttons("a", [Button("1", "x"), Button("1", "y")]), "button_id", "unique"),
    "the same words twice": (lambda: say.buttons("a", [Button("1", "x"), Button("2", "x")]), "button_title", "unique"),
    "space around an id": (lambda: say.buttons("a", [Button(" 1", "x")]), "button_id", "spaces"),
    "an empty button": (lambda: say.buttons("a", [Button("1", "")]), "button_title", "empty"),
    "sections without titles": (
        lambda: say.option_list("a", "b", [Section(None, (Row("1", "x"),)), Section(None, (Row("2", "y"),))]),
        "section_title",
        "title_missing",
    ),
    "the same row twice": (
        lambda: say.option_list("a", "b", [Section("A", (Row("1", "x"), Row("1", "y")))]),
        "row_id",
        "unique",
    ),
    "a section without rows": (lambda: say.option_list("a", "b", [Section("A", ())]), "rows", "empty"),
    "a picture above a list": (
        lambda: say.checked(
            "interactive",
            say.option_list("a", "b", [Section("A", (Row("1", "x"),))]).payload
            | {"header": HeaderMedia("image", UPLOADED).as_json()},
        ),
        "header",
        "kind",
    ),
    "a caption in a header": (
        lambda: say.checked(
            "interactive",
            say.buttons("a", [Button("1", "x")]).payload
            | {"header": {"type": "image", "image": LINKED.as_json() | {"caption": "x"}}},
        ),
        "caption",
        "not_here",
    ),
    "a template's name in capitals": (lambda: say.template("Oferta", "pt_BR"), "template_name", "name"),
    "no language": (lambda: say.template("oferta", "português"), "language", "language"),
    "a line break in a variable": (lambda: say.template("oferta", "pt_BR", body=["a\nb"]), "variable", "newline"),
    "a kind that there is not": (lambda: Content.from_json({"type": "poll", "poll": {}}), "text", "kind"),
    "a stored text that is no object": (lambda: Content.from_json({"type": "text", "text": "oi"}), "text", "kind"),
    "nobody": (lambda: say.message("ninguém", say.text("oi")), "recipient", "phone"),
    "a phone with letters": (lambda: say.message("+55 19 9999", say.text("oi")), "recipient", "phone"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_meta_would_refuse_is_never_sent_and_says_why_in_three_languages(name: str, texts: Texts) -> None:
    build, part, reason = WRONG[name]
    with pytest.raises(ArgumentsWrong) as refused:
        build()
    assert (refused.value.code, refused.value.params["part"], refused.value.params["reason"]) == (
        "whatsapp_malformed",
        part,
        reason,
    )
    for language in ("pt-BR", "en", "es"):
        words = texts.sources[language]["error.whatsapp_malformed"]
        assert f"'{part}':" in words and f"'{reason}':" in words
        assert texts.error(language, refused.value)


def test_rows_are_counted_over_all_sections_together() -> None:
    sections = [Section(f"S{one}", tuple(Row(f"{one}{row}", "x") for row in range(4))) for one in range(3)]
    with pytest.raises(ArgumentsWrong, match="12 of at most 10") as refused:
        say.option_list("a", "b", sections)
    assert refused.value.code == "whatsapp_too_many"
    say.option_list("a", "b", sections[:2])


def test_an_emoji_counts_two_because_meta_does_not_say_how_it_counts() -> None:
    assert limits.length("a👍") == 3
    say.buttons("a", [Button("1", "👍" * 10)])
    with pytest.raises(ArgumentsWrong):
        say.buttons("a", [Button("1", "👍" * 11)])


def test_a_message_goes_to_a_phone_or_to_a_user_id_as_whatsapp_told_them() -> None:
    content = say.text("oi")
    assert say.message("551899990001", content)["to"] == "551899990001"  # without the ninth digit, as told
    hidden = say.message("BR.13491208655302741918", content)
    assert hidden["recipient"] == "BR.13491208655302741918"
    assert "to" not in hidden
    assert say.message("US.ENT.11815799212886844830", content)["recipient"] == "US.ENT.11815799212886844830"
    assert complaint(hidden) is None


def test_reading_and_typing_are_one_request() -> None:
    assert complaint(say.read(WAMID)) is None
    assert say.read(WAMID, typing=True)["typing_indicator"] == {"type": "text"}
    assert complaint(say.read(WAMID, typing=True)) is None
    with pytest.raises(ArgumentsWrong):
        say.read("")
