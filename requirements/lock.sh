#!/bin/sh
# Makes the hash-locked requirement files anew from pyproject.toml and the .in files. Needs the `dev` extra (uv).
set -eu
cd "$(dirname "$0")/.."
compile() {
  uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
    --python-version 3.11 "$@"
}
compile pyproject.toml -o requirements/run.txt
compile pyproject.toml requirements/build.in --extra test --extra dev -c requirements/run.txt -o requirements/dev.txt
compile --no-deps requirements/demo.in -o requirements/demo.txt
compile --no-deps requirements/peers.in -o requirements/peers.txt
# A peer of the benchmark, in an environment of its own: what it needs and what the program needs never meet.
compile requirements/bench.in -o requirements/bench.txt
