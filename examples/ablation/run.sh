#!/usr/bin/env bash
# Ablations of teachers, front ends and mask lengths: which pretraining makes better features? See README.md.
#
#   examples/ablation/run.sh --audio ~/Music --scores exp/ablation/scores      # all stages and arms, into exp/ablation
#   examples/ablation/run.sh --stage 3 --stop-stage 3 --arms "rvq_cqt mfcc" --seeds "1 2 3"
#   examples/ablation/run.sh --stage 4 --arms rvq_cqt --tasks "rendered-key rendered-dance"
#
#   1 data      links to the recordings and to the training clips of the scores, converted; manifests
#   2 labels    residual K-means, K-means of MFCC, of log-mel and of chroma
#   3 train     each arm of arms.tsv with each seed: OUT/runs/ARM_SEED; recipe small
#   4 probe     each checkpoint, three times random weights, and plain statistics, on the tasks of rendered scores: OUT/probes
#   5 report    OUT/report.md: figures of held-out music, and probes with intervals; OUT/curves.png
#
# The same command again continues: what is finished is not done again.
set -euo pipefail

audio=               # folder of recordings; none if empty
scores=              # folder of sets that render.py made; none if empty
pretrain_scores=     # another folder of sets, for pretraining in place of --scores; --scores is then for probes alone
versions=1           # renderings of each piece to pretrain on
out=exp/ablation
stage=1
stop_stage=5
arms="rvq_cqt mfcc"  # names from arms.tsv, or all
seeds="1 2 3"
updates=3000
tasks="rendered-key rendered-chords rendered-beats rendered-downbeats rendered-dance rendered-composer rendered-family"
protocol=quick       # of mert-probe; default searches more and takes ten times as long
codes=256            # per codebook
mask_length=10       # frames, of the held-out figures of stage 5
workers=$(nproc)
python=${PYTHON:-python}

. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../stages.sh"
read_options "--audio --scores --pretrain-scores --versions --out --stage --stop-stage --arms --seeds --updates --tasks --protocol --codes --mask-length --workers --" "$@"
check_stages 5
[[ $updates =~ ^[1-9][0-9]*$ ]] || refuse "--updates is '$updates', expected a whole number above 0"
[[ $seeds =~ ^[0-9]+(\ +[0-9]+)*$ ]] || refuse "--seeds is '$seeds', expected whole numbers with blanks between them"
enter_checkout
table=examples/ablation/arms.tsv
out=$(absolute "$out") data=$out/data

# arm NAME: sets labels and the array overrides from the line of arms.tsv.
arm() {
  local line
  line=$(grep -P "^$1\t" $table) || refuse "--arms: found $1, expected one of: $(names)"
  labels=$(cut -f2 <<<"$line")
  read -ra overrides <<<"$(cut -f3 <<<"$line")"
}
names() { grep -v '^#' $table | cut -f1 | paste -sd' '; }
[ "$arms" != all ] || arms=$(names)
for name in $arms; do arm "$name"; done
pretrain_scores=${pretrain_scores:-$scores}
! wanted 1 || [ -n "$audio$pretrain_scores" ] || refuse "give --audio, --scores, or both: stage 1 needs music"
! wanted 4 || [ -n "$scores" ] || refuse "--scores is missing: stage 4 probes on its sets"

if wanted 1; then
  title 1 "data"
  music=(${audio:+--audio "$(absolute "$audio")"} ${pretrain_scores:+--scores "$(absolute "$pretrain_scores")"})
  "$python" examples/ablation/gather.py "${music[@]}" --versions "$versions" --out "$out/music"
  "$python" preprocess/make_manifest.py "$out/music" "$data" --convert-to "$data/audio" \
    --valid-fraction 0.05 --group-by folder --workers "$workers"
fi

label() { # COMMAND NAME OPTIONS...: fit a teacher unless it exists, and label both splits
  local command=$1 teacher=$data/$2.npz
  shift 2
  [ -e "$teacher" ] || "$python" "preprocess/$command.py" fit "$data" --teacher "$teacher" --seed 0 --workers "$workers" "$@"
  "$python" "preprocess/$command.py" apply "$data" --teacher "$teacher" --splits train valid --workers "$workers"
}
if wanted 2; then
  title 2 "labels"
  label extract_rvq_labels rvq --codebooks 8 --codes "$codes"
  label kmeans_labels mfcc --features mfcc --classes 100
  label kmeans_labels logmel --features logmel --classes 300
  label kmeans_labels chroma --features chroma --classes 200
fi

if wanted 3; then
  title 3 "train"
  for name in $arms; do
    arm "$name"
    for seed in $seeds; do
      run=$out/runs/${name}_$seed
      [ ! -e "$run/seconds" ] || continue
      mkdir -p "$run"
      begin=$SECONDS
      fairseq-hydra-train --config-dir "$PWD/config/pretrain" --config-name small common.log_format=json \
        "$(override task.data "$data")" "$(override checkpoint.save_dir "$run")" "task.labels=$labels" common.seed="$seed" \
        optimization.max_update="$updates" "${overrides[@]}" "${rest[@]}" >>"$run/log" 2>&1 ||
        { tail -n 5 "$run/log" >&2; echo "run.sh: training $run failed; all of its output: $run/log" >&2; exit 1; }
      echo $((SECONDS - begin)) >"$run/seconds"
      echo "$run: $(cat "$run/seconds") s" >&2
    done
  done
fi

checkpoints=()
for name in $arms; do for seed in $seeds; do checkpoints+=("$out/runs/${name}_$seed/checkpoint_last.pt"); done; done
if wanted 4; then
  title 4 "probe"
  read -ra names <<<"$tasks"
  others=({random,random2,random3}:"${checkpoints[0]}" cqt logmel mfcc)
  "$python" -m mert_fairseq.probing.cli "${names[@]}" --data "$(absolute "$scores")" --out "$out/probes" \
    --protocol "$protocol" --model "${checkpoints[@]}" "${others[@]}"
fi
if wanted 5; then
  title 5 "report"
  "$python" examples/ablation/predict.py "${checkpoints[@]}" --mask-length "$mask_length" >"$out/predictions.jsonl"
  "$python" examples/ablation/curves.py "$out"
  "$python" examples/ablation/tables.py "$out"
fi
