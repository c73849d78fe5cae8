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

# The lanes that examine Tacit, and the page of what they found.
LANES := --test swarm --test consensus_sim --test twins --test explore --test oracle --test inputs --test faults
FIGURES := $(CARGO_TARGET_DIR)/reliability
.PHONY: planted reliability soak

planted:
	scripts/planted

reliability: build
	rm -rf "$(FIGURES)"
	TACIT_REPORT_DIR="$(FIGURES)" scripts/cargo test --release --locked -p tacit-tests $(LANES)
	TACIT_REPORT_DIR="$(FIGURES)" scripts/planted
	TACIT_REPORT_DIR="$(FIGURES)" scripts/cargo bench --locked -p tacit-tests --bench baseline
	scripts/cargo run --quiet --release --locked -p tacit-tests --bin tacit-tests -- report "$(FIGURES)" > docs/reliability.md

# The same with so many times the seeds and inputs, and 100,000 transactions while processes are killed.
SOAK ?= 20

soak: export TACIT_SOAK := $(SOAK)
soak: reliability

bench:
	scripts/cargo bench --locked -p tacit-tests --bench attestation
	scripts/cargo bench --locked -p tacit-tests --bench baseline
	scripts/cargo bench --locked -p tacit-ledger --bench public
	scripts/cargo bench --locked -p tacit-ledger --bench rekey
	scripts/cargo bench --locked -p tacit-ledger --bench audit
	scripts/cargo bench --locked -p tacit-tests --bench snapshots
