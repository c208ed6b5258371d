# Everything starts here: `make run` and `make test` need no other command before them.
#
#   make run  PORT=6379 DATA_DIR=./data     the store with a sample of real word vectors, until Ctrl-C
#   make test                               every test
#
# VSTORE_REDIS_URL=redis://… make run joins that Redis instead of starting one, and loads the sample only with SAMPLE=1.

PORT ?= 6379
DATA_DIR ?= ./data

SOURCES := $(shell find src client -name '*.ts')
# npm writes this file itself at the end of an installation.
PACKAGES := node_modules/.package-lock.json
# The index, and locks and mappings of files. Without a C++ compiler there is none, and what is portable is used.
ADDON := build/Release/vstore.node
ADDON_SOURCES := binding.gyp $(wildcard native/*.cc native/*.h native/*/*.cc native/*/*.h)
# Without VSTORE_REDIS_URL vstore starts a Redis of its own, so one has to be installed.
REDIS := $(if $(VSTORE_REDIS_URL),,redis)

.PHONY: run test torture build bench clean help redis newer-server chromium nodes module

# Into a Redis that is not its own vstore puts nothing unasked.
SAMPLE ?= $(if $(VSTORE_REDIS_URL),,1)

run: build $(REDIS) ## start the store and load the sample
	@exec scripts/foreground.sh node dist/cli.js serve $(if $(SAMPLE),--sample) --port $(PORT) --data-dir "$(DATA_DIR)"

test: build redis newer-server chromium nodes ## run every test
	npx vitest run

# CYCLES, MUTATIONS, FAILOVERS, LOOKUPS, OVERLOAD, KILLS and SEED are optional: 1,000, 1,000,000, 300, 1,000,000, 180 s, 200 and a random one.
# FROM is the first mutation's number: make torture CYCLES=0 LOOKUPS=0 OVERLOAD=0 KILLS=0 SEED=1 FROM=7 MUTATIONS=1 does one of them again.
torture: build redis newer-server ## crash it and damage its files, thousands of times; takes hours
	$(MAKE) -C native
	VSTORE_TEST_LONG=1 npx vitest run --project "newer server" --passWithNoTests follow-losses agreement nodes shards
	VSTORE_TEST_LONG=1 npx vitest run --project native overload
	npx tsx test/torture/main.ts

build: dist/cli.js module $(ADDON) ## leave dist/, redis/vstore.so and the addon

bench: build redis ## run the benchmarks
	npm run bench

clean: ## remove what was built; data/ stays
	rm -rf dist build
	$(MAKE) -C redis clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

dist/cli.js: $(PACKAGES) $(SOURCES) tsconfig.json tsconfig.build.json tsconfig.client.json
	npm run --silent build
	@touch $@

$(PACKAGES): package-lock.json
	npm ci
	@touch $@

# npm ci makes it too; this is for a change of its sources. What the compiler says is shown when it fails.
$(ADDON): $(ADDON_SOURCES) | $(PACKAGES)
	@echo "building the addon"
	@output=$$(npm run --silent build:addon 2>&1) || { echo "$$output"; echo "the addon is not built; vstore does without where it can"; }

module:
	@$(MAKE) --no-print-directory -C redis

redis:
	@scripts/ensure-redis.sh

newer-server: redis
	@scripts/ensure-newer-server.sh

nodes:
	@scripts/ensure-nodes.sh

chromium:
	@scripts/ensure-chromium.sh
