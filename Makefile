# `make help` lists what can be made. Everything needs only Swift, Python 3 with pip, and make.

.DEFAULT_GOAL := help
.PHONY: help bootstrap build demo train test check docs bench lint format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

bootstrap: ## Install what the build needs; quiet when all is there
	@scripts/bootstrap

build: bootstrap ## Build the kino command, optimised
	swift build -c release --product kino

demo: build ## Make a few clips and a contact sheet in demo/
	@scripts/demo

train: build ## Start or go on with a run: make train CONFIG=Configurations/mini-transformer.yaml
	@scripts/train-in-background $(CONFIG)

test: bootstrap ## Build and run every test
	swift build --build-tests
	swift test

check: bootstrap ## Try the server with real clients and a real browser
	swift build --product kino
	@Tools/server/check
	@Tools/studio/check

docs: bootstrap ## Compile the documentation's programs, and check its links
	swift build
	@scripts/check-docs

bench: build ## Time the networks and their parts
	"$$(swift build -c release --show-bin-path)/kino" bench

lint: ## Check formatting, file lengths and scripts
	@scripts/lint

format: ## Reformat the Swift sources in place
	swift format --in-place --parallel --recursive Sources Tests Package.swift

clean: ## Remove what building and the demo made
	rm -rf .build demo
