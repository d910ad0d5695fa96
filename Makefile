# `make train` and `make test` do everything on a fresh machine with Python 3.11, the install included.
PYTHON ?= python3.11
BIN := .venv/bin
RUN := PYTHONPATH=. $(BIN)/python

.PHONY: help train test quick stress ui serve demo server pictures benchmark benchmark-quick lint hooks clean
.DEFAULT_GOAL := help

help: ## Show these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-15s %s\n", $$1, $$2}'

.venv/installed: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 or run: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v == (3, 11) or sys.exit("error: Python 3.11 is needed, $(PYTHON) is %d.%d; run: make PYTHON=/path/to/python3.11" % v)'
	@echo "installing the packages into .venv (2 to 4 minutes, 3.0 GB, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

train: .venv/installed ## Train the default network on the shipped questions and track the run; ARGS="tower=bilstm" changes it
	@$(RUN) -m experiments.train $(ARGS)

test: .venv/installed ## Run all tests
	@$(RUN) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

quick: .venv/installed ## Run the tests that take no more than a second each, in about two minutes
	@$(RUN) -m pytest --numprocesses auto -m "not slow and not stress" $(ARGS)

stress: .venv/installed ## Run the long tests: hostile files, interrupted runs, simulations
	@$(RUN) -m pytest -m stress $(ARGS)

ui: .venv/installed ## Open the tracked runs in the MLflow UI on http://127.0.0.1:5000; ARGS="port=5001" changes it
	@$(RUN) -m experiments.ui $(ARGS)

serve: .venv/installed ## Answer programs over HTTP on 127.0.0.1:5002 with the champion or the last training; ARGS="run=ID" serves another
	@$(RUN) -m experiments.serve $(ARGS)

demo: .venv/installed ## Open a page to try the champion or the last training on http://127.0.0.1:5003; ARGS="index=faq.csv" searches your own questions
	@$(RUN) -m experiments.demo $(ARGS)

server: .venv/installed ## Serve runs of several machines; needs STORE=postgresql://user@host/database ARTIFACTS=folder
	@test -n "$(STORE)" -a -n "$(ARTIFACTS)" || { echo "error: say where runs and artifacts lie: make server STORE=postgresql://user@host/database ARTIFACTS=/folder/that/all/machines/see"; exit 1; }
	@$(RUN) -m experiments.ui 'tracking.uri=$(STORE)' 'tracking.artifacts=$(ARTIFACTS)' $(ARGS)

pictures: .venv/installed ## Take the README's pictures of the newest study while `make ui` runs; needs Chromium
	@$(RUN) -m experiments.pictures $(ARGS)

benchmark: .venv/installed ## Measure how fast the project is on this machine; ARGS="parts=[search]" measures a part
	@$(RUN) -m experiments.benchmark $(ARGS)

benchmark-quick: .venv/installed ## Compare processor times with the figures of the repository, in under three minutes
	@$(RUN) -m experiments.guard $(ARGS)

lint: .venv/installed ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

hooks: .venv/installed ## Check style and types before each commit
	@$(BIN)/pre-commit install

clean: ## Remove the environment and caches; tracked runs stay
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build *.egg-info
	@find siamese experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +
