"""Data sets: clips and their labels, feature tables."""
