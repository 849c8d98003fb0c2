import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


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
def test_plots_return_axes_with_titles(scores, name):
    ax = getattr(verify.plot, name)(scores, "u10")
    assert ax.get_title()
    with pytest.raises(FlexclimError, match="which have the variables"):
        getattr(verify.plot, name)(scores, "t2m")


def test_a_map_without_a_known_place_is_drawn_plainly(scores):
    bare = xr.DataArray(np.zeros((4, 5)), dims=["a", "b"])
    assert verify.plot.field_map(bare, title="bare").get_title() == "bare"
    assert len(verify.plot.worst_case(scores, "u10")) == 5


def test_a_series_needs_one_dimension_of_cases(scores):
    with pytest.raises(FlexclimError, match="a series needs one"):
        verify.plot.series(scores, "u10", "crps_map")


@pytest.mark.parametrize("calendar", ["noleap", "360_day", None])
def test_a_series_has_times_of_any_calendar(scores, calendar):
    steps = np.arange(5).astype("m8[h]").astype("m8[s]")
    dates = xr.date_range("2001-02-27", periods=5, calendar=calendar or "standard", use_cftime=True)
    ax = verify.plot.series(scores.assign_coords(time=dates if calendar else steps), "u10")
    ax.figure.canvas.draw()
    drawn = ax.lines[0].get_xdata()
    if calendar is None:
        assert drawn.tolist() == [0, 1, 2, 3, 4]
        assert ax.get_xlabel() == "time, h"
        return
    last = {"noleap": "2001-03-03", "360_day": "2001-03-01"}[calendar]
    assert drawn.astype("M8[D]")[[0, -1]].tolist() == list(np.array(["2001-02-27", last], "M8[D]"))
