"""Features of clips: models and baselines, windows, and the cache on the disk."""
