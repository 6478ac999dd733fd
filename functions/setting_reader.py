"""Reads the values of settings, strictly, and remembers every one that cannot be used."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from firebase_functions.params import BoolParam, Param, SecretParam, StringParam

import origins

# One way to write a number, which Python, the CLI and the server read as the same: gunicorn refuses 016, the CLI 1_000.
_NUMBER: Mapping[type, str] = {int: r"0|[1-9][0-9]*", float: r"(0|[1-9][0-9]*)(\.[0-9]+)?"}
_N = TypeVar("_N", int, float)


class ConfigurationError(ValueError):
    """A setting cannot be used; the message names every such setting and what it may be."""


class SettingReader:
    """Reads values by parameter and remembers every problem, so that one start reports them all."""

    def __init__(self, environ: Mapping[str, str], in_emulator: bool) -> None:
        self._environ = environ
        self._schemes = ("https", "http") if in_emulator else ("https",)
        self._problems: list[str] = []

    def raw(self, param: Param[Any]) -> str:
        """The value as it is written, or the default."""
        return self._environ.get(param.name, written(param.default))

    def switch(self, param: BoolParam) -> bool:
        """A boolean, in the CLI's own words for one."""
        return self.matching(param, "true|false", "true or false") == "true"

    def matching(self, param: Param[Any], pattern: str, expected: str) -> str:
        """A text that matches the whole pattern."""
        raw = self.raw(param)
        if not re.fullmatch(pattern, raw):
            self.add([f"{param.name} must be {expected}, not {raw!r}"])
        return raw

    def integer(self, param: Param[Any], minimum: int, maximum: int) -> int:
        """An integer within these limits."""
        expected = f"an integer from {minimum} to {maximum}"
        return self.number(param, int, expected, lambda value: minimum <= value <= maximum)

    def number(self, param: Param[Any], kind: type[_N], expected: str, accepts: Callable[[_N], bool]) -> _N:
        """A number in plain digits that is accepted."""
        raw = self.raw(param)
        # Twenty digits are more than any range here, and fewer than Python refuses to read.
        value = kind(raw) if len(raw) <= 20 and re.fullmatch(_NUMBER[kind], raw) else None
        if value is None or not accepts(value):
            self.add([f"{param.name} must be {expected} in plain digits, not {raw!r}"])
            return kind(0)
        return value

    def address(self, param: StringParam) -> str:
        """A public address without a slash at its end, empty if there is none."""
        url = self.raw(param).rstrip("/")
        if url and not (self._is_address(url) and not re.search(r"[?#@]", url) and url.isascii()):
            self.add([f"{param.name} must be empty or an address that begins with https://, not {url!r}"])
        return url

    def secret_address(self, param: StringParam | SecretParam) -> str:
        """An address that is a credential, so no message quotes it; empty if there is none."""
        url = self._environ.get(param.name, "").strip()
        if url in ("", "none"):
            return ""
        if not self._is_address(url):
            self.add([f"{param.name} must be none or an address that begins with https://"])
        return url

    def origins(self, param: StringParam) -> list[str]:
        """The origins listed; each must be written as browsers send it, or it would match no page."""
        found = [each.strip() for each in self.raw(param).split(",") if each.strip()]
        expected = f"{param.name} must be empty or origins like https://example.com, separated by commas: "
        for each in found:
            if (sent := origins.as_sent(each)) != each:
                reason = f"browsers send {sent!r}, not {each!r}" if sent else f"no page has the origin {each!r}"
                self.add([expected + reason])
        return found

    def add(self, problems: Iterable[str]) -> None:
        """Remembers more problems."""
        self._problems.extend(problems)

    def raise_problems(self) -> None:
        """Raises ConfigurationError if there was any problem."""
        if self._problems:
            raise ConfigurationError("Invalid configuration: " + "; ".join(self._problems) + ".")

    def _is_address(self, text: str) -> bool:
        """Whether a request can be sent there."""
        try:
            parts = urlsplit(text)
            is_whole = bool(parts.hostname) and parts.port != 0
        except ValueError:
            return False
        return is_whole and parts.scheme in self._schemes and not re.search(r"\s", text)


def written(default: Any) -> str:
    """A parameter's default in the form of .env files."""
    return str(default).lower() if isinstance(default, bool) else str(default)
