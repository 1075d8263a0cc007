# What there is to do with a checkout. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help demo test soak lint bench image

# Which tests: every package, or for example `make test TESTS="-p dunghan-registry"`.
TESTS ?= --workspace
# Handed to the demo, for example `make demo DEMO_ARGS=--help`.
DEMO_ARGS ?=
# Has a soak strike again as it did before; it says which seed it took.
SEED ?=
# How long a soak is: how often a server is killed while decisions are made, and how many histories of obligations are played.
KILLS ?= 200
HISTORIES ?= 10000

help: ## List the targets
	@grep -hE '^[a-z]+:.* ## ' $(MAKEFILE_LIST) | sed -E 's/:.* ## /\t/' | expand -t 8

demo: ## Start the suite on data of its own and walk through it
	cargo run -p dunghan -- demo $(DEMO_ARGS)

test: ## Run all tests, on SQLite and on a PostgreSQL of its own
	scripts/setup test
	scripts/with-postgres scripts/run-tests $(TESTS)

soak: ## Kill a release build and its database under load, again and again, and play obligations through; half an hour, roughly
	scripts/setup test
	cargo build --release -p dunghan
	DUNGHAN_SOAK_SEED=$(SEED) scripts/with-postgres cargo nextest run --release -p dunghan-tests \
		--run-ignored only --no-capture chaos::soak::
	scripts/with-postgres cargo nextest run --release -p dunghan --stress-count 10 \
		-E 'test(/^crash::/) - test(/^crash::deadlines::/)'
	DUNGHAN_KILLS=$(KILLS) scripts/with-postgres cargo nextest run --release --profile soak -p dunghan crash::deadlines::
	DUNGHAN_HISTORIES=$(HISTORIES) scripts/with-postgres cargo nextest run --release --profile soak \
		-p dunghan-compliance histories::

lint: ## Check format, lints, contracts, manifests and documentation; changes nothing
	scripts/setup lint
	cargo fmt --all --check
	cd proto && ../node_modules/.bin/buf format --diff --exit-code && ../node_modules/.bin/buf lint
	grep -lE '^#!.*bash' scripts/* .ci/run | xargs shellcheck --severity=warning
	scripts/lint-k8s
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

bench: ## Measure what the suite costs, in a release build; some minutes
	scripts/setup test
	cargo build --release -p dunghan
	cargo bench -p dunghan-benches --no-run
	scripts/with-postgres --durable cargo bench -p dunghan-benches --bench registry --bench compliance --bench suite
	scripts/with-postgres --durable cargo bench -p dunghan-benches --bench submission -- reading checking
	scripts/with-postgres --durable --apart cargo bench -p dunghan-benches --bench submission -- submitting

image: ## Build the image without a container engine, into dist/, and prove that it runs; some minutes
	scripts/setup image
	scripts/image
