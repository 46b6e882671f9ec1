#!/usr/bin/env bash
# Links each entry of the core by itself, with all that it can reach and nothing else. The panic handler calls a function
# that does not exist, so an entry that can reach it does not link. What libraries keep alive stands in exceptions.txt:
# their functions are cut off, and each must still be needed.
#
# Arithmetic is not checked for overflow here: iterators of the standard library count with checked arithmetic that no
# compiler sees through. So an overflow is not what this shows: the core's own arithmetic is saturating or checked but
# where its operands are in bounds (the calendar, digits), and what ships checks it, so there it would be a panic.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

target=${CARGO_TARGET_DIR:-$PWD/target}/nopanic
export CARGO_TARGET_DIR=$target
work=$target/work
# The C library's memory functions are taken for granted, and so is the symbol that the compiler's prebuilt parts name
# for unwinding, which is none of ours.
given=()
for symbol in memcpy memmove memset memcmp bcmp strlen rust_eh_personality; do given+=("--defsym=$symbol=0"); done

# build FEATURES: leaves the core with its entries in $object, and the compiler's own arithmetic in $library.
build() {
  cargo build --quiet --release --locked --features "$1"
  library=$target/release/libwatchdog_nopanic.a
  rm -rf "$work"
  mkdir -p "$work"
  local member
  member=$(ar t "$library" | grep '^watchdog_nopanic' | grep '\.rcgu\.o$')
  [ "$(wc -l <<<"$member")" = 1 ] || fail "the core is not one object: $member"
  (cd "$work" && ar x "$library" "$member" && mv "$member" core.o)
  object=$work/core.o
}

# links ENTRY OBJECT: whether it does, alone.
links() {
  ld --gc-sections --entry="$1" "${given[@]}" "$2" "$library" -o /dev/null 2>"$work/said" && return
  # Only this one is what is looked for; anything else missing is a fault of this check.
  if grep -F "undefined reference" "$work/said" | grep -vqF watchdog_core_can_panic; then
    cat "$work/said" >&2
    fail "$1 does not link for another reason"
  fi
  return 1
}

# cut OUT PATTERN…: the object without what the functions of these names reach.
cut_off() {
  local out=$1 pattern section arguments=()
  shift
  for pattern in "$@"; do
    while read -r section; do
      arguments+=("--remove-relocations=$section")
    done < <(objdump -h "$object" | awk -v part="$pattern" '$2 ~ /^\.text/ && index($2, part) { print $2 }')
  done
  objcopy "${arguments[@]}" "$object" "$out"
}

fail() {
  echo "$*" >&2
  exit 1
}

entries() {
  nm "$object" | awk '$2 == "T" && $3 ~ /^entry_/ { print $3 }'
}

build ""
mapfile -t patterns < <(sed -n '/^#/d; s/ *|.*//p' exceptions.txt)
cut_off "$work/cut.o" "${patterns[@]}"
[ "$(entries | sort)" = "$(sed -n 's/^pub fn \(entry_[a-z_]*\).*/\1/p' src/lib.rs | grep -v entry_planted | sort)" ] ||
  fail "an entry is missing in the object"
free=()
excepted=()
for entry in $(entries); do
  if links "$entry" "$object"; then
    free+=("${entry#entry_}")
  elif links "$entry" "$work/cut.o"; then
    excepted+=("$entry")
  else
    fail "a panic can be reached from $entry"
  fi
done
for pattern in "${patterns[@]}"; do
  others=()
  for other in "${patterns[@]}"; do [ "$other" = "$pattern" ] || others+=("$other"); done
  cut_off "$work/others.o" "${others[@]}"
  needed=no
  for entry in "${excepted[@]}"; do links "$entry" "$work/others.o" || needed=yes; done
  [ "$needed" = yes ] || fail "the exception $pattern is needed no more: take it out"
done
build planted
! links entry_planted "$object" || fail "the planted panic linked: this check shows nothing"

echo "no panic: ${#free[@]} entries link without a panic (${free[*]}), ${#excepted[@]} with the exceptions" \
  "$(IFS=,; echo "${patterns[*]}") cut off (${excepted[*]#entry_}); overflow checks off; a planted panic does not link"
