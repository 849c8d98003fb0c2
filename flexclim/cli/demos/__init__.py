"""Demos on what ships with the package."""
