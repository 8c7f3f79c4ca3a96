"""Teachers: wave in, target out; no files."""
