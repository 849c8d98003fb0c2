"""The command that scores forecasts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flexclim.cli import options
from flexclim.errors import FlexclimError, StoreError


def verify(
    forecast: Annotated[
        str, typer.Argument(help="Forecast, an ensemble or single fields: NetCDF or Zarr.")
    ],
    truth: Annotated[str, typer.Argument(help="Reference on the same grid: NetCDF or Zarr.")],
    coarse: Annotated[
        str | None, typer.Option(help="Coarse input; adds bilinear and bicubic baselines.")
    ] = None,
    variables: Annotated[
        str | None, typer.Option(help="Names such as u10,v10. [default: all that both have]")
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            help="Events of probability scores, such as u10=12,t2m=300, in the forecast's units. "
            "[default: the 90 % quantile of the truth]"
        ),
    ] = None,
    climate: Annotated[
        bool,
        typer.Option("--climate", help="Compare climates, not weather: years need not be paired."),
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Self-contained HTML file to write.")] = None,
    save: Annotated[
        str | None, typer.Option(help="Where to save all scores: .nc or .zarr.")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Score a forecast against the truth, with interpolation as baseline.

    With --climate, means, quantiles, cycles, extremes and spells of the forecast, and of the coarse
    fields, are put beside those of the truth. Grids, calendars and times may differ.

    \b
    Examples:
      flexclim verify fine.zarr truth.nc
      flexclim verify fine.zarr truth.nc --coarse coarse.nc --report report.html
      flexclim verify fine.zarr truth.nc --variables u10 --thresholds u10=12 --save scores.nc
      flexclim verify fine.zarr era5.nc --coarse gcm.nc --climate --report climate.html
    """  # noqa: D301
    from flexclim import verify as scoring
    from flexclim.stores.datasets import open_input, write_dataset
    from flexclim.verify.report.summary import table_text

    events = None if thresholds is None else numbers_by_name(thresholds, "--thresholds")
    names = None if variables is None else options.listed(variables, "--variables")
    if save is not None:
        options.is_zarr(save, "--save")
    for output in (one for one in (report, save) if one is not None):
        options.need_folder(output)
        if Path(output).exists() and not overwrite:
            raise StoreError(f"{output} exists. Give --overwrite, or another name.")
    fields = [open_input(forecast), open_input(truth)]
    if names is not None:
        for path, one in zip((forecast, truth), fields, strict=True):
            if lacking := [name for name in names if name not in one.data_vars]:
                raise FlexclimError(
                    f"{path} has no variable {lacking[0]!r}. It has: {', '.join(map(str, one))}."
                )
        fields = [one[names] for one in fields]
    base = open_input(coarse) if coarse else None
    if climate:
        if events is not None:
            raise typer.BadParameter("--thresholds are for scores of events, not for --climate.")
        sources = {"forecast": fields[0]} | ({} if base is None else {"coarse": base})
        scores = scoring.climate.evaluate(sources, fields[1])
    else:
        scores = scoring.evaluate(fields[0], fields[1], base, thresholds=events)
    typer.echo(table_text(scores))
    if save is not None:
        typer.echo(write_dataset(scores, save, overwrite=overwrite))
    if report is not None:
        typer.echo(str(scoring.report(scores, report)))


def numbers_by_name(text: str, option: str) -> dict[str, float]:
    """Return the numbers of a list such as ``u10=12,t2m=300``; exit with 2 if it is none.

    >>> numbers_by_name("u10=12, t2m=300", "--thresholds")
    {'u10': 12.0, 't2m': 300.0}
    """
    found = {}
    for part in options.listed(text, option):
        name, _, number = part.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise typer.BadParameter(
                f"{part!r} is not of the form u10=12.", param_hint=option
            ) from None
    return found
