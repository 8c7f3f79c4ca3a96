# make demo and make test each work as the first command on a machine with Python 3.11 or 3.12.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: install demo test test-slow test-training test-kill test-slurm test-hf bench-check lint format clean

install: $(STAMP)

# fairseq is a frozen build without a named maintainer: its hash is checked. The rest is held by version.
$(STAMP): setup.py constraints.txt requirements-fairseq.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifeq ($(shell uname -m),x86_64)
	$(BIN)/python -m pip install --no-deps --require-hashes -r requirements-fairseq.txt
endif
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,hf,onnx,probe]'
	touch $@

demo: install
	PATH="$(abspath $(BIN)):$$PATH" examples/quickstart/run.sh

# the fast tests
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not slurm and not gpu"

# what takes minutes: trainings, examples stage by stage, long audio
test-slow: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "slow and not slurm and not gpu"

# of these the trainings: killed, stopped, resumed, spread over processes, on each teacher, fine-tuned
test-training: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "slow and not gpu" tests/training tests/distributed

# label jobs that are killed 20 times at random moments, meet each other, or find the disk full
test-kill: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/label_extraction/test_label_kills.py

# launches, preemption, lost nodes on a Slurm that it starts on this machine; says which apt packages that takes
test-slurm: install
	$(BIN)/python tests/slurm/local_slurm.py check
	PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slurm tests/slurm

# tiny exports in environments of their own without fairseq: transformers 4.38 to 5; makes and deletes 2 GB
test-hf: install
	OMP_NUM_THREADS=1 $(BIN)/python tests/hf_versions/run.py

# the paired benchmarks again: fails if a ratio of benchmarks/ratios.json falls by 20 %; 10 minutes on a quiet machine
bench-check: install
	OMP_NUM_THREADS=2 $(BIN)/python benchmarks/check.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build demo exp outputs multirun .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
