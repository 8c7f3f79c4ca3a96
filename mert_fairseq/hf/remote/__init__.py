"""The model that an export in MERT layout carries along: needs transformers and torch only, never this package."""
