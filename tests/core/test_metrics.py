"""Prometheus is told what happened in turns, in labels from small known sets, and what the queue holds."""

import threading
from collections.abc import Iterator
from decimal import Decimal

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.errors import SetupError
from core.jobs import Jobs
from core.metrics import Known, Metrics
from core.settings import Settings
from tests.conftest import Dsns, free_port
from tests.core.finished import SECRETS, asked, model_call, seen, tool_call

KNOWN = Known(
    models=frozenset({"anthropic/claude", "openai/gpt"}),
    roles=frozenset({"ads_analyst", "router"}),
    tools=frozenset({"ads_report", "ads_pause"}),
    failures=frozenset({"timeout", "rate_limited"}),
)

Samples = dict[str, float]


def scrape(metrics: Metrics) -> Samples:
    """What a scrape says, as {'name{label="value"}': number}, labels in alphabetical order."""
    from prometheus_client import generate_latest

    return samples(generate_latest(metrics.registry).decode())


def samples(text: str) -> Samples:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(KNOWN, version="1.2.3")


# --- turns ------------------------------------------------------------------------------------


def test_a_turn_is_counted_by_its_door_and_its_end_and_its_seconds_are_measured(metrics: Metrics) -> None:
    metrics.saw(seen())
    metrics.saw(seen(ended="limit:seconds"))
    metrics.saw(seen(ended="error:a_code_nobody_told_us"))
    told = scrape(metrics)
    assert told['mutirao_turns_total{door="chat",ended="done"}'] == 1
    assert told['mutirao_turns_total{door="chat",ended="limit:seconds"}'] == 1
    assert told['mutirao_turns_total{door="chat",ended="error:other"}'] == 1
    assert told['mutirao_turn_seconds_sum{door="chat"}'] == 15
    assert told['mutirao_turn_seconds_bucket{door="chat",le="3.0"}'] == 0
    assert told['mutirao_turn_seconds_bucket{door="chat",le="5.0"}'] == 3


def test_the_first_words_are_measured_and_a_reply_that_comes_whole_has_them_at_its_end(metrics: Metrics) -> None:
    metrics.saw(seen(first_text=0.7))
    metrics.saw(seen())
    told = scrape(metrics)
    assert told['mutirao_first_text_seconds_sum{door="chat"}'] == 5.7
    assert told['mutirao_first_text_seconds_bucket{door="chat",le="0.75"}'] == 1


def test_an_answered_request_is_told_with_tokens_cost_and_times(metrics: Metrics) -> None:
    metrics.saw(seen(model_call(), asked()))
    told, model = scrape(metrics), 'model="claude",provider="anthropic"'
    requests = 'mutirao_model_requests_total{model="claude",outcome="ok",provider="anthropic",role="ads_analyst"}'
    assert told[requests] == 1
    assert {kind: told[f'mutirao_model_tokens_total{{kind="{kind}",{model}}}'] for kind in ("prompt", "cached")} == {
        "prompt": 1_000,
        "cached": 600,
    }
    assert told[f'mutirao_model_tokens_total{{kind="completion",{model}}}'] == 50
    assert told[f'mutirao_model_tokens_total{{kind="cache_written",{model}}}'] == 100
    assert told[f'mutirao_model_cost_usd_total{{{model},role="ads_analyst"}}'] == 0.0125
    assert told[f"mutirao_model_seconds_sum{{{model}}}"] == 2
    assert told[f"mutirao_model_first_sign_seconds_sum{{{model}}}"] == 0.4
    assert told['mutirao_answers_total{by="model",role="ads_analyst"}'] == 1
    assert told[f"mutirao_model_requests_unpriced_total{{{model}}}"] == 0


def test_a_failed_request_is_told_by_the_kind_of_its_failure_never_by_its_words(metrics: Metrics) -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "cost_usd": None, "first_seconds": None}
    late = model_call(failure="timeout: anthropic/claude (after 8.0 s)", **nothing)
    odd = model_call(failure="Ana Souza said no", **nothing)
    metrics.saw(seen(late, odd, asked("")))
    told = scrape(metrics)
    outcomes = {name: n for name, n in told.items() if name.startswith("mutirao_model_requests_total")}
    assert {name.split('outcome="')[1].split('"')[0]: n for name, n in outcomes.items()} == {"timeout": 1, "other": 1}
    assert not any(name.startswith("mutirao_model_first_sign_seconds_count") for name in told)
    assert told['mutirao_model_requests_unpriced_total{model="claude",provider="anthropic"}'] == 0
    assert told['mutirao_answers_total{by="nobody",role="ads_analyst"}'] == 1


