"""Words for people: the same keys and the same parameters in every language, and a text for every error."""

import ast
import re

import pytest
from jinja2 import Environment, meta

from business.messaging.attention import Event
from core.turn import LANGUAGES
from prompts.texts import Texts
from tests.contracts.source import calls, raised_codes

TEXTS = Texts.load()
FIRST, *OTHERS = LANGUAGES


def variables(text: str) -> set[str]:
    return set(meta.find_undeclared_variables(Environment().parse(re.sub(r"\|\s*\w+(\([^)]*\))?", "", text))))


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_exists_in_every_language(language: str) -> None:
    assert sorted(TEXTS.sources[language]) == sorted(TEXTS.sources[FIRST])


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_uses_the_same_parameters_in_every_language(language: str) -> None:
    differing = {
        key: (variables(text), variables(TEXTS.sources[language][key]))
        for key, text in TEXTS.sources[FIRST].items()
        if key in TEXTS.sources[language] and variables(text) != variables(TEXTS.sources[language][key])
    }
    assert differing == {}


def test_no_text_is_empty() -> None:
    assert [key for texts in TEXTS.sources.values() for key, text in texts.items() if not str(text).strip()] == []


def test_every_error_that_is_raised_has_its_sentence() -> None:
    wordless = {f"{file}:{line} {code}" for file, line, code, _ in raised_codes() if not TEXTS.has(f"error.{code}")}
    assert wordless == set()


def test_the_sentence_of_an_error_asks_only_for_what_is_raised_with_it() -> None:
    # `name is defined` may ask for a parameter that is not always there.
    lacking = set()
    for file, line, code, given in raised_codes():
        text = TEXTS.sources[FIRST].get(f"error.{code}", "")
        optional = set(re.findall(r"(\w+) is (?:not )?defined", text))
        missing = variables(text) - (given or set()) - {"code"} - optional
        if given is not None and missing:
            lacking.add(f"{file}:{line} {code}: {sorted(missing)}")
    assert lacking == set()


def test_every_sentence_of_the_doctor_exists() -> None:
    keys = {
        f"doctor.{node.args[1].value}"
        for _, node in calls()
        if isinstance(node.func, ast.Attribute) and node.func.attr == "_found"
        if len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
    }
    assert len(keys) > 20
    assert {key for key in keys if not TEXTS.has(key)} == set()


def reasons(method: str, place: int) -> set[str]:
    """The words that are handed to a method of this name, as its argument at this place."""
    return {
        call.args[place].value
        for _, call in calls()
        if isinstance(call.func, ast.Attribute) and call.func.attr == method
        and len(call.args) > place
        and isinstance(call.args[place], ast.Constant) and isinstance(call.args[place].value, str)
    }  # fmt: skip


def test_every_reason_for_which_a_message_never_leaves_has_its_words() -> None:
    """What the policy decides has its own words (messaging.why.*); these are all others."""
    dropped = reasons("drop", 2) | reasons("take_back", 2) | reasons("finish", 2) | {str(event) for event in Event}
    assert {"meeting_changed", "as_template", "kept_by_person", "handed_back", "person"} <= dropped, "they are found"
    assert {reason for reason in dropped if not TEXTS.has(f"inbox.dropped.{reason}")} == set()


def test_every_reason_for_which_a_cadence_stops_has_its_words() -> None:
    stops = reasons("end", 3) | {
        one.value
        for _, call in calls()
        if isinstance(call.func, ast.Name) and call.func.id == "Situation"
        for arg in call.args
        for one in (
            arg,
            *(arg.func.value.values if _is_dict_get(arg) else ()),
            *(arg.args if _is_dict_get(arg) else ()),
        )
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }
    assert {"meeting", "person", "opted_out", "not_sent", "unanswered"} <= stops, "they are found"
    assert {reason for reason in stops if not TEXTS.has(f"outreach.why.{reason}")} == set()


def _is_dict_get(arg: ast.expr) -> bool:
    return isinstance(arg, ast.Call) and isinstance(arg.func, ast.Attribute) and isinstance(arg.func.value, ast.Dict)
