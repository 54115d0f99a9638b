"""What doctor says of models: which roles run on what, what is missing, what the providers' own lists say."""

import json
from pathlib import Path

import pytest

from core.doctor import Finding
from evals.stand_in import Answer, Seen, StandIn
from llm.checks import ModelsCheck
from llm.router import Router
from prompts.texts import Texts
from tests.llm.conftest import MakeRouter, Serve, SpendPlaybook, new_turn, question

LISTS = {
    "openai": [
        {"id": "gpt-5.6-terra", "object": "model", "created": 0, "owned_by": "openai", "shutdown_date": None},
        {"id": "gpt-6-luna", "object": "model", "created": 0, "owned_by": "openai", "shutdown_date": "2027-06-01"},
        {"id": "gpt-transcribe", "object": "model", "created": 0, "owned_by": "openai"},
        {"id": "text-embedding-3-small", "object": "model", "created": 0, "owned_by": "openai"},
    ],
    "anthropic": [
        {"id": "claude-sonnet-4-6", "lifecycle": "deprecated"},
        {"id": "claude-haiku-5-5-20261007", "lifecycle": "active"},
    ],
    "google": [{"name": "models/gemini-3.8-flash"}, {"name": "models/gemini-3.1-flash-image"}],
    "compatible": [{"id": "llama3.3:latest", "object": "model", "created": 0, "owned_by": "library"}],
}


def lists(seen: Seen) -> Answer:
    """A provider that answers "ok" and has a list of models; the wire's own form of it."""
    if seen.body:
        return Answer("ok")
    if seen.wire == "google":
        return Answer(body=json.dumps({"models": LISTS["google"]}))
    told = LISTS["anthropic"] if seen.wire == "anthropic" else LISTS["openai"]
    dated = [{"type": "model", "display_name": "x", "created_at": "2026-01-01T00:00:00Z", **model} for model in told]
    return Answer(body=json.dumps({"object": "list", "data": dated, "has_more": False}))


async def findings(router: Router, live: bool = False, language: str = "en") -> list[Finding]:
    texts = Texts.load()
    return await ModelsCheck(router, lambda key, /, **params: texts.say(language, key, **params)).run(live)


# --- without asking outside -----------------------------------------------------------------------


async def test_every_role_with_code_says_what_it_runs_on_and_what_is_left_out_for_want_of_which_key(
    make_router: MakeRouter,
) -> None:
    with StandIn([]) as server:
        analyst, router, *_, planned = await findings(make_router(openai=server))
    assert analyst.text == (
        "The role ads_analyst runs on openai/gpt-5.6-terra, then on Mutirão's rules. Left out: "
        "compatible/* (MUTIRAO_COMPATIBLE_MODEL is not set); anthropic/claude-sonnet-4-6 (ANTHROPIC_API_KEY is not "
        "set); google/gemini-3.8-flash (GEMINI_API_KEY is not set)."
    )
    assert router.text.startswith("The role router runs on openai/gpt-6-luna, then")
    assert planned.text.startswith("13 planned roles, which nothing uses yet: sdr_linkedin, ")
    assert {finding.state for finding in (analyst, router, planned)} == {"note"}
    assert server.seen == []


async def test_without_any_key_the_roles_fall_to_the_rules_and_the_missing_keys_are_named(
    make_router: MakeRouter,
) -> None:
    analyst, *_ = await findings(make_router())
    assert analyst.text.startswith("The role ads_analyst runs on Mutirão's rules alone. Left out: ")
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        assert name in analyst.text


async def test_offline_by_choice_lacks_nothing(make_router: MakeRouter) -> None:
    analyst, *_ = await findings(make_router(model="offline"))
    assert analyst.text == "The role ads_analyst runs on Mutirão's rules alone."


async def test_a_forced_model_that_cannot_do_what_a_role_needs_is_said(make_router: MakeRouter) -> None:
    with StandIn([]) as server:
        analyst, *_ = await findings(make_router(openai=server, model="openai/gpt-transcribe"))
    assert analyst.text.endswith("alone. Left out: openai/gpt-transcribe (cannot do: streaming, tools).")


async def test_an_overlay_is_told_with_what_it_changes(make_router: MakeRouter, tmp_path: Path) -> None:
    overlay = tmp_path / "catalog.toml"
    overlay.write_text('[roles.router]\nchain = ["google/gemini-3.8-flash"]\n', encoding="utf-8")
    told = [finding.text for finding in await findings(make_router(data_dir=tmp_path))]
    assert f"The file {overlay} changes the catalog of models: roles.router.chain." in told


