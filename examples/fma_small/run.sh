#!/usr/bin/env bash
# FMA-small, from the archive to a checked training set. Every stage can be repeated; finished work is not done again.
#
#   examples/fma_small/run.sh                        # all stages, into data/fma and data/fma_small
#   examples/fma_small/run.sh --stage 4              # from stage 4
#   examples/fma_small/run.sh --stage 3 --stop-stage 3
#   examples/fma_small/run.sh --subset medium        # the same for FMA-medium
#
#   1 download   the two zip files, with resume and SHA-1             7.6 GiB
#   2 unpack     with Python's zipfile                                8.5 GiB more
#   3 prepare    match tables and files, decode nothing               seconds
#   4 convert    24 kHz mono FLAC, manifests, genre labels, rejects   about 7 GiB more
#   5 label      8 residual K-means codebooks of 1024 codes at 75 Hz
#   6 check      mert-check-data: exit status 0, or errors with remedies
set -euo pipefail

subset=small
archives=data/fma    # receives the zip files and their contents
out=                 # the training set; data/fma_SUBSET if empty
stage=1
stop_stage=6
workers=$(nproc)
codebooks=8
codes=1024
fit_hours=10         # of audio for fitting the codebooks
min_seconds=5        # a training crop; shorter files are rejected
python=${PYTHON:-python}

. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../stages.sh"
read_options "--subset --archives --out --stage --stop-stage --workers --codebooks --codes --fit-hours --min-seconds" "$@"
check_stages 6
enter_checkout
archives=$(absolute "$archives")
out=$(absolute "${out:-data/fma_$subset}")

prepare() {
  "$python" preprocess/prepare_fma.py "$archives/fma_metadata" "$archives/fma_$subset" "$out" \
    --subset "$subset" --min-seconds "$min_seconds" --workers "$workers" "$@"
}

if wanted 1; then
  title 1 "download"
  "$python" preprocess/fetch_fma.py metadata "$subset" --to "$archives" --step download
fi
if wanted 2; then
  title 2 "unpack"
  "$python" preprocess/fetch_fma.py metadata "$subset" --to "$archives" --step unpack
fi
if wanted 3; then
  title 3 "prepare"
  prepare --plan-only
fi
if wanted 4; then
  title 4 "convert"
  prepare
fi
if wanted 5; then
  title 5 "label"
  "$python" preprocess/extract_rvq_labels.py fit "$out" --teacher "$out/rvq.npz" \
    --codebooks "$codebooks" --codes "$codes" --hours "$fit_hours" --seed 0 --workers "$workers"
  "$python" preprocess/extract_rvq_labels.py apply "$out" --teacher "$out/rvq.npz" \
    --splits train valid test --workers "$workers"
fi
if wanted 6; then
  title 6 "check"
  "$python" -m mert_fairseq.preprocessing.checks.cli "$out" --workers "$workers"
fi
