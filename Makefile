# Longwire's commands. Everything they need is installed into .venv by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
SOURCES = $(shell find src -name '*.py' -o -name '*.pxd' -o -name '*.pyx')

.PHONY: help demo test test-pure check format build bench conformance clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: build ## Serve the chat; open the printed address in two tabs
	$(BIN)/python -m longwire serve examples.demo.app:app

test: build ## Run the tests on the compiled modules (ARGS="-k close" selects)
	$(BIN)/python -m pytest $(ARGS)

test-pure: build ## Run the tests on the interpreted modules
	$(BIN)/python -m pytest --pure $(ARGS)

check: build ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: build ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

build: $(VENV)/.built ## Install what is needed, compile the hot modules where a C compiler is

bench: build ## Compare with uvicorn: speed and memory
	$(BIN)/python -m benchmarks.run $(ARGS)

conformance: build ## Run Autobahn's fuzzing client against the server
	$(BIN)/python -m tests.conformance.run $(ARGS)

clean: ## Remove everything the other targets made
	rm -rf $(VENV) build dist .artifacts src/*.egg-info
	find src -name '*.so' -delete -o -name '*.c' -delete

$(STAMP): pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group test --group check 'setuptools>=77' 'cython>=3.1'
	touch $@

$(VENV)/.built: $(STAMP) $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[all]'
	touch $@
