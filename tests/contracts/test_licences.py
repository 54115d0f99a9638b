"""Every distribution that ships has a licence that may ship with Apache-2.0 code; every exception has a reason."""

import re
import tomllib
from importlib import metadata

from tests.contracts.source import ROOT

RULES = tomllib.loads((ROOT / "tests" / "contracts" / "licences.toml").read_text(encoding="utf-8"))


def shipped() -> list[metadata.Distribution]:
    """The installed distributions of requirements.lock; those for other systems are not installed here."""
    names = re.findall(r"^([A-Za-z0-9][\w.-]*)==", (ROOT / "requirements.lock").read_text(), re.M)
    found = []
    for name in sorted(set(names)):
        try:
            found.append(metadata.distribution(name))
        except metadata.PackageNotFoundError:
            continue
    return found


def licence(distribution: metadata.Distribution) -> str:
    """What the package says of itself: SPDX expression, else classifiers, else the licence field's first line."""
    told = distribution.metadata
    if expression := told.get("License-Expression"):
        return str(expression)
    classifiers = [text.split(" :: ")[-1] for text in told.get_all("Classifier") or [] if text.startswith("License ::")]
    if named := sorted(text for text in classifiers if text != "OSI Approved"):
        return "; ".join(named)
    lines = str(told.get("License") or "").strip().splitlines()
    return lines[0] if lines else "not stated"


def allowed(text: str) -> bool:
    if text in RULES["allowed"]:
        return True
    parts = re.split(r"; | AND | OR ", text.replace("(", "").replace(")", ""))
    return len(parts) > 1 and all(part.strip() in RULES["allowed"] for part in parts)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_nothing_ships_under_a_licence_that_was_not_looked_at() -> None:
    unknown = {}
    for distribution in shipped():
        name, text = normal(distribution.metadata["Name"]), licence(distribution)
        exception = RULES["exceptions"].get(name)
        agreed = exception is not None and text in (exception["licence"], "not stated")
        if not allowed(text) and not agreed:
            unknown[name] = text
    assert unknown == {}


def test_every_exception_is_still_needed_and_says_why() -> None:
    names = {normal(distribution.metadata["Name"]): licence(distribution) for distribution in shipped()}
    for name, exception in RULES["exceptions"].items():
        assert name in names
        assert not allowed(names[name])
        assert len(exception["reason"].split()) >= 3


def test_nearly_everything_that_is_locked_was_looked_at() -> None:
    locked = len(set(re.findall(r"^([A-Za-z0-9][\w.-]*)==", (ROOT / "requirements.lock").read_text(), re.M)))
    assert len(shipped()) >= locked - 20
