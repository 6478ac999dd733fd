"""Programs that print figures, run by benchmarks/run.sh; none is a test, and none fails because a machine is slow."""

from dev import ROOT

__all__ = ["ROOT"]
