"""Teachers: a wave in, a training target out; they open no files and hold no module state. See docs/teachers.md."""
