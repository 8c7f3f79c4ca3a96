#!/usr/bin/env bash
# Genres of FMA, from the archive to tested classifiers. Every stage can be repeated.
#
#   examples/fma_genre/run.sh                        # from features: stages 1 to 6
#   examples/fma_genre/run.sh --stage 4 --stop-stage 4
#   examples/fma_genre/run.sh --subset small         # 8 balanced genres instead of medium's 16
#   examples/fma_genre/run.sh -- optimization.max_epoch=20 criterion.class_weights=balanced    # options of the training
#   examples/fma_genre/run.sh --stage 7 --mert exp/mert_95m/checkpoint_last.pt    # from audio: 7 and 8
#
#   1 download   fma_metadata.zip, with resume and SHA-1              342 MiB
#   2 unpack     tracks.csv, genres.csv, features.csv, echonest.csv   1.4 GiB
#   3 check      genres, features, splits; tracks per genre
#   4 baselines  logistic regression, kNN, SVM and MLP on the 518 features
#   5 train      a Transformer on the same features, 10 epochs
#   6 report     test split: confusion matrix, F1 per genre, curves, baselines
#   7 finetune   a pretrained MERT on the audio that examples/fma_small/run.sh prepared (data/fma_SUBSET)
#   8 report     the same report, from audio
set -euo pipefail

subset=medium
archives=data/fma    # receives the zip file and its contents
out=                 # output folder; exp/fma_genre_SUBSET if empty
mert=                # a pretrained MERT; without it the last stage is 6
audio=               # manifests and genres/ of the same subset; data/fma_SUBSET if empty
stage=1
stop_stage=          # 6, or 8 with --mert
python=${PYTHON:-python}

. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../stages.sh"
read_options "--subset --archives --out --stage --stop-stage --mert --audio --" "$@"
case $mert,$stage,$stop_stage in
  ,[78],*|,*,[78]) refuse "stages 7 and 8 need --mert CHECKPOINT, a pretrained MERT (config/pretrain)";;
esac
stop_stage=${stop_stage:-$([ -n "$mert" ] && echo 8 || echo 6)}
check_stages 8
enter_checkout
archives=$(absolute "$archives")
out=$(absolute "${out:-exp/fma_genre_$subset}")
audio=$(absolute "${audio:-data/fma_$subset}")
[ -z "$mert" ] || mert=$(absolute "$mert")
metadata=$archives/fma_metadata
features=$out/features
set_metadata=$(override task.data "$metadata")
set_features=$(override checkpoint.save_dir "$features")
set_audio=$(override task.data "$audio")
set_mert=$(override model.checkpoint "$mert")
set_finetuned=$(override checkpoint.save_dir "$out/mert")

genre() { "$python" -m mert_fairseq.genre.cli "$@"; }
train() { # CONFIG OPTIONS...
  local config=$1; shift
  "$python" -m fairseq_cli.hydra_train --config-dir "$PWD/config/genre" --config-name "$config" "$@"
}

if wanted 1; then
  title 1 "download"
  "$python" preprocess/fetch_fma.py metadata --to "$archives" --step download
fi
if wanted 2; then
  title 2 "unpack"
  "$python" preprocess/fetch_fma.py metadata --to "$archives" --step unpack
fi
if wanted 3; then
  title 3 "check"
  genre check "$metadata" --subset "$subset"
fi
if wanted 4; then
  title 4 "baselines"
  genre baselines "$metadata" --subset "$subset" --out "$out/baselines.json"
fi
if wanted 5; then
  title 5 "train"
  train fma_features "$set_metadata" "$set_features" task.subset="$subset" "${rest[@]}"
fi
if wanted 6; then
  title 6 "report"
  genre report "$features/checkpoint_best.pt" --data "$metadata" --baselines "$out/baselines.json" --out "$features/report"
fi
if wanted 7; then
  title 7 "finetune"
  train mert_finetune "$set_audio" "$set_mert" "$set_finetuned" "${rest[@]}"
fi
if wanted 8; then
  title 8 "report"
  genre report "$out/mert/checkpoint_best.pt" --data "$audio" --out "$out/mert/report"
fi
