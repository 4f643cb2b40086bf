# `make` lists the targets. Each sets up what it needs and does nothing twice.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
export PYTHON

BIN := .venv/bin
# Only apt-get and the sandbox want root; all else runs as whoever called make.
ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
# Written when a lock file stands whole in .venv; done again only when the lock file changed.
RUNTIME := .venv/.runtime
DEV := .venv/.dev

# The sandbox: containers, their image, their firewall.
SANDBOX_PACKAGES := podman runc netavark iptables nftables mmdebstrap openssh-client ca-certificates
# The programs that read what the project renders, and check it.
CHECKER_PACKAGES := nginx cloud-init systemd logrotate openssl git
# CentOS 7's packages as its tests have them: built, signed, and put into repositories.
ARCHIVE_PACKAGES := createrepo-c rpm gpg gpg-agent
# The load of the HTTP bench, and the judge of a whole server.
BENCH_PACKAGES := wrk nginx lynis

# Judges of what is rendered, apart from .venv (sslyze would hold back its cryptography), and the Observatory of MDN.
SCORES := .cache/scores/.installed
OBSERVATORY := .cache/observatory/.installed
# What looks for known vulnerabilities and weak places, apart from .venv for the same reason.
AUDIT := .cache/audit/.installed

PYTEST := $(BIN)/python -m pytest
# The sample application is a project of its own, with its own folder as the import root: a run of its own.
APP_TESTS := $(PYTEST) app/tests
# A file's tests share what they deploy, so they stay together. Four on two cores: most of the time they wait for a server.
# In this order: what takes longest comes first, and by the time Pulumi's engine is wanted it is built.
PARALLEL := --numprocesses 4 --dist loadfile --no-loadscope-reorder
FIRST := tests/e2e tests/centos7 tests/host tests/engine
TESTS := $(FIRST) $(filter-out $(FIRST) tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))

SHELL_SCRIPTS := .ci/run $(wildcard setup/*.sh cloud-init/*.sh host/*.sh sandbox/*.sh sandbox/*/*.sh sandbox/plugins/bin/* \
	tests/engine/bin/*)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

.PHONY: setup
setup: sandbox-packages $(RUNTIME) ## install what ./ops needs, and nothing else

.PHONY: up
up: sandbox-packages $(RUNTIME) ## deploy the local stack on this machine and print its URL
	$(ROOT) ./ops up local
	@$(ROOT) ./ops output local url

.PHONY: down
down: $(RUNTIME) ## take the local stack down
	$(ROOT) ./ops destroy local --yes

.PHONY: test
test: $(DEV) checker-packages sandbox-packages archive-packages ## everything: linters, types, unit, host and end-to-end tests
	@$(MAKE) --jobs=3 --output-sync=target lint scores-tools
	$(APP_TESTS)
	@# Beside the first tests, which wait for it when they need it and say what is wrong with it.
	@nice bash setup/engine.sh & $(ROOT) $(PYTEST) $(PARALLEL) $(TESTS)

.PHONY: check
check: lint unit ## what is quick: linters, types, unit tests

.PHONY: lint
lint: $(DEV) ## linters, format, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/mypy
	MYPYPATH=host $(BIN)/mypy --package flask_release --package flask_certificate

.PHONY: unit
unit: $(DEV) checker-packages ## unit tests of the program and of the sample application
	$(APP_TESTS)
	$(PYTEST) tests/unit

.PHONY: properties
properties: $(DEV) checker-packages ## 10,000 made-up configurations and 1,000 folders, others each time (half an hour)
	HYPOTHESIS_PROFILE=long $(PYTEST) tests/unit/properties -s

.PHONY: host
host: $(DEV) checker-packages ## a server's files, checked by the programs that read them
	$(PYTEST) $(PARALLEL) tests/host

.PHONY: scores
scores: $(DEV) checker-packages scores-tools ## what gixy, sslyze, MDN's Observatory and checkov say of it
	$(PYTEST) tests/scores

.PHONY: e2e
e2e: $(DEV) sandbox-packages ## the whole way, on the sandbox (as root)
	$(ROOT) $(PYTEST) $(PARALLEL) tests/e2e

.PHONY: engine
engine: $(DEV) sandbox-packages ## Pulumi's own engine against the sandbox (as root)
	bash setup/engine.sh
	$(ROOT) $(PYTEST) $(PARALLEL) tests/engine

.PHONY: bench
bench: $(DEV) sandbox-packages checker-packages scores-tools ## measure; the reports are in bench/
	@bash setup/packages.sh $(BENCH_PACKAGES)
	$(ROOT) $(BIN)/python -m bench

.PHONY: audit
audit: $(DEV) $(AUDIT) ## known vulnerabilities, the code's weak places, bills of materials (.build/audit/)
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	@$(BIN)/python -m audit

.PHONY: readme
readme: $(RUNTIME) ## write README.md's table of keys from Pulumi.yaml
	$(BIN)/python docs/keys_table.py

# uv comes into a folder of its own: it makes the lock files and is no part of them.
UV := .cache/uv/bin/uv

$(UV):
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/pip install --quiet uv

.PHONY: renew
renew: $(RUNTIME) $(UV) ## newer versions of all that is pinned; says what a person has to look at
	@$(BIN)/python -m pins

.PHONY: lock
lock: $(UV) ## resolve all dependencies again into the lock files
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --group dev --output-file requirements-dev.txt
	$(COMPILE) app/requirements.in --output-file app/requirements.txt
	$(COMPILE) host/flask_certificate/requirements.in --output-file host/flask_certificate/requirements.txt
	$(COMPILE) audit/requirements.in --output-file audit/requirements.txt
	$(COMPILE) tests/scores/requirements.in --output-file tests/scores/requirements.txt
	$(COMPILE) tests/engine/requirements.in --output-file tests/engine/requirements.txt

COMPILE := $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

.PHONY: sandbox-packages checker-packages archive-packages
sandbox-packages:
	@bash setup/packages.sh $(SANDBOX_PACKAGES)

checker-packages:
	@bash setup/packages.sh $(CHECKER_PACKAGES)

archive-packages:
	@bash setup/packages.sh $(ARCHIVE_PACKAGES)

.PHONY: scores-tools
scores-tools: $(SCORES) $(OBSERVATORY)

$(AUDIT): audit/requirements.txt
$(SCORES): tests/scores/requirements.txt
$(AUDIT) $(SCORES): | $(DEV)
	rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --requirement $<
	@touch $@

# Its list of preloaded domains is fetched by a script of its own that is not run; no domain of a test is in it.
$(OBSERVATORY): tests/scores/observatory/package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || bash setup/packages.sh nodejs npm
	rm -rf $(@D)
	mkdir -p $(@D)
	cp tests/scores/observatory/package.json tests/scores/observatory/package-lock.json tests/scores/observatory/.npmrc $(@D)
	cd $(@D) && npm ci --silent
	echo '[]' >$(@D)/node_modules/@mdn/mdn-http-observatory/conf/hsts-preload.json
	@touch $@

$(RUNTIME): requirements.txt
	@bash setup/venv.sh $<
	@touch $@

# The development lock holds the other whole (tests/unit/test_project.py checks it): one installation does for both.
$(DEV): requirements-dev.txt
	@bash setup/venv.sh $<
	@touch $@ $(RUNTIME)
