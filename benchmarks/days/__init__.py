"""Daily fields split into 6-hourly ones, beside interpolation and a mean diurnal cycle."""
