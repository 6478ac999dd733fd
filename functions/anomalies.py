"""Weekly usage -> findings. Pure: what a week holds that the weeks before do not explain.

Every finding must clear two bars: chance hardly does it (a test), and it is large enough to matter (a minimum effect),
since in a small week chance does a lot and in a large one trivia is significant.
"""

from collections.abc import Sequence

from anomaly_categories import category_findings
from anomaly_rates import rate_findings
from anomaly_times import slow_findings
from anomaly_volumes import find_outage, volume_findings
from findings import CRITICAL, Anomaly, Thresholds
from week_usage import Usage

__all__ = ["Anomaly", "Thresholds", "Usage", "detect"]


def detect(current: Usage, history: Sequence[Usage], thresholds: Thresholds) -> list[Anomaly]:
    """Compares a week with those before it.

    Args:
        current: the week to judge.
        history: the weeks before it, newest first; without any, only what is alarming by itself is found.
        thresholds: when a difference counts.

    Returns:
        Findings, critical ones first; among failure rates the least likely to be chance first. Empty if there is none.
    """
    outage = find_outage(current, history, thresholds)
    if outage:
        # Everything else would say the same once more.
        return [outage]
    findings = [
        *rate_findings(current, history, thresholds),
        *volume_findings(current, history, thresholds),
        *category_findings(current, history, thresholds),
        *slow_findings(current, history, thresholds),
    ]
    return sorted(findings, key=lambda finding: finding.severity != CRITICAL)
