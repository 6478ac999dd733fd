"""Simulates weeks with and without an anomaly, and prints how often the detector is right, as Markdown tables.

    benchmarks/run.sh detector [--old CHECKOUT]     needs no emulator
    ... --weeks 200                                 a first look

Every trial is a world of its own: 4, 6 or 8 weeks before the one that is judged; volumes that spread by 5 to 20 %,
tastes (each option's popularity) that move by 0 to 30 %, growth of 0 to 15 % a week. Failure rates move from week to
week by the spread given: in every other trial by one factor for all requests of a week, else by independent factors for
each model, style, color and size, together so large that a model's rate moves by the spread. All factors are
log-normal, counts are Poisson, 5 % of requests fail, generation times are exponential. A terrible week is one of those
before, chosen at random, in which 60 % of requests failed.

`--old` names a checkout (git worktree) whose detector judges the same weeks.
"""

import argparse
import itertools
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import ROOT
from reporting.detector import detect
from reporting.findings import CRITICAL, Finding
from reporting.usage import DIMENSIONS, Counts, Usage

NAMES: Mapping[str, Sequence[str]] = {
    "model": ("model-a", "model-b"),
    "style": ("realistic", "anime", "oil painting", "sketch", "cyberpunk", "watercolor"),
    "color": ("vibrant", "monochrome", "pastel", "neon", "vintage"),
    "size": ("512x512", "1024x1024", "1024x1792"),
}
CREDITS = {"512x512": 1, "1024x1024": 3, "1024x1792": 4}
CELLS = list(itertools.product(*NAMES.values()))
FAILING = "model-a"
FAILURE_RATE, TERRIBLE_RATE = 0.05, 0.60
MEDIAN_SECONDS = 2.0
HISTORY_WEEKS = (4, 6, 8)
MAX_HISTORY_WEEKS = 8
VOLUMES = (60, 600, 6_000, 60_000)
RATE_SPREADS = (0.0, 0.1, 0.2, 0.4)
TASTE_SPREAD = (0.0, 0.3)
GROWTH = (0.0, 0.15)
STEADY, ANY, RESTLESS = (0.05, 0.10), (0.05, 0.20), (0.10, 0.20)
# What independent factors of spread 1 for each option make the spread of a model's rate: its own, and on average the
# other options'.
OWN_SPREAD = math.sqrt(1 + sum(1 / len(NAMES[dimension]) for dimension in ("style", "color", "size")))
# Each scenario's trials are cut in parts that are shared out among the workers.
WORKERS, PARTS = 2, 4
# From this mean on, a Poisson count is drawn as a rounded normal one.
LARGE_MEAN = 20


@dataclass(frozen=True, slots=True)
class Scenario:
    """Weeks of about so many requests, and what happens in the last of them.

    `fail_factor` is what the failing model's rate is multiplied by, `volume_factors` what the volume of each of the
    last weeks is. It counts as found if a finding is one of `kinds` in one of these weeks.
    """

    requests: int
    rate_spread: float
    volume_spread: tuple[float, float] = ANY
    has_terrible_week: bool = False
    fail_factor: float = 1.0
    volume_factors: Sequence[float] = (1.0,)
    kinds: Sequence[str] = ()
    value: str | None = None

    def is_found(self, findings: Sequence[Finding]) -> bool:
        return any(finding.kind in self.kinds and finding.value == self.value for finding in findings)


