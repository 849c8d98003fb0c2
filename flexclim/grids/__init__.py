"""Grids: finding, checking and refining them; operators between nested grids; conservation."""
