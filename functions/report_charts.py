"""The page's geometry: numbers -> marks of a chart.

In a chart every x is a percentage and every y a pixel, so that it fills any width while its text keeps its size.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from report_week import Tally
from report_words import Name, compact, percent

_PLOT_LEFT = 12.0  # percent, kept free for the axis' numbers
_PLOT_TOP, _PLOT_HEIGHT = 26.0, 150.0
_AXIS_TEXT_HEIGHT = 38.0
_ROW_HEIGHT, _ROW_BAR_TOP, _ROW_BAR_HEIGHT = 46.0, 25.0, 10.0
_LEAST_VISIBLE = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Stroke:
    x1: float
    y1: float
    x2: float
    y2: float
    kind: str


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    """`clip` is the width, in percent, that the text may not exceed."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    kind: str = "quiet"
    clip: float | None = None
    full: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    title: str
    description: str
    height: float
    bars: Sequence[Bar] = ()
    strokes: Sequence[Stroke] = ()
    dots: Sequence[Dot] = ()
    labels: Sequence[Label] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A place on the time axis: its bars' kinds and values, and two short lines of text beneath."""

    words: tuple[str, str]
    values: Sequence[tuple[str, float]]
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """A name with its value, and the value before; both on the chart's scale."""

    name: Name
    value: float | None
    before: float | None
    words: str
    title: str
    settled: Tally = field(default_factory=Tally)
    earlier: Tally = field(default_factory=Tally)


