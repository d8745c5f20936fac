"""The cells, by what is watched: a module each, whose ``CELLS`` are measured together."""
