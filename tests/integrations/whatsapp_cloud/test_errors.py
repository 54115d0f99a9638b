"""Each code of Meta's has its consequence, its named failure and its sentence."""

import pytest

from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from integrations.whatsapp_cloud import errors
from integrations.whatsapp_cloud.errors import RULES, Action, from_graph, rule, rule_of
from prompts.texts import Texts


@pytest.mark.parametrize(
    ("codes", "action"),
    [
        ((131000, 131016, 133004, 131057, 1, 2), Action.RETRY),
        ((4, 80007, 130429, 131056, 131049, 131064), Action.WAIT),
        ((131047,), Action.TEMPLATE),
        ((0, 190, 3, 10, 200, 299, 368, 131031, 130497, 131042, 131048), Action.STOP_NUMBER),
        ((131026, 131050, 130472), Action.STOP_CONTACT),
        ((100, 131008, 131009, 131021, 131051, 131053, 131062, 132000, 132001, 132012, 132015, 132016), Action.FIX),
    ],
)
def test_the_table_says_what_may_be_done(codes: tuple[int, ...], action: Action) -> None:
    assert {code: rule(code).action for code in codes} == dict.fromkeys(codes, action)


def test_an_unknown_code_is_a_fault_of_ours_unless_the_server_failed() -> None:
    assert rule(987654).action is Action.FIX
    assert rule(987654, 503).action is Action.RETRY
    assert not rule(987654, 503).sure


@pytest.mark.parametrize("code", [*RULES, 210, 987654])
def test_every_code_becomes_a_failure_with_a_sentence_in_every_language(code: int) -> None:
    failure = from_graph(400, {"code": code, "message": "words of Meta's"}, {})
    assert isinstance(failure, ArgumentsWrong | Refused | Unavailable)
    assert rule_of(failure) is rule(code) or rule_of(failure) == rule(code)
    assert rule(code).source
    waits = rule(code).action in (Action.RETRY, Action.WAIT)
    assert (failure.retry_after is not None) == waits
    for language in ("pt-BR", "en", "es"):
        assert _texts().error(language, failure)


def test_meta_s_own_wait_counts_and_secrets_never_show() -> None:
    told = {"code": 130429, "error_data": {"details": "token EAABsbCS1iHgBA was seen"}, "fbtrace_id": "A1"}
    failure = from_graph(400, told, {"retry-after": "90"})
    assert (failure.retry_after, failure.params["wait"], failure.params["trace"]) == (90.0, 2, "A1")
    assert "EAAB" not in str(failure) + str(failure.params)
    assert from_graph(400, {"code": 131056}, {"retry-after": "soon"}).retry_after == 6.0


@pytest.mark.parametrize("error", [{}, {"code": None}, {"code": "x"}, {"code": 1e400}, {"code": [], "error_data": 7}])
def test_an_error_without_sense_is_still_a_failure(error: dict[str, object]) -> None:
    assert isinstance(from_graph(400, error, {}), MutiraoError)
    assert rule_of(errors.unavailable("no answer")) is None


_LOADED: list[Texts] = []


def _texts() -> Texts:
    if not _LOADED:
        _LOADED.append(Texts.load())
    return _LOADED[0]
