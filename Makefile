# Two commands: `make probe` sets everything up and boots a real image; `make test` runs every test.
# Both install what they need, say so, and install nothing the second time.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help probe test test-all lint docs dist bench pins clean

help:
	@echo 'make probe    set up, build a disk image, push it, fetch it back, boot it under UEFI, prove every step'
	@echo 'make test     set up, then run every test, linter, type check and documentation build'
	@echo 'make test-all every test, the long matrices included'
	@echo 'make lint     layer rules, formatting, lint and types only'
	@echo 'make docs     build the documentation into docs/_build/html'
	@echo 'make dist     build and check what a release uploads: source distributions and wheels'
	@echo 'make bench    print the benchmark tables'
	@echo 'make pins     renew requirements/dev.txt'
	@echo 'make clean    remove everything these commands made'

probe:
	@$(PYTHON) tools/setup.py probe
	@$(BIN)/python tools/probe.py

test:
	@$(PYTHON) tools/setup.py python
	@$(BIN)/python tools/check.py --set-up layers lint types tests wheel docs

test-all:
	@$(PYTHON) tools/setup.py test
	@$(BIN)/python tools/check.py tests -- -m "long or not long"

dist:
	@$(PYTHON) tools/setup.py python
	@$(BIN)/python tools/check.py dist

lint:
	@$(PYTHON) tools/setup.py python
	@$(BIN)/python tools/check.py layers lint types

docs:
	@$(PYTHON) tools/setup.py python
	@$(BIN)/nox --session docs

bench:
	@$(PYTHON) tools/setup.py test
	@$(BIN)/nox --session bench

pins:
	@$(PYTHON) tools/setup.py python
	@$(BIN)/python tools/pins.py --upgrade

clean:
	rm -rf .venv .nox .cache build dist docs/_build
