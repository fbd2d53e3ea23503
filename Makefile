# Everything runs in an environment under .venvs that the first call makes (10 to 90 s).
# STACK=0.7.3 picks another Llama Stack release, STACK=ogx-1.5.0 one of OGX, PYTHON=... another
# interpreter.

# Any Python 3.9 or later can find or reject the one that is needed, and says so.
BOOT := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null && echo $$p && break; done)
BARE = $(or $(BOOT),$(error No Python found: install Python 3.11 or later))
ENV = $(BARE) -m scripts.env
RUN = @$(ENV) run --
PYTEST = pytest -m "not engine" --cov --cov-report=term

export STACK PYTHON RELEASES EXCEPT JOBS

.DEFAULT_GOAL := help
.PHONY: help demo serve test check lint types coverage format engine-test bench matrix load-test reliability fuzz audit examples dist docs clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

demo: ## Call an emulated NIM (or yours) through a real Llama Stack server
	$(RUN) python -m scripts.demo

serve: ## Keep that server running until Ctrl-C (PORT=8321)
	$(RUN) python -m scripts.serve

# Most tests wait for a server: two at a time take little more than one. A file's servers are its own.
test: ## Run the tests (ARGS="-k name" to choose)
	$(RUN) $(PYTEST) -n auto --maxprocesses 4 --dist loadfile $(ARGS)

check: lint types test coverage ## All that must pass before a commit

lint: ## Check style
	$(RUN) ruff check .
	$(RUN) ruff format --check .

# scripts/engine.py imports packages that only the engine's own environment has.
types: ## Check types
	$(RUN) mypy
	$(RUN) mypy --strict --ignore-missing-imports -p scripts
	$(RUN) mypy --strict --ignore-missing-imports examples

coverage: ## Fail when the last test run covered less than 95 % of the package
	$(RUN) coverage report --format=total --fail-under=95

format: ## Put the sources into the project's style
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

engine-test: ## Test against a real inference engine on this machine
	$(RUN) pytest -m engine tests/engine

bench: ## Measure speed beside the built-in provider (ARGS="--quick" for less)
	$(RUN) python -m benchmarks $(ARGS)

matrix: ## Test on every supported release (RELEASES="0.7.3 ogx-1.5.0" for some)
	@$(BARE) -m scripts.matrix

# Requests of several tenants, an hour's traffic and a NIM that restarts, on the release whose server
# answers soonest; streams through the native API as well.
load-test: ## Put a server under load: tenants, streams, faults, a NIM that restarts
	@STACK=$${STACK:-0.7.3} LOAD_REQUESTS=10000 $(ENV) run -- \
		pytest tests/matrix/test_tenants.py -k own_key --durations=1 $(ARGS)
	@STACK=$${STACK:-0.7.3} $(ENV) run -- pytest tests/load --durations=0 $(ARGS)
	@STACK=0.2.24 $(ENV) run -- pytest tests/load/test_streams.py $(ARGS)

reliability: ## Test under load and beside the built-in provider; write docs/reliability.md
	@STACK=0.7.3 $(ENV) run -- pytest tests/load $(ARGS)
	@STACK=0.2.24 $(ENV) run -- pytest tests/load/test_streams.py $(ARGS)
	@STACK=0.2.12 $(ENV) run -- pytest tests/load/test_compared.py $(ARGS)
	@$(BARE) -m scripts.reliability_report

fuzz: ## Feed bad input to all that reads it (SECONDS=600, TARGETS="sse config")
	@$(BARE) -m scripts.fuzz --seconds $(or $(SECONDS),60) $(TARGETS)

# Needs the network: vulnerabilities are asked for, and not known here.
audit: ## Look up known vulnerabilities of all pinned packages
	@$(BARE) -m scripts.audit

# On 0.7.3 unless STACK says another, from 0.2.16 on: before, a server offers no model that its
# configuration does not name.
examples: ## Run the examples and their notebook against a server
	@$(BARE) -m scripts.examples run -- python -m pytest tests/examples $(ARGS)

dist: ## Build the distributions into dist/ and check them
	@$(BARE) -m scripts.dist

docs: ## Build the documentation site into var/site
	@$(BARE) -m scripts.site build

clean: ## Remove environments, caches and logs
	rm -rf .venvs var build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
