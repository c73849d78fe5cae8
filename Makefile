# Two commands do everything on a fresh Debian machine with a Rust toolchain:
#   make testnet   a live network of four validators, two wallets talking
#   make test      every test
SHELL := /bin/bash
# Compiled dependencies outlive a clone, so that only a new machine pays for RocksDB's build.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tacit/target
TACIT := $(CARGO_TARGET_DIR)/release/tacit

.PHONY: testnet test build lint wasm doc

testnet: build
	@scripts/demo "$(TACIT)"

build:
	scripts/cargo build --release --locked --workspace

test: build
	scripts/cargo test --release --locked --workspace

lint: wasm
	cargo fmt --all --check
	scripts/cargo clippy --release --locked --workspace --all-targets -- -D warnings

wasm:
	scripts/wasm

doc:
	RUSTDOCFLAGS="-D warnings" scripts/cargo doc --release --locked --no-deps --workspace

# Seconds a target.
FUZZ_SECONDS ?= 10
.PHONY: fuzz bench

fuzz:
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run

bench:
	scripts/cargo bench --locked -p tacit-tests --bench attestation
	scripts/cargo bench --locked -p tacit-ledger --bench public
	scripts/cargo bench --locked -p tacit-ledger --bench rekey
	scripts/cargo bench --locked -p tacit-ledger --bench audit
	scripts/cargo bench --locked -p tacit-tests --bench snapshots
