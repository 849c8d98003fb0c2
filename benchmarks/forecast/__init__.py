"""Forecasts by lead time on the test splits, beside what is cheaper; see ``__main__``."""
