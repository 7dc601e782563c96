# Two commands: `make probe` sets everything up and boots a real image; `make test` runs every test.
# Both install what they need, say so, and install nothing the second time.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup probe test lint docs bench pins clean

help:
	@echo 'make probe    set up, build a disk image, push it, fetch it back, boot it under UEFI, prove every step'
	@echo 'make test     set up, then run every test, linter, type check and documentation build'
	@echo 'make lint     formatting, lint, layer rules and types only'
	@echo 'make docs     build the documentation into docs/_build'
	@echo 'make bench    print the benchmark tables'
	@echo 'make pins     renew requirements/*.txt'

setup:
	@$(PYTHON) tools/setup.py

probe: setup
	@$(BIN)/python tools/probe.py

test: setup
	@$(BIN)/nox --session layers lint types tests wheel docs

lint: setup
	@$(BIN)/nox --session layers lint types

docs: setup
	@$(BIN)/nox --session docs

bench: setup
	@$(BIN)/nox --session bench

pins:
	@$(PYTHON) tools/setup.py --python-only
	@$(BIN)/python tools/pins.py

clean:
	rm -rf .venv .nox .cache build dist docs/_build
