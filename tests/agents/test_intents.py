"""The classifier on messages it has not learnt from, and the form of the files it learns from."""

from pathlib import Path

import pytest

from agents.intents import FOLDER, Classifier, Lexicon, load_intents, warm
from agents.routing import CREW_SURE, SURE, parse_route_answer, route
from tests.agents.conftest import messages

# The least that a change of examples or words may leave; the figures measured when they were written stand behind.
FLOORS = {
    # file: accuracy, precision where sure, share of sure messages
    # Never used to change anything. Before there were a CRM and a hunter: 0.863, 0.932, 0.835; with them: 0.849, 0.926,
    # 0.798, since thirteen more intents share the probability.
    "heldout.yaml": (0.83, 0.90, 0.78),
    "seen.yaml": (0.90, 0.94, 0.86),  # 0.933, 0.965, 0.903: first 0.777, 0.889, 0.762, before its errors were looked at
}


@pytest.mark.parametrize("name", FLOORS)
def test_unseen_messages_are_understood(name: str, classifier: Classifier) -> None:
    rows = messages(name)
    best = [ranked[0] for ranked in classifier.classify_all([message for _, _, message in rows])]
    right = [intent == expected for (intent, _), (expected, _, _) in zip(best, rows, strict=True)]
    sure = [ok for ok, (_, probability) in zip(right, best, strict=True) if probability >= SURE]
    for language in ("pt-BR", "en", "es"):
        own = [ok for ok, row in zip(right, rows, strict=True) if row[1] == language]
        print(f"{name} {language}: {sum(own) / len(own):.3f} of {len(own)}")
    print(f"{name}: accuracy {sum(right) / len(right):.3f}, sure {len(sure) / len(right):.3f}", end=" ")
    print(f"with precision {sum(sure) / len(sure):.3f}")
    accuracy, precision, coverage = FLOORS[name]
    assert sum(right) / len(right) >= accuracy
    assert sum(sure) / len(sure) >= precision
    assert len(sure) / len(right) >= coverage


def test_a_plan_that_is_sure_goes_to_the_right_place(classifier: Classifier) -> None:
    """To the right crew, or for what the supervisor answers itself to the right intent. Measured: 0.955 of 0.863."""
    rows = messages("heldout.yaml")
    session = {"last_intent": "ads.ranking", "last_crew": "ads"}
    plans = [route(message, session, classifier) for _, _, message in rows]
    right = [
        (plan.parts[0].crew or plan.parts[0].intent) == (classifier.intents[expected].crew or _own(expected))
        for plan, (expected, _, _) in zip(plans, rows, strict=True)
        if plan.sure
    ]
    assert CREW_SURE > SURE
    assert sum(right) / len(right) >= 0.93
    assert len(right) / len(rows) >= 0.82


def _own(intent: str) -> str:
    return "ads" if intent == "followup" else intent


def test_the_same_examples_give_the_same_classifier(classifier: Classifier) -> None:
    ranked = classifier.classify("como foram as campanhas ontem?")
    assert Classifier.load().classify("como foram as campanhas ontem?") == ranked
    assert sum(p for _, p in ranked) == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "?", "\x00", "\ud800", "🙂", "a" * 5_000, "1234567890", "  \n\t "])
def test_no_text_breaks_the_classifier(text: str, classifier: Classifier) -> None:
    assert len(classifier.classify(text)) == len(classifier.intents)


def test_every_file_of_examples_is_whole() -> None:
    intents = load_intents()
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*intents, "words"}
    for intent in intents.values():
        least = (60, 30, 30) if intent.crew or intent.name in ("help", "smalltalk", "followup") else (30, 15, 15)
        for language, count in zip(("pt-BR", "en", "es"), least, strict=True):
            assert len(intent.examples[language]) >= count, (intent.name, language)
        assert intent.description


def test_no_message_is_an_example_of_two_intents() -> None:
    lexicon = Lexicon.load()
    owner: dict[str, str] = {}
    for intent in load_intents().values():
        for examples in intent.examples.values():
            for example in examples:
                assert owner.setdefault(lexicon.normalise(example), intent.name) == intent.name, example


