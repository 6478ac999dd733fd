"""The libraries of the console's page, and Hosting's configuration of a run."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from dev import ROOT, Problem, hosting

TOOLS = ROOT / ".toolchain" / "tools-venv" / "bin" / "python"
SDK = hosting.Library("sdk", "2.0", "", ("app.js", "auth.js"))


def tarball(folder: Path) -> Path:
    """A package as npm packs it, whose files load one another from the CDN."""
    (folder / "package").mkdir()
    for name in ("app.js", "auth.js", "unused.js"):
        (folder / "package" / name).write_text(f'import "{hosting.CDN}app.js";', encoding="utf-8")
    with tarfile.open(folder / "sdk.tgz", "w:gz") as archive:
        archive.add(folder / "package", "package")
    return folder / "sdk.tgz"


def test_the_chosen_files_are_unpacked_and_load_each_other_locally(tmp_path: Path) -> None:
    """Older versions go; nothing is left that would be deployed too."""
    packed, vendor = tarball(tmp_path), tmp_path / "vendor"
    sha512 = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    (vendor / "sdk-1.9").mkdir(parents=True)
    library = replace(SDK, sha512=sha512)
    assert not library.is_in(vendor)
    library.unpack(packed, vendor)
    assert library.is_in(vendor)
    found = {str(file.relative_to(vendor)): file.read_text("utf-8") for file in vendor.rglob("*") if file.is_file()}
    assert found == {"sdk-2.0/app.js": 'import "./app.js";', "sdk-2.0/auth.js": 'import "./app.js";'}
    assert [folder.name for folder in vendor.iterdir()] == ["sdk-2.0"]


@pytest.mark.skipif(not hosting.LIBRARIES[0].is_in(hosting.VENDOR), reason="the page's libraries are not here")
def test_the_libraries_ask_no_other_host_by_themselves() -> None:
    """Neither for their own files nor to find out whether there is a network."""
    for file in hosting.LIBRARIES[0].files:
        text = (hosting.VENDOR / hosting.LIBRARIES[0].name / file).read_text(encoding="utf-8")
        assert "gstatic.com" not in text
        assert "cleardot" not in text


def test_another_tarball_is_refused(tmp_path: Path) -> None:
    """What the registry gives is used only if it is what was chosen."""
    with pytest.raises(Problem, match="from the npm registry is not the file"):
        SDK.unpack(tarball(tmp_path), tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()


def test_without_a_network_one_line_says_that_the_page_is_off(tmp_path: Path) -> None:
    """Everything else can start all the same."""
    shutil.copytree(ROOT / "dev", tmp_path / "dev", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "bin").mkdir()
    for name, text in {"node": "echo v20.1.0", "npm": "exit 1"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    script = "from dev import toolchain; print(toolchain.has_site())"
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        [TOOLS, "-c", script], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, timeout=60, check=True
    )
    *_, off, answer = done.stdout.splitlines()
    assert off == (
        "The console's page is off. Could not install firebase for the console's page. "
        "Read .toolchain/logs/firebase-for-the-console-s-page.log"
    )
    assert (answer, done.stderr) == ("False", "")


def test_a_run_opens_the_policy_for_its_own_emulators_only() -> None:
    """They may be connected to and show pictures; rewrites lead to the run's region; the rest stays as it is."""
    policy = {
        "key": hosting.POLICY,
        "value": "default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'self'",
    }
    other = {"key": "Referrer-Policy", "value": "no-referrer"}
    shipped = {
        "public": "hosting/public",
        "headers": [{"source": "**", "headers": [policy, other]}],
        "rewrites": [{"source": "/api/f", "function": {"functionId": "f"}}, {"source": "/a", "destination": "/b"}],
    }
    urls = "http://127.0.0.1:1 http://127.0.0.1:2"
    opened = f"default-src 'none'; img-src 'self' {urls}; connect-src 'self' {urls}; script-src 'self'"
    assert hosting.for_run(shipped, "europe-west1", urls.split()) == {
        "public": "hosting/public",
        "headers": [{"source": "**", "headers": [{**policy, "value": opened}, other]}],
        "rewrites": [
            {"source": "/api/f", "function": {"functionId": "f", "region": "europe-west1"}},
            {"source": "/a", "destination": "/b"},
        ],
    }
