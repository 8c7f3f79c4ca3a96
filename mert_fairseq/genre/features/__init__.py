"""Genre classification from FMA's feature table: data set, tokens, preprocessor, model, task and baselines."""
