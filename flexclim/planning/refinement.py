"""By which factors fields are refined, one after the other, to serve the output that is wanted."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from flexclim.errors import GridError, ModelError
from flexclim.grids.grid import DEGREE_KM, whole_factor
from flexclim.grids.regridding.targets import Target
from flexclim.models.catalogue import list_bundled
from flexclim.models.model import Model, read_model
from flexclim.planning.model_choice import DEFAULT_MODEL, Choice, candidates
from flexclim.planning.source import Source
from flexclim.planning.variable_groups import VariableGroup

LOG = logging.getLogger(__name__)
# Downscalings that follow on each other at most, and the share by which spacings may be rounded.
STAGES, SLACK = 2, 1.01


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """Factors of successive downscalings, and why they were chosen; empty: as given."""

    factors: tuple[int, ...]
    reason: str = ""

    @property
    def factor(self) -> int:
        """Fine cells along one side of a coarse cell after all of them."""
        return math.prod(self.factors)


def choose_refinement(
    source: Source, choice: Choice, factor: int | None, target: Target | None
) -> Refinement:
    """Choose the factors, and log why.

    Parameters
    ----------
    factor
        As the user gave it; None: the one that the target needs.
    target
        What the output is averaged to; None: the fine grid itself.

    Raises
    ------
    GridError
        If the target is no finer than the input, finer than models reach, or finer than the fine
        grid of ``factor``; or if neither is given.
    """
    served = _served_factors(choice)
    needed = None
    if target is not None and target.cells is not None:
        needed = _ratio(source, target)
        if needed <= SLACK:
            raise GridError(
                f"the target ({target.text}) is no finer than the input (its cells are "
                f"{_times(1 / needed)} as wide). Use .flex.regrid (flexclim.regrid) instead."
            )
    if factor is not None:
        factor = whole_factor(factor)
        _check_reached(factor, needed, target)
        return Refinement(factors=_chain(factor, served) or (factor,))
    if target is None:
        raise GridError("neither factor nor to is given. Pass factor=4, or a target as to=.")
    if needed is None:
        factor, reason = _largest_sensible(source, choice, served)
    else:
        factor, reason = _smallest(needed, target, served)
    LOG.info("factor %s: %s", factor, reason)
    return Refinement(factors=_chain(factor, served) or (factor,), reason=reason)


def _served_factors(choice: Choice) -> set[int]:
    if choice.model is None:
        return {factor for card in list_bundled().values() for factor in card.factors}
    model = choice.model if isinstance(choice.model, Model) else read_model(choice.model)
    return set(model.settings.factors)


def _chain(factor: int, served: Iterable[int]) -> tuple[int, ...] | None:
    """Return the fewest served factors, and the most alike, whose product is ``factor``.

    >>> _chain(8, {2, 4, 8}), _chain(16, {2, 4, 8}), _chain(8, {2, 4}), _chain(3, {2, 4})
    ((8,), (4, 4), (2, 4), None)
    """
    return next((one for one in _chains(served) if math.prod(one) == factor), None)


def _chains(served: Iterable[int]) -> list[tuple[int, ...]]:
    """Return chains of up to ``STAGES`` factors: short ones first, then those of like factors."""
    found = (
        chain
        for count in range(1, STAGES + 1)
        for chain in itertools.combinations_with_replacement(sorted(served), count)
    )
    return sorted(found, key=lambda chain: (len(chain), max(chain) - min(chain)))


def _ratio(source: Source, target: Target) -> float:
    """Return how many times finer a target is than the input, along its finer side."""
    grid, cells = source.grid, target.cells
    assert cells is not None
    given = source.cells.cells.pixels if source.cells else None
    if given and cells.pixels:
        return float(2.0 ** (cells.pixels.level - given.level))
    if cells.rows is not None and cells.columns is not None:
        rows, columns = (
            float(np.median(np.abs(np.diff(edges, axis=1))))
            for edges in (cells.rows, cells.columns)
        )
        if grid.geographic:
            return max(abs(grid.y_step) / rows, abs(grid.x_step) / columns)
        # Columns are narrow near a pole, where rows still tell the resolution.
        return grid.spacing_km / (DEGREE_KM * rows)
    return grid.spacing_km / (DEGREE_KM * math.degrees(float(np.median(cells.spacing))))


def _check_reached(factor: int, needed: float | None, target: Target | None) -> None:
    if needed is not None and factor * SLACK < needed:
        assert target is not None
        raise GridError(
            f"factor={factor} gives cells {needed / factor:.3g} times as wide as those of the "
            f"target ({target.text}), which needs at least {math.ceil(needed / SLACK)}. Leave "
            "factor out, or pass a larger one."
        )


def _smallest(needed: float, target: Target, served: Iterable[int]) -> tuple[int, str]:
    reached = sorted({math.prod(chain) for chain in _chains(served)})
    for factor in reached:
        if factor * SLACK >= needed:
            return factor, (
                f"the smallest that reaches the spacing of the target, {needed:.3g} times finer "
                "than the input"
            )
    raise GridError(
        f"the target ({target.text}) is {_times(needed)} finer than the input, and models reach "
        f"{reached[-1]} in {STAGES} steps. Pass a coarser one, or downscale by {reached[-1]} and "
        "use .flex.regrid (flexclim.regrid) on the result."
    )


def _times(ratio: float) -> str:
    """Return a ratio in words.

    >>> _times(3.333), _times(1234.5)
    ('3.33 times', '1234 times')
    """
    return f"{ratio:.3g} times" if ratio < 100 else f"{ratio:.0f} times"


def _largest_sensible(source: Source, choice: Choice, served: Iterable[int]) -> tuple[int, str]:
    """Return the factor for points and regions: of models made for the fields, else the largest.

    The largest is that whose spacing lies in the range of training.
    """
    found: dict[int, list[VariableGroup]] = {}
    problem = None
    for factor in sorted(served, reverse=True):
        try:
            found[factor] = candidates(source, choice, factor)
        except ModelError as error:
            problem = error
    if problem is not None and not found:
        raise problem
    for factor, groups in found.items():
        names = {group.model.name for group in groups}
        if choice.model is None and DEFAULT_MODEL not in names:
            return factor, f"the largest of {' and '.join(sorted(names))}, made for these fields"
    for factor, groups in found.items():
        spacing = source.grid.spacing_km / factor
        if not any(group.model.card.far_spacing(spacing) for group in groups):
            models = " and ".join(sorted({group.model.name for group in groups}))
            return factor, (
                f"the largest of {models} whose spacing, {spacing:.3g} km, training covers"
            )
    return min(found), "the smallest, since spacings are far from those of training"
