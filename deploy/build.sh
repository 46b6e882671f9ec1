#!/usr/bin/env bash
# Builds the static binary on this host and the image around it; reaches no registry of images.
#
#   deploy/build.sh              binary and image
#   deploy/build.sh --binary     the binary alone; prints its path
#   deploy/build.sh --frames     the binary that logs in defmt frames too, with its symbols; prints its path
#
# IMAGE (orchestrator-watchdog:latest) names the image. CARGO_TARGET_DIR is honoured.
# Needs Rust, a linker and, for the image, a Docker client with an engine; the machine's architecture is
# the image's.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
image=${IMAGE:-orchestrator-watchdog:latest}

main() {
  case "${1:-}" in
    "") build_image "$(build_binary)" ;;
    --binary) build_binary ;;
    --frames) build_frames ;;
    *)
      echo "usage: deploy/build.sh [--binary | --frames]" >&2
      exit 64
      ;;
  esac
}

# The target is named although it is the host's own: without it the flags would reach build scripts and
# procedural macros too, and these cannot be static.
build_binary() {
  build release "-C target-feature=+crt-static"
}

# Nothing of it moves when it is loaded, see daemon/build.rs. defmt's macros leave nothing out; WATCHDOG_LOG decides.
build_frames() {
  DEFMT_LOG=debug build frames "-C target-feature=+crt-static -C relocation-model=static" --features defmt
}

# build PROFILE RUSTFLAGS [OPTION…]
build() {
  local profile=$1 flags=$2 target
  shift 2
  target=$(uname -m)-unknown-linux-gnu
  (cd "$root" && RUSTFLAGS=$flags cargo build --profile "$profile" --locked --target "$target" -p watchdog-daemon "$@" >&2)
  local binary=${CARGO_TARGET_DIR:-$root/target}/$target/$profile/watchdog
  # A dynamic binary would start nowhere in an image that has no loader.
  if [[ "$(readelf -l "$binary")" == *"Requesting program interpreter"* ]]; then
    echo "build: $binary is not static" >&2
    exit 1
  fi
  echo "$binary"
}

build_image() {
  # A folder of its own as context: the engine is sent one file, not the work tree.
  context=$(mktemp -d)
  trap 'rm -rf "$context"' EXIT
  install -m 755 "$1" "$context/watchdog"
  cp "$root/deploy/Dockerfile" "$context/Dockerfile"
  # The classic builder, if the client has no BuildKit: nothing here needs one.
  docker build --quiet --tag "$image" "$context" >&2
  echo "$image: $(docker image inspect --format '{{.Size}}' "$image") bytes"
}

main "$@"
