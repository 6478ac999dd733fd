"""Settings files: read in the one way in which the Firebase CLI reads them too, or refused with their file and line."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest

import config
from dev import ROOT, Problem, settings
from tests.support.budget import SETTING_VALUE_LENGTH as VALUE_LENGTH

# What an emulator's run adds to its settings.
EMULATORS = {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:9", "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9"}
PARSE = """
const { parse } = require(process.argv[1]);
const files = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(files.map((file) => parse(file))));
"""


def by_the_cli(files: list[str]) -> list[tuple[dict[str, str], list[str]]]:
    """The settings that the CLI's own parser finds in each file, and the lines that it cannot read."""
    installed = (ROOT / ".toolchain").glob("firebase-*/node_modules/firebase-tools/lib")
    cli, node = shutil.which("firebase"), shutil.which("node")
    lib = next(installed, Path(cli).resolve().parents[1] if cli else None)
    if node is None or lib is None or not (lib / "functions" / "env.js").is_file():
        pytest.skip("the Firebase CLI on this machine is one file")
    command = [node, "-e", PARSE, str(lib / "functions" / "env.js")]
    done = subprocess.run(command, input=json.dumps(files), capture_output=True, text=True, check=True)
    return [(parsed["envs"], parsed["errors"]) for parsed in json.loads(done.stdout)]


def read(path: Path, text: str, encoding: str = "utf-8") -> dict[str, str]:
    path.write_bytes(text.encode(encoding))
    return {setting.name: setting.value for setting in settings.read_file(path)}


def refusal(path: Path, text: str, encoding: str = "utf-8") -> str:
    with pytest.raises(Problem) as caught:
        read(path, text, encoding)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env.local"


MEANT = (
    ("REGION=europe-west1 # EU\n", "europe-west1"),
    ("REGION='europe-west1'\n", "europe-west1"),
    ('REGION="europe-west1" # EU\n', "europe-west1"),
    ('REGION="a # b"\n', "a # b"),
    ("export REGION=europe-west1\n", "europe-west1"),
    ("REGION = europe-west1  \r\n", "europe-west1"),
    ("\ufeffREGION=europe-west1", "europe-west1"),
    ("REGION= # none\n", ""),
    ("# REGION=a\n\nREGION=b\n", "b"),
    ("REGION=a\nREGION=b\n", "b"),
    (r'REGION="a\nb\\c\"d"', 'a\nb\\c"d'),
)


def test_a_line_means_the_same_here_and_to_the_cli(file: Path) -> None:
    """Comments, quotes, export, Windows' line ends, a byte order mark."""
    assert [read(file, text) for text, _ in MEANT] == [{"REGION": value} for _, value in MEANT]
    assert by_the_cli([text for text, _ in MEANT]) == [({"REGION": value}, []) for _, value in MEANT]


@pytest.mark.parametrize(
    "text",
    [
        "A=1\n\nREGION=a#b\n",
        "A=1\n\nREGION=#a\n",
        "A=1\n\nREGION='a\\\\b'\n",
        'A=1\n\nREGION="\\a"\n',
        'A=1\n\nREGION="a\\\\"',
    ],
)
def test_a_line_that_the_cli_reads_differently_is_refused(file: Path, text: str) -> None:
    """The message names file and line, and how to write it."""
    assert refusal(file, text).startswith("functions/.env.local, line 3: put the value of REGION in double quotes")


@pytest.mark.parametrize("line", ["REGION", "REGION='a", 'REGION="a" b', "=a", "REGION: a"])
def test_a_line_that_is_not_a_setting_is_refused(file: Path, line: str) -> None:
    """With its file and line."""
    assert refusal(file, f"A=1\r\n  \r\n{line}\r\n") == "functions/.env.local, line 3: expected NAME=VALUE."


def test_a_file_in_another_encoding_is_refused(file: Path) -> None:
    """As Windows' PowerShell writes it."""
    assert refusal(file, "REGION=a\n", "utf-16") == "functions/.env.local is not a text in UTF-8."


def test_no_value_is_read_in_two_ways(file: Path) -> None:
    """Everything short that can stand after the equals sign: we refuse it, or the CLI reads the same."""
    ours: dict[str, dict[str, str]] = {}
    for text in (f"A={''.join(value)}\n" for value in product("an \\'\"#", repeat=VALUE_LENGTH)):
        with suppress(Problem):
            ours[text] = read(file, text)
    assert len(ours) > 100
    assert dict(zip(ours, by_the_cli([*ours]), strict=True)) == {text: (found, []) for text, found in ours.items()}


def test_the_cli_reads_back_what_a_run_writes_for_it() -> None:
    """Any value, whatever it holds, but for a backslash at its end."""
    special = map("".join, product("a \\'\"#$\n\r\t\v`=", repeat=3))
    given = (value for value in (*special, *map(chr, range(1, 0x2100))) if not value.endswith("\\"))
    values = {f"A{number}": value for number, value in enumerate(given)}
    assert by_the_cli([settings.written(values)]) == [(values, [])]


def test_a_misspelt_setting_is_named_with_the_nearest(tmp_path: Path) -> None:
    """In every settings file, of whatever project; an editor's copy is none."""
    (tmp_path / ".env.local").write_text(
        "REQUIRE_AUTH=true\n\nREQIRE_AUTH=true\nOPENAI_API_KEY=sk-x\n", encoding="utf-8"
    )
    (tmp_path / ".env.shop-1234").write_text("FAVOURITE=1\n", encoding="utf-8")
    (tmp_path / ".env.swp").write_bytes(b"\xff\x00")
    (tmp_path / ".env.local~").write_bytes(b"\xff\x00")
    assert [*settings.unknown(["REQUIRE_AUTH", "REGION"], tmp_path)] == [
        "functions/.env.local, line 3: there is no setting REQIRE_AUTH. Did you mean REQUIRE_AUTH?",
        "functions/.env.shop-1234, line 1: there is no setting FAVOURITE. functions/config.py declares the settings.",
    ]


def test_every_secret_is_a_setting_here() -> None:
    """The emulators would ask Secret Manager for it otherwise."""
    assert settings.SECRETS.keys() == {
        config.REPORT_WEBHOOK_URL.name,
        config.OPENAI_API_KEY,
        config.WEBHOOK_SECRET,
    }


def checked(**values: str) -> str:
    """The problem that a start has with these settings; empty if none."""
    env: Mapping[str, str] = {"PATH": os.environ["PATH"], "FUNCTIONS_EMULATOR": "true", **EMULATORS}
    try:
        settings.check(settings.read(".env", ".env.demo-case-study") | values, env)
    except Problem as problem:
        return str(problem)
    return ""


def test_bad_settings_are_refused_before_anything_starts() -> None:
    """With the message that the functions would stop with."""
    assert checked() == ""
    refused = checked(THREADS="65", AI_FAILURE_RATE="nan")
    assert refused.startswith("Invalid configuration: ")
    assert "THREADS must be an integer from 1 to 64 in plain digits, not '65'" in refused
    assert "AI_FAILURE_RATE must be a number from 0 to 1 in plain digits, not 'nan'" in refused


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"MODEL_A": "simulated", "MODEL_B": "simulated", "STORAGE_BUCKET": ""}, False),
        ({"MODEL_A": "typo", "MODEL_B": "simulated"}, False),
        ({"MODEL_A": "gemini:gemini-2.5-flash-image"}, True),
        ({"MODEL_A": "simulated", "MODEL_B": "openai:gpt-image-1", "STORAGE_BUCKET": ""}, True),
        ({"MODEL_A": "gemini:gemini-2.5-flash-image", "STORAGE_BUCKET": "mine"}, False),
        ({"MODEL_A": "simulated", "MODEL_B": "simulated", "MODEL_C": "openai:gpt-image-2"}, True),
        ({"MODEL_A": "simulated", "ALLOWED_ORIGINS": "https://shop.example"}, False),
    ],
)
def test_the_storage_emulator_is_for_real_models(values: dict[str, str], expected: bool) -> None:
    """Simulated pictures are drawn, and a bucket that is named is used as it is."""
    assert settings.needs_storage(values, ["MODEL_A", "MODEL_B", "MODEL_C"]) is expected


def test_the_functions_say_which_settings_choose_a_model() -> None:
    """A third model is a row in functions/config.py, and nothing here."""
    assert settings.model_choosers({}) == [setting.name for setting in config.MODELS.values()]
