"""Verification of ensembles and single fields: scores, spectra and a report."""

from flexclim.verify import climate, plot
from flexclim.verify.baselines import residual_ensemble, residuals
from flexclim.verify.evaluation import evaluate
from flexclim.verify.metrics.calibration import crps_decomposition, pull, spread_error
from flexclim.verify.metrics.contingency import contingency
from flexclim.verify.metrics.distribution import (
    anomaly_correlation,
    frequency,
    threshold_weighted_crps,
)
from flexclim.verify.metrics.groups import by_group
from flexclim.verify.metrics.histogram_distances import histogram_distance, perkins, wasserstein
from flexclim.verify.metrics.multivariate import energy_score, variogram_score
from flexclim.verify.metrics.persistence import correlation_time
from flexclim.verify.metrics.precipitation_objects import sal
from flexclim.verify.metrics.probability import brier, brier_decomposition, reliability, roc
from flexclim.verify.metrics.quantile_scores import interval_score, quantile_score
from flexclim.verify.metrics.quantiles import exceedance, quantiles
from flexclim.verify.metrics.ranks import flatness, pit_histogram, rank_histogram
from flexclim.verify.metrics.scores import bias, crps, crps_parts, mae, rmse, spread, spread_skill
from flexclim.verify.metrics.seam import seam
from flexclim.verify.metrics.several_variables import variable_correlation, vector_error
from flexclim.verify.metrics.significance import bootstrap, diebold_mariano
from flexclim.verify.metrics.skill import crpss, skill_score
from flexclim.verify.metrics.spatial import fss, rfne, ssim
from flexclim.verify.metrics.spectra import kinetic_energy, spectrum
from flexclim.verify.metrics.spectral_scores import (
    amplitude_ratio,
    coherence,
    effective_resolution,
    log_spectral_distance,
    spectral_bias,
)
from flexclim.verify.metrics.texture import increments, lag_correlation, two_cell_noise
from flexclim.verify.report.report import report
from flexclim.verify.report.summary import summary, table

__all__ = [
    "amplitude_ratio",
    "anomaly_correlation",
    "bias",
    "bootstrap",
    "brier",
    "brier_decomposition",
    "by_group",
    "climate",
    "coherence",
    "contingency",
    "correlation_time",
    "crps",
    "crps_decomposition",
    "crps_parts",
    "crpss",
    "diebold_mariano",
    "effective_resolution",
    "energy_score",
    "evaluate",
    "exceedance",
    "flatness",
    "frequency",
    "fss",
    "histogram_distance",
    "increments",
    "interval_score",
    "kinetic_energy",
    "lag_correlation",
    "log_spectral_distance",
    "mae",
    "perkins",
    "pit_histogram",
    "plot",
    "pull",
    "quantile_score",
    "quantiles",
    "rank_histogram",
    "reliability",
    "report",
    "residual_ensemble",
    "residuals",
    "rfne",
    "rmse",
    "roc",
    "sal",
    "seam",
    "skill_score",
    "spectral_bias",
    "spectrum",
    "spread",
    "spread_error",
    "spread_skill",
    "ssim",
    "summary",
    "table",
    "threshold_weighted_crps",
    "two_cell_noise",
    "variable_correlation",
    "variogram_score",
    "vector_error",
    "wasserstein",
]
