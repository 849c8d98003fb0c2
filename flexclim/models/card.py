"""Model cards: what users want to know about a model. Nothing here changes what it computes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from flexclim.models.facts import rows_html
from flexclim.models.settings import FORECAST, SUPERRES, Factor
from flexclim.models.strict_settings import StrictSettings

WIDTH, INDENT = 100, 13  # of a card as text
# A card's spacings are those of samples: a grid this many times finer or coarser is still close.
FAR_SPACING = 2.0

Range = tuple[float, float]


class DataCard(StrictSettings):
    """One source of training data."""

    source: str
    variables: tuple[str, ...]
    period: str = ""
    licence: str = "unspecified"


class NoisePersistence(StrictSettings):
    """Correlation in time of a model's noise with which members move like the truth.

    ``constant``, ``lasting`` and ``daily`` are shares of its variance: those of
    :class:`flexclim.nn.keyed_noise.Persistence`.
    """

    hours: Annotated[float, Field(gt=0)]
    constant: Annotated[float, Field(ge=0, le=1)] = 0.0
    lasting: Annotated[float, Field(ge=0, le=1)] = 1.0
    daily: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _shares(self) -> Self:
        shares = self.constant, self.lasting, self.daily
        if sum(shares) > 1 + 1e-9:
            raise ValueError(f"constant, lasting and daily, {shares}, sum to more than 1")
        return self

    def __str__(self) -> str:
        parts = [f"{self.lasting:.2g} lasting {self.hours:.2g} h"]
        others = {"constant": self.constant, "recurring daily": self.daily}
        parts += [f"{share:.2g} {name}" for name, share in others.items() if share]
        return " and ".join(parts)


class Coverage(StrictSettings):
    """Range of one variable in the training data.

    Parameters
    ----------
    task
        ``"superres"``: of coarse fields. ``"forecast"``: of snapshots on the fine grid.
    variable, units
        Name and units in the data.
    spacing_km
        Spacing of the fine grid; None if it is not on the Earth, as for simulated flows.
    values
        Lowest and highest value, in ``units``.
    scale
        1 % and 99.9 % quantiles of the local amplitude
        (:mod:`flexclim.sampling.local_scaling`), in ``units``, after the model's transform.
    contrast
        Lowest and highest median, over a patch, of distances from the local mean in units of the
        local amplitude. Smooth fields have a high contrast, rough ones a low one.
    hours
        e-folding time of the correlation of the residual of interpolation, in hours, by factor
        (:func:`flexclim.verify.correlation_time`); empty if the data do not determine it.
    noise
        Correlation of the noise in time by factor, calibrated on members
        (:mod:`flexclim.train.noise_persistence`); without an entry, noise decays with ``hours``.
    """

    task: str = SUPERRES
    variable: str
    units: str = ""
    spacing_km: Annotated[float, Field(gt=0)] | None = None
    values: Range
    scale: Range
    contrast: Range
    hours: dict[Factor, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    noise: dict[Factor, NoisePersistence] = Field(default_factory=dict)

    def __str__(self) -> str:
        unit = f" {self.units}" if self.units else ""
        place = "" if self.spacing_km is None else f" at {self.spacing_km:.3g} km"
        task = ", to forecast" if self.task == FORECAST else ""
        text = (
            f"{self.variable}{task}{place}: {span(self.values)}{unit}, "
            f"local scale {span(self.scale)}, contrast {span(self.contrast)}"
        )
        times = ", ".join(f"{hours:.2g} h at x{factor}" for factor, hours in self.hours.items())
        text += f", residual correlated over {times}" * bool(times)
        noise = ", ".join(f"{one} at x{factor}" for factor, one in self.noise.items())
        return text + f", noise {noise}" * bool(noise)


def span(limits: Range) -> str:
    """Format a range.

    >>> span((-31.27, 33.9))
    '-31.3 to 33.9'
    """
    return "{:.3g} to {:.3g}".format(*limits)


class ModelCard(StrictSettings):
    """Description of a model for its users; nothing here changes what it computes.

    Parameters
    ----------
    variables
        Output variables; empty for a model of any variable.
    inputs, statics
        Input variables, if they differ from the outputs, and static predictors.
    units
        Units of all variables and static fields, by name, as far as they are known.
    attributes
        ``standard_name``, ``long_name`` and ``cell_methods`` of outputs that are not inputs, by
        name.
    factors, leads
        Refinement factors, and time steps of forecasts in hours.
    spacing_km
        Range of fine grid spacings in training.
    coverage
        Ranges of values in training, by variable.
    scores, recipe
        Scores of validation, and the training recipe.
    precision
        Type of matrices and kernels in the weights file: float32, bf16, fp16 or int8; empty if it
        was not recorded.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    description: str = ""
    variables: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    statics: tuple[str, ...] = ()
    units: dict[str, str] = Field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = Field(default_factory=dict)
    factors: tuple[int, ...] = ()
    leads: tuple[float, ...] = ()
    spacing_km: Range | None = None
    coverage: tuple[Coverage, ...] = ()
    data: tuple[DataCard, ...] = ()
    period: str = ""
    scores: dict[str, float] = Field(default_factory=dict)
    licence: str = "unspecified"
    recipe: dict[str, JsonValue] = Field(default_factory=dict)
    hardware: str = ""
    seconds: float | None = None
    precision: str = ""
    version: str = ""
    notes: str = ""

    def __str__(self) -> str:
        return self.text()

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks of the model: downscaling, forecasting, or both."""
        return ("downscaling",) * bool(self.factors) + ("forecasting",) * bool(self.leads)

    @property
    def trained_steps(self) -> tuple[int, ...]:
        """Numbers of sampler steps for which members were trained; empty if the recipe is unknown.

        >>> recipe = {"diffusion": {"steps": 2}, "ensemble": {"steps": 500, "one_step": 0.5}}
        >>> ModelCard(name="toy", recipe=recipe).trained_steps
        (1, 2)
        """
        ensemble, diffusion = (self.recipe.get(part) for part in ("ensemble", "diffusion"))
        if not (isinstance(ensemble, dict) and isinstance(diffusion, dict)):
            return ()
        steps = diffusion.get("steps")
        if not (isinstance(steps, int) and ensemble.get("steps")):
            return ()
        return (1, steps) if ensemble.get("one_step") and steps > 1 else (steps,)

    def far_spacing(self, spacing_km: float) -> str:
        """Describe how a fine grid's spacing differs from those of training.

        Returns
        -------
        str
            Empty if the spacing is within a factor of two of the card's range, or if either is
            unknown (``spacing_km`` not finite).

        >>> ModelCard(name="toy", spacing_km=(20.0, 30.0)).far_spacing(139.0)
        'the fine grid has a spacing of 139 km; training had 20 to 30 km'
        """
        if self.spacing_km is None or not math.isfinite(spacing_km):
            return ""
        low, high = self.spacing_km
        if low / FAR_SPACING <= spacing_km <= high * FAR_SPACING:
            return ""
        trained = f"{low:.3g}" if low == high else span(self.spacing_km)
        return f"the fine grid has a spacing of {spacing_km:.3g} km; training had {trained} km"

    def persistence(self, variable: str, factor: int, spacing_km: float) -> NoisePersistence | None:
        """Return the correlation in time of the noise of a variable.

        Entries for other variables are used only if there is none for this one. Among them, the
        entry with the nearest fine spacing is taken, and there the nearest factor, both by their
        ratio: small scales decorrelate faster.

        Returns
        -------
        NoisePersistence or None
            As calibrated for the factor, else the correlation time of the residual. None if the
            card gives no correlation time at all.
        """
        known = [(part, part.spacing_km) for part in self.coverage if part.hours or part.noise]
        known = [entry for entry in known if entry[0].variable == variable] or known
        if not known:
            return None
        if math.isfinite(spacing_km):
            known.sort(
                key=lambda entry: abs(math.log(entry[1] / spacing_km)) if entry[1] else math.inf
            )
        hours, noise = known[0][0].hours, known[0][0].noise
        if factor in noise or not hours:
            return noise[_nearest(noise, factor)]
        return NoisePersistence(hours=hours[_nearest(hours, factor)])

    def text(self, width: int = WIDTH) -> str:
        """Format the card for a terminal with ``width`` columns."""
        return text_of_rows(self.rows(), width)

    def _repr_html_(self) -> str:
        return self.html(f"Card of {self.name}")

    def html(self, title: str) -> str:
        """Return the card for a notebook."""
        rows = {name: value for name, value in self.rows().items() if value and name != "name"}
        return rows_html(
            title, {n: v if isinstance(v, str) else "\n".join(v) for n, v in rows.items()}
        )

    def rows(self) -> dict[str, str | list[str]]:
        """Return what the card says, by topic; empty where it says nothing."""
        spacing = ""
        if self.spacing_km:
            spacing = "{:.4g} to {:.4g} km, of the fine grid".format(*self.spacing_km)
        trained = ""
        if self.seconds:
            trained = f"{self.seconds / 60:.0f} minutes on {self.hardware or 'unknown hardware'}"
        return {
            "name": self.name,
            "description": self.description,
            "tasks": " and ".join(self.tasks),
            "variables": ", ".join(self.variables) or "any, one at a time",
            "inputs": ", ".join(self.inputs),
            "static": ", ".join(self.statics),
            "units": ", ".join(f"{name}: {unit}" for name, unit in self.units.items()),
            "factors": ", ".join(map(str, self.factors)),
            "leads": ", ".join(f"{lead:g} h" for lead in self.leads),
            "spacing": spacing,
            "coverage": [str(part) for part in self.coverage],
            "data": [
                f"{part.source} ({', '.join(part.variables)}; {part.period}; {part.licence})"
                for part in self.data
            ],
            "period": self.period,
            "scores": [f"{name} {value:.4g}" for name, value in self.scores.items()],
            "licence": self.licence,
            "trained": trained,
            "weights": self.precision,
            "version": self.version,
            "notes": self.notes,
        }


def _nearest(factors: Iterable[int], factor: int) -> int:
    """Return the factor with the nearest ratio."""
    return min(factors, key=lambda other: abs(math.log(other / factor)))


def text_of_rows(rows: Mapping[str, str | list[str]], width: int) -> str:
    """Format rows for a terminal, without those that are empty."""
    return "\n".join(_row(name, value, width) for name, value in rows.items() if value)


def _row(name: str, value: str | list[str], width: int) -> str:
    """Format a row: a name, and its lines wrapped to the right of it."""
    lines = [value] if isinstance(value, str) else value
    indent = " " * INDENT
    wrapped = [
        textwrap.fill(
            line,
            max(width, 2 * INDENT),
            initial_indent=indent,
            subsequent_indent=indent + ("  " if len(lines) > 1 else ""),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines
    ]
    text = "\n".join(wrapped)
    return f"{name:{INDENT}}{text[INDENT:]}"
