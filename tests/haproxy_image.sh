#!/usr/bin/env bash
# Builds the image watchdog-haproxy:test in the engine that DOCKER_HOST names: Debian's HAProxy with its libraries and
# nothing else, since no image can be pulled in a test. Installs nothing on this machine. Made for Debian 12,
# whose names the packages have.
set -euo pipefail

packages=(
  haproxy libc6 libcap2 libcrypt1 libgcc-s1 libgcrypt20 libgpg-error0 liblua5.3-0 liblz4-1 liblzma5
  libopentracing-c-wrapper0 libopentracing1 libpcre2-8-0 libssl3 libstdc++6 libsystemd0 libzstd1
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debs" "$work/all" "$work/image"
cd "$work/debs"

fetch() { apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root download "${packages[@]}" >&2; }
fetch || { apt-get -q -o Acquire::Retries=3 update >&2 && fetch; }
for package in ./*.deb; do
  dpkg-deb -x "$package" "$work/all"
done

cd "$work/all"
mkdir -p "$work/image/usr/sbin"
cp usr/sbin/haproxy "$work/image/usr/sbin/"
find . -path '*.so*' \( -type f -o -type l \) -print0 | tar --null -T - -cf - | tar -xf - -C "$work/image"
printf 'FROM scratch\nCOPY . /\n' >"$work/Dockerfile"
docker build --quiet --tag watchdog-haproxy:test --file "$work/Dockerfile" "$work/image"