class World:
    """How one trial's weeks differ."""

    def __init__(self, rng: random.Random, scenario: Scenario, is_shared: bool) -> None:
        self._rng = rng
        self._scenario = scenario
        self._is_shared = is_shared
        self._volume_spread = rng.uniform(*scenario.volume_spread)
        self._taste_spread = rng.uniform(*TASTE_SPREAD)
        self._growth = rng.uniform(*GROWTH)

    def week(
        self, number: int, volume_factor: float = 1.0, fail_factor: float = 1.0, rate: float = FAILURE_RATE
    ) -> Usage:
        """The week of this number; 0 is the last before anything happens."""
        rng, spread = self._rng, self._scenario.rate_spread
        volume = self._scenario.requests * (1 + self._growth) ** number * volume_factor
        volume *= self._factor(self._volume_spread)
        names = [name for each in NAMES.values() for name in each]
        liking = {name: self._factor(self._taste_spread) for name in names}
        shared = self._factor(spread) if self._is_shared else 1.0
        failing = {name: 1.0 if self._is_shared else self._factor(spread / OWN_SPREAD) for name in names}
        failing[FAILING] *= fail_factor
        weights = [math.prod(liking[name] for name in cell) for cell in CELLS]
        mean_of_one = volume / sum(weights)
        tallies = {name: [0, 0] for name in names}
        for cell, weight in zip(CELLS, weights, strict=True):
            chance = min(0.95, rate * shared * math.prod(failing[name] for name in cell))
            completed = poisson(rng, mean_of_one * weight * (1 - chance))
            failed = poisson(rng, mean_of_one * weight * chance)
            for name in cell:
                tallies[name][0] += completed
                tallies[name][1] += failed
        return self._usage({name: Counts(sum(tally), *tally) for name, tally in tallies.items() if sum(tally)})

    def _factor(self, spread: float) -> float:
        return math.exp(spread * self._rng.gauss())

    def _usage(self, counts: Mapping[str, Counts]) -> Usage:
        by = {
            dimension: {name: counts[name] for name in NAMES[dimension] if name in counts} for dimension in DIMENSIONS
        }
        whole = sum(by["model"].values(), Counts())
        return Usage(
            total=whole.total,
            completed=whole.completed,
            failed=whole.failed,
            credits_spent=sum(CREDITS[name] * each.completed for name, each in by["size"].items()),
            by=by,
            median_seconds=quantile_seconds(self._rng, whole.settled, 0.5),
            p95_seconds=quantile_seconds(self._rng, whole.settled, 0.95),
        )


def poisson(rng: random.Random, mean: float) -> int:
    """D. E. Knuth, The Art of Computer Programming 2, 3.4.1; for large means a rounded normal variable."""
    if mean > LARGE_MEAN:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    count, limit, product = 0, math.exp(-mean), rng.random()
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count


def quantile_seconds(rng: random.Random, count: int, share: float) -> float | None:
    """A sample quantile of exponential times, drawn at once as the order statistic that it is."""
    if not count:
        return None
    rank = max(1, math.ceil(share * count))
    return -MEDIAN_SECONDS / math.log(2) * math.log1p(-min(rng.betavariate(rank, count + 1 - rank), 1 - 1e-12))


def findings_of(scenario: Scenario, seed: int, trial: int) -> Iterator[list[Finding]]:
    """One trial's findings in each of the weeks that are judged; the same seed and trial give the same weeks."""
    rng = random.Random(f"{seed} {scenario} {trial}")
    world = World(rng, scenario, is_shared=trial % 2 == 0)
    weeks = rng.choice(HISTORY_WEEKS)
    terrible = rng.randrange(weeks) if scenario.has_terrible_week else None
    history = [
        world.week(-number, rate=TERRIBLE_RATE if number == terrible else FAILURE_RATE) for number in range(weeks)
    ]
    # A slide ends the growth.
    number = 1 if len(scenario.volume_factors) == 1 else 0
    for factor in scenario.volume_factors:
        current = world.week(number, factor, scenario.fail_factor)
        yield detect(current, history[:MAX_HISTORY_WEEKS])
        history.insert(0, current)


def tally(job: tuple[Scenario, int, range]) -> Counter[str]:
    """In how many trials there was any finding, a critical one, and the one that is looked for."""
    scenario, seed, trials = job
    seen: Counter[str] = Counter()
    for trial in trials:
        findings = list(itertools.chain.from_iterable(findings_of(scenario, seed, trial)))
        seen["any"] += bool(findings)
        seen["critical"] += any(finding.severity == CRITICAL for finding in findings)
        seen["found"] += scenario.is_found(findings)
    return seen


