import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot
from matplotlib.figure import Figure

from flexclim import FlexclimError, verify

pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.mark.parametrize(
    "name",
    [
        "spectrum",
        "coherence",
        "rank_histogram",
        "reliability",
        "spread_error",
        "quantiles",
        "series",
        "score_map",
    ],
)
def test_plots_return_a_figure_of_pyplot_and_axes_with_titles(scores, name):
    figure, ax = getattr(verify.plot, name)(scores, "u10")
    assert ax.get_title()
    assert ax.figure is figure
    assert pyplot.get_fignums() == [figure.number]
    with pytest.raises(FlexclimError, match="which have the variables"):
        getattr(verify.plot, name)(scores, "t2m")
    assert len(pyplot.get_fignums()) == 1  # no empty one is left


def test_axes_that_are_given_are_drawn_into(scores):
    ax = Figure().subplots()
    drawing = verify.plot.spectrum(scores, "u10", ax)
    assert drawing.axes is ax
    assert drawing.figure is ax.figure
    assert not pyplot.get_fignums()


def test_a_map_without_a_known_place_is_drawn_plainly(scores):
    bare = xr.DataArray(np.zeros((4, 5)), dims=["a", "b"])
    assert verify.plot.field_map(bare, title="bare").axes.get_title() == "bare"
    assert verify.plot.worst_case(scores, "u10").axes.shape == (5,)


def test_the_worst_case_has_the_colours_of_the_quantity(scores):
    styles = {name: style for name, _, style in verify.plot.worst_panels(scores, "u10")}
    assert styles["truth"]["cmap"] == styles["one member"]["cmap"] == "RdBu_r"
    assert styles["truth"]["vmin"] == -styles["truth"]["vmax"]
    assert styles["spread"]["cmap"] == "YlOrRd"


def test_a_series_needs_one_dimension_of_cases(scores):
    with pytest.raises(FlexclimError, match="a series needs one"):
        verify.plot.series(scores, "u10", "crps_map")


@pytest.mark.parametrize("calendar", ["noleap", "360_day", None])
def test_a_series_has_times_of_any_calendar(scores, calendar):
    steps = np.arange(5).astype("m8[h]").astype("m8[s]")
    dates = xr.date_range("2001-02-27", periods=5, calendar=calendar or "standard", use_cftime=True)
    _, ax = verify.plot.series(scores.assign_coords(time=dates if calendar else steps), "u10")
    ax.figure.canvas.draw()
    drawn = ax.lines[0].get_xdata()
    if calendar is None:
        assert drawn.tolist() == [0, 1, 2, 3, 4]
        assert ax.get_xlabel() == "time, h"
        return
    last = {"noleap": "2001-03-03", "360_day": "2001-03-01"}[calendar]
    assert drawn.astype("M8[D]")[[0, -1]].tolist() == list(np.array(["2001-02-27", last], "M8[D]"))
