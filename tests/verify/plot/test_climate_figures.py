import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify

pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.mark.parametrize("name", ["change_signal", "seasonal_cycle", "return_levels", "spells"])
def test_figures_have_a_line_or_bars_for_each_source(climate_world, name):
    climate = climate_world[1]
    _, ax = getattr(verify.plot, name)(climate, "pr")
    assert ax.get_title()
    assert ax.get_ylabel()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["truth", "GCM", "adjusted"][name == "change_signal" :]
    with pytest.raises(FlexclimError, match="in the climate, which has"):
        getattr(verify.plot, name)(climate, "tas")


def test_lines_are_the_values(climate_world):
    climate = climate_world[1]
    _, ax = verify.plot.seasonal_cycle(climate, "tasmax")
    np.testing.assert_array_equal(
        ax.lines[1].get_ydata(), climate["seasonal_cycle.tasmax"].sel(source="GCM")
    )
    bars = verify.plot.change_signal(climate, "tasmax", "mean").axes.patches
    change = climate["mean_change.tasmax"].sel(statistic="mean", source="GCM")
    assert [bar.get_height() for bar in bars[:5]] == pytest.approx(change.values)


def test_parts_alone_can_be_drawn():
    times = xr.date_range("2001-01-01", periods=8, freq="6h")
    cycle = verify.climate.diurnal_cycle(xr.DataArray(np.arange(8.0), {"time": times}, name="tas"))
    _, ax = verify.plot.diurnal_cycle(cycle)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 6, 12, 18])
    with pytest.raises(FlexclimError, match="has the dimension 'lat' besides 'hour'"):
        verify.plot.diurnal_cycle(cycle.expand_dims(lat=2))


def test_unknown_parts_are_errors(climate_world):
    climate = climate_world[1]
    with pytest.raises(FlexclimError, match="no statistic '98 %'"):
        verify.plot.change_signal(climate, "pr", "98 %")
    with pytest.raises(FlexclimError, match="spell='wet' is unknown"):
        verify.plot.spells(climate, "pr", "wet")
    with pytest.raises(FlexclimError, match="Name a variable"):
        verify.plot.seasonal_cycle(climate)
