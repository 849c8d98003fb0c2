import numpy as np
import pytest

from benchmarks import kinetic_energy
from benchmarks.skill import wind_fields
from flexclim.resampling import coarsen, interpolate


@pytest.mark.slow
def test_scores_of_methods_are_those_of_the_energy_of_wind(data_dir, monkeypatch):
    monkeypatch.setenv("FLEXCLIM_DATA", str(data_dir))
    plain, same, _ = kinetic_energy.rows([], 4, [2], fields=3)
    assert [plain[0], plain[3]] == ["bicubic", "1.000"]
    errors = []
    for wind in wind_fields.gfs_2018(data_dir).test[:3]:
        energy = (wind.u10**2 + wind.v10**2) / 2
        smooth = interpolate(coarsen(energy, 4, grid="cell"), 4, grid="cell").clip(0)
        difference = smooth.values - energy.values
        errors.append(np.linalg.norm(difference[0]) / np.linalg.norm(energy.values[0]))
    assert float(plain[1]) == pytest.approx(np.mean(errors), abs=1e-4)
    assert float(same[3]) < 0.8
