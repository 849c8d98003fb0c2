"""Scores, spectra and tests of significance."""
