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
