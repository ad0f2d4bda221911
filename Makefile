# Works on a fresh machine with Python 3.11+, pip and make. `make demo` and `make test` first build
# .venv from the hashed lists in requirements/, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/pip --disable-pip-version-check
LOCKED := $(PIP) install --quiet --require-hashes --no-deps -r

.PHONY: help demo test check unit sqlite postgresql sdk install lock clean console browser types web-check

help:
	@echo "make demo       turn the whole loop once and write a report"
	@echo "make test       everything CI does: check, then the tests on SQLite and PostgreSQL"
	@echo "make check      lint, types, architecture"
	@echo "make unit       only the fast tests"
	@echo "make console    build the web console (needs Node 20.19 or newer)"
	@echo "make types      write the console's API types anew, after a change of the API"
	@echo "make install    build .venv"
	@echo "make lock       write requirements/*.lock anew"

install: $(READY)

$(READY): requirements/all.lock requirements/torch.lock requirements/torch-cuda.lock requirements/models.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Plinth needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) requirements/torch.lock
	@$(PIP) show torch | grep -q '^Version: .*+cpu' || $(LOCKED) requirements/torch-cuda.lock
	$(LOCKED) requirements/models.lock
	$(LOCKED) requirements/all.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	$(BIN)/plinth demo $(ARGS)

check: $(READY)
	$(BIN)/ruff check src tests tools bench
	$(BIN)/ruff format --check src tests tools bench
	$(BIN)/mypy
	$(BIN)/lint-imports --config importlinter.toml
	@$(MAKE) --no-print-directory web-check

# the console: compiled, linted, both languages complete, API types current
web-check: $(READY)
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory web/node_modules/.ready && cd web && npm run --silent check; \
	else echo "make check: the console was NOT checked, because there is no Node here (20.19 or newer)"; fi

web/node_modules/.ready: web/package-lock.json web/package.json
	cd web && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

console: web/node_modules/.ready
	cd web && npm run --silent build

# the console's pages in Chromium, with the real platform behind them
browser: $(READY) console
	$(BIN)/pytest tests/browser

types: $(READY) web/node_modules/.ready
	cd web && npm run --silent types

unit: $(READY)
	$(BIN)/pytest tests/unit -m "not slow"

# older lines of the official client, for the acceptance tests
sdk: .sdk/1/.ready .sdk/2/.ready
.sdk/%/.ready: requirements/sdk-%.lock $(READY)
	rm -rf .sdk/$*
	$(LOCKED) requirements/sdk-$*.lock --target .sdk/$*
	@touch $@

sqlite: $(READY) sdk
	$(BIN)/pytest

# what touches the database, once more on PostgreSQL (a real server from a package)
postgresql: $(READY) sdk
	$(BIN)/pytest --database postgresql

test: check sqlite postgresql

lock: $(READY)
	$(BIN)/python tools/lock.py $(TORCH_WHEELS)

clean:
	rm -rf $(VENV) .sdk web/node_modules src/plinth/console/bundle .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
