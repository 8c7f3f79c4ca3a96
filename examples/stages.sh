# What the examples share. Their run.sh sources it; those with numbered stages set their options to the defaults first.

refuse() { echo "$0: $1" >&2; exit 2; }

# read_options NAMES ARGUMENTS...: the value after each name goes into its variable (--stop-stage: stop_stage). With -- among
# the names, what follows it goes into the array rest.
read_options() {
  local names=" $1 " name
  shift
  rest=()
  while [ $# -gt 0 ]; do
    case $1 in -h|--help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0;; esac
    [[ $names == *" $1 "* ]] || refuse "unknown option $1; see $0 --help"
    if [ "$1" = -- ]; then shift; rest=("$@"); return; fi
    [ $# -ge 2 ] || refuse "$1 needs a value"
    name=${1#--}; printf -v "${name//-/_}" %s "$2"; shift 2
  done
}

# override KEY PATH: the override for Hydra, whose grammar has a meaning of its own for blanks, commas, quotes, = and others.
# In its quotes a quote takes a backslash, and backslashes before a quote are doubled. What OmegaConf or fairseq would still
# read as something else is refused.
override() {
  local quote="'"
  case $2 in
    *'${'*) refuse "$2: Hydra would look for a variable behind \${; rename the folder";;
    *:*) refuse "$2: fairseq would take the colon as the end of a path; rename the folder";;
    *$'\n'*) refuse "$2: a manifest cannot hold a folder whose name has a line end; rename the folder";;
  esac
  printf "%s='%s'\n" "$1" "$(printf %s "$2" | LC_ALL=C sed "s/\(\\\\*\)$quote/\1\1\\\\$quote/g; s/\(\\\\*\)\$/\1\1/")"
}

# check_stages LAST: stage and stop_stage are numbers from 1 to LAST, in order.
check_stages() {
  local number
  for number in stage stop_stage; do
    [[ ${!number} =~ ^[1-9]$ ]] && [ "${!number}" -le "$1" ] ||
      refuse "--${number/_/-} is '${!number}', expected 1 to $1"
  done
  [ "$stage" -le "$stop_stage" ] || refuse "--stage $stage comes after --stop-stage $stop_stage, so that nothing would run"
}

# Paths that the user gave stay relative to where the command was typed.
enter_checkout() {
  here=$PWD
  cd -P "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
  export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
}
absolute() { case $1 in /*) printf '%s\n' "$1";; *) printf '%s\n' "$here/$1";; esac; }

wanted() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }
title() { echo "== stage $1: $2" >&2; }
