"""How well the matcher agrees with people: pairs labelled by somebody who had not read it (in data)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from business.crm.identity import KeyKind, Match, Record, Verdict, match, record
from core.turn import LANGUAGES
from prompts.texts import Texts

ONE_EACH = {
    "whatsapp_id": KeyKind.WA_ID,
    "bsuid": KeyKind.BSUID,
    "lid": KeyKind.LID,
    "cpf": KeyKind.CPF,
    "cnpj": KeyKind.CNPJ,
    "instagram": KeyKind.INSTAGRAM,
    "linkedin": KeyKind.LINKEDIN,
}


def as_record(told: dict[str, Any]) -> Record:
    keys = [(KeyKind.PHONE, text) for text in told.get("phones", [])]
    keys += [(KeyKind.EMAIL, text) for text in told.get("emails", [])]
    keys += [(kind, told[name]) for name, kind in ONE_EACH.items() if name in told]
    return record(told.get("name"), told.get("company"), told.get("city"), told.get("address"), keys)


@pytest.fixture(scope="module")
def judged() -> list[tuple[dict[str, Any], Match]]:
    path = Path(__file__).parent / "data" / "identity_pairs.yaml"
    pairs = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [(pair, match(as_record(pair["a"]), as_record(pair["b"]))) for pair in pairs]


def test_same_is_right_99_times_in_100_and_found_95_times_in_100(judged: list[tuple[dict[str, Any], Match]]) -> None:
    said = [pair for pair, found in judged if found.verdict is Verdict.SAME]
    labelled = [pair for pair, _ in judged if pair["same"]]
    right = [pair for pair in said if pair["same"]]
    precision, recall = len(right) / len(said), len(right) / len(labelled)
    print(
        f"precision {precision:.4f}, recall {recall:.4f}: {len(right)} of {len(labelled)}, {len(said)} said to be same"
    )
    assert precision >= 0.99, [pair["id"] for pair in said if not pair["same"]]
    assert recall >= 0.95, [p["id"] for p, found in judged if p["same"] and found.verdict is not Verdict.SAME]


def test_what_a_person_should_decide_is_never_joined_and_mostly_asked(
    judged: list[tuple[dict[str, Any], Match]],
) -> None:
    asked = [(pair["id"], found.verdict) for pair, found in judged if pair.get("ask")]
    share = sum(verdict is Verdict.ASK for _, verdict in asked) / len(asked)
    print(f"{share:.2f} of {len(asked)} pairs for a person are asked")
    assert [name for name, verdict in asked if verdict is Verdict.SAME] == []
    assert share >= 0.8


def test_few_clear_cases_are_asked(judged: list[tuple[dict[str, Any], Match]]) -> None:
    """A person who is asked about everything stops reading."""
    clear = [found.verdict for pair, found in judged if not pair.get("ask")]
    share = clear.count(Verdict.ASK) / len(clear)
    print(f"{share:.3f} of {len(clear)} clear pairs are asked")
    assert share <= 0.1


def test_every_match_can_be_explained_in_every_language(judged: list[tuple[dict[str, Any], Match]]) -> None:
    texts = Texts.load()
    for _, found in judged:
        for language in LANGUAGES:
            sentences = [texts.say(language, f"crm.rule.{found.rule}")]
            sentences += [texts.say(language, f"crm.match.{one.text}", **one.params) for one in found.evidence]
            assert all(sentences) and not any("{{" in sentence for sentence in sentences)
