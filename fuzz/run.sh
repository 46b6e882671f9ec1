#!/usr/bin/env bash
# Builds every fuzz target with the nightly toolchain and runs each for so many seconds, two at a time:
#
#   bash fuzz/run.sh SECONDS
#
# First a fault is planted in the reader of bodies, which the fuzzer must find without any seed. Then each target begins
# with a copy of its committed bytes. Nothing that is committed is changed; what breaks a property lies in fuzz/artifacts/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:?usage: fuzz/run.sh SECONDS}
# A planted fault costs no more than this, and ends the run at once when it is found.
canary_seconds=60
built=${CARGO_TARGET_DIR:-$PWD/fuzz/target}/fuzz
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

main() {
  build "libfuzzer planted" http_body
  # The next build puts the true one in its place.
  cp "$built/$host/release/http_body" "$work/planted_http_body"
  build libfuzzer
  find_planted
  run_all
}

# build FEATURES [TARGET]
build() {
  local features=$1
  shift
  cargo +nightly fuzz build --fuzz-dir fuzz --target-dir "$built" --sanitizer none --features "$features" "$@"
}

# fuzz PROGRAM LOG ARTIFACTS SECONDS CORPUS
fuzz() {
  # The same start each time: a change is judged by what it changed. Long runs elsewhere start at random.
  "$1" -seed=20260102 -print_final_stats=1 -timeout=60 -artifact_prefix="$3/" -max_total_time="$4" "$5" >"$2" 2>&1
}

executions() {
  sed -n 's/^stat::number_of_executed_units: *//p' "$1"
}

# reached STATE LOG: the edges of code that were reached when the fuzzer said that it was in this state.
reached() {
  sed -n "s/^#[0-9]*[[:space:]]*$1 *cov: *\([0-9]*\).*/\1/p" "$2" | tail -n 1
}

find_planted() {
  local log=$work/planted.log
  mkdir "$work/planted"
  if fuzz "$work/planted_http_body" "$log" "$work" "$canary_seconds" "$work/planted" || ! grep -q panicked "$log"; then
    tail -n 40 "$log"
    echo "fuzz http_body: a planted fault was not found"
    return 1
  fi
  echo "fuzz http_body: a planted fault is found after $(executions "$log") executions, without seeds"
}

run_all() {
  local running=0 failed=0 path
  for path in fuzz/fuzz_targets/*.rs; do
    if [ "$running" -ge 2 ]; then
      wait -n || failed=1
      running=$((running - 1))
    fi
    run_one "$(basename "$path" .rs)" &
    running=$((running + 1))
  done
  for (( ; running > 0; running--)); do
    wait -n || failed=1
  done
  return "$failed"
}

run_one() {
  local name=$1 corpus=$work/$1 log=$work/$1.log artifacts=fuzz/artifacts/$1 folder
  mkdir -p "$corpus" "$artifacts"
  for folder in seeds regressions; do
    [ ! -d "fuzz/$folder/$name" ] || cp -r "fuzz/$folder/$name" "$corpus/$folder"
  done
  if fuzz "$built/$host/release/$name" "$log" "$artifacts" "$seconds" "$corpus"; then
    echo "fuzz $name: $(executions "$log") executions, cov $(reached DONE "$log") (seeds alone $(reached INITED "$log")), no fault"
  else
    tail -n 40 "$log"
    echo "fuzz $name: FAULT after $(executions "$log") executions; the bytes lie in $artifacts/"
    return 1
  fi
}

main
