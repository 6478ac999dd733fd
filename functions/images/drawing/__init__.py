"""Draws the picture of a simulated generation. Loads Pillow, so only what draws imports it."""

from images.drawing.picture import MAX_SIDE, MIN_SIDE, VERSION, Drawing, draw

__all__ = ["MAX_SIDE", "MIN_SIDE", "VERSION", "Drawing", "draw"]
