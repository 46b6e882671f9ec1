#!/usr/bin/env bash
# Tells how much of the core's code the committed bytes reach, in all and of each file:
#
#   bash fuzz/coverage.sh
#
# The replay is built with the nightly's coverage and read with its llvm-tools; nothing that is committed is changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

built=${CARGO_TARGET_DIR:-$PWD/fuzz/target}/fuzz-coverage
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
llvm=$(rustc +nightly --print sysroot)/lib/rustlib/$host/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export RUSTFLAGS="-C instrument-coverage" LLVM_PROFILE_FILE="$work/%p-%m.profraw"
replay() {
  cargo +nightly test --manifest-path fuzz/Cargo.toml --target-dir "$built" --locked --test replay "$@"
}

replay --no-run --message-format=json >"$work/built.json"
program=$(sed -n 's/.*"executable":"\([^"]*replay-[^"]*\)".*/\1/p' "$work/built.json" | tail -n 1)
# Build scripts leave their own figures.
rm -f "$work"/*.profraw
replay --quiet
"$llvm/llvm-profdata" merge --sparse "$work"/*.profraw --output "$work/merged"
"$llvm/llvm-cov" report "$program" --instr-profile "$work/merged" --show-region-summary=false \
  --show-branch-summary=false --sources core/src >"$work/report"
# Of each file: its name, lines, lines missed, share.
awk '$NF ~ /%$/ { printf "%-40s %6d lines, %s reached\n", $1, $(NF - 2), $NF }' "$work/report" | grep -v ^TOTAL
awk '$1 == "TOTAL" { printf "coverage by the committed bytes: %s of %d lines of core\n", $NF, $(NF - 2) }' "$work/report"
