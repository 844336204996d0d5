#!/bin/sh
# Installs what the tests need from Debian (as root), or says what is missing.
set -eu
missing=""
for pair in curl:curl ss:iproute2 git:git chromium:chromium sshd:openssh-server ssh:openssh-client; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# Its programs are not in PATH: /usr/lib/postgresql/VERSION/bin
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -x /usr/sbin/nft ] || missing="$missing nftables"
# sudo is unpacked and not installed: what tests say of this machine stays so.
if [ "$(id -u)" = 0 ] && [ ! -d .venv/sudo ] && ! command -v sudo >/dev/null 2>&1; then
  ( apt-get update -q && mkdir -p .venv/sudo && cd .venv/sudo &&
    apt-get download -q -o APT::Sandbox::User=root sudo && dpkg -x sudo_*.deb . && rm sudo_*.deb ) >/dev/null 2>&1 ||
    rm -rf .venv/sudo
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "the tests need these Debian packages:$missing" >&2
  echo "install them with: sudo apt-get install$missing" >&2
  exit 1
fi
apt-get update -q >/dev/null
# RUNLEVEL=1: invoke-rc.d starts no service of a package installed now; the tests start their own.
# shellcheck disable=SC2086 # a list of package names
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing >/dev/null
