"""Fields on other grids: coarser and finer ones nested in their own, and any others."""

from flexclim.resampling.nested_grids import coarsen as coarsen
from flexclim.resampling.nested_grids import interpolate as interpolate
