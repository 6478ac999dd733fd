"""Simulates weeks with and without an anomaly, and prints how often the detector finds something.

    PYTHONPATH=functions python -m benchmarks.detector           from the root; needs no emulator
    ... --weeks 200 --trials 100                                 a first look

A week's volume is uniform within 20 % of its usual level, counts are Poisson, 5 % of requests fail, generation times
are exponential; 2 models, 6 styles, 5 colors, 3 sizes (1, 3 and 4 credits), each as likely as the others of its kind.

"Requests a category" can be read in four ways, and --per chooses among them; all is run with each that is given:
    model      N requests a week for each model, 2 N in all
    style      N for each style, 6 N in all
    each       N for each model, style, color and size, drawn apart, so that breakdowns do not add up alike; 6 N in all
    cell       N for each combination of the four, 180 N in all

False alarms are stable weeks with any finding. An anomaly counts as found if the finding is of its own kind and, for a
failing model, names that model; "any" is the share of weeks with any finding.
"""

import argparse
import math
import operator
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from reporting.detector import detect
from reporting.findings import Finding
from reporting.usage import DIMENSIONS, Counts, Usage

NAMES: Mapping[str, Sequence[str]] = {
    "model": ("model-a", "model-b"),
    "style": ("realistic", "anime", "oil painting", "sketch", "cyberpunk", "watercolor"),
    "color": ("vibrant", "monochrome", "pastel", "neon", "vintage"),
    "size": ("512x512", "1024x1024", "1024x1792"),
}
CREDITS = {"512x512": 1, "1024x1024": 3, "1024x1792": 4}
TOTAL_PER_CATEGORY = {"model": 2, "style": 6, "each": 6, "cell": 180}
FAILING = "model-a"
FAILURE_RATE = 0.05
VARIATION = 0.2
MEDIAN_SECONDS = 2.0
HISTORY_WEEKS = 8
VOLUMES = (3, 12, 50, 500, 5_000)
# Below this, drawing one by one is quicker than halving.
FEW = 24


@dataclass(frozen=True, slots=True)
class Scenario:
    """Stable weeks, of so many requests in all, and what is different in the one that is judged.

    The target is the minimum share of weeks in which it is found; without a `kind`, the maximum with any finding.
    """

    name: str
    requests: float
    history_weeks: int
    kind: str | None = None
    failure_rate: float = FAILURE_RATE
    volume_factor: float = 1.0
    apart: bool = False
    target_percent: float = 2.0

    def is_found(self, findings: Sequence[Finding]) -> bool:
        return any(
            finding.kind == self.kind and (self.kind != "failure_rate_rise" or finding.value == FAILING)
            for finding in findings
        )


def poisson(rng: random.Random, mean: float) -> int:
    """J. H. Ahrens and U. Dieter, Computing 12 (1974), 223-246, method PG: halves the mean until it is small."""
    count = 0
    while mean > FEW:
        step = int(mean * 7 / 8)
        waited = rng.gammavariate(step, 1)
        if waited > mean:
            return count + binomial(rng, step - 1, mean / waited)
        count, mean = count + step, mean - waited
    limit, product = math.exp(-mean), rng.random()
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count


def binomial(rng: random.Random, trials: int, chance: float) -> int:
    """L. Devroye, Non-Uniform Random Variate Generation (1986), X.4.3: halves the trials until they are few."""
    count = 0
    while trials > FEW:
        middle = 1 + trials // 2
        at = rng.betavariate(middle, trials + 1 - middle)
        if at > chance:
            trials, chance = middle - 1, chance / at
        else:
            count, trials, chance = count + middle, trials - middle, (chance - at) / (1 - at)
    return count + sum(rng.random() < chance for _ in range(trials))


def split(rng: random.Random, count: int, parts: int) -> list[int]:
    """Requests that each fall into one of the parts, all alike."""
    counts = []
    for left in range(parts, 1, -1):
        counts.append(binomial(rng, count, 1 / left))
        count -= counts[-1]
    return [*counts, count]


def quantile_seconds(rng: random.Random, count: int, share: float) -> float | None:
    """A sample quantile of exponential times, drawn at once as the order statistic that it is."""
    if not count:
        return None
    rank = max(1, math.ceil(share * count))
    return -MEDIAN_SECONDS / math.log(2) * math.log1p(-min(rng.betavariate(rank, count + 1 - rank), 1 - 1e-12))


def simulated_week(rng: random.Random, requests: float, failure_rate: float, apart: bool) -> Usage:
    """One week of so many requests on average; FAILING fails at the rate given, the rest as always."""
    requests *= rng.uniform(1 - VARIATION, 1 + VARIATION)
    rates = [failure_rate if name == FAILING else FAILURE_RATE for name in NAMES["model"]]
    breakdowns = {"model": _models(rng, requests, rates)}
    whole = sum(breakdowns["model"].values(), Counts())
    for dimension in list(DIMENSIONS)[1:]:
        names = NAMES[dimension]
        # The outcome depends on the model alone, so the other kinds divide the completed and the failed alike.
        outcomes = _outcomes(rng, requests * len(names) / len(NAMES["style"]), FAILURE_RATE) if apart else whole
        completed, failed = split(rng, outcomes.completed, len(names)), split(rng, outcomes.failed, len(names))
        breakdowns[dimension] = {
            name: Counts(good + bad, good, bad) for name, good, bad in zip(names, completed, failed, strict=True)
        }
    if apart:
        whole = sum(breakdowns["style"].values(), Counts())
        breakdowns["model"] = _models(rng, requests * len(rates) / len(NAMES["style"]), rates)
    if apart:
        credits = sum(map(operator.mul, CREDITS.values(), split(rng, whole.completed, len(CREDITS))))
    else:
        credits = sum(CREDITS[name] * counts.completed for name, counts in breakdowns["size"].items())
    return Usage(
        total=whole.total,
        completed=whole.completed,
        failed=whole.failed,
        credits_spent=credits,
        by=breakdowns,
        median_seconds=quantile_seconds(rng, whole.settled, 0.5),
        p95_seconds=quantile_seconds(rng, whole.settled, 0.95),
    )


