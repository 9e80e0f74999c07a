# The commands of this checkout.  `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo check test test-backends bench bench-quota docs soak lock clean runtime packages style testbed-openstack test-openstack testbed-kubernetes

PYTHON ?= /usr/bin/python3
export PYTHON
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## /\1\t/' | expand -t 16

setup:  ## make .venv with everything for development, from the lock with hashes
	@deploy/setup requirements-dev.lock

runtime:
	@deploy/setup requirements.lock

packages:
	@deploy/packages

demo: runtime  ## the main job of a city in a minute; KEEP=1 leaves the server running
	@KEEP=$(KEEP) $(BIN)/python demo/run.py

style:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: setup style  ## format, lint, types, layers and the unit tests: seconds, no database server
	$(PYTEST) -q -n 2 tests/unit

test: packages setup style  ## everything that must pass; as root it installs the Debian packages it needs
	$(PYTEST) -q -n 2 --dist loadfile -m 'not soak' tests/unit tests/integration

test-backends: packages setup  ## the driver contract against the clouds that run here
	$(PYTEST) -q tests/backends

testbed-openstack:  ## install and start a real OpenStack on loopback (nova with fake hosts); stop it with tests/testbeds/openstack/testbed down
	@tests/testbeds/openstack/testbed up

testbed-kubernetes:  ## build (ten minutes once; needs Go 1.26) and start a real Kubernetes on loopback; stop it with tests/testbeds/kubernetes/testbed down
	@tests/testbeds/kubernetes/testbed up

test-openstack: setup testbed-openstack  ## the driver contract and whole orders against that OpenStack; some 20 minutes
	GOVPOOL_BACKENDS=openstack $(PYTEST) -q -n 2 -k openstack tests/backends/test_contract.py \
	  tests/backends/test_contract_change.py tests/backends/test_contract_view.py tests/backends/test_openstack.py

bench: packages setup .venv-bench/stamp  ## ratios and figures of this machine, printed; some six minutes
	$(BIN)/python -m benchmarks.run

bench-quota: packages setup  ## quota decisions beside three ordinary ways in PostgreSQL, whole orders, trees; some six minutes
	$(BIN)/python -m benchmarks.quota

.venv-bench/stamp: benchmarks/requirements-peers.txt
	$(PYTHON) -m venv --clear .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

soak: packages setup  ## the long forms: kills, histories of 32 customers, a million steps of quota trees
	$(PYTEST) -q -s -m soak --timeout 0 tests/integration

docs: setup  ## write docs/reference anew from the code
	$(BIN)/python docs/generate.py

lock:  ## resolve the versions anew into requirements*.lock
	test -x build/lock/bin/uv || { $(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv; }
	for set in ":build" "-dev:dev --extra openstack"; do \
	  build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    --no-emit-index-url --custom-compile-command 'make lock' \
	    --extra postgres --group $${set#*:} --output-file "requirements$${set%%:*}.lock" pyproject.toml; \
	done
	echo python-openstackclient | build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --custom-compile-command 'make lock' --output-file benchmarks/requirements-peers.txt -

clean:  ## remove what was built, .venv included
	rm -rf .venv .venv-bench build dist demo/out benchmarks/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
