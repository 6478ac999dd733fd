"""Usage of a week and of those before it -> findings. Pure.

Every finding must pass two bars: neither chance nor the weeks' own spread explains it (a test), and it is large enough
to matter (a minimum effect), since in a small week chance does a lot and in a large one trivia is significant.
"""

from collections.abc import Sequence

from reporting.categories import category_findings
from reporting.findings import CRITICAL, Finding
from reporting.rates import rate_findings
from reporting.times import slow_findings
from reporting.usage import Usage
from reporting.volumes import find_outage, volume_findings


def detect(current: Usage, history: Sequence[Usage]) -> list[Finding]:
    """Compares a week with those before it, newest first; without any, only what is alarming by itself is found.

    Critical findings come first; among failure rates, those that chance explains least.
    """
    outage = find_outage(current, history)
    if outage:
        # Everything else would say the same once more.
        return [outage]
    rules = rate_findings, volume_findings, category_findings, slow_findings
    findings = [finding for rule in rules for finding in rule(current, history)]
    return sorted(findings, key=lambda finding: finding.severity != CRITICAL)