def axis_steps(largest: float, parts: int = 4) -> list[float]:
    """Round numbers from 0 to at least the largest, at most `parts` steps, each a whole number."""
    rough = max(largest / parts, 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
    return [step * index for index in range(max(1, math.ceil(largest / step)) + 1)]


def column_chart(name: str, title: str, description: str, columns: Sequence[Column], *, stacked: bool) -> Chart:
    """Upright bars, a column's values on top of each other or side by side."""
    sizes = [[value for _, value in column.values] for column in columns]
    largest = max((sum(values) if stacked else max(values) for values in sizes if values), default=0)
    steps = axis_steps(largest)
    slot = (100 - _PLOT_LEFT) / max(len(columns), 1)
    lay = _stack if stacked else _group
    bars, labels = [], []
    for index, column in enumerate(columns):
        middle = _PLOT_LEFT + slot * (index + 0.5)
        laid = lay(column, middle, min(slot * 0.7, 14), steps[-1])
        bars += laid
        labels += _below(middle, column.words)
        if stacked and laid:
            total = compact(sum(value for _, value in column.values))
            labels.append(Label(middle, min(bar.y for bar in laid) - 5, total, kind="mark"))
    if not bars:
        labels.append(Label(50 + _PLOT_LEFT / 2, _PLOT_TOP + _PLOT_HEIGHT / 2, "None in this window"))
    strokes, numbers = _axis([(step / steps[-1], compact(step)) for step in steps])
    height = _PLOT_TOP + _PLOT_HEIGHT + _AXIS_TEXT_HEIGHT
    return Chart(name, title, description, height, bars, strokes, (), [*numbers, *labels])


def _stack(column: Column, middle: float, width: float, top: float) -> list[Bar]:
    bars: list[Bar] = []
    bottom = _PLOT_TOP + _PLOT_HEIGHT
    for kind, value in column.values:
        if value:
            height = max(_PLOT_HEIGHT * (value / top), _LEAST_VISIBLE)
            bottom -= height
            bars.append(Bar(middle - width / 2, bottom, width, height, kind, column.title))
    return bars


def _group(column: Column, middle: float, width: float, top: float) -> list[Bar]:
    bars, each = [], width / len(column.values)
    for index, (kind, value) in enumerate(column.values):
        if value:
            height = max(_PLOT_HEIGHT * (value / top), _LEAST_VISIBLE)
            left = middle - width / 2 + each * index
            bars.append(Bar(left, _PLOT_TOP + _PLOT_HEIGHT - height, each * 0.94, height, kind, column.title))
    return bars


def line_chart(name: str, title: str, description: str, points: Sequence[Column | None]) -> Chart:
    """Percentages over time, on a scale that need not start at 0; None leaves a gap."""
    rates = [point.values[0][1] if point and point.values else None for point in points]
    low = _line_floor([rate for rate in rates if rate is not None])
    strokes, labels = _axis([(part, f"{low + (100 - low) * part:g}%") for part in (0, 0.5, 1)])
    slot = (100 - _PLOT_LEFT) / max(len(points), 1)
    dots: list[Dot | None] = []
    for index, (point, rate) in enumerate(zip(points, rates, strict=True)):
        middle = _PLOT_LEFT + slot * (index + 0.5)
        labels += _below(middle, point.words) if point else []
        y = _PLOT_TOP + _PLOT_HEIGHT * (1 - ((rate or 0) - low) / (100 - low))
        dots.append(Dot(middle, y, point.title) if point and rate is not None else None)
    strokes += [Stroke(one.x, one.y, two.x, two.y, "line") for one, two in pairwise(dots) if one and two]
    for dot, rate, one, two in zip(dots, rates, [None, *dots], [*dots[1:], None], strict=False):
        if dot:
            # In a valley the lines to the neighbors pass above the dot.
            valley = max((dot.y - other.y for other in (one, two) if other), default=0) > 6
            labels.append(Label(dot.x, dot.y + (19 if valley else -10), percent(rate).rstrip("%"), kind="mark"))
    height = _PLOT_TOP + _PLOT_HEIGHT + _AXIS_TEXT_HEIGHT
    return Chart(name, title, description, height, (), strokes, [dot for dot in dots if dot], labels)


def _line_floor(rates: Sequence[float]) -> int:
    """Where the scale starts: no higher than leaves room for a label beneath the lowest rate."""
    lowest = min(rates, default=0)
    return next((floor for floor in (95, 90, 80, 50) if lowest >= floor + (100 - floor) * 0.2), 0)


def row_chart(name: str, title: str, description: str, rows: Sequence[Row], top: float) -> Chart:
    """Lying bars from 0 to `top` percent, each beneath its name, with a tick where the value was before."""
    bars, strokes, labels = [], [], []
    for index, row in enumerate(rows):
        y = index * _ROW_HEIGHT
        bar_y = y + _ROW_BAR_TOP
        labels.append(Label(0, y + 15, row.name.shown, "start", "name", 56, row.name.full))
        labels.append(Label(100, y + 15, row.words, "end", "value"))
        bars.append(Bar(0, bar_y, 100, _ROW_BAR_HEIGHT, "track", row.title))
        if row.value:
            bars.append(Bar(0, bar_y, max(100 * row.value / top, 0.4), _ROW_BAR_HEIGHT, "failed", row.title))
        if row.before is not None:
            x = min(max(100 * row.before / top, 0.5), 99.5)
            strokes.append(Stroke(x, bar_y - 4, x, bar_y + _ROW_BAR_HEIGHT + 4, "before"))
    return Chart(name, title, description, len(rows) * _ROW_HEIGHT, bars, strokes, (), labels)


def _axis(steps: Iterable[tuple[float, str]]) -> tuple[list[Stroke], list[Label]]:
    """Lines at these parts of the plot's height, their numbers standing on them at the left."""
    strokes, labels = [], []
    for part, words in steps:
        y = _PLOT_TOP + _PLOT_HEIGHT * (1 - part)
        strokes.append(Stroke(0, y, 100, y, "grid" if part else "base"))
        labels.append(Label(0, y - 4, words, "start"))
    return strokes, labels


def _below(middle: float, words: tuple[str, str]) -> list[Label]:
    bottom = _PLOT_TOP + _PLOT_HEIGHT
    return [Label(middle, bottom + 17, words[0]), Label(middle, bottom + 32, words[1])]
