"""Settings come from the environment, from `.env`, and say clearly what is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import SetupError
from core.settings import Settings, load_settings


def load(tmp_path: Path, env: dict[str, str], dotenv: str | None = None, **chosen: object) -> Settings:
    file = tmp_path / ".env"
    if dotenv is not None:
        file.write_text(dotenv, encoding="utf-8")
    return load_settings(env, file, **chosen)


def test_an_empty_environment_gives_the_newcomers_sandbox(tmp_path: Path) -> None:
    settings = load(tmp_path, {})
    assert settings == Settings()
    assert (settings.mode, settings.host, settings.port, settings.data_dir) == (
        "sandbox",
        "127.0.0.1",
        8000,
        Path("var"),
    )
    assert (settings.database_url, settings.redis_url, settings.openai_api_key) == (None, None, None)


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {"MUTIRAO_PORT": "9000", "MUTIRAO_LOG_LEVEL": "debug"},
        "MUTIRAO_PORT=1\nMUTIRAO_LANGUAGE=es\nMUTIRAO_UPLOAD_MAX_MB=5\nOTHER=ignored\n",
        upload_max_mb=7,
    )
    assert (settings.port, settings.log_level, settings.language, settings.upload_max_mb) == (9000, "DEBUG", "es", 7)


def test_an_empty_value_is_as_good_as_none(tmp_path: Path) -> None:
    assert load(tmp_path, {"MUTIRAO_PORT": "", "MUTIRAO_REDIS_URL": "", "OPENAI_API_KEY": ""}) == Settings()


def test_an_unknown_name_is_refused_and_the_near_one_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as told:
        load(tmp_path, {"MUTIRAO_DATADIR": "x"})
    assert told.value.code == "setting_unknown"
    assert told.value.params == {"setting": "MUTIRAO_DATADIR", "near": "MUTIRAO_DATA_DIR"}


def test_every_broken_setting_is_named_without_its_value(tmp_path: Path) -> None:
    env = {
        "MUTIRAO_PORT": "99999",
        "MUTIRAO_MODE": "prod",
        "MUTIRAO_TIME_ZONE": "Brasilia",
        "MUTIRAO_DATABASE_URL": "mysql://u:topsecret@h/d",
        "MUTIRAO_META_GRAPH_URL": "graph",
    }
    with pytest.raises(SetupError) as told:
        load(tmp_path, env)
    assert told.value.code == "setting_broken"
    assert set(told.value.params["setting"].split(", ")) == set(env)
    assert "topsecret" not in str(told.value) + str(told.value.params)


def test_provider_keys_come_from_their_own_names_and_ours_win(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {
            "OPENAI_API_KEY": "theirs",
            "MUTIRAO_OPENAI_API_KEY": "our-key",
            "GOOGLE_API_KEY": "second",
            "GEMINI_API_KEY": "first",
            "ANTHROPIC_API_KEY": "a",
        },
    )
    keys = (settings.openai_api_key, settings.google_api_key, settings.anthropic_api_key)
    assert [key.get_secret_value() for key in keys if key] == ["our-key", "first", "a"]
    assert "our-key" not in repr(settings)


def test_ignored_provider_keys_are_gone(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "x", "MUTIRAO_ANTHROPIC_API_KEY": "y", "MUTIRAO_IGNORE_PROVIDER_KEYS": "1"}
    settings = load(tmp_path, env)
    assert settings.openai_api_key is settings.anthropic_api_key is None


def test_lists_and_limits_are_typed(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {"MUTIRAO_ALLOWED_ORIGINS": "https://a.example, https://b.example", "MUTIRAO_TURN_MAX_COST_USD": "0.25"},
    )
    assert settings.allowed_origins == ["https://a.example", "https://b.example"]
    assert settings.limits.cost_usd == Decimal("0.25")
    assert settings.limits.steps == 12


def test_a_settings_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00MUT")
    with pytest.raises(SetupError) as told:
        load_settings({}, tmp_path / ".env")
    assert told.value.code == "env_file_unreadable"
