#!/bin/sh
# Installs the peers that the gateway is measured beside, or says what is missing: Debian's nginx (as root), LiteLLM in .venv-bench.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

missing=""
for pair in nginx:nginx taskset:util-linux; do
  name=${pair%%:*}
  command -v "$name" >/dev/null 2>&1 || [ -x "/usr/sbin/$name" ] || missing="$missing ${pair##*:}"
done
if [ -n "$missing" ] && [ "$(id -u)" != 0 ]; then
  echo "the benchmark needs these Debian packages:$missing" >&2
  echo "install them with: sudo apt-get install --no-install-recommends$missing" >&2
  echo "(the packaged nginx service is not used; the benchmark starts its own nginx)" >&2
  exit 1
fi
if [ -n "$missing" ]; then
  apt-get update -q >/dev/null
  # RUNLEVEL=1: invoke-rc.d starts no service of a package installed now; the benchmark starts its own nginx.
  # shellcheck disable=SC2086 # a list of package names
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing >/dev/null
fi

if ! cmp -s requirements/bench.txt .venv-bench/installed.txt; then
  echo "remit: installing the peers into .venv-bench (about a minute the first time)"
  rm -rf .venv-bench
  "$PYTHON" -m venv .venv-bench
  .venv-bench/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bench.txt
  cp requirements/bench.txt .venv-bench/installed.txt
fi
