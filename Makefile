# Each target sets up what it needs. See CONTRIBUTING.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo serve test kill-test check format fuzz bench lock clean
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-11s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Pinned with hashes first; then the project itself, which may add nothing to that.
$(VENV)/.runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/pip || $(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/apt-install ensurepip=python3-venv
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing the lock into $(VENV)" >&2
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.runtime ## the story from end to end on this machine
	@scripts/apt-install containerd=containerd runc=runc || echo "The steps that run Pods will be skipped." >&2
	@PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/sealift demo $(ARGS)

serve: $(VENV)/.runtime ## a registry on 127.0.0.1:5000
	@$(BIN)/sealift serve $(ARGS)

test: $(VENV)/.dev ## install what the tests need, and run all of them
	@scripts/run-tests $(ARGS)

kill-test: $(VENV)/.dev ## kill the server 200 times while clients push; KILLS=N for more
	@SEALIFT_KILLS=$(or $(KILLS),200) SEALIFT_MIXTURES=12 $(BIN)/pytest -q -s --timeout 7200 \
	  tests/registry/server/test_killed.py tests/registry/server/test_killed_at_each_step.py \
	  tests/registry/server/test_power_cut.py $(ARGS)

check: $(VENV)/.dev ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## put the code into shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

fuzz: $(VENV)/.dev ## fuzz every parser for SECONDS each (60) and the management API, or one parser: TARGET=manifest
	@for target in $(or $(TARGET),$$($(BIN)/python -m tests.fuzz.run --list)); do echo "== $$target" >&2; \
	  $(BIN)/python -m tests.fuzz.run $$target .fuzz/$$target -max_total_time=$(or $(SECONDS),60) \
	    -max_len=4096 -timeout=10 -artifact_prefix=.fuzz/ -verbosity=0 || exit; done
	@$(if $(TARGET),true,SEALIFT_FUZZ_EXAMPLES=300 $(BIN)/pytest -q --timeout 3600 tests/fuzz/test_management_api.py)

bench: $(VENV)/.dev ## the benchmarks, see benchmarks/README.md
	@benchmarks/run $(ARGS)

lock: ## make the two lock files again from requirements*.in
	@scripts/lock

clean: ## remove .venv and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz
