"""The console's page on Hosting: the libraries that it loads, and Hosting's part of a run's firebase.json."""

import base64
import hashlib
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev import ROOT, Problem

# Git ignores it. A new version has a new folder, so browsers may keep what they have.
VENDOR = ROOT / "hosting" / "public" / "vendor"
FIREBASE_VERSION, SWAGGER_VERSION = "12.19.0", "5.35.0"
CDN = f"https://www.gstatic.com/firebasejs/{FIREBASE_VERSION}/"
# What a library of this version asks of other hosts, and what it asks instead.
ELSEWHERE = {
    CDN.encode(): b"./",
    b'(g||"//www.google.com/images/cleardot.gif"),f.location&&"http"==f.location.protocol||kc(g,"https")': (
        b'("/icon.svg")'
    ),
}
POLICY = "Content-Security-Policy"


@dataclass(frozen=True)
class Library:
    """Files of one npm package. `sha512` is of its tarball, as npm writes it."""

    package: str
    version: str
    sha512: str
    files: Sequence[str]

    @property
    def name(self) -> str:
        return f"{self.package}-{self.version}"

    def is_in(self, vendor: Path) -> bool:
        return (vendor / self.name).is_dir()

    def unpack(self, tarball: Path, vendor: Path) -> None:
        """Puts the files into a folder of their own in `vendor`, all or none, and removes older versions.

        Raises:
            Problem: it is not the tarball that was chosen.
        """
        digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        if digest != self.sha512:
            raise Problem(
                f"{self.name} from the npm registry is not the file that dev/hosting.py names. Nothing was used."
            )
        # Hosting serves and deploys no file in a folder whose name begins with a dot.
        partial = vendor / f".{self.name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        with tarfile.open(tarball) as archive:
            for file in self.files:
                member = archive.extractfile(f"package/{file}")
                assert member is not None
                (partial / file).write_bytes(local(member.read()))
        for older in vendor.glob(f"{self.package}-[0-9]*"):
            shutil.rmtree(older)
        partial.rename(vendor / self.name)


def local(source: bytes) -> bytes:
    """The file as it asks no other host: for its other files, or whether there is a network."""
    for elsewhere, here in ELSEWHERE.items():
        source = source.replace(elsewhere, here)
    return source


LIBRARIES = (
    Library(
        "firebase",
        FIREBASE_VERSION,
        "kwXCLcI0ly2lkwygkbuRx6SsX3DSO96355YrWh9SWZ5ncsxK/y5cirn3sY6nZVSiBVE++2nL6Hchzu1EB8uohQ==",
        ("firebase-app.js", "firebase-auth.js", "firebase-firestore.js"),
    ),
    Library(
        "swagger-ui-dist",
        SWAGGER_VERSION,
        "U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
        ("swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css", "LICENSE"),
    ),
)


def for_run(hosting: Mapping[str, Any], region: str, local_urls: Sequence[str]) -> dict[str, Any]:
    """Hosting's configuration of a run of the emulators: its functions' region, and the page may talk to them."""
    rewrites = [
        {**rewrite, "function": {**rewrite["function"], "region": region}} if "function" in rewrite else rewrite
        for rewrite in hosting["rewrites"]
    ]
    headers = [
        {**rule, "headers": [{**header, "value": _opened(header, local_urls)} for header in rule["headers"]]}
        for rule in hosting["headers"]
    ]
    return {**hosting, "rewrites": rewrites, "headers": headers}


def _opened(header: Mapping[str, str], urls: Sequence[str]) -> str:
    """The header's value; a policy lets the page connect to these addresses and show pictures from there too."""
    if header["key"] != POLICY:
        return header["value"]
    directives = header["value"].split("; ")
    opened = ("connect-src", "img-src")
    return "; ".join(" ".join([each, *urls]) if each.startswith(opened) else each for each in directives)
