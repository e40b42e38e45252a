# Every target sets up what it needs: a fresh clone needs only Python 3.11, 3.12 or 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
READY_TRAIN := $(VENV)/.ready-train

# Not in a lock file: each place that offers torch has a build of its own, with other hashes.
TORCH ?= torch==2.13.0

# The lock files name every package, so pip resolves nothing: no later release of any package can
# change what is installed. What it then does not ask either, whether all is there, `pip check` does.
INSTALL := $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation
LOCKED := $(INSTALL) --require-hashes --only-binary :all:
CHECK := $(BIN)/python -m pip check

# What decides whether money has arrived: every branch of it must be tested.
VERIFYING := chains.money chains.addresses chains.tron chains.ton chains.ton_body \
	chains.clock_skew \
	ledger.orders ledger.amount_tails tokens
# What must not knock out somebody else's XDP program, or leave one behind.
ATTACHING := negotiation reconciliation preflight attachment owner

# Dozens of processes import the project, the tests' actors among them: they compile it once.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup setup-dev setup-train run test cover cover-xdp lint lint-types lint-rest bench lock clean
setup: $(READY)
setup-dev: $(READY_DEV)
setup-train: $(READY_TRAIN)

# A changed lock file makes a new environment, so that nothing of the old one stays.
$(VENV)/.locked: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "x0tta6bl4 needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	@echo "installing what running needs into $(VENV): 1400 MiB, one to three minutes"
	$(LOCKED) -r requirements.lock
	touch $@

# The project itself is installed editable on top.
$(READY): $(VENV)/.locked pyproject.toml
	$(INSTALL) --editable .
	$(CHECK)
	touch $@

$(READY_DEV): $(READY) requirements-dev.lock
	@echo "installing what tests, linters and benchmarks need besides: 220 MiB, half a minute"
	$(LOCKED) -r requirements-dev.lock
	$(CHECK)
	touch $@

$(READY_TRAIN): $(READY) requirements-train.lock
	@echo "installing what training models needs besides: 860 MiB where $(TORCH) is a build for the"
	@echo "processor alone; with CUDA (PyPI's for Linux on x86-64) it downloads 2.6 GiB"
	$(LOCKED) -r requirements-train.lock
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(CHECK)
	touch $@

# Again while the mesh is up: drills the one that runs.
run: setup
	$(BIN)/x0 status --json >/dev/null 2>&1 || $(BIN)/x0 up --detach
	$(BIN)/x0 drill
	$(BIN)/x0 status

# Three at a time, a file each: most tests wait for clusters and for protocol time. In the order of
# their paths, so that the long files come first: xdist would begin with those of many tests.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
test: setup-dev setup-train
	$(PYTEST)

cover: setup-dev
	$(PYTEST) -q --cov-branch --cov-fail-under=100 \
		--cov-report=term-missing $(VERIFYING:%=--cov=actors.payments.%) \
		tests/unit/payments/test_money.py tests/unit/payments/test_addresses.py \
		tests/unit/payments/test_tron.py tests/unit/payments/test_ton.py \
		tests/unit/payments/test_clock_skew.py \
		tests/unit/payments/test_orders.py tests/unit/payments/test_tokens_and_delivery.py
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory cover-xdp; \
		else echo "not root: what attaches XDP programs is not covered"; fi

cover-xdp: setup-dev
	$(PYTEST) -q --cov-branch --cov-fail-under=100 \
		--cov-report=term-missing $(ATTACHING:%=--cov=actors.xdp.%) \
		tests/kernel/test_xdp_attach.py tests/kernel/test_xdp_actor.py tests/unit/xdp

# Types, which training's packages belong to, take as long as all the rest: side by side. No function
# above 15, in cyclomatic complexity as lizard counts it (with `and` and `or`) or in cognitive
# complexity.
CODE := actors serve_apps jobs cluster loadtests tests
lint: setup-dev setup-train
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint-types lint-rest

lint-types:
	$(BIN)/mypy

lint-rest:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/lizard --CCN 15 --languages python --warnings_only $(CODE)
	$(BIN)/complexipy --max-complexity-allowed 15 --failed $(CODE)

# Needs root and Debian's babeld for the comparison with it; without them the rest is measured.
# Prints the figures; `python -m loadtests --write` also puts them into loadtests/RESULTS.md.
bench: setup-dev
	$(BIN)/python -m loadtests

# Needs uv (pip install uv). Resolves for every platform; versions change only where pyproject.toml
# demands it, or with UPGRADE=--upgrade. The other files hold only what the first does not.
COMPILE := uv pip compile --quiet $(UPGRADE) --universal --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links pyproject.toml --group setup
BUT_RUNTIME = $$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' requirements.lock | sort -u)
lock:
	$(COMPILE) -o requirements.lock
	$(COMPILE) --group dev -c requirements.lock $(BUT_RUNTIME) -o requirements-dev.lock
	$(COMPILE) --group train -c requirements.lock -c requirements-dev.lock $(BUT_RUNTIME) \
		-o requirements-train.lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .complexipy_cache
