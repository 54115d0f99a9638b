"""Rules about the repository's files: no trace of the machine it was written on, papers that agree with the code."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from core.settings import PREFIX, PROVIDER_KEY_NAMES, Settings
from tests.contracts.source import ROOT, tracked_files

# Put together here, so that this file does not hold what it looks for.
FORBIDDEN = (
    ".".join(("pypi", "org")),
    ".".join(("pythonhosted", "org")),
    ".".join(("registry", "npmjs")),
    ".".join(("deb", "debian", "org")),
    "/".join(("..", "shared")),
    "/".join(("", "work", "main")),
    "/".join(("", "work", "tmp")),
    "/".join(("", "root", ".pyenv")),
    "/".join(("", "opt", "pypi")),
)


def test_no_file_names_a_package_registry_or_the_machine_it_was_written_on() -> None:
    found = set()
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" in content[:4096]:
            continue
        text = content.decode("utf-8", "replace")
        found |= {f"{path.relative_to(ROOT)}: {words}" for words in FORBIDDEN if words in text}
    assert found == set()


def test_no_file_is_so_large_that_cloning_hurts() -> None:
    # Both lock files carry the hashes of every wheel.
    large = {path.name for path in tracked_files() if path.stat().st_size > 700_000}
    assert large == set()


def test_migrations_are_numbered_without_gap_and_named() -> None:
    names = sorted(path.name for path in (ROOT / "migrations").glob("*.sql"))
    assert names
    for number, name in enumerate(names, start=1):
        assert re.fullmatch(rf"{number:04d}_[a-z][a-z0-9_]+\.sql", name), name


# --- settings ---------------------------------------------------------------------------------


def env_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"#?\s?([A-Z][A-Z0-9_]+)=(.*)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def test_the_env_example_names_exactly_the_settings() -> None:
    usual = {name for names in PROVIDER_KEY_NAMES.values() for name in names}
    keys = {PREFIX + field.upper() for field in PROVIDER_KEY_NAMES}
    ours = {PREFIX + field.upper() for field in Settings.model_fields}
    named = set(env_example())
    assert named - usual == ours - keys
    assert named & usual == usual


def test_the_env_example_shows_the_defaults() -> None:
    differing = {}
    for name, shown in env_example().items():
        field = name.removeprefix(PREFIX).lower()
        if name.startswith(PREFIX) and field in Settings.model_fields:
            default = getattr(Settings(), field)
            text = "" if default is None or default == [] else str(default).lower()
            if shown.lower() != text:
                differing[name] = (shown, text)
    assert differing == {}


# --- papers -----------------------------------------------------------------------------------


def decisions() -> list[Path]:
    return sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_decisions_are_numbered_without_gap_and_listed() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [int(path.name[:4]) for path in decisions()] == list(range(1, len(decisions()) + 1))
    assert [path.name for path in decisions() if f"]({path.name})" not in index] == []


@pytest.mark.parametrize("path", decisions(), ids=lambda path: path.stem)
def test_a_decision_says_context_decision_and_consequences_on_one_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings == ["Context", "Decision", "Consequences"]
    assert len(text.split()) <= 700


def test_links_between_our_papers_lead_somewhere() -> None:
    broken = set()
    for path in tracked_files():
        if path.suffix != ".md" or path.relative_to(ROOT).parts[0] == "prompts":
            continue
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                broken.add(f"{path.relative_to(ROOT)}: {target}")
    assert broken == set()


def test_files_of_ours_that_papers_and_comments_name_exist() -> None:
    """`docs/decisions/0004` in a comment, `core/vault.py` in a page: they move, and the words stay behind."""
    missing = set()
    pattern = re.compile(r"\b(docs/(?:decisions|guides)/[0-9A-Za-z_-]+(?:\.md)?)")
    for path in tracked_files():
        if path.suffix in (".py", ".md", ".toml", ".yaml", ".sql"):
            for name in pattern.findall(path.read_text(encoding="utf-8")):
                if not list(ROOT.glob(name + "*")):
                    missing.add(f"{path.relative_to(ROOT)}: {name}")
    assert missing == set()


# --- production -------------------------------------------------------------------------------


def test_compose_names_only_settings_and_commands_that_exist() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    commands = set(re.findall(r'@cli\.command\("([a-z]+)"', (ROOT / "channels" / "terminal.py").read_text()))
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    known |= {name for names in PROVIDER_KEY_NAMES.values() for name in names}
    ours = {name: service for name, service in services.items() if "build" in service}
    assert {"app", "worker"} <= set(ours)
    for service in ours.values():
        assert set(service["environment"]) <= known
        assert service["command"][0] in commands


def test_the_two_lock_files_agree_and_carry_hashes() -> None:
    runtime, dev = (
        dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), re.M))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert runtime.items() <= dev.items()
    for name in ("requirements.lock", "requirements-dev.lock"):
        blocks = re.split(r"^(?=[A-Za-z0-9])", (ROOT / name).read_text(), flags=re.M)
        assert [block.split("\n")[0] for block in blocks[1:] if "--hash=sha256:" not in block] == []


def test_every_wanted_library_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = {
        name: {re.sub(r"[-_.]+", "-", found).lower() for found in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.M)}
        for name, text in (
            ("runtime", (ROOT / "requirements.lock").read_text()),
            ("dev", (ROOT / "requirements-dev.lock").read_text()),
        )
    }

    def names(requirements: list[str]) -> set[str]:
        return {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", text)[0]).lower() for text in requirements}

    assert names(project["dependencies"]) <= locked["runtime"]
    assert names(project["optional-dependencies"]["dev"]) <= locked["dev"]
