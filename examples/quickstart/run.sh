#!/usr/bin/env bash
# The quickstart: music -> manifests -> teacher and labels -> pretraining, stopped and resumed -> a report. See README.md.
#   examples/quickstart/run.sh                     synthesises 25 minutes of music; under 6 minutes on 2 CPU cores
#   examples/quickstart/run.sh --audio DIR         the same on your own mp3, ogg, opus, flac or wav files
# Options: --out DIR (default demo), --updates N (default 1500), --quick (100 updates, 6 minutes of music, no check)
set -euo pipefail

FEWEST_UPDATES=40 # the recipe logs every 20, and both halves of the training must log
usage() { sed -n '2,5s/^# \{0,1\}//p' "$0"; }
HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
ROOT=$(cd "$HERE/../.." && pwd)
. "$HERE/../stages.sh"
AUDIO="" OUT="$ROOT/demo" UPDATES=1500 CHECK=()
TRACKS=150 HELD_OUT=0.12 # three discs of 25
while [ $# -gt 0 ]; do
    case $1 in
        --audio) AUDIO=$(realpath -m "${2:?--audio needs a folder}"); shift 2 ;;
        --out) OUT=$(realpath -m "${2:?--out needs a folder}"); shift 2 ;;
        --updates) UPDATES=${2:?--updates needs a number}; shift 2 ;;
        --quick) UPDATES=100 TRACKS=36 HELD_OUT=0.16; CHECK=(--no-check); shift ;;
        -h | --help) usage; exit 0 ;;
        *) echo "run.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done

[ -z "$AUDIO" ] || [ -d "$AUDIO" ] || refuse "--audio $AUDIO: no such folder; give the one that holds your music"
[[ $UPDATES =~ ^[1-9][0-9]*$ ]] && [ "$UPDATES" -ge $FEWEST_UPDATES ] ||
    refuse "--updates is '$UPDATES', expected a whole number from $FEWEST_UPDATES on"
# What lies in OUT is replaced, so it must be a folder that this script made: those have the mark.
MARK=$OUT/.quickstart
[ -e "$MARK" ] || [ -z "$(ls -A "$OUT" 2>/dev/null)" ] ||
    refuse "--out $OUT: holds files that no quickstart made and that could be overwritten; give a new or empty folder"

DATA=$OUT/data RUN=$OUT/run REPORT=$OUT/report HALF=$((UPDATES / 2))
set_data=$(override task.data "$DATA")
set_save_dir=$(override checkpoint.save_dir "$RUN")

# The environment that `make install` made, unless another one with fairseq is active.
command -v fairseq-hydra-train >/dev/null || PATH="$ROOT/.venv/bin:$PATH"
command -v fairseq-hydra-train >/dev/null || { echo "run.sh: no fairseq-hydra-train; type make install first" >&2; exit 1; }
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" PYTHONWARNINGS=ignore
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
cd "$ROOT"

mkdir -p "$OUT"
touch "$MARK"
step() { printf '\n[%3d s] %s\n' "$SECONDS" "$1" >&2; }

if [ -z "$AUDIO" ]; then
    step "1/7 Music from a seeded synthesiser"
    python "$HERE/synthesise.py" "$OUT/music" --tracks "$TRACKS"
    AUDIO=$OUT/music CONVERT=()
else
    step "1/7 Your music: $AUDIO"
    CONVERT=(--convert-to "$DATA/audio" --group-by file) HELD_OUT=0.15
fi

step "2/7 Manifests"
python preprocess/make_manifest.py "$AUDIO" "$DATA" --valid-fraction "$HELD_OUT" "${CONVERT[@]}"

step "3/7 Teacher: residual K-means on log-mel frames, 8 codebooks of 64 codes at 75 Hz"
python preprocess/extract_rvq_labels.py fit "$DATA" --teacher "$DATA/rvq.npz" --codebooks 8 --codes 64 --seed 0
python preprocess/extract_rvq_labels.py apply "$DATA" --teacher "$DATA/rvq.npz" --splits train valid

step "4/7 Check of manifests, audio and labels"
python -m mert_fairseq.preprocessing.checks.cli "$DATA"

# The spectral front end learns from the first minutes; with it, a high learning rate is stable.
RECIPE=(model.front_end=spectral criterion.cqt_weight=4 'optimization.lr=[0.003]')
train() { # LAST_UPDATE FIRST_UPDATE LOG
    python "$HERE/watch.py" --updates "$1" --start "$2" --log "$3" -- fairseq-hydra-train \
        --config-dir "$ROOT/config/pretrain" --config-name tiny \
        common.log_format=json "$set_data" "$set_save_dir" "${RECIPE[@]}" \
        optimization.max_update="$1" lr_scheduler.total_num_update="$UPDATES"
}
step "5/7 Pretraining: $HALF updates, a stop, then on from the checkpoint to $UPDATES"
rm -rf "$RUN"
train "$HALF" 0 "$OUT/train_1.log"
train "$UPDATES" "$HALF" "$OUT/train_2.log"

step "6/7 The checkpoint on held-out music"
rm -rf "$REPORT"
python "$HERE/measure.py" "$RUN/checkpoint_last.pt" "$REPORT"
[ ! -f "$AUDIO/chords.jsonl" ] || OMP_NUM_THREADS=1 python "$HERE/probe.py" "$RUN/checkpoint_last.pt" "$DATA" "$REPORT"

step "7/7 Report"
status=0
python "$HERE/report.py" "$REPORT" --logs "$OUT/train_1.log" "$OUT/train_2.log" "${CHECK[@]}" || status=$?
step "Done"
exit $status
