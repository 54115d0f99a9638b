"""The data layer keeps to Chainlit's interface, and the words of the page to its keys."""

import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

import chainlit
import pytest
from chainlit.data.base import BaseDataLayer

from channels.chat_data import ChatData

ASSETS = Path(__file__).parents[2] / "channels" / "chat_assets"
PACKAGE = Path(chainlit.__file__).parent / "translations"


def test_the_data_layer_has_every_method_of_chainlits_with_the_same_parameters() -> None:
    for name, method in inspect.getmembers(BaseDataLayer, inspect.isfunction):
        if name.startswith("_"):
            continue
        ours = inspect.signature(getattr(ChatData, name))
        theirs = inspect.signature(inspect.unwrap(method))
        assert list(ours.parameters) == list(theirs.parameters), name


@pytest.mark.parametrize("language", ["pt-BR", "en-US", "es"])
def test_the_page_has_every_text_in_the_language(language: str) -> None:
    ours = _flat(json.loads((ASSETS / "translations" / f"{language}.json").read_text(encoding="utf-8")))
    theirs = _flat(json.loads((PACKAGE / "en-US.json").read_text(encoding="utf-8")))
    assert theirs.keys() - ours.keys() == set()
    assert all(ours.values())
    words = {"unauthorized", "too many requests", "service unavailable"}  # what the login form makes of a status
    assert ours.keys() - theirs.keys() == {f"auth.login.errors.{word}" for word in words}


def test_the_portuguese_of_the_page_is_brazils() -> None:
    words = " ".join(_flat(json.loads((ASSETS / "translations" / "pt-BR.json").read_text(encoding="utf-8"))).values())
    for european in ("ficheiro", "Palavra-passe", "sessão iniciada", " Partilh", "Eliminar", "utiliz", "ecrã"):
        assert european.lower() not in words.lower()


def test_chainlits_settings_open_nothing_that_is_not_used() -> None:
    config = tomllib.loads((ASSETS / "config.toml").read_text(encoding="utf-8"))
    features = config["features"]
    assert not features["unsafe_allow_html"] and not features["allow_thread_sharing"] and not features["edit_message"]
    assert not features["mcp"]["enabled"] and not features["audio"]["enabled"]
    assert config["project"]["allow_origins"] == []
    theme = json.loads((ASSETS / "public" / "theme.json").read_text(encoding="utf-8"))
    assert theme["custom_fonts"] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_of_texts_stand_out_from_their_ground(theme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 at least."""
    colours = json.loads((ASSETS / "public" / "theme.json").read_text(encoding="utf-8"))["variables"][theme]
    for text, ground in [
        ("--foreground", "--background"),
        ("--muted-foreground", "--background"),
        ("--muted-foreground", "--accent"),
        ("--accent-foreground", "--accent"),
        ("--primary-foreground", "--primary"),
        ("--destructive", "--background"),
        ("--sidebar-foreground", "--sidebar-background"),
    ]:
        light, dark = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def _flat(tree: Any, before: str = "") -> dict[str, str]:
    if not isinstance(tree, dict):
        return {before: tree}
    return {
        key: text for name, part in tree.items() for key, text in _flat(part, f"{before}.{name}".lstrip(".")).items()
    }


def _luminance(hsl: str) -> float:
    import colorsys

    hue, saturation, lightness = (float(part.rstrip("%")) for part in hsl.split())
    channels = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