def test_a_request_of_unknown_price_is_counted_as_such_and_adds_nothing_to_the_cost(metrics: Metrics) -> None:
    metrics.saw(seen(model_call(cost_usd=None), model_call(cost_usd=None, failure="given_up: …", estimated=True)))
    told = scrape(metrics)
    assert told['mutirao_model_requests_unpriced_total{model="claude",provider="anthropic"}'] == 2
    assert not any(name.startswith("mutirao_model_cost_usd_total") for name in told)


def test_fallbacks_retries_and_hedges_are_each_counted_once(metrics: Metrics) -> None:
    gpt = {"provider": "openai", "model": "gpt"}
    metrics.saw(
        seen(
            model_call(),
            model_call(**gpt, link=1),
            model_call(**gpt, link=1, attempt=2),
            model_call(**gpt, link=1, hedge=True, cost_usd=Decimal(0)),
        )
    )
    told = scrape(metrics)
    for name in ("fallbacks", "retries", "hedges"):
        assert told[f'mutirao_model_{name}_total{{model="gpt",provider="openai"}}'] == 1
        assert told[f'mutirao_model_{name}_total{{model="claude",provider="anthropic"}}'] == 0


def test_the_playbook_answers_without_a_request_to_a_model(metrics: Metrics) -> None:
    metrics.saw(seen(model_call(provider="offline", model="playbook"), asked("offline")))
    told = scrape(metrics)
    assert told['mutirao_answers_total{by="playbook",role="ads_analyst"}'] == 1
    assert not any(number for name, number in told.items() if name.startswith("mutirao_model_"))


def test_tools_are_told_by_how_they_ended_and_proposals_by_their_tool(metrics: Metrics) -> None:
    metrics.saw(
        seen(
            tool_call(),
            tool_call(error="graph_unavailable", result=None),
            tool_call(error="arguments_wrong", result=None),
            tool_call(error="tool_bug", result=None),
            tool_call(name="ads_pause", proposal_id="prop_1"),
            held_back=2,
        )
    )
    told = scrape(metrics)
    endings = {"ok": 1, "failed": 1, "wrong_arguments": 1, "tool_bug": 1}
    assert {e: told[f'mutirao_tool_calls_total{{ended="{e}",tool="ads_report"}}'] for e in endings} == endings
    assert told['mutirao_tool_seconds_count{tool="ads_report"}'] == 4
    assert told['mutirao_proposals_total{tool="ads_pause"}'] == 1
    assert told["mutirao_numbers_held_back_total"] == 2


def test_names_that_are_not_known_become_other_however_many_there_are(metrics: Metrics) -> None:
    for n in range(200):
        metrics.saw(
            seen(
                model_call(model=f"model-{n}", role=f"role {n}"),
                model_call(provider=f"provider-{n}"),
                tool_call(name=f"tool_{n}", effect="", error="tool_unknown", result=None),
                asked(role=f"role {n}"),
            )
        )
    told = scrape(metrics)
    assert told['mutirao_tool_calls_total{ended="wrong_arguments",tool="other"}'] == 200
    requests = {name for name in told if name.startswith("mutirao_model_requests_total")}
    assert {name.split("{")[1] for name in requests} == {
        'model="other",outcome="ok",provider="anthropic",role="other"}',
        'model="other",outcome="ok",provider="other",role="ads_analyst"}',
    }


def test_nothing_that_people_said_and_nobody_s_id_is_in_what_is_told(metrics: Metrics) -> None:
    from prometheus_client import generate_latest

    metrics.saw(seen(model_call(), tool_call(), asked(), ended=f"error:{SECRETS[1]}"))
    text = generate_latest(metrics.registry).decode()
    assert [secret for secret in [*SECRETS, "conv_1", "turn_1", "0123456789ab"] if secret in text] == []


# --- breakers ---------------------------------------------------------------------------------


def test_the_state_of_each_breaker_is_asked_for_at_each_scrape() -> None:
    states = {"openai/gpt": "open", "somebody/else": "open"}  # what never failed is not in it: closed
    metrics = Metrics(KNOWN, breakers=lambda: states)
    told = scrape(metrics)
    assert told['mutirao_breaker_state{model="claude",provider="anthropic"}'] == 0
    assert told['mutirao_breaker_state{model="gpt",provider="openai"}'] == 2
    assert sum(name.startswith("mutirao_breaker_state") for name in told) == 2
    states["openai/gpt"] = "trial"
    assert scrape(metrics)['mutirao_breaker_state{model="gpt",provider="openai"}'] == 1


