"""The command that adjusts the bias of a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from flexclim.cli import options
from flexclim.execution.allocation import keep_memory


def adjust(
    source: Annotated[str, typer.Argument(help="Fields of a model: NetCDF or Zarr, path or URL.")],
    target: Annotated[str, typer.Argument(help="Output: .zarr or .nc.")],
    reference: Annotated[
        str | None, typer.Option(help="What the past was like, on the same or a finer grid.")
    ] = None,
    historical: Annotated[
        str | None, typer.Option(help="The model's past. [default: the fields themselves]")
    ] = None,
    fitted: Annotated[
        str | None, typer.Option(help="A fitted adjustment, instead of the two.")
    ] = None,
    save_fitted: Annotated[
        str | None, typer.Option(help="Where to save the fitted adjustment: .zarr or .nc.")
    ] = None,
    variables: options.Variables = None,
    kind: Annotated[
        Literal["additive", "multiplicative"] | None,
        typer.Option(help="Adjust differences or ratios. [default: by quantity]"),
    ] = None,
    window: Annotated[str, typer.Option(help="Days around each day of the year, or month.")] = "31",
    quantiles: Annotated[
        int, typer.Option(callback=options.whole_number(2), help="Number of quantiles.")
    ] = 50,
    trace: Annotated[
        str | None,
        typer.Option(help="Smallest precipitation, with units. [default: 0.05 mm d-1]"),
    ] = None,
    align_on: Annotated[
        Literal["date", "year"] | None,
        typer.Option(help="How calendars of 360 days correspond to others."),
    ] = None,
    period: Annotated[
        int, typer.Option(callback=options.whole_number(10), help="Years that are ranked together.")
    ] = 30,
    multivariate: Annotated[
        Literal["mbcn"] | None, typer.Option(help="Reorder variables jointly, through xsdba.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers in place of traces.")] = 0,
    overwrite: options.Overwrite = False,
    zarr_format: options.ZarrFormat = None,
) -> None:
    """Adjust the bias of a model to a reference, by quantile delta mapping.

    \b
    Examples:
      flexclim adjust ssp370.nc adjusted.nc --reference era5.nc --historical historical.nc
      flexclim adjust ssp370.nc a.nc --reference era5.nc --historical past.nc --save-fitted fit.nc
      flexclim adjust ssp585.nc b.nc --fitted fit.nc
    """  # noqa: D301
    import flexclim
    from flexclim.adjusting.matched_series import resolve_model
    from flexclim.stores.datasets import open_input, write_dataset

    if save_fitted is not None and (fitted is not None or multivariate is not None):
        other = "--fitted" if fitted is not None else "--multivariate"
        raise typer.BadParameter(f"goes without {other}.", param_hint="--save-fitted")
    form = options.check_zarr_format(zarr_format, options.is_zarr(target)) or 3
    for path in filter(None, (target, save_fitted)):
        options.is_zarr(path)
        options.need_folder(path)
    keep_memory()
    names = None if variables is None else options.listed(variables, "--variables")
    paths = {"reference": reference, "historical": historical, "fitted": fitted}
    given: dict[str, Any] = {
        key: open_input(path) for key, path in paths.items() if path is not None
    }
    fields = open_input(source)
    fit: dict[str, Any] = {
        "kind": kind,
        "window": int(window) if window.isdecimal() else window,
        "quantiles": quantiles,
        "trace": trace,
        "align_on": align_on,
    }
    if save_fitted is not None:
        past, truth = given.pop("historical", fields), given.pop("reference", None)
        names = list(resolve_model(fields, names, "the model").names)
        found = flexclim.fit_adjustment(past, reference=truth, variables=names, seed=seed, **fit)
        typer.echo(write_dataset(found, save_fitted, overwrite=overwrite))
        given["fitted"] = open_input(save_fitted)
    adjusted = flexclim.adjust(
        fields,
        **given,
        variables=names,
        period=period,
        multivariate=multivariate,
        seed=seed,
        **fit,
    )
    typer.echo(write_dataset(adjusted, target, overwrite=overwrite, zarr_format=form))
