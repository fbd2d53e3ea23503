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
.PHONY: help demo serve test check lint types coverage format engine-test bench matrix load-test docs clean

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

# The release whose server answers soonest, unless STACK says another.
load-test: ## Send 10,000 requests of several tenants through one server
	@STACK=$${STACK:-0.7.3} LOAD_REQUESTS=10000 $(ENV) run -- \
		pytest tests/matrix/test_tenants.py -k own_key --durations=1 $(ARGS)

docs: ## Build the documentation site into var/site
	@$(BARE) -m scripts.site build

clean: ## Remove environments, caches and logs
	rm -rf .venvs var build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