def scenarios() -> Iterator[Scenario]:
    """Every row of the tables, without and with a terrible week."""
    rates = [Scenario(volume, spread) for volume in VOLUMES for spread in RATE_SPREADS]
    for volume, factor in ((600, 3.0), (6_000, 2.0)):
        rates += [
            Scenario(volume, spread, fail_factor=factor, kinds=("failure_rate_rise",), value=FAILING)
            for spread in RATE_SPREADS
        ]
    slide = [0.85**week for week in range(1, 5)]
    for factors, kinds in (([0.5], ("requests_drop",)), (slide, ("requests_drop", "requests_slide"))):
        rates += [
            Scenario(volume, 0.1, spread, volume_factors=factors, kinds=kinds)
            for volume in VOLUMES
            for spread in (STEADY, RESTLESS)
        ]
    for scenario in rates:
        yield scenario
        yield replace(scenario, has_terrible_week=True)


def percentages(seed: int, weeks: int, trials: int) -> list[dict[str, float]]:
    """For each scenario, in their order, with the detector that is imported here."""
    with ProcessPoolExecutor(max_workers=WORKERS) as pool:
        counts = [weeks if not scenario.kinds else trials for scenario in scenarios()]
        jobs = [
            (scenario, seed, range(part, count, PARTS))
            for scenario, count in zip(scenarios(), counts, strict=True)
            for part in range(PARTS)
        ]
        tallies = list(pool.map(tally, jobs))
    sums = [sum(tallies[at : at + PARTS], Counter[str]()) for at in range(0, len(tallies), PARTS)]
    return [
        {name: 100 * seen[name] / count for name in ("any", "critical", "found")}
        for seen, count in zip(sums, counts, strict=True)
    ]


def of_checkout(checkout: Path, seed: int, weeks: int, trials: int) -> list[dict[str, float]]:
    """The same with the detector of a checkout, in a process of its own."""
    options = ["--seed", str(seed), "--weeks", str(weeks), "--trials", str(trials), "--json"]
    paths = os.pathsep.join(str(path) for path in (checkout / "functions", ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.detector", *options],
        env=os.environ | {"PYTHONPATH": paths},
        check=True,
        stdout=subprocess.PIPE,
    )
    results: list[dict[str, float]] = json.loads(done.stdout)
    return results


def print_tables(old: Sequence[Mapping[str, float]] | None, new: Sequence[Mapping[str, float]]) -> None:
    """Two tables of percentages; if there are two detectors, the old one's and then the new one's."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for at, scenario in enumerate(scenarios()):
        title, row, column = place(scenario)
        cell = " → ".join(shown(scenario, figures[at]) for figures in (old, new) if figures)
        tables.setdefault(title, {}).setdefault(row, {})[column] = cell
    for title, rows in tables.items():
        columns = list(next(iter(rows.values())))
        print(f"\n| {title} | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
        for row, cells in rows.items():
            print(f"| {row} | {' | '.join(cells[column] for column in columns)} |")


def place(scenario: Scenario) -> tuple[str, str, str]:
    """A scenario's table, row and column."""
    week = ", terrible week" if scenario.has_terrible_week else ""
    if scenario.kinds and scenario.fail_factor == 1:
        low, high = scenario.volume_spread
        name = "slide" if len(scenario.volume_factors) > 1 else "halved"
        return "volumes spread by", f"{scenario.requests:,}{week}", f"{name}, {low:.0%} to {high:.0%}"
    name = f"failures x {scenario.fail_factor:g}" if scenario.kinds else "stable"
    return "rates spread by", f"{name}, {scenario.requests:,}{week}", f"{scenario.rate_spread:.0%}"


def shown(scenario: Scenario, figures: Mapping[str, float]) -> str:
    """How often it is found; in stable weeks how often anything is, and anything critical."""
    return f"{figures['found']:.0f}" if scenario.kinds else f"{figures['any']:.1f}/{figures['critical']:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, help="a checkout of an older commit, to judge the same weeks")
    parser.add_argument("--weeks", type=int, default=2_000, help="stable weeks for each row (2000)")
    parser.add_argument("--trials", type=int, default=1_000, help="trials of each anomaly (1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the bare figures")
    options = parser.parse_args()
    numbers = options.seed, options.weeks, options.trials
    new = percentages(*numbers)
    if options.json:
        print(json.dumps(new))
    else:
        print_tables(of_checkout(options.old, *numbers) if options.old else None, new)


if __name__ == "__main__":
    main()
