"""How surprising a week's figure is if weeks differ by more than chance. Pure.

A figure deviates from what the weeks before lead one to expect. Two things can explain that: chance in counting, which
an exact test knows, and that weeks differ by themselves. How much they do is learned from the weeks before, as one
factor on the variance that is usual: Pearson's statistic over its degrees of freedom (R. W. M. Wedderburn,
Quasi-likelihood functions, Biometrika 61 (1974), 439-447). While there are few weeks it is drawn to 1, as if so many
more had shown the usual variance (G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004), article 3).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from reporting.significance import student_tail

# The usual variance counts as much as so many degrees of freedom of the weeks' own.
PRIOR_FREEDOM = 8.0
# A smaller chance is not told apart from this one.
_LEAST_CHANCE = 1e-300
# Nor is a share of the variance below this one.
_LEAST_ADDED = 1e-9


@dataclass(frozen=True, slots=True)
class Dispersion:
    """How many times the usual variance these weeks have, and from how many degrees of freedom that is known."""

    factor: float = 1.0
    freedom: float = PRIOR_FREEDOM

    def learn(self, squares: float, freedom: float) -> "Dispersion":
        """With the sum of squared deviations, each over its usual variance, and the sum's degrees of freedom."""
        known = PRIOR_FREEDOM * self.factor
        return Dispersion((known + squares) / (PRIOR_FREEDOM + freedom), PRIOR_FREEDOM + freedom)

    def p_beyond(self, distance: float, chance: float, counting: float, weeks: float) -> float:
        """Chance of a relative distance at least as large, and never less than `chance`, that of counting alone.

        `counting` and `weeks` are the usual variances, of which the dispersion is a multiple. What it adds to chance is
        only estimated: its part of all gives Student's distribution its degrees of freedom (F. E. Satterthwaite,
        Biometrics Bull. 2 (1946), 110-114).
        """
        if distance <= 0 or chance >= 0.5:
            return 1.0
        exact = (distance / NormalDist().inv_cdf(max(chance, _LEAST_CHANCE))) ** 2
        added = self.factor * (counting + weeks) - counting
        # Nothing beside chance, which would take a freedom beyond all numbers.
        if added <= exact * _LEAST_ADDED:
            return chance
        total = exact + added
        return max(chance, student_tail(distance / math.sqrt(total), self.freedom * (total / added) ** 2))
