# Everything runs in an environment under .venvs that the first call makes (10 to 90 s). It has the
# newest Llama Stack that a Python here runs: 0.7.3 from Python 3.12 on, 0.2.12 on 3.11.
# STACK=0.2.24 picks another release, STACK=ogx-1.5.0 one of OGX, PYTHON=... another interpreter.

# Any Python 3.9 or later can find or reject the one that is needed, and says so.
BOOT := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null && echo $$p && break; done)
BARE = $(or $(BOOT),$(error No Python found: install Python 3.11 or later))
ENV = $(BARE) -m scripts.env
RUN = @$(ENV) run --
PYTEST = pytest -m "not engine and not deploy" --cov --cov-report=term

export STACK PYTHON RELEASES EXCEPT JOBS ENGINE PROJECT_URL

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' Makefile)

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

demo: ## Call an emulated NIM (or yours) through a real Llama Stack server
	$(RUN) python -m scripts.demo

serve: ## Keep that server running until Ctrl-C (PORT=8321)
	$(RUN) python -m scripts.serve

# Most tests wait for a server: two at a time take little more than one. A file's servers are its own.
test: ## Run the tests (ARGS="-k name" to choose)
	$(RUN) $(PYTEST) -n auto --maxprocesses 4 --dist loadfile $(ARGS)

# On 0.2.24, the newest release that has both APIs: the tests that meet the libraries.
test-newest: ## Run the tests on the newest openai, httpx, aiohttp, pydantic and anyio
	@$(BARE) -m scripts.newest run -- pytest -n 2 --dist loadfile \
		tests/config tests/nim/errors tests/nim/responses tests/nim/transport \
		tests/nim/test_completions.py tests/nim/requests/test_image_downloads.py \
		$(addprefix tests/adapter/test_,$(addsuffix .py,calls embeddings error_table network \
			request_log resilience security telemetry)) $(ARGS)

check: lint types test ## All that must pass before a commit
	@RELEASES=0.2.12 $(BARE) -m scripts.matrix
	@$(MAKE) --no-print-directory coverage

lint: ## Check style
	$(RUN) ruff check .
	$(RUN) ruff format --check .

# What scripts/engine runs inside an engine imports packages that only its environment has.
# Which lines of the examples need to be ignored depends on the release of the client.
types: ## Check types
	$(RUN) mypy
	$(RUN) mypy --strict --ignore-missing-imports -p scripts
	$(RUN) mypy --strict --ignore-missing-imports --no-warn-unused-ignores examples

# The code for the native API runs on 0.2.12 alone, that for later releases by `make test`.
coverage: ## Fail when `make test` and `make matrix RELEASES=0.2.12` covered less than 95 %
	$(RUN) coverage combine --quiet --keep --data-file=var/coverage .coverage $(wildcard var/matrix/*.coverage)
	$(RUN) coverage report --data-file=var/coverage --format=total --fail-under=95

format: ## Put the sources into the project's style
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

# On OGX, which serves its metrics itself. Debian's packages that it needs are named if missing.
deploy-test: ## Test deploy/ with Prometheus, nginx, PostgreSQL and Helm
	@$(BARE) -m scripts.deploy_tools
	@STACK=$${STACK:-ogx-1.5.0} $(ENV) run -- pytest -m deploy tests/deploy $(ARGS)

sbom: ## Write the SBOM of the image of a release (STACK=0.7.3) into var/sbom
	@$(BARE) -m scripts.sbom

# A few minutes of both cores on a quiet machine; ARGS=--quick measures less and writes nothing.
scale-test: ## Measure 1, 2 and 4 servers behind nginx; write docs/deployment.md
	@$(BARE) -m scripts.deploy_tools scale
	@STACK=0.7.3 $(ENV) run -- python -m benchmarks.scale $(ARGS)

# On three releases unless STACK names one. ENGINE is one of scripts/engine/kinds.py, several, or all.
engine-test: ## Test against a real inference engine on this machine (ENGINE=dynamo)
	@$(BARE) -m scripts.engine test $(or $(ENGINE),vllm) $(ARGS)

# With NVIDIA_API_KEY, if it needs one. About 150 calls on each of three releases; STACK=0.7.3 for one.
nim-test: ## Run the engine suite on a NIM of yours (URL=http://host:8000 MODEL=id)
	@$(BARE) -m scripts.nim_test --url "$(URL)" --model "$(MODEL)" $(ARGS)

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

# From 0.2.16 on: before, a server offers no model that its configuration does not name.
examples: ## Run the examples and their notebook against a server
	@$(BARE) -m scripts.examples run -- python -m pytest tests/examples $(ARGS)

start-times: ## Measure the CPU time of each command before its first line
	$(RUN) python -m scripts.start_times

dist: ## Build and check the distributions in dist/ (PROJECT_URL=https://...)
	@$(BARE) -m scripts.dist

release-check: ## Check that a tag, the versions and the changelog agree (TAG=v0.1.0)
	@$(BARE) -m scripts.release_check $(TAG)

# On the newest release of each server unless STACK names one with OpenAI-style routes alone.
peers: ## Compare with litellm, langchain-nvidia and the built-in; write docs/peers.md
	@for stack in $${STACK:-0.7.3 ogx-1.5.0}; do \
		STACK=$$stack $(ENV) run -- python -m benchmarks.peers || exit 1; done

docs: ## Build the documentation site into var/site
	@$(BARE) -m scripts.site build

# On a quiet machine: they show times.
pictures: ## Make the pictures of README.md anew: what doctor and demo print
	$(RUN) python -m scripts.pictures $(ARGS)

# Needs Debian's chromium, or CHROMIUM=/path/of/another.
site-pictures: ## Look at the site in a browser: light and dark, desktop and phone (PAGES="tools api")
	@$(BARE) -m scripts.site_pictures $(PAGES)

clean: ## Remove environments, caches and logs
	rm -rf .venvs var build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
