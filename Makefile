# Longwire's commands. Everything they need is installed into .venv by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
BUILT = $(VENV)/.built
TOOLS = $(VENV)/.tools
FUZZER = $(VENV)/.fuzzer
SITE = $(VENV)/.site
NPM = .artifacts/npm
MODULES = $(NPM)/.installed
# Most of a test is waiting: two processes halve the time. ARGS="-n 0" is one, for --pdb.
PARALLEL = -n 2 --dist loadfile --no-loadscope-reorder
SOURCES = $(shell find src -name '*.py' -o -name '*.pxd' -o -name '*.pyx')

.PHONY: help demo modules test test-pure check format build docs bench conformance fuzz soak clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(BUILT) modules ## Serve a page to try it on; open the printed address in two windows
	$(BIN)/python -m longwire serve examples.demo.app:app

test: $(BUILT) $(TOOLS) modules ## Run the tests on the compiled modules (ARGS="-k close" selects)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-pure: $(BUILT) $(TOOLS) modules ## Run the tests on the interpreted modules
	$(BIN)/python -m pytest --pure $(PARALLEL) $(ARGS)

check: $(BUILT) $(TOOLS) ## Lint, types (mypy, and pyright on user code), layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python tests/typing
	$(BIN)/lint-imports

format: $(BUILT) $(TOOLS) ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

build: $(BUILT) ## Install what is needed, compile the hot modules where a C compiler is

# Not --quiet: mkdocs then finds no broken link.
docs: $(BUILT) $(SITE) ## Build the documentation's site into .artifacts/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "open .artifacts/site/index.html"

bench: $(BUILT) $(TOOLS) ## Compare with uvicorn: speed and memory
	$(BIN)/python -m benchmarks.run $(ARGS)

conformance: $(BUILT) $(TOOLS) ## Run Autobahn's fuzzing client against the server (ARGS="--ws all")
	$(BIN)/python -m tests.conformance.run $(ARGS)

fuzz: $(BUILT) $(FUZZER) ## Fuzz the parsers for half an hour (ARGS="--time 60 --target engine")
	$(BIN)/python -m fuzz.run $(ARGS)

soak: $(BUILT) $(TOOLS) modules ## Let pages, editors of npm and of pycrdt work on a document for a minute
	LONGWIRE_SOAK_SECONDS=60 $(BIN)/python -m pytest tests/documents_layer/test_y_websocket.py \
		tests/browser/test_editor.py::test_random_editing_converges $(ARGS)

modules: ## Install what the demo's editor is made of, with npm, into .artifacts; or say how
	@command -v npm >/dev/null && $(MAKE) --no-print-directory $(MODULES) || \
	echo "npm cannot be had: the demo goes without its editor (on Debian: apt-get install npm)"

clean: ## Remove everything the other targets made
	rm -rf $(VENV) build dist .artifacts src/*.egg-info
	find src -name '*.so' -delete -o -name '*.c' -delete

$(VENV)/.created:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' 'setuptools>=77' 'cython>=3.1'
	touch $@

$(BUILT): $(VENV)/.created pyproject.toml setup.py $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[all]'
	touch $@

$(TOOLS): $(BUILT) pyproject.toml
	$(BIN)/python -m pip install --quiet --group test --group check
	touch $@

$(FUZZER): $(BUILT) pyproject.toml
	$(BIN)/python -m pip install --quiet --group fuzz
	touch $@

$(SITE): $(BUILT) pyproject.toml
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

# The licences stay beside the modules, in the packages' own folders.
$(MODULES): examples/demo/npm/package.json examples/demo/npm/package-lock.json
	mkdir -p $(NPM)
	cp $^ $(NPM)
	npm ci --prefix $(NPM) --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@
