"""Builds the virtual environment `.venv` from the lock files. Run by `make`, with whatever `python3` there is.

Only the standard library, and only syntax that Python 3.6 reads, so that an old Python gets a sentence and no
traceback. What it promises:

- a suitable interpreter is looked for ($PYTHON, then python3.12, python3.11 and python3 everywhere on PATH);
- pip installs exactly the lock files (`--no-deps --require-hashes`) and then the project itself, editable;
- a stamp in `.venv` says what was installed: when nothing changed, a run takes a few hundredths of a second;
- an installation that was cut off is begun anew, a changed lock file is installed over the old state;
- two of these at once wait for one another;
- byte code is compiled here, whatever PYTHONDONTWRITEBYTECODE says: without it every process would spend
  seconds compiling the imports again.

The texts are here and not in prompts/texts because nothing is installed yet when they are needed.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

try:
    import fcntl
except ImportError:  # Windows
    sys.exit("Mutirão: Linux, macOS ou WSL / Linux, macOS or WSL (https://learn.microsoft.com/windows/wsl/install)")

SUPPORTED = ((3, 11), (3, 12))
"""Python versions the lock files were made for (`requires-python` of pyproject.toml)."""

STAMP = "mutirao-setup.json"
NEEDED_MB = {"runtime": 1500, "dev": 2000}
"""Free disk wanted: 1.0 GB installed, 1.35 GB with the test tools (measured), and what pip downloads before."""

OURS = (
    "agents",
    "bench",
    "business",
    "channels",
    "core",
    "crews",
    "evals",
    "integrations",
    "llm",
    "memory",
    "prompts",
    "tools",
)

TEXTS = {
    "pt": {
        "python_wrong": "O Mutirão precisa do Python 3.11 ou 3.12 e este computador só tem {found}: instale um deles "
        "(https://www.python.org/downloads/) e rode de novo, ou diga onde está: make run PYTHON=/caminho/python3.12",
        "python_none": "nenhum",
        "python_given": "PYTHON={given} não serve: {reason}. Indique um Python 3.11 ou 3.12.",
        "reason_runs": "não foi possível executá-lo",
        "reason_version": "é o Python {version}",
        "reason_kind": "é um {kind} e as dependências são feitas para o CPython de 64 bits",
        "venv_missing": "O Python {version} em {path} está sem o módulo venv: instale-o (no Debian e no Ubuntu: "
        "sudo apt install python{version}-venv) e rode de novo.",
        "folder": "Não consigo escrever em {path}: {reason}. Use uma cópia do projeto em uma pasta sua.",
        "disk": "Falta espaço em disco: há {free} MB livres em {path} e a instalação precisa de {needed} MB.",
        "waiting": "Outra instalação está em andamento nesta pasta; esperando ela terminar...",
        "cut_off": "A instalação anterior não terminou; começando de novo.",
        "moved": "A pasta mudou de lugar ou de Python; refazendo o ambiente.",
        "creating": "Criando o ambiente .venv com o Python {version} ({path})",
        "installing": "Instalando {count} dependências (cerca de 2 minutos na primeira vez)",
        "installing_dev": "Instalando {count} dependências, com as ferramentas de teste",
        "progress": "  {done} de {count} baixadas",
        "unpacking": "  instalando os pacotes",
        "removing": "Removendo o que não é mais usado: {names}",
        "compiling": "Preparando o código para abrir depressa",
        "project": "Ligando o comando mutirao",
        "done": "Ambiente pronto em {seconds} s.",
        "pip_failed": "O pip não conseguiu instalar as dependências: {reason}. Detalhes em {log}",
        "pip_network": "O pip não conseguiu baixar as dependências: confira a internet (ou o proxy) e rode de novo. "
        "Detalhes em {log}",
        "pip_hash": "Um pacote baixado não é o que foi conferido por nós ({reason}): nada foi instalado dele. "
        "Detalhes em {log}",
        "no_wheel": "Não há um pacote pronto de {name} para este sistema ({system}). O Mutirão roda em Linux (glibc) e "
        "macOS, x86-64 ou ARM64. Detalhes em {log}",
        "lock_missing": "Falta o arquivo {name}: baixe o projeto de novo.",
        "interrupted": "Interrompido. Rode de novo para recomeçar.",
    },
    "en": {
        "python_wrong": "Mutirão needs Python 3.11 or 3.12 and this computer only has {found}: install one "
        "(https://www.python.org/downloads/) and run again, or say where it is: make run PYTHON=/path/to/python3.12",
        "python_none": "none",
        "python_given": "PYTHON={given} will not do: {reason}. Name a Python 3.11 or 3.12.",
        "reason_runs": "it could not be run",
        "reason_version": "it is Python {version}",
        "reason_kind": "it is {kind} and the dependencies are built for 64-bit CPython",
        "venv_missing": "Python {version} at {path} lacks the venv module: install it (on Debian and Ubuntu: "
        "sudo apt install python{version}-venv) and run again.",
        "folder": "Cannot write to {path}: {reason}. Use a copy of the project in a folder of your own.",
        "disk": "Not enough disk space: {free} MB are free at {path} and the installation needs {needed} MB.",
        "waiting": "Another installation is running in this folder; waiting for it...",
        "cut_off": "The last installation did not finish; starting over.",
        "moved": "The folder or its Python has moved; building the environment again.",
        "creating": "Creating the environment .venv with Python {version} ({path})",
        "installing": "Installing {count} dependencies (about 2 minutes the first time)",
        "installing_dev": "Installing {count} dependencies, with the test tools",
        "progress": "  {done} of {count} downloaded",
        "unpacking": "  installing the packages",
        "removing": "Removing what is no longer used: {names}",
        "compiling": "Preparing the code to start fast",
        "project": "Linking the command mutirao",
        "done": "Environment ready in {seconds} s.",
        "pip_failed": "pip could not install the dependencies: {reason}. Details in {log}",
        "pip_network": "pip could not download the dependencies: check the internet connection (or proxy) and run "
        "again. Details in {log}",
        "pip_hash": "A downloaded package is not the one that was checked ({reason}): it was not installed. "
        "Details in {log}",
        "no_wheel": "There is no ready package of {name} for this system ({system}). Mutirão runs on Linux (glibc) and "
        "macOS, x86-64 or ARM64. Details in {log}",
        "lock_missing": "The file {name} is missing: download the project again.",
        "interrupted": "Interrupted. Run again to start over.",
    },
    "es": {
        "python_wrong": "Mutirão necesita Python 3.11 o 3.12 y este equipo solo tiene {found}: instale uno "
        "(https://www.python.org/downloads/) y vuelva a ejecutar, o diga dónde está: make run PYTHON=/ruta/python3.12",
        "python_none": "ninguno",
        "python_given": "PYTHON={given} no sirve: {reason}. Indique un Python 3.11 o 3.12.",
        "reason_runs": "no se pudo ejecutar",
        "reason_version": "es Python {version}",
        "reason_kind": "es {kind} y las dependencias están hechas para CPython de 64 bits",
        "venv_missing": "Al Python {version} en {path} le falta el módulo venv: instálelo (en Debian y Ubuntu: "
        "sudo apt install python{version}-venv) y vuelva a ejecutar.",
        "folder": "No puedo escribir en {path}: {reason}. Use una copia del proyecto en una carpeta suya.",
        "disk": "Falta espacio en disco: hay {free} MB libres en {path} y la instalación necesita {needed} MB.",
        "waiting": "Hay otra instalación en curso en esta carpeta; esperando...",
        "cut_off": "La instalación anterior no terminó; empezando de nuevo.",
        "moved": "La carpeta o su Python cambió de lugar; rehaciendo el entorno.",
        "creating": "Creando el entorno .venv con Python {version} ({path})",
        "installing": "Instalando {count} dependencias (unos 2 minutos la primera vez)",
        "installing_dev": "Instalando {count} dependencias, con las herramientas de prueba",
        "progress": "  {done} de {count} descargadas",
        "unpacking": "  instalando los paquetes",
        "removing": "Quitando lo que ya no se usa: {names}",
        "compiling": "Preparando el código para abrir rápido",
        "project": "Enlazando el comando mutirao",
        "done": "Entorno listo en {seconds} s.",
        "pip_failed": "pip no pudo instalar las dependencias: {reason}. Detalles en {log}",
        "pip_network": "pip no pudo descargar las dependencias: revise la conexión a internet (o el proxy) y vuelva a "
        "ejecutar. Detalles en {log}",
        "pip_hash": "Un paquete descargado no es el que fue verificado ({reason}): no se instaló. Detalles en {log}",
        "no_wheel": "No hay un paquete listo de {name} para este sistema ({system}). Mutirão funciona en Linux (glibc) "
        "y macOS, x86-64 o ARM64. Detalles en {log}",
        "lock_missing": "Falta el archivo {name}: descargue el proyecto de nuevo.",
        "interrupted": "Interrumpido. Vuelva a ejecutar para recomenzar.",
    },
}


class CannotSetUp(Exception):
    """Why it cannot go on: one sentence for the person at the terminal."""


# --- words ------------------------------------------------------------------------------------


def language(environ):
    """`pt`, `en` or `es`: MUTIRAO_LANGUAGE, else the terminal's language, else Portuguese."""
    for name in ("MUTIRAO_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        code = environ.get(name, "")[:2].lower()
        if code in TEXTS:
            return code
    return "pt"


def say(key, **params):
    return TEXTS[language(os.environ)][key].format(**params)


def tell(key, **params):
    text = say(key, **params)
    try:
        print(text, flush=True)
    except UnicodeEncodeError:  # a terminal that only knows ASCII
        print(text.encode("ascii", "replace").decode(), flush=True)


# --- which Python -----------------------------------------------------------------------------

PROBE = """
import json, platform, struct, sys
try:
    import ensurepip, venv
    has_venv = True
except ImportError:
    has_venv = False
print(json.dumps({"version": list(sys.version_info[:2]), "kind": platform.python_implementation(),
                  "bits": struct.calcsize("P") * 8, "venv": has_venv, "base": sys.base_prefix,
                  "path": getattr(sys, "_base_executable", None) or sys.executable}))
"""


def probe(command):
    """What the interpreter says of itself, None when it does not run (pyenv's shim of a version not chosen)."""
    try:
        done = subprocess.run(
            [command, "-I", "-c", PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
        )
        return json.loads(done.stdout.decode()) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def unsuitable(found):
    """Why this interpreter will not do, in words; None when it will (the venv module is looked at apart)."""
    if found is None:
        return say("reason_runs")
    if tuple(found["version"]) not in SUPPORTED:
        return say("reason_version", version="{}.{}".format(*found["version"]))
    if found["kind"] != "CPython" or found["bits"] != 64:
        return say("reason_kind", kind="{kind} ({bits} bits)".format(**found))
    return None


def candidates(environ):
    """Every place a suitable Python may be, best first: each name in each folder of PATH, then pyenv's own folders."""
    folders = [f for f in environ.get("PATH", os.defpath).split(os.pathsep) if f]
    for name in ("python3.12", "python3.11", "python3"):
        for folder in folders:
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK):
                yield path
    for root in (environ.get("PYENV_ROOT", ""), os.path.join(environ.get("HOME", ""), ".pyenv")):
        try:
            versions = sorted(os.listdir(os.path.join(root, "versions")), reverse=True) if root else []
        except OSError:
            continue
        for version in versions:
            if version.startswith(("3.12.", "3.11.")):
                yield os.path.join(root, "versions", version, "bin", "python3")


def find_python(environ):
    """The interpreter to build with, as its probe. CannotSetUp when there is none."""
    given = environ.get("PYTHON")
    if given:
        found = probe(given)
        reason = unsuitable(found)
        if reason:
            raise CannotSetUp(say("python_given", given=given, reason=reason))
        if not found["venv"]:
            raise CannotSetUp(say("venv_missing", version="{}.{}".format(*found["version"]), path=given))
        return found
    versions, without_venv, seen = set(), None, set()
    for path in candidates(environ):
        real = os.path.realpath(path)
        if real in seen and "shims" not in path:
            continue
        seen.add(real)
        found = probe(path)
        if found is None:
            continue
        if unsuitable(found):
            versions.add("Python {}.{}".format(*found["version"]))
        elif found["venv"]:
            return found
        elif without_venv is None:
            without_venv = found
    if without_venv:
        version = "{}.{}".format(*without_venv["version"])
        raise CannotSetUp(say("venv_missing", version=version, path=without_venv["path"]))
    raise CannotSetUp(say("python_wrong", found=", ".join(sorted(versions)) or say("python_none")))


# --- what is installed ------------------------------------------------------------------------


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def wanted(root, dev):
    """What the stamp must say: hashes of what decides the content of the environment, and where it stands."""
    want = {"venv": os.path.join(root, ".venv")}
    for key, name in (
        ("runtime", "requirements.lock"),
        ("dev", "requirements-dev.lock"),
        ("project", "pyproject.toml"),
    ):
        path = os.path.join(root, name)
        if not os.path.exists(path):
            raise CannotSetUp(say("lock_missing", name=name))
        if key != "dev" or dev:
            want[key] = digest(path)
    return want


def read_stamp(venv):
    """The stamp of a finished installation, {} when there is none or the interpreter behind it is gone."""
    try:
        with open(os.path.join(venv, STAMP)) as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if os.path.exists(os.path.join(venv, "bin", "python")) else {}


def up_to_date(stamp, want, environ):
    if any(stamp.get(key) != value for key, value in want.items()):
        return False
    given = environ.get("PYTHON")
    if not given or given == stamp.get("asked"):
        return True
    found = probe(given)  # a PYTHON was named that this environment was not built with: only its version counts
    return found is not None and found["version"] == stamp.get("version")


# --- pip --------------------------------------------------------------------------------------


class Pip:
    """pip of the environment, its output kept in `.venv/setup.log` and told as progress."""

    def __init__(self, root, folder_lock):
        self.root = root
        self.folder_lock = folder_lock
        self.python = os.path.join(root, ".venv", "bin", "python")
        self.log = os.path.join(root, ".venv", "setup.log")
        self.began_to_install = False
        """Whether the environment may have been changed: before that a failure leaves it as it was."""

    def install(self, arguments, count=0):
        """CannotSetUp with the reason when pip fails."""
        # -I: no PYTHONPATH, no user site, and byte code is written whatever the environment says. PIP_* still counts.
        command = [self.python, "-I", "-m", "pip", "install", "--no-deps", "--no-compile"]
        command += ["--no-build-isolation", "--use-pep517", "--disable-pip-version-check", "--no-input"]
        environ = dict(os.environ, PIP_USER="0", PYTHONUNBUFFERED="1", PIP_PROGRESS_BAR="off", PIP_NO_COLOR="1")
        for name in ("TARGET", "PREFIX", "ROOT", "QUIET", "DRY_RUN", "REQUIRE_HASHES", "NO_BINARY"):
            environ.pop("PIP_" + name, None)  # these would install elsewhere, or not at all
        counter = Counter(count)
        lines = []
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                command + arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env=environ,
                pass_fds=(self.folder_lock,),  # if we are killed, the lock lasts until pip has ended as well
            )
            try:
                for raw in process.stdout:
                    log.write(raw)
                    line = raw.decode("utf-8", "replace").strip()
                    if line.startswith(("Collecting ", "Requirement already satisfied")):
                        counter.one_more()
                    elif line.startswith("Installing collected packages"):
                        self.began_to_install = True
                        counter.finish()
                    if not line.startswith("WARNING: Location"):
                        lines.append(line)
                status = process.wait()
            except BaseException:
                process.terminate()
                process.wait()
                raise
            finally:
                counter.finish(silent=True)
        if status:
            raise CannotSetUp(self.reason(lines))

    def reason(self, lines):
        text = "\n".join(lines)
        errors = [line for line in lines if line.startswith("ERROR:")]
        short = errors[0][len("ERROR:") :].strip().rstrip(".") if errors else (lines or ["?"])[-1]
        if "DO NOT MATCH THE HASHES" in text:
            packages = re.findall(r"^([A-Za-z0-9_.-]+==\S+) from", text, re.M)
            return say("pip_hash", reason=", ".join(packages) or short, log=self.log)
        if "No space left" in text:
            free = shutil.disk_usage(self.root).free // 2**20
            return say("disk", free=free, path=self.root, needed=NEEDED_MB["dev"])
        network = ("NewConnectionError", "Connection", "ProxyError", "Name or service", "timed out", "SSLError")
        if any(word in text for word in network):
            return say("pip_network", log=self.log)
        missing = re.search(r"No matching distribution found for ([A-Za-z0-9_.-]+)", text)
        if missing:
            system = "{} {}".format(os.uname().sysname, os.uname().machine)
            return say("no_wheel", name=missing.group(1), system=system, log=self.log)
        return say("pip_failed", reason=short[:200], log=self.log)


