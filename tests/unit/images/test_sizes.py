"""The name of a size -> pixels."""

import pytest

from images.sizes import Size


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("512x512", Size(512, 512)),
        ("1024x1792", Size(1024, 1792)),
        ("poster", Size(1024, 1024)),
        ("0x512", Size(1024, 1024)),
        ("512x512\n", Size(1024, 1024)),
        ("\u0665x\u0665", Size(1024, 1024)),
        ("999999x1", Size(1024, 1024)),
    ],
)
def test_a_name_gives_its_pixels(name: str, size: Size) -> None:
    """A name without pixels, which somebody may put into the catalog, is a square."""
    assert Size.named(name) == size


def test_a_size_fits_within_sides() -> None:
    """Each side by itself."""
    assert Size(8, 9_000).within(16, 4_096) == Size(16, 4_096)
