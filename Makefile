# Every target sets up what it needs: a fresh clone needs only Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# What decides whether money has arrived: every branch of it must be tested.
VERIFYING := money addresses tron ton ton_body orders tails tokens

.PHONY: setup run test cover lint bench lock clean
setup: $(READY)

# The lock file gives exact versions; the project itself is installed editable on top of it.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "x0tta6bl4 needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the packages of the lock file into $(VENV), which takes a minute or two"
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# Again while the mesh is up: drills the one that runs.
run: setup
	$(BIN)/x0 status --json >/dev/null 2>&1 || $(BIN)/x0 up --detach
	$(BIN)/x0 drill
	$(BIN)/x0 status

# Two at a time, a file each: most tests wait for clusters and for protocol time.
test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

cover: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --cov-branch --cov-fail-under=100 \
		--cov-report=term-missing $(VERIFYING:%=--cov=actors.payments.%) \
		tests/unit/payments/test_money.py tests/unit/payments/test_addresses.py \
		tests/unit/payments/test_tron.py tests/unit/payments/test_ton.py \
		tests/unit/payments/test_orders.py tests/unit/payments/test_tokens_and_delivery.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Root and Debian's babeld for the comparison with it, wrk for the gateway's ceiling; without them
# the rest is measured.
bench: setup
	$(BIN)/python -m loadtests

# Needs uv (pip install uv). Resolves for every platform and Python that pyproject.toml admits.
lock:
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
