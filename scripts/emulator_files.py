"""Finds what the Firebase CLI has downloaded, and makes a launcher for the Cloud SDK's Firestore emulator.

emulator_files.py cached NAME CLI    exit 0 when the CLI has its NAME emulator (firestore or ui) already
emulator_files.py launcher JAR OUT   writes OUT, a jar that starts JAR
"""

import json
import os
import sys
import zipfile
from pathlib import Path

MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
MANIFEST_LINE_BYTES = 72


def cached(name: str, cli: Path) -> bool:
    cache = Path(os.environ.get("FIREBASE_EMULATORS_PATH") or Path.home() / ".cache" / "firebase" / "emulators")
    file = _expected_file(name, cli, cache)
    if file is None or not file.is_file():
        return False
    # A copy that was interrupted lacks the directory at the end of a jar.
    return file.suffix != ".jar" or zipfile.is_zipfile(file)


def launcher(jar: Path, out: Path) -> None:
    """The SDK's jar names no main class, and the CLI can only run `java -jar`."""
    lines = ("Manifest-Version: 1.0", f"Class-Path: {jar.resolve().as_uri()}", f"Main-Class: {MAIN_CLASS}")
    partial = out.with_name(f"{out.name}.partial")
    with zipfile.ZipFile(partial, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "".join(_wrapped(line) for line in lines))
    partial.replace(out)


def _expected_file(name: str, cli: Path, cache: Path) -> Path | None:
    info = cli.resolve().parents[1] / "emulator" / "downloadableEmulatorInfo.json"
    if not info.is_file():
        # A standalone CLI hides its list; it fetches the right version itself if this one is too old.
        pattern = "cloud-firestore-emulator-v*.jar" if name == "firestore" else "ui-v*/server/server.mjs"
        return max(cache.glob(pattern), default=None)
    entry = json.loads(info.read_text())[name]
    entry = entry.get("main", entry)
    return cache / str(entry.get("binaryPathRelativeToCacheDir") or entry["downloadPathRelativeToCacheDir"])


def _wrapped(line: str) -> str:
    """A line of a manifest has at most 72 bytes with its line end; the rest goes on after a space."""
    first, rest = line[: MANIFEST_LINE_BYTES - 2], line[MANIFEST_LINE_BYTES - 2 :]
    width = MANIFEST_LINE_BYTES - 3
    chunks = [first, *(f" {rest[start : start + width]}" for start in range(0, len(rest), width))]
    return "".join(f"{chunk}\r\n" for chunk in chunks)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["cached", name, cli]:
            sys.exit(0 if cached(name, Path(cli)) else 1)
        case ["launcher", jar, out]:
            launcher(Path(jar), Path(out))
        case _:
            sys.exit(__doc__)
