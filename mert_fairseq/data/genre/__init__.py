"""Genre classification's data: vocabulary, splits, feature tables."""
