"""Studies: arms that are compared over seeds, what is measured of them, and what may be said of it."""
