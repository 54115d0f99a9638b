"""A project in miniature: the real setup_env.py, lock files of hand-made wheels, and pip without an index."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.contracts.source import ROOT

# An installed package in the shape that pip wants: built by hand, because no test may ask an index.
BACKEND = '''
"""The smallest build backend: an editable install of one module and the command `mutirao`."""
import base64, hashlib, os, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    files = {
        "mutirao_here.pth": os.getcwd() + "\\n",
        "mutirao-0.1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: mutirao\\nVersion: 0.1\\n",
        "mutirao-0.1.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "mutirao-0.1.dist-info/entry_points.txt": "[console_scripts]\\nmutirao = app:main\\n",
    }
    name = "mutirao-0.1-py3-none-any.whl"
    record = "".join(f"{path},,\\n" for path in files) + "mutirao-0.1.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr("mutirao-0.1.dist-info/RECORD", record)
    return name

def build_wheel(*args, **kwargs):
    return build_editable(*args, **kwargs)
'''


def wheel(folder: Path, name: str, version: str, module: str = "") -> str:
    """Write a wheel of one module; returns its line for a lock file."""
    files = {
        f"{name}.py": module or f"version = {version!r}\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    record += f"{name}-{version}.dist-info/RECORD,,\n"
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)  # a ZipInfo has a fixed date: same content, same hash
        archive.writestr(zipfile.ZipInfo(f"{name}-{version}.dist-info/RECORD"), record)
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(target.read_bytes()).hexdigest()}\n"


@dataclass
class Project:
    root: Path
    wheels: Path
    environ: dict[str, str] = field(default_factory=dict)

    def lock(self, runtime: dict[str, str], dev: dict[str, str] | None = None) -> None:
        """Write both lock files: name → version. setuptools is always in them."""
        lines = {
            name: wheel(self.wheels, name, version)
            for name, version in {"setuptools": "84.0", **runtime, **(dev or {})}.items()
        }
        both = "".join(lines[name] for name in sorted({"setuptools", *runtime}))
        (self.root / "requirements.lock").write_text(both)
        (self.root / "requirements-dev.lock").write_text(both + "".join(lines[name] for name in sorted(dev or {})))

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(self.root / "setup_env.py"), *arguments],
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, **environ)
        out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def installed(self) -> dict[str, str]:
        """Name → version of what the environment has, but for pip and setuptools."""
        folder = next((self.root / ".venv" / "lib").glob("python3*")) / "site-packages"
        pairs = [path.name.removesuffix(".dist-info").split("-") for path in folder.glob("*.dist-info")]
        return {name: version for name, version in pairs if name not in ("pip", "setuptools")}


def miniature(folder: Path) -> Project:
    """Nothing installed yet; the lock files name one library, `apples` 1.0."""
    root = folder / "project"
    root.mkdir()
    shutil.copy(ROOT / "setup_env.py", root)
    shutil.copy(ROOT / "Makefile", root)
    (root / "backend.py").write_text(BACKEND)
    (root / "app.py").write_text(
        "import os, sys\n"
        "def main() -> None:\n"
        "    print(sys.argv[1:], os.environ.get('MUTIRAO_PORT'), os.environ.get('MUTIRAO_IGNORE_PROVIDER_KEYS'))\n"
    )
    (root / "core").mkdir()
    (root / "core" / "__init__.py").write_text("")
    (root / "pyproject.toml").write_text(
        '[project]\nname = "mutirao"\nversion = "0.1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    wheels = folder / "wheels"
    wheels.mkdir()
    home = folder / "home"
    home.mkdir()
    made = Project(
        root,
        wheels,
        {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PYTHON": sys.executable,
            "PYTHONDONTWRITEBYTECODE": "1",
            "MUTIRAO_LANGUAGE": "en",
        },
    )
    made.lock({"apples": "1.0"})
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project of this test's own, with nothing installed."""
    return miniature(tmp_path)


@pytest.fixture
def project(installed: Project, tmp_path: Path) -> Project:
    """A project of this test's own that is set up: a copy of `installed` whose stamp says that it was made here."""
    made = miniature(tmp_path)
    shutil.copytree(installed.root / ".venv", made.root / ".venv", symlinks=True)
    stamp = made.root / ".venv" / "mutirao-setup.json"
    stamp.write_text(stamp.read_text().replace(str(installed.root), str(made.root)))
    return made


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One that was set up with its test tools. Shared: look, do not change."""
    made = miniature(tmp_path_factory.mktemp("installed"))
    done = made.run("--dev")
    assert done.returncode == 0, done.stdout + done.stderr
    return made
