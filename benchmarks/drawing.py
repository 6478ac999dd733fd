"""Prints how long a picture takes to draw, PNG included, and how much memory 500 drawings take.

    benchmarks/run.sh drawing                                    needs no emulator
    ... --sheet docs/images/styles.webp                          only makes the README's contact sheet

Every color and both models take turns. Times are those of one thread on one core: on the wall, and of the processor,
which is what counts on a machine that does other things too. The memory is the process's own, in pages that are in use.
"""

import argparse
import io
import itertools
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from PIL import __version__ as pillow_version

from benchmarks.clients import percentile_ms
from images.drawing import Drawing, draw

MODELS = ("model-a", "model-b")
STYLES = ("realistic", "anime", "oil painting", "sketch", "cyberpunk", "watercolor")
COLORS = ("vibrant", "monochrome", "pastel", "neon", "vintage")
SIZES = ((512, 512), (1024, 1024), (1024, 1792))
PROMPTS = ("a lighthouse at dawn", "three foxes in the snow, by a lake that has not frozen yet", None)
MEMORY_DRAWINGS = 500
CELL, GAP, COLUMNS = 150, 4, 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="pictures for each style and size (default: 40)")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet here and stop")
    options = parser.parse_args()
    if options.sheet:
        write_sheet(options.sheet)
        return 0
    print(f"Pillow {pillow_version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'style':<14}{'size':>11}{'wall p50':>10}{'p95':>6}{'cpu p50':>9}{'p95':>6} ms{'median':>9} KB")
    for style, size in itertools.product(STYLES, SIZES):
        print_times(style, size, options.rounds)
    print_memory()
    return 0


def orders(styles: Sequence[str], sizes: Sequence[tuple[int, int]]) -> Iterator[Drawing]:
    """Without end, each with a seed of its own."""
    turns = itertools.cycle(itertools.product(sizes, COLORS, styles, MODELS))
    for number, (size, color, style, model) in enumerate(turns):
        yield Drawing(model, style, color, *size, PROMPTS[number % len(PROMPTS)], f"request-{number}")


def print_times(style: str, size: tuple[int, int], rounds: int) -> None:
    walls, cpus, lengths = [], [], []
    draw(next(orders([style], [size])))
    for order in itertools.islice(orders([style], [size]), rounds):
        wall, cpu = time.perf_counter(), time.thread_time()
        lengths.append(len(draw(order)))
        walls.append(time.perf_counter() - wall)
        cpus.append(time.thread_time() - cpu)
    figures = [percentile_ms(seconds, percent) for seconds in (walls, cpus) for percent in (50, 95)]
    shown = f"{figures[0]:>10.0f}{figures[1]:>6.0f}{figures[2]:>9.0f}{figures[3]:>6.0f}"
    print(f"{style:<14}{f'{size[0]}x{size[1]}':>11}{shown}{statistics.median(lengths) / 1024:>12.0f}", flush=True)


def print_memory() -> None:
    """After every fifth of the drawings; flat means that nothing is kept."""
    for number, order in enumerate(itertools.islice(orders(STYLES, SIZES), MEMORY_DRAWINGS), 1):
        draw(order)
        if number % (MEMORY_DRAWINGS // 5) == 0:
            print(f"{number} drawings: {_resident_mb():.0f} MB in use, {_peak_mb():.0f} MB at most", flush=True)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_sheet(path: Path) -> None:
    """A row for each style; in it each color, first by model-a and then by model-b."""
    step = CELL + GAP
    sheet = Image.new("RGB", (COLUMNS * step - GAP, len(STYLES) * step - GAP), "white")
    for row, style in enumerate(STYLES):
        for column, (model, color) in enumerate(itertools.product(MODELS, COLORS)):
            seed = f"look-{column % len(COLORS)}"
            with Image.open(io.BytesIO(draw(Drawing(model, style, color, 512, 512, PROMPTS[0], seed)))) as picture:
                cell = picture.convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS)
            sheet.paste(cell, (column * step, row * step))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=82, method=6)


if __name__ == "__main__":
    sys.exit(main())
