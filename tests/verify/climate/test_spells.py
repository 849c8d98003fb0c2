import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


@pytest.fixture
def rain(days):
    def make(values, **attributes):
        coords = {"time": days(1)[: len(values)]}
        attributes = {"units": "mm d-1", **attributes}
        return xr.DataArray(np.array(values, float), coords, ["time"], "pr", attributes)

    return make


def test_spells_by_hand(rain):
    found = verify.climate.spells(rain([0, 2, 3, 0, 0, 0, 1, 0.5, np.nan, 5, 5]), longest=3)
    wet, dry = found.sel(spell="above"), found.sel(spell="below")
    # Wet: 2, 1 and 2 days. Dry: 1, 3, 1.
    np.testing.assert_allclose(wet.share, [1, 2 / 3, 0])
    np.testing.assert_allclose(dry.share, [1, 1 / 3, 1 / 3])
    assert (float(wet.mean_length), float(dry.mean_length)) == pytest.approx((5 / 3, 5 / 3))
    assert (int(wet.number), int(dry.number)) == (3, 3)
    assert found.share.attrs["threshold"] == "1 mm d-1"


def test_longer_spells_count_with_the_longest(rain):
    found = verify.climate.spells(rain([0] * 50), longest=10)
    np.testing.assert_array_equal(found.share.sel(spell="below"), np.ones(10))
    assert float(found.mean_length.sel(spell="below")) == 50
    assert np.isnan(found.share.sel(spell="above")).all()


@pytest.mark.parametrize(("units", "scale"), [("kg m-2 s-1", 1 / 86400), ("m", 1e-3), ("mm", 1)])
def test_wet_days_are_found_in_any_units(rain, units, scale):
    expected = verify.climate.spells(rain([0, 2, 3, 0.9, 0]))
    found = verify.climate.spells((rain([0, 2, 3, 0.9, 0]) * scale).assign_attrs(units=units))
    xr.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("calendar", ["360_day", "standard"])
def test_cells_members_and_chunks(daily_field, calendar):
    field = daily_field(1, calendar=calendar, members=2)
    found = verify.climate.spells(field, 280.0, longest=5)
    lazy = verify.climate.spells(field.chunk(time=50, member=1, lat=2), 280.0, longest=5)
    assert lazy.share.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), found)
    above = (field[:, :, 1, 2] >= 280).values
    number = sum(row[0] + (np.diff(row.astype(int)) == 1).sum() for row in above)
    assert int(found.number.sel(spell="above")[1, 2]) == number
    length = above.sum() / number
    assert float(found.mean_length.sel(spell="above")[1, 2]) == pytest.approx(length)


def test_what_is_no_rain_needs_a_threshold(daily_field, rain):
    with pytest.raises(FlexclimError, match="'tas', which is not known as precipitation"):
        verify.climate.spells(daily_field(1))
    with pytest.raises(FlexclimError, match="neither a rate nor a daily amount"):
        verify.climate.spells(rain([1, 2], units="K"))
    with pytest.raises(FlexclimError, match="longest=0"):
        verify.climate.spells(rain([1, 2]), longest=0)
