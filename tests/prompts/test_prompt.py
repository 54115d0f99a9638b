"""Where a prompt is found."""

from pathlib import Path

import pytest

from prompts.prompt import Prompts


def test_prompts_of_another_folder_are_found_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "stranger.pt-BR.md").write_text("Você procura empresas.\n", encoding="utf-8")
    (tmp_path / "stranger.en.md").write_text("You look for companies in {{ city }}.", encoding="utf-8")
    prompts = Prompts(tmp_path)
    assert prompts.fill("stranger", "en", city="Recife").text == "You look for companies in Recife."
    assert prompts.fill("stranger", "es").text == "Você procura empresas."
    assert prompts.fill("ads_analyst", "pt-BR") == Prompts().fill("ads_analyst", "pt-BR")
    with pytest.raises(FileNotFoundError):
        prompts.fill("nobody", "en")
