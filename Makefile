# The commands of this repository. What they do stands in Python: tests/setup, tests/demo, tests/run.
# K3S=PATH (and K3S_IMAGES=PATH) run the demo and the tests on that k3s binary and its core-images archive.
PYTHON ?= python3
VENV := $(CURDIR)/build/venv
RUN := PATH="$(VENV)/bin:$$PATH" $(VENV)/bin/python -m
# PROOF=full has the demo prove everything again, also where a run changed nothing.
export K3S K3S_IMAGES PROOF

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-down test lint unit integration molecule

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install Debian packages, the virtual environment and the collection's link
	@$(PYTHON) -m tests.setup

demo: setup ## bundle, sealed node, site.yml over SSH, and the proof that it works
	@$(RUN) tests.demo up

demo-down: setup ## remove the node of the demo and its data
	@$(RUN) tests.demo down

test: setup ## everything: lint, unit, integration, molecule
	@$(RUN) tests.run all

lint unit integration molecule: setup
	@$(RUN) tests.run $@

lint: ## ansible-lint, ansible-test sanity, ruff, mypy, docs
unit: ## pure functions and modules, no server
integration: ## modules against real servers
molecule: ## scenarios on sealed nodes
