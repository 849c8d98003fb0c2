"""Options of a bias adjustment, checked."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from flexclim.adjusting.seasons import AlignOn
from flexclim.errors import FlexclimError
from flexclim.grids.arguments import is_one_of, is_whole, shown

FEWEST_QUANTILES, SHORTEST_PERIOD, LARGEST_SEED = 2, 10, 2**63


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How quantiles are fitted.

    Parameters
    ----------
    kinds
        ``"additive"`` or ``"multiplicative"``, for all variables or by name; None: by quantity.
    window
        Days around each day of the year, or ``"month"``.
    quantiles
        Their number.
    trace
        Smallest precipitation, with units; None: 0.05 mm a day.
    align_on
        ``"date"`` or ``"year"``: how calendars of 360 days correspond to others; None: no choice.
    seed
        Of the random numbers that take the place of traces.
    """

    kinds: str | Mapping[str, str] | None = None
    window: int | str = 31
    quantiles: int = 50
    trace: str | None = None
    align_on: AlignOn | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        days = self.window
        if days != "month" and not (is_whole(days) and int(days) > 0 and int(days) % 2):
            raise FlexclimError(
                f"window={shown(days)} is no odd number of days. Pass one, such as 31, or 'month'."
            )
        if not is_whole(self.quantiles) or self.quantiles < FEWEST_QUANTILES:
            raise FlexclimError(
                f"quantiles={shown(self.quantiles)} is no number of at least {FEWEST_QUANTILES}."
            )
        if not is_one_of(self.align_on, (None, "date", "year")):
            raise FlexclimError(f"align_on={shown(self.align_on)} is neither 'date' nor 'year'.")
        check_seed(self.seed)

    def check_names(self, known: Container[object]) -> None:
        """Raise FlexclimError if a kind is chosen for a variable that does not exist."""
        for name in self.kinds if isinstance(self.kinds, Mapping) else ():
            if name not in known:
                raise FlexclimError(
                    f"kind names {shown(name)}, which is no variable of the historical run. "
                    "Correct the name."
                )

    def kind_of(self, name: str) -> str | None:
        """Return the kind that was chosen for a variable."""
        return self.kinds.get(name) if isinstance(self.kinds, Mapping) else self.kinds


def check_seed(seed: object) -> None:
    """Raise FlexclimError unless a seed is a whole number that is not negative."""
    if not is_whole(seed) or not 0 <= int(seed) < LARGEST_SEED:  # type: ignore[call-overload]
        raise FlexclimError(f"seed={shown(seed)} is no whole number of at least 0.")


def check_period(period: object) -> None:
    """Raise FlexclimError unless values can be ranked within so many years."""
    if not is_whole(period) or int(period) < SHORTEST_PERIOD:  # type: ignore[call-overload]
        raise FlexclimError(
            f"period={shown(period)} is no number of years. Pass at least {SHORTEST_PERIOD}, "
            "better 30."
        )


def check_multivariate(multivariate: object) -> bool:
    """Return whether variables are adjusted jointly.

    Raises
    ------
    FlexclimError
        If the method is not known, or xsdba is missing.
    """
    if multivariate is None:
        return False
    if not is_one_of(multivariate, ("mbcn",)):
        raise FlexclimError(f"multivariate={shown(multivariate)} is not known. Pass 'mbcn'.")
    if find_spec("xsdba") is None:
        raise FlexclimError(
            "multivariate='mbcn' needs xsdba. Install it with pip install 'flexclim[climate]'."
        )
    return True
