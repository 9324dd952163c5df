"""The tables of studies."""
