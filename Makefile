# Tools come from .venv where there is one, else from the active environment.
BIN := $(if $(wildcard .venv/bin/python),.venv/bin/,)

.PHONY: check fix test slow long coverage bench docs

check:
	$(BIN)ruff check .
	$(BIN)ruff format --check .
	$(BIN)mypy
	$(BIN)lint-imports
	$(BIN)codespell
	$(BIN)pytest -q

fix:
	$(BIN)ruff check --fix .
	$(BIN)ruff format .

test:
	$(BIN)pytest

slow:
	$(BIN)pytest -m "slow and not long"

long:
	$(BIN)pytest -m long -n 0

coverage:
	$(BIN)pytest --cov

bench:
	$(BIN)python -m benchmarks

# EXECUTE=cache runs only pages whose code has changed; EXECUTE=off runs none and shows no pictures.
EXECUTE ?= force
strictness := $(if $(filter off,$(EXECUTE)),-D suppress_warnings=myst-nb.lexer,-W --keep-going)
docs:
	$(BIN)sphinx-build $(strictness) -j auto -D nb_execution_mode=$(EXECUTE) -b html docs docs/_build/html