async def test_a_model_whose_breaker_is_open_is_told(make_router: MakeRouter, serve: Serve) -> None:
    router = make_router(openai=serve(Answer(status=500)), model_breaker_failures=1)
    await router.complete(new_turn(), question(), playbook=SpendPlaybook())
    told = [finding.text for finding in await findings(router)]
    assert "openai/gpt-5.6-terra failed several times in a row and is left out for the moment." in told


@pytest.mark.parametrize("language", ["pt-BR", "es"])
async def test_it_is_said_in_the_readers_language(language: str, make_router: MakeRouter) -> None:
    analyst, *_ = await findings(make_router(), language=language)
    assert analyst.text.startswith(
        {"pt-BR": "O papel ads_analyst roda só", "es": "El rol ads_analyst corre solo"}[language]
    )


# --- live -----------------------------------------------------------------------------------------


async def test_live_compares_the_catalogs_names_with_each_providers_own_list(make_router: MakeRouter) -> None:
    with StandIn(lists) as server:
        router = make_router(openai=server, anthropic=server, google=server)
        found = [(finding.state, finding.text) for finding in await findings(router, live=True)]
    told = found[next(place for place, (_, text) in enumerate(found, 1) if " planned roles" in text) :]
    assert told == [
        ("ok", "openai answered."),
        ("note", "openai says of openai/gpt-6-luna: 2027-06-01. Change it in the catalog before it ends."),
        *unlisted("note", "openai", "gpt-image-2.5-sunburst"),
        ("ok", "anthropic answered."),
        ("note", "anthropic says of anthropic/claude-sonnet-4-6: deprecated. Change it in the catalog before it ends."),
        ("ok", "google answered."),
        *unlisted("broken", "google", "gemini-3.5-flash-lite"),
        *unlisted("note", "google", "gemini-embedding-2"),
    ]


def unlisted(state: str, provider: str, name: str) -> list[tuple[str, str]]:
    said = (
        f"{provider} does not have {provider}/{name} in its list of models: change it in the catalog, or ask for access"
    )
    return [(state, f"{said} to it.")]


async def test_live_says_when_all_names_are_known(make_router: MakeRouter) -> None:
    def own(seen: Seen) -> Answer:
        return Answer("ok") if seen.body else Answer(body=json.dumps({"object": "list", "data": LISTS["compatible"]}))

    with StandIn(own) as server:
        router = make_router(compatible_base_url=server.openai_url, compatible_model="llama3.3")
        told = [finding.text for finding in await findings(router, live=True)]
    assert told[-2:] == ["compatible answered.", "compatible knows the model that the catalog asks it for."]


@pytest.mark.parametrize("answer", [Answer(status=404), Answer(body="<html>hi</html>"), Answer(body="[]")])
async def test_a_server_without_a_list_of_models_is_no_error(answer: Answer, make_router: MakeRouter) -> None:
    with StandIn(lambda seen: Answer("ok") if seen.body else answer) as server:
        router = make_router(compatible_base_url=server.openai_url, compatible_model="llama3.3")
        told = (await findings(router, live=True))[-1]
    assert (told.state, told.text) == (
        "note",
        "compatible offers no list of models: the names could not be checked.",
    )


async def test_a_list_that_cannot_be_read_leaves_the_names_unverified(make_router: MakeRouter) -> None:
    with StandIn(lambda seen: Answer("ok") if seen.body else Answer(status=403)) as server:
        told = (await findings(make_router(anthropic=server), live=True))[-1]
    assert told.state == "unverified"
    assert "auth: anthropic/models answered 403" in told.text


async def test_a_provider_that_does_not_answer_is_not_asked_for_its_list(make_router: MakeRouter, serve: Serve) -> None:
    server = serve(Answer(status=401), Answer(body="{}"))
    told = (await findings(make_router(openai=server), live=True))[-1]
    assert (told.state, told.text.startswith("openai did not answer: auth")) == ("broken", True)
    assert len(server.seen) == 1


async def test_a_key_that_no_role_uses_is_no_fault(make_router: MakeRouter) -> None:
    with StandIn(lists) as server:
        router = make_router(openai=server, anthropic=server, model="openai/gpt-5.6-terra")
        told = [(finding.state, finding.text) for finding in await findings(router, live=True)]
    assert ("note", "No role uses anthropic.") in told
    assert not [text for state, text in told if state == "broken"]
