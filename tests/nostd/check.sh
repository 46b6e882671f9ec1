#!/usr/bin/env bash
# The core without std and without an allocator: links it by itself, and shows that an allocation would not link.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

target=${CARGO_TARGET_DIR:-$PWD/target}/nostd
export CARGO_TARGET_DIR=$target

cargo build --quiet
# All of it, wanted or not; what it may take from outside are the C library's memory functions alone.
ld --relocatable --whole-archive "$target/debug/libwatchdog_nostd.a" -o "$target/whole.o"
symbols=$(readelf --symbols --wide "$target/whole.o")
wanted=$(awk '$7 == "UND" && $8 != "" && $8 != "_GLOBAL_OFFSET_TABLE_" { print $8 }' <<<"$symbols" | sort -u | tr '\n' ' ')
for symbol in $wanted; do
  case $symbol in
    memcpy | memmove | memset | memcmp | bcmp | strlen) ;;
    rust_eh_personality | _Unwind_Resume) ;; # of the prebuilt `core`, which is made for unwinding; a symbol, no code
    *) echo "the core wants $symbol from outside" >&2; exit 1 ;;
  esac
done
if grep -E '__rust_(alloc|realloc|dealloc)|__rg_alloc| (malloc|calloc|realloc)$' <<<"$symbols"; then
  echo "an allocator's symbol is in the core" >&2
  exit 1
fi
if said=$(cargo build --features planted 2>&1); then
  echo "a planted allocation built: this test shows nothing" >&2
  exit 1
fi
if ! grep -q "no global memory allocator" <<<"$said"; then
  echo "$said" >&2
  echo "the planted allocation failed for another reason" >&2
  exit 1
fi
echo "core without std or alloc: links with ${wanted% } alone, 0 bytes of heap; a planted allocation does not build"