def test_breakers_that_cannot_be_read_cost_no_other_metric() -> None:
    def fails() -> dict[str, str]:
        raise RuntimeError("dictionary changed size during iteration")

    metrics = Metrics(KNOWN, breakers=fails)
    metrics.saw(seen())
    told = scrape(metrics)
    assert told['mutirao_turns_total{door="chat",ended="done"}'] == 1
    assert not any(name.startswith("mutirao_breaker_state") for name in told)  # unknown, which is not closed


# --- jobs -------------------------------------------------------------------------------------


async def test_the_queue_is_told_by_task_and_state_with_the_age_of_the_oldest(dsns: Dsns) -> None:
    async def nothing(subject_id: str) -> None: ...

    jobs = Jobs(dsns.app)
    jobs.task("note", nothing)
    await jobs.open()
    for n in range(4):
        await jobs.defer(None, "note", subject_id=f"import_{n}")
    await jobs.close()
    with psycopg.connect(dsns.owner, autocommit=True) as conn:
        numbers = [n for (n,) in conn.execute("SELECT id FROM procrastinate_jobs ORDER BY id").fetchall()]
        conn.execute("UPDATE procrastinate_events SET at = now() - interval '90 s' WHERE job_id = %s", [numbers[0]])
        later = "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour' WHERE id = %s"
        conn.execute(later, [numbers[2]])
        conn.execute("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %s", [numbers[3]])
    told = scrape(Metrics(KNOWN, jobs_dsn=dsns.app))
    assert told["mutirao_database_up"] == 1
    states = {"waiting": 2, "later": 1, "failed": 1}
    assert {state: told[f'mutirao_jobs{{state="{state}",task="note"}}'] for state in states} == states
    assert 90 <= told["mutirao_oldest_job_seconds"] < 300


def test_an_empty_queue_has_no_oldest_job(dsns: Dsns) -> None:
    told = scrape(Metrics(KNOWN, jobs_dsn=dsns.app))
    assert told["mutirao_oldest_job_seconds"] == 0
    assert not any(name.startswith("mutirao_jobs{") for name in told)


def test_scrapes_in_quick_succession_ask_the_database_once(dsns: Dsns) -> None:
    metrics = Metrics(KNOWN, jobs_dsn=dsns.app)
    scrape(metrics)
    with psycopg.connect(dsns.owner, autocommit=True) as conn:
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('default', 'note')")
    for thread in [threading.Thread(target=scrape, args=[metrics]) for _ in range(8)]:
        thread.start()
        thread.join()
    assert not any(name.startswith("mutirao_jobs{") for name in scrape(metrics))
    assert any(name.startswith("mutirao_jobs{") for name in scrape(Metrics(KNOWN, jobs_dsn=dsns.app)))


def test_without_a_database_the_queue_is_unknown_not_empty_and_the_rest_is_told() -> None:
    metrics = Metrics(KNOWN, jobs_dsn=f"host=127.0.0.1 port={free_port()} dbname=none")
    metrics.saw(seen())
    told = scrape(metrics)
    assert told["mutirao_database_up"] == 0
    assert "mutirao_oldest_job_seconds" not in told
    assert told['mutirao_turns_total{door="chat",ended="done"}'] == 1


# --- the endpoint -----------------------------------------------------------------------------


@pytest.fixture
def settings() -> Iterator[Settings]:
    return Settings(metrics_port=free_port())


def test_the_port_answers_while_it_is_served_and_is_free_afterwards(metrics: Metrics, settings: Settings) -> None:
    metrics.saw(seen())
    for _ in range(2):
        with metrics.served(settings) as address:
            told = samples(httpx.get(address).text)
        with pytest.raises(httpx.ConnectError):
            httpx.get(address)
    assert told['mutirao_turns_total{door="chat",ended="done"}'] == 1
    assert told['mutirao_build_info{version="1.2.3"}'] == 1
    assert told["process_resident_memory_bytes"] > 10_000_000
    assert told['python_gc_collections_total{generation="2"}'] >= 0


def test_a_port_that_is_taken_is_told_in_a_sentence(metrics: Metrics, settings: Settings) -> None:
    with metrics.served(settings), pytest.raises(SetupError) as refused, Metrics(KNOWN).served(settings):
        pass
    assert refused.value.code == "metrics_port_busy"
    assert refused.value.params == {"port": settings.metrics_port, "host": "127.0.0.1"}


def test_two_registries_in_one_process_know_nothing_of_each_other(metrics: Metrics) -> None:
    metrics.saw(seen())
    done = 'mutirao_turns_total{door="chat",ended="done"}'
    assert (scrape(metrics)[done], scrape(Metrics(KNOWN))[done]) == (1, 0)
