"""Values that no option means, in every option of every public function: one line, or an answer."""

import datetime
import inspect
import warnings

import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim import FlexclimError, verify

LONGEST = 800
JUNK = {
    "nothing": None,
    "minus one": -1,
    "zero": 0,
    "half": 0.5,
    "large": 10**12,
    "nan": np.nan,
    "infinity": np.inf,
    "word": "x",
    "empty": "",
    "bytes": b"x",
    "true": True,
    "empty list": [],
    "numbers": [1, 2],
    "words": ["x", "y"],
    "mapping": {"x": 1},
    "array": np.array([[1.0, np.nan]]),
    "zero-dimensional": np.array(3),
    "object": object(),
    "complex": 1j,
    "date": datetime.datetime(2018, 9, 14),
    "function": len,
    "field": xr.DataArray([1.0, 2.0], dims="x", name="x"),
    "dataset": xr.Dataset({"x": ("x", [1.0, 2.0])}),
}
# Where a value is a path, nothing is written, since it names no folder that exists.
QUICK = "coarsen", "crps", "find_grid"
MINUTES = ("report",)  # draws all figures each time
NAMES = [name for name in (*flexclim.__all__, *verify.__all__) if name.islower()]
FUNCTIONS = [name for name in NAMES if name not in ("train", "verify", "plot", "climate")]


@pytest.fixture(scope="module")
def fields():
    random = np.random.default_rng(0)
    coords = {
        "time": np.arange("2018-09-14", "2018-09-18", dtype="datetime64[D]").astype("M8[ns]"),
        "lat": 50.0 - np.arange(8),
        "lon": 5.0 + np.arange(8),
    }
    truth = xr.DataArray(random.normal(size=(4, 8, 8)), coords, list(coords), "t", {"units": "K"})
    forecast = truth + xr.DataArray(random.normal(size=(3, 4, 8, 8)), dims=["realization", *coords])
    return truth, forecast.rename("t").assign_attrs(units="K").transpose("realization", ...)


@pytest.fixture(scope="module")
def arguments(fields, toy_model, tmp_path_factory):
    """Return valid positional arguments of each function, and further options."""
    truth, forecast = fields
    one = truth.isel(time=[0], lat=slice(0, 4), lon=slice(0, 4))
    series = np.array([1.0, 2.0, 0.5, 3.0])
    pair = (forecast, truth)
    scores = verify.evaluate(*pair)
    quick = {"model": toy_model, "members": 1, "steps": 1}
    folder = tmp_path_factory.mktemp("stores")
    given = {
        "downscale": ((one, 2), quick),
        "downscale_to_zarr": ((one, folder / "a.zarr", 2), quick),
        "forecast": ((truth, 1), {}),
        "forecast_to_zarr": ((truth, folder / "b.zarr", 1), {}),
        "coarsen": ((one, 2), {}),
        "interpolate": ((one, 2), {}),
        "find_grid": ((one,), {}),
        "check_store": ((folder / "none.zarr",), {}),
        "load_model": (("flex-nano",), {}),
        "import_minflex": ((folder / "none.pt",), {}),
        "list_models": ((), {}),
        "spectrum": ((truth,), {}),
        "roc": (pair, {"threshold": 0.0}),
        "reliability": (pair, {"threshold": 0.0}),
        "contingency": (pair, {"threshold": 0.0}),
        "brier_decomposition": (pair, {"threshold": 0.0}),
        "fss": (pair, {"threshold": 0.0, "window": 3}),
        "anomaly_correlation": (pair, {"climatology": truth.mean("time")}),
        "kinetic_energy": ((truth, truth), {}),
        "correlation_time": ((truth,), {}),
        "frequency": ((truth,), {"edges": [0.0, 1.0]}),
        "exceedance": (pair, {"levels": [0.0]}),
        "quantiles": (pair, {"levels": [0.5]}),
        "bootstrap": ((xr.DataArray(series, dims="time"),), {}),
        "diebold_mariano": ((xr.DataArray(series, dims="time"),) * 2, {}),
        "residuals": ((truth, 2), {}),
        "residual_ensemble": ((truth, verify.residuals(truth, 2)), {"members": 2}),
        "report": ((scores, folder / "none" / "report.html"), {}),
        "summary": ((scores,), {}),
        "table": ((scores,), {}),
        "flatness": ((verify.rank_histogram(*pair),), {}),
        "brier": (pair, {"threshold": 0.0}),
        "effective_resolution": (pair, {}),
        "seam": ((forecast,), {}),
    }
    given |= {
        "adjust": ((truth,), {"reference": truth, "historical": truth}),
        "fit_adjustment": ((truth,), {"reference": truth}),
        "by_group": ((verify.crps, *pair, truth.lat > 46), {}),
        "crpss": ((*pair, forecast), {}),
        "variable_correlation": ((forecast.to_dataset(), truth.to_dataset()), {"variables": ["t"]}),
        "vector_error": ((forecast.to_dataset(), truth.to_dataset()), {"vector": ("t", "t")}),
    }
    return lambda name: given.get(name, (pair, {}))


def public(name):
    return getattr(flexclim if name in flexclim.__all__ else verify, name)


def options_of(name):
    return [
        parameter.name
        for parameter in inspect.signature(public(name)).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]


def said_in_one_line(function, args, options):
    """Return what an error says; None: there was none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = function(*args, **options)
            if hasattr(made, "compute"):
                made.compute()
        except FlexclimError as error:
            text = str(error)
            assert "\n" not in text, text
            assert 10 < len(text) < LONGEST, text
            return text
    return None


def raw_errors(name, arguments):
    """Return what else than one line is said of wrong values, option by option."""
    function, (args, options) = public(name), arguments(name)
    raw = []
    for place, option in enumerate(options_of(name)):
        for kind, value in JUNK.items():
            own_args, own_options = list(args), dict(options)
            if place < len(args):
                own_args[place] = value
            else:
                own_options[option] = value
            try:
                said_in_one_line(function, own_args, own_options)
            except Exception as error:
                raw.append(f"{name}({option}={kind}): {type(error).__name__}: {str(error)[:120]}")
    return raw


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name",
    [
        name
        if name in QUICK
        else pytest.param(name, marks=pytest.mark.long if name in MINUTES else pytest.mark.slow)
        for name in FUNCTIONS
    ],
)
def test_wrong_values_get_one_line(name, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a word is a path
    assert not (raw := raw_errors(name, arguments)), "\n".join(raw)
