# Two commands do everything on a fresh Debian machine with a Rust toolchain:
#   make testnet   a live network of four validators, two wallets talking
#   make test      every test
SHELL := /bin/bash
# Compiled dependencies outlive a clone, so that only a new machine pays for RocksDB's build.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tacit/target
TACIT := $(CARGO_TARGET_DIR)/release/tacit

.PHONY: testnet test build setup lint doc clean-testnet

testnet: build
	@scripts/demo "$(TACIT)"

build: setup
	@echo "building tacit (the first build on a machine compiles RocksDB: about 15 minutes on 2 cores)" >&2
	cargo build --release --locked -p tacit-cli

test: build
	cargo test --release --locked --workspace

lint: setup
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --no-deps --workspace

setup:
	@scripts/setup

clean-testnet:
	@$(TACIT) testnet down || true
	rm -rf .tacit-testnet
