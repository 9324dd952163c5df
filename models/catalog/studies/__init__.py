"""The studies of the catalog, a file a claim."""
