"""Grids: found, checked and refined; operators between nested grids; conservation."""
