"""The name of a size -> pixels."""

import re
from dataclasses import dataclass

_PIXELS = r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})"


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @classmethod
    def named(cls, name: str) -> "Size":
        """The pixels that a name like 1024x1792 gives; 1024x1024 for one that gives none."""
        found = re.fullmatch(_PIXELS, name)
        return cls(int(found[1]), int(found[2])) if found else cls(1024, 1024)

    def within(self, min_side: int, max_side: int) -> "Size":
        """The nearest size whose sides are within these."""
        return Size(*(min(max(side, min_side), max_side) for side in (self.width, self.height)))

    @property
    def ratio(self) -> float:
        """Width over height."""
        return self.width / self.height
