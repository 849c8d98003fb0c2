"""Tables and the report in one HTML file."""