def _models(rng: random.Random, requests: float, rates: Sequence[float]) -> dict[str, Counts]:
    names = NAMES["model"]
    return {name: _outcomes(rng, requests / len(names), rate) for name, rate in zip(names, rates, strict=True)}


def _outcomes(rng: random.Random, requests: float, failure_rate: float) -> Counts:
    total = poisson(rng, requests)
    failed = binomial(rng, total, failure_rate)
    return Counts(total, total - failed, failed)


def findings_of(scenario: Scenario, seed: int, trial: int) -> list[Finding]:
    """One trial; the same seed and trial give the same weeks."""
    rng = random.Random(f"{seed} {scenario.name} {scenario.requests} {scenario.apart} {trial}")
    current = simulated_week(rng, scenario.requests * scenario.volume_factor, scenario.failure_rate, scenario.apart)
    history = [
        simulated_week(rng, scenario.requests, FAILURE_RATE, scenario.apart) for _ in range(scenario.history_weeks)
    ]
    return detect(current, history)


def run_trials(job: tuple[Scenario, int, range]) -> list[tuple[bool, bool, tuple[str, ...]]]:
    """For each trial: found, any finding, and the kinds of all."""
    scenario, seed, trials = job
    results = []
    for trial in trials:
        findings = findings_of(scenario, seed, trial)
        results.append((scenario.is_found(findings), bool(findings), tuple({each.kind for each in findings})))
    return results


def stable(per: str) -> Iterator[Scenario]:
    for weeks in (HISTORY_WEEKS, 1):
        for volume in VOLUMES:
            yield Scenario(
                f"stable, {volume:,} a category, by {per}",
                volume * TOTAL_PER_CATEGORY[per],
                weeks,
                apart=per == "each",
            )


def anomalous(per: Sequence[str]) -> Iterator[Scenario]:
    models = len(NAMES["model"])
    for rate, requests, weeks, target in (
        (0.10, 1_000, HISTORY_WEEKS, 99),
        (0.08, 2_000, HISTORY_WEEKS, 90),
        (0.15, 200, HISTORY_WEEKS, 90),
        (0.15, 500, 1, 95),
    ):
        name = f"one model fails {rate:.0%}, its requests {requests:,}"
        yield Scenario(name, requests * models, weeks, "failure_rate_rise", failure_rate=rate, target_percent=target)
    for factor, kind, target in ((0.5, "requests_drop", 95), (3.0, "requests_spike", 100)):
        for each in per:
            scenario = Scenario(
                f"traffic x {factor:g}, 500 a category, by {each}",
                500 * TOTAL_PER_CATEGORY[each],
                HISTORY_WEEKS,
                kind,
                volume_factor=factor,
                apart=each == "each",
                target_percent=target,
            )
            yield scenario


def report(scenarios: Sequence[Scenario], trials: int, seed: int, pool: ProcessPoolExecutor) -> None:
    """Prints a line for each scenario as soon as it is done."""
    chunk = max(1, trials // 8)
    for scenario in scenarios:
        started = time.perf_counter()
        jobs = [(scenario, seed, range(at, min(at + chunk, trials))) for at in range(0, trials, chunk)]
        results = [result for results in pool.map(run_trials, jobs) for result in results]
        found_percent = 100 * sum(found for found, _, _ in results) / trials
        any_percent = 100 * sum(some for _, some, _ in results) / trials
        met = found_percent >= scenario.target_percent if scenario.kind else any_percent <= scenario.target_percent
        kinds = Counter(kind for _, _, kinds in results for kind in kinds)
        print(
            f"{scenario.name:<44}{scenario.history_weeks:>8}"
            f"{f'{found_percent:.1f}' if scenario.kind else '-':>9}{any_percent:>8.2f}"
            f"{'>=' if scenario.kind else '<=':>5} {scenario.target_percent:g} % {'met' if met else 'MISSED':<7}"
            f"{time.perf_counter() - started:5.1f} s  {', '.join(f'{kind} {n}' for kind, n in kinds.most_common())}",
            flush=True,
        )


def main() -> None:
    options = _options()
    print(f"{vars(options)}, {os.cpu_count()} cores")
    print(f"{'scenario':<44}{'history':>8}{'found %':>9}{'any %':>8}    target")
    with ProcessPoolExecutor() as pool:
        report([each for per in options.per for each in stable(per)], options.weeks, options.seed, pool)
        report(list(anomalous(options.per)), options.trials, options.seed, pool)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How often the detector of anomalies is right.")
    parser.add_argument("--weeks", type=int, default=2_000, help="stable weeks for each volume (2000)")
    parser.add_argument("--trials", type=int, default=1_000, help="trials for each anomaly (1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--per", nargs="+", choices=sorted(TOTAL_PER_CATEGORY), default=list(TOTAL_PER_CATEGORY), help="see above"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
