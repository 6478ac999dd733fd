"""What Hosting serves: the page's own files, their size, and what the browser is told to refuse."""

import gzip
import json
import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from api.operations import FUNCTIONS
from dev import hosting

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = ROOT / "hosting" / "public"
HOSTING = json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))["hosting"]
ALLOWED = ("'self'", "'none'", "data:")
MAX_SCRIPT_BYTES = 40 * 1024


def sources(*endings: str) -> dict[str, str]:
    """The page's own text files."""
    return {file.name: file.read_text(encoding="utf-8") for end in endings for file in PUBLIC.glob(f"*.{end}")}


def test_every_http_function_has_a_rewrite() -> None:
    """By its name; the region is where it is deployed."""
    found = {rewrite["source"]: rewrite["function"] for rewrite in HOSTING["rewrites"]}
    assert found == {f"/api/{name}": {"functionId": name} for name in FUNCTIONS}


def test_the_policy_refuses_everything_that_the_page_does_not_need() -> None:
    """No inline script or style, no eval, and no address but this site and Firebase's own."""
    [policy] = [
        header["value"]
        for rule in HOSTING["headers"]
        for header in rule["headers"]
        if header["key"] == hosting.POLICY and rule["source"] == "**"
    ]
    directives = {name: values for name, *values in (each.split() for each in policy.split("; "))}
    assert "unsafe" not in policy
    assert "*" not in policy
    assert directives["default-src"] == ["'none'"]
    assert directives["script-src"] == directives["style-src"] == ["'self'"]
    assert all(value in ALLOWED or value.endswith("googleapis.com") for value in chain(*directives.values()))


def test_no_file_has_an_inline_script_or_style_or_loads_from_elsewhere() -> None:
    """The policy would refuse it."""
    for name, text in sources("html").items():
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text), name
    for name, text in sources("html", "js", "css").items():
        elsewhere = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not [url for url in elsewhere if not url.startswith("http://${")], name


def test_text_becomes_markup_nowhere() -> None:
    """Only text is set from data."""
    for name, text in sources("js").items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )


def test_the_pages_load_the_libraries_that_are_fetched() -> None:
    """Each by the folder with its version."""
    used = {path for text in sources("html", "js").values() for path in re.findall(r"vendor/([\w.-]+/[\w.-]+)", text)}
    fetched = {f"{library.name}/{file}" for library in hosting.LIBRARIES for file in library.files}
    assert used == {file for file in fetched if file.endswith((".js", ".css"))}


def test_the_pages_own_script_is_small(record_property: Callable[[str, object], None]) -> None:
    """At most 40 KB, compressed file by file as Hosting does."""
    sizes = {name: len(gzip.compress(text.encode())) for name, text in sources("js").items()}
    record_property("figure", f"console: {sum(sizes.values()) / 1024:.1f} KB of our own JavaScript, gzip")
    assert sum(sizes.values()) <= MAX_SCRIPT_BYTES
