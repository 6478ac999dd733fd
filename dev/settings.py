"""The settings of a run: read from functions/.env* in one way, and checked before anything starts."""

import difflib
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from dev import FUNCTIONS, Problem

# Deployed, the functions get these from Secret Manager. Here they are settings like any other (functions/config.py).
SECRETS = {"REPORT_WEBHOOK_URL": "", "OPENAI_API_KEY": "", "WEBHOOK_SECRET": ""}
# Settings files as the CLI names them, without an editor's swap files.
SETTINGS_FILE = re.compile(r"\.env(\.(?!sw[a-z]$)[a-z][a-z0-9-]*)?")
# Prints the name of each parameter that the functions declare, and then checks the values.
CHECK = """
import config
from firebase_functions.params import Param, SecretParam

print(*(value.name for value in vars(config).values() if isinstance(value, Param | SecretParam)), flush=True)
config.load()
"""
MODELS = "import config; print(*(setting.name for setting in config.MODELS.values()))"
# What config.py says of a setting; the traceback before it helps nobody.
REFUSED = re.compile(rb"ConfigurationError: ([^\n]*)")
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


@dataclass(frozen=True)
class Setting:
    """One line of a settings file; `place` has the file's name and the line's number."""

    name: str
    value: str
    place: str


def read(*files: str) -> dict[str, str]:
    """The settings in these files of functions/, as far as they exist; the later file wins.

    Raises:
        Problem: a line is not NAME=VALUE, or the CLI would read another value from it.
    """
    found = (FUNCTIONS / file for file in files)
    return {setting.name: setting.value for path in found if path.is_file() for setting in read_file(path)}


def read_file(path: Path) -> Iterator[Setting]:
    """Each setting of a file, in its order. Raises Problem like `read`."""
    name = f"functions/{path.name}"
    try:
        with path.open(encoding="utf-8-sig") as stream:
            lines = [*parse_stream(stream)]
    except UnicodeDecodeError:
        raise Problem(f"{name} is not a text in UTF-8.") from None
    for line in lines:
        text = line.original.string
        empty_lines = text[: len(text) - len(text.lstrip())].count("\n")
        place = f"{name}, line {line.original.line + empty_lines}"
        if line.error or (line.key is not None and line.value is None):
            raise Problem(f"{place}: expected NAME=VALUE.")
        if line.key is not None:
            if not _reads_alike(line):
                raise Problem(f"{place}: put the value of {line.key} in double quotes, without a backslash.")
            yield Setting(line.key, str(line.value), place)


def _reads_alike(line: Binding) -> bool:
    """Whether the CLI, which reads the files itself when it deploys, gets the same value from this line."""
    raw, value = line.original.string.partition("=")[2].strip(), str(line.value)
    if raw.startswith(("'", '"')) and value.endswith("\\"):
        # The CLI may read the quote after it as part of the value, and go on into the next line.
        return False
    if raw.startswith("'"):
        return not re.search(r"\\[\\']", raw)
    if raw.startswith('"'):
        return not re.search(r"(?<!\\)(\\\\)*\\[abf]", raw)
    return raw.partition("#")[0].strip() == value


def written(settings: Mapping[str, str]) -> str:
    """A settings file from which the CLI reads these values, unless one ends in a backslash."""
    escaped = {name: "".join(ESCAPES.get(char, char) for char in value) for name, value in settings.items()}
    return "".join(f'{name}="{value}"\n' for name, value in escaped.items())


def check(settings: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Checks the values as the functions will, and that every name in a settings file is a parameter of theirs.

    Raises:
        Problem: names each setting that cannot be used.
    """
    done = _in_functions(CHECK, {**env, **settings})
    problems = [*unknown(done.stdout.decode().split())] if done.stdout else []
    if refused := REFUSED.search(done.stderr):
        problems.append(refused[1].decode(errors="replace"))
    elif done.returncode:
        problems.append(f"{done.stderr.decode(errors='replace')}functions/config.py cannot be loaded.")
    if problems:
        raise Problem("\n".join(problems))


def needs_storage(settings: Mapping[str, str], choosers: Sequence[str]) -> bool:
    """Whether pictures need the Storage emulator: those of simulated models are drawn, and never kept.

    `choosers` are the settings that choose a model.
    """
    return any(":" in settings.get(name, "") for name in choosers) and not settings.get("STORAGE_BUCKET")


def model_choosers(env: Mapping[str, str]) -> list[str]:
    """The settings that choose a model, by functions/config.py; none if that cannot be loaded."""
    return _in_functions(MODELS, env).stdout.decode().split()


def _in_functions(code: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[bytes]":
    command = [str(FUNCTIONS / "venv" / "bin" / "python"), "-c", code]
    return subprocess.run(command, cwd=FUNCTIONS, env=env, capture_output=True, check=False)


def unknown(known: Sequence[str], folder: Path = FUNCTIONS) -> Iterator[str]:
    """A message for each name in a settings file that is not a known one: it would silently change nothing."""
    known = [*known, *SECRETS]
    for path in sorted(path for path in folder.glob(".env*") if SETTINGS_FILE.fullmatch(path.name)):
        for setting in read_file(path):
            if setting.name not in known:
                close = difflib.get_close_matches(setting.name, known, 1)
                hint = f"Did you mean {close[0]}?" if close else "functions/config.py declares the settings."
                yield f"{setting.place}: there is no setting {setting.name}. {hint}"
