"""Draws the picture of a simulated generation. Loads Pillow, so only what draws imports it."""

from images.drawing.picture import Drawing, draw

__all__ = ["Drawing", "draw"]