class Counter:
    """Says how far pip is: on a terminal in place, elsewhere one line per fifty packages."""

    def __init__(self, count):
        self.count = count
        self.done = 0
        self.live = bool(count) and sys.stdout.isatty()

    def one_more(self):
        self.done += 1
        text = say("progress", done=self.done, count=self.count)
        if self.live:
            print("\r" + text, end="", flush=True)
        elif self.count and self.done % 50 == 0:
            tell("progress", done=self.done, count=self.count)

    def finish(self, silent=False):
        if self.live:
            print(flush=True)
            self.live = False
        if self.count and not silent:
            tell("unpacking")
            self.count = 0


# --- the installation -------------------------------------------------------------------------


def requirement_names(lock):
    """Normalised names of all distributions in a lock file, for whatever system."""
    with open(lock) as file:
        found = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", file.read(), re.M)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


def setuptools_alone(lock):
    """The lock file's own lines for setuptools: it must be there before the one source distribution is built."""
    with open(lock) as file:
        block = re.search(r"^setuptools==.*?(?=^\S)", file.read() + "\nend", re.M | re.S)
    if not block:
        raise CannotSetUp(say("lock_missing", name=lock + " (setuptools)"))
    return block.group(0)


def remove_leftovers(pip, dev_lock):
    """Uninstall what no lock file names any more (a dependency that was dropped)."""
    listed = subprocess.run(
        [pip.python, "-I", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    have = {re.sub(r"[-_.]+", "-", item["name"]).lower() for item in json.loads(listed.stdout.decode() or "[]")}
    extra = sorted(have - requirement_names(dev_lock) - {"pip", "setuptools", "wheel", "mutirao"})
    if extra:
        tell("removing", names=", ".join(extra))
        subprocess.run(
            [pip.python, "-I", "-m", "pip", "uninstall", "--yes", "--quiet"] + extra,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def compile_byte_code(python, folders):
    """Byte code of everything in the folders, on all cores. Files that do not compile (templates) are skipped."""
    for folder in folders:
        subprocess.run(
            [python, "-I", "-W", "ignore", "-m", "compileall", "-q", "-j", "0", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def build(root, dev, want, stamp, environ, folder_lock):
    """Bring `.venv` to what `want` says. `folder_lock` is the open, locked folder of the project."""
    begun = time.time()
    venv = os.path.join(root, ".venv")
    if not os.access(root, os.W_OK):
        raise CannotSetUp(say("folder", path=root, reason=os.strerror(13)))
    fresh = not stamp or stamp.get("venv") != venv or not up_to_date(stamp, {}, environ)
    if fresh and os.path.exists(venv):
        tell("moved" if os.path.exists(os.path.join(venv, STAMP)) else "cut_off")
    if fresh:
        python = find_python(environ)
        free, needed = shutil.disk_usage(root).free // 2**20, NEEDED_MB["dev" if dev else "runtime"]
        if free < needed:
            raise CannotSetUp(say("disk", free=free, path=root, needed=needed))
        tell("creating", version="{}.{}".format(*python["version"]), path=python["path"])
        stamp = {"version": python["version"]}
        make_venv(python["path"], venv)
    if environ.get("PYTHON"):
        stamp["asked"] = environ["PYTHON"]
    before = dict(stamp)
    remove_file(os.path.join(venv, STAMP))

    pip = Pip(root, folder_lock)
    compiled = [os.path.join(root, name) for name in OURS if os.path.isdir(os.path.join(root, name))]
    lock = os.path.join(root, "requirements-dev.lock" if dev else "requirements.lock")
    key = "dev" if dev else "runtime"
    try:
        if stamp.get(key) != want[key] or stamp.get("runtime") != want["runtime"]:
            count = len(requirement_names(lock))
            tell("installing_dev" if dev else "installing", count=count)
            with tempfile.NamedTemporaryFile("w", suffix=".txt") as first:
                first.write(setuptools_alone(lock))
                first.flush()
                pip.install(["--require-hashes", "-r", first.name])
            pip.began_to_install = False
            pip.install(["--require-hashes", "-r", lock], count)
            compiled.insert(0, os.path.join(venv, "lib"))
            if not fresh:
                remove_leftovers(pip, os.path.join(root, "requirements-dev.lock"))
        tell("project")
        pip.install(["--editable", root])
        tell("compiling")
        compile_byte_code(pip.python, compiled)
    except CannotSetUp:
        if not fresh and not pip.began_to_install:
            write_stamp(venv, before)  # nothing was touched: the old environment still stands as its stamp said
        raise
    done = dict(want, version=stamp["version"])
    if "asked" in stamp:
        done["asked"] = stamp["asked"]
    if "dev" in stamp and not dev:
        done["dev"] = stamp["dev"]  # the test tools of before are still there, as old as they were
    write_stamp(venv, done)
    tell("done", seconds=round(time.time() - begun))


def make_venv(python, venv):
    shutil.rmtree(venv, ignore_errors=True)
    done = subprocess.run([python, "-I", "-m", "venv", venv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        shutil.rmtree(venv, ignore_errors=True)
        last = done.stdout.decode("utf-8", "replace").strip().splitlines() or ["?"]
        if "ensurepip" in done.stdout.decode("utf-8", "replace"):
            found = probe(python)
            raise CannotSetUp(say("venv_missing", version="{}.{}".format(*found["version"]), path=python))
        raise CannotSetUp(say("folder", path=venv, reason=last[-1]))


def write_stamp(venv, stamp):
    path = os.path.join(venv, STAMP)
    with open(path + ".new", "w") as file:
        json.dump(stamp, file, indent=1)
    os.replace(path + ".new", path)


def remove_file(path):
    try:
        os.remove(path)
    except FileNotFoundError:
        pass


def set_up(root, dev, environ):
    """Make sure that `.venv` is what the lock files say. CannotSetUp with a sentence when it cannot be."""
    want = wanted(root, dev)
    venv = want["venv"]
    if up_to_date(read_stamp(venv), want, environ):
        return
    folder = os.open(root, os.O_RDONLY)  # the lock is on the project's folder itself: no file to leave behind
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            tell("waiting")
            fcntl.flock(folder, fcntl.LOCK_EX)
        want, stamp = wanted(root, dev), read_stamp(venv)
        if not up_to_date(stamp, want, environ):
            build(root, dev, want, stamp, environ, folder)
    finally:
        os.close(folder)


def main(arguments):
    root = os.path.dirname(os.path.realpath(__file__))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        set_up(root, "--dev" in arguments, os.environ)
    except CannotSetUp as problem:
        text = str(problem)
        try:
            print(text, file=sys.stderr)
        except UnicodeEncodeError:
            print(text.encode("ascii", "replace").decode(), file=sys.stderr)
        return 1
    except PermissionError as problem:
        print(say("folder", path=problem.filename or root, reason=problem.strerror), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n" + say("interrupted"), file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
