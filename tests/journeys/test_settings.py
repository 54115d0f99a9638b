"""Settings that cannot work are told at once, and the sandbox does not leave this machine."""

from pathlib import Path

import pytest

from app import open_services
from core.errors import SetupError
from core.settings import Settings
from tests.conftest import Dsns


async def _fails(settings: Settings, graph_url: str | None = None) -> SetupError:
    with pytest.raises(SetupError) as told:
        async with open_services(settings, graph_url=graph_url):
            pass
    return told.value


async def test_a_model_whose_provider_has_no_key_is_told_before_anything_starts(tmp_path: Path) -> None:
    error = await _fails(Settings(data_dir=tmp_path / "var", model="openai/gpt-5.4-mini"))
    assert (error.code, error.params["setting"]) == ("model_without_key", "OPENAI_API_KEY")
    assert not (tmp_path / "var").exists()


async def test_the_sandbox_refuses_a_graph_address_that_is_not_on_this_machine(dsns: Dsns, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var", database_url=dsns.app, database_owner_url=dsns.owner)
    error = await _fails(settings, graph_url="https://graph.facebook.com")
    assert error.code == "sandbox_not_local"
