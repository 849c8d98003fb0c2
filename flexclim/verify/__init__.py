"""Scores, spectra and a report for ensembles of fields: the verification of forecasts."""

from flexclim.verify.scores import bias, crps, crps_parts, mae, rmse, spread, spread_skill
from flexclim.verify.seam import seam
from flexclim.verify.spectra import (
    amplitude_ratio,
    coherence,
    effective_resolution,
    kinetic_energy,
    log_spectral_distance,
    spectral_bias,
    spectrum,
)

__all__ = [
    "amplitude_ratio",
    "bias",
    "coherence",
    "crps",
    "crps_parts",
    "effective_resolution",
    "kinetic_energy",
    "log_spectral_distance",
    "mae",
    "rmse",
    "seam",
    "spectral_bias",
    "spectrum",
    "spread",
    "spread_skill",
]