def test_held_out_messages_are_no_examples() -> None:
    lexicon = Lexicon.load()
    known = {lexicon.normalise(e) for i in load_intents().values() for many in i.examples.values() for e in many}
    fresh = [message for _, _, message in messages("heldout.yaml") if lexicon.normalise(message) in known]
    assert len(fresh) <= 0.03 * len(messages("heldout.yaml")), fresh


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ads.odd.yaml").write_text("intent: ads.odd\nexamples: [a, b]\n")
    with pytest.raises(ValueError, match=r"ads\.odd\.yaml"):
        load_intents(tmp_path)


def _small_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, words in (("help", "ajuda como funciona"), ("smalltalk", "oi bom dia tudo bem"), ("undo", "desfaz isso")):
        block = "".join(f"    {words} {i % 3}\n" for i in range(6))
        (folder / f"{name}.yaml").write_text(
            f"intent: {name}\ncrew: null\ndescription: d\nexamples:\n  pt-BR: |\n{block}", encoding="utf-8"
        )
    (folder / "words.yaml").write_bytes((FOLDER / "words.yaml").read_bytes())
    return folder


def test_what_was_learnt_is_kept_and_read_back_the_same(tmp_path: Path) -> None:
    folder, cache = _small_folder(tmp_path / "routing"), tmp_path / "cache"
    learnt = Classifier.load(folder, cache)
    [file] = cache.glob("*.npz")
    written = file.stat().st_mtime_ns
    read = Classifier.load(folder, cache)
    assert file.stat().st_mtime_ns == written
    assert read.classify("oi, tudo bem?") == learnt.classify("oi, tudo bem?")
    assert read.classify("oi, tudo bem?")[0][0] == "smalltalk"


def test_a_process_learns_once_whatever_data_folders_it_opens(classifier: Classifier, tmp_path: Path) -> None:
    assert warm(tmp_path / "one" / "cache") is warm(tmp_path / "other" / "cache") is classifier


def test_a_changed_example_is_learnt_anew(tmp_path: Path) -> None:
    folder, cache = _small_folder(tmp_path / "routing"), tmp_path / "cache"
    Classifier.load(folder, cache)
    [before] = cache.glob("*.npz")
    with (folder / "help.yaml").open("a", encoding="utf-8") as file:
        file.write("    socorro, me ajuda\n")
    Classifier.load(folder, cache)
    [after] = cache.glob("*.npz")
    assert after != before


@pytest.mark.parametrize("damage", [b"", b"no numbers", b"PK\x03\x04broken"])
def test_a_damaged_cache_is_learnt_anew(tmp_path: Path, damage: bytes) -> None:
    folder, cache = _small_folder(tmp_path / "routing"), tmp_path / "cache"
    Classifier.load(folder, cache)
    [file] = cache.glob("*.npz")
    file.write_bytes(damage)
    assert Classifier.load(folder, cache).classify("bom dia")[0][0] == "smalltalk"
    assert file.stat().st_size > 1_000


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    folder = _small_folder(tmp_path / "routing")
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert Classifier.load(folder, tmp_path / "cache").classify("bom dia")[0][0] == "smalltalk"


def test_a_crew_takes_over_intents_that_were_planned_and_those_of_a_crew_that_is_not_there_are_nobodys(
    classifier: Classifier,
) -> None:
    served = classifier.serving({"prospector": ("hunter.search",), "writer": ("planned.content", "smalltalk")})
    assert served.intents["hunter.search"].crew == "prospector"
    assert served.intents["smalltalk"].crew == "writer"
    assert served.intents["ads.overview"].crew is None
    assert served.classify("acha 10 padarias em Recife") == classifier.classify("acha 10 padarias em Recife")
    assert classifier.intents["ads.overview"].crew == "ads", "the one that is shared stays as it was"
    parts = route("acha 10 padarias em Recife", {}, served).parts
    assert [(part.intent, part.crew) for part in parts] == [("hunter.search", "prospector")]
    guess = route("hm", {}, served)
    asked = parse_route_answer('{"parts": [{"intent": "planned.content", "text": "hm"}]}', guess, served.intents)
    assert asked is not None
    assert [part.crew for part in asked.parts] == ["writer"]
    with pytest.raises(KeyError, match="no such intents"):
        classifier.serving({"ads": ("planned.nothing",)})
