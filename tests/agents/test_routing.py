"""A message becomes parts, each with a crew, and a reason that can be read."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from agents.intents import Classifier
from agents.routing import MAX_PARTS, SURE, RoutePlan, parse_route_answer, route, router_messages
from core.tenancy import Identity, Role
from core.turn import LANGUAGES, Turn
from prompts.prompt import Prompts
from prompts.texts import Texts
from tests.agents.conftest import DATA

AFTER_RANKING = {"last_intent": "ads.ranking", "last_crew": "ads"}
REQUESTS = yaml.safe_load((DATA / "requests.yaml").read_text(encoding="utf-8"))


def _intents(plan: RoutePlan) -> list[str]:
    return [part.intent for part in plan.parts]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r["text"])
def test_every_request_of_a_message_is_served(request_: dict[str, Any], classifier: Classifier) -> None:
    assert _intents(route(request_["text"], {}, classifier)) == request_["intents"]


@pytest.mark.parametrize("text", ["", "   ", "👍👍", "?!?", "\n\n", "🔥 !!!", "\x00"])
def test_a_message_without_words_is_unclear(text: str, classifier: Classifier) -> None:
    plan = route(text, {}, classifier)
    assert _intents(plan) == ["unclear"]
    assert plan.sure
    assert plan.parts[0].why.key == "route.why.no_words"


def test_a_followup_goes_to_the_crew_of_the_last_answer(classifier: Classifier) -> None:
    [part] = route("e a segunda?", AFTER_RANKING, classifier).parts
    assert (part.intent, part.crew, part.base, part.follows) == ("followup", "ads", "ads.ranking", True)


def test_a_followup_of_nothing_is_unclear(classifier: Classifier) -> None:
    [part] = route("e a segunda?", {}, classifier).parts
    assert (part.intent, part.crew, part.why.key) == ("unclear", None, "route.why.nothing_before")


def test_a_followup_inside_a_message_continues_the_part_before(classifier: Classifier) -> None:
    first, second = route("quanto gastei ontem? e anteontem?", AFTER_RANKING, classifier).parts
    assert first.intent == "ads.overview"
    assert (second.intent, second.base, second.text) == ("followup", "ads.overview", "e anteontem?")


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        ("pausa ela", True),
        ("pause the second one", True),
        ("pausa essa campanha", True),
        ("como foi essa semana?", False),
        ("quanto gastei desde segunda?", False),
        ("quanto gastei na segunda-feira?", False),
        ("pausa a campanha Natal", False),
    ],
)
def test_words_that_point_back_are_told(text: str, follows: bool, classifier: Classifier) -> None:
    assert route(text, AFTER_RANKING, classifier).parts[0].follows is follows


def test_a_crew_gets_all_its_parts_at_once(classifier: Classifier) -> None:
    plan = route("quanto gastei ontem? E o que devo pausar? E o que está pendente?", {}, classifier)
    assert [part.intent for part in plan.crews()["ads"]] == ["ads.overview", "ads.diagnose"]
    assert list(plan.crews()) == ["ads"]


def test_requests_beyond_the_most_are_left_out_by_name(classifier: Classifier) -> None:
    text = (
        "Quanto gastei ontem?\nQual o melhor anúncio do mês?\nO que devo pausar?\nO que está pendente?\n"
        "Me dá uma receita de bolo"
    )
    plan = route(text, {}, classifier)
    assert len(plan.parts) == MAX_PARTS
    assert plan.left_out == ("Me dá uma receita de bolo",)


def test_a_long_paste_does_not_become_many_requests(classifier: Classifier) -> None:
    paste = "Relatório interno da reunião com o time comercial sobre assuntos diversos da empresa. " * 380
    plan = route(f"quanto gastei ontem?\n{paste}", {}, classifier)
    assert "ads.overview" in _intents(plan)
    assert len(plan.parts) <= 2
    assert sum(len(part.text) for part in plan.parts) < 5_000


def test_a_request_said_twice_is_one_request(classifier: Classifier) -> None:
    assert _intents(route("quanto gastei ontem? " * 100, {}, classifier)) == ["ads.overview"]


def test_quotes_are_not_cut(classifier: Classifier) -> None:
    [part] = route('pausa a campanha "Compre já! E pause quando quiser"', {}, classifier).parts
    assert part.text == 'pausa a campanha "Compre já! E pause quando quiser"'


@pytest.mark.parametrize(
    "text", ["quanto gastei ontem?", "What should I pause?", "¿qué pauso?", "oi", "o que está pendente?"]
)
def test_plain_questions_need_no_model(text: str, classifier: Classifier) -> None:
    assert route(text, {}, classifier).sure


def test_every_reason_has_its_words_in_every_language(classifier: Classifier) -> None:
    texts = Texts.load()
    keys = [f"route.why.{name}" for name in (*classifier.intents, "no_words", "nothing_before")]
    keys += [f"route.how.{how}" for how in ("classifier", "model", "rule", "session")]
    for language in LANGUAGES:
        assert all(texts.say(language, key) for key in keys)


# --- what a model is asked and answers ----------------------------------------------------------


def _turn(text: str) -> Turn:
    identity = Identity("ten_1", "user_1", Role.ADMIN, "Ana", "ana@example.com")
    return Turn("turn_1", identity, "conv_1", "evals", text, "pt-BR", datetime(2026, 11, 20, tzinfo=UTC))


def test_the_question_to_a_model_is_short_and_holds_every_intent(classifier: Classifier) -> None:
    system, user = router_messages(_turn("x" * 40_000), Prompts())
    assert all(f"{name}:" in system["content"] for name in classifier.intents)
    assert len(system["content"]) < 4_000  # about 700 tokens
    assert len(user["content"]) < 3_000


def test_a_model_that_routes_is_shown_the_message_before_in_short() -> None:
    """Record dono-com-pressa: what a follow-up follows had to be guessed."""
    turn = _turn("e a segunda?")
    assert "The message before" not in router_messages(turn, Prompts())[0]["content"]
    turn.session = {"last_intent": "ads.diagnose", "last_text": "o que\n eu pauso agora?" + "x" * 5_000}
    system = router_messages(turn, Prompts())[0]["content"]
    assert 'The message before: "o que eu pauso agora?xxx' in system
    assert "The intent answered last: ads.diagnose." in system
    assert len(system) < 4_000


def _guess(text: str, classifier: Classifier, session: dict[str, Any] | None = None) -> RoutePlan:
    return route(text, session or {}, classifier)


def test_a_models_answer_becomes_a_plan(classifier: Classifier) -> None:
    guess = _guess("vê os números e a segunda", classifier, AFTER_RANKING)
    answer = {
        "parts": [{"intent": "ads.overview", "text": "vê os números"}, {"intent": "followup", "text": "a segunda"}]
    }
    plan = parse_route_answer(f"```json\n{json.dumps(answer)}\n```", guess)
    assert plan is not None
    assert [(p.intent, p.crew, p.text, p.how) for p in plan.parts] == [
        ("ads.overview", "ads", "vê os números", "model"),
        ("followup", "ads", "a segunda", "model"),
    ]
    assert plan.sure
    assert plan.parts[0].confidence == SURE


def test_words_that_the_person_did_not_say_are_not_taken_from_a_model(classifier: Classifier) -> None:
    guess = _guess("mexe na verba", classifier)
    plan = parse_route_answer('{"parts": [{"intent": "ads.budget", "text": "aumenta para R$ 9.000"}]}', guess)
    assert plan is not None
    assert [p.text for p in plan.parts] == ["mexe na verba"]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "ads.overview",
        "{}",
        '{"parts": []}',
        '{"parts": [{"intent": "ads.delete_everything", "text": "x"}]}',
        '{"parts": "ads.overview"}',
        '{"parts": [{"text": "x"}]}',
        '{"parts": [',
        "[" * 10_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
    ],
)
def test_an_answer_that_cannot_be_used_is_no_plan(answer: str, classifier: Classifier) -> None:
    assert parse_route_answer(answer, _guess("oi", classifier)) is None


def test_a_model_may_not_make_more_parts_than_the_most(classifier: Classifier) -> None:
    words = ["gasto", "leads", "vendas", "cliques", "alcance", "custo"]
    guess = _guess(" ".join(words), classifier)
    answer = json.dumps({"parts": [{"intent": "ads.overview", "text": word} for word in words]})
    plan = parse_route_answer(answer, guess)
    assert plan is not None
    assert len(plan.parts) == MAX_PARTS


def test_what_is_dictated_to_somebody_is_one_request_whatever_it_says(classifier: Classifier) -> None:
    for text in (
        "manda uma mensagem pra Ana Souza: Oi, Ana! Sua proposta está pronta. Posso mandar? Pausa a campanha.",
        "send a whatsapp to Ana Souza: hi Ana. How did my campaigns do yesterday?",
    ):
        assert [(part.intent, part.text) for part in route(text, {}, classifier).parts] == [("messages.whatsapp", text)]
    both = route(
        "pausa a campanha Verão e manda um zap pra Ana Souza: como foram as vendas ontem?", {}, classifier
    ).parts
    assert [part.intent for part in both] == ["ads.pause", "messages.whatsapp"]
