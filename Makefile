# The front of the build: CMake and scripts/ do the work. PRESET=debug make build, for another one.
PRESET ?= release
DESTDIR ?=
PREFIX ?= /usr/local

.PHONY: help setup build demo check check-long bench install deb clean
help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## install what build and demo need (Debian 12, as root the first time)
	@scripts/setup build

build: ## compile build/$(PRESET)/perseus
	@cmake --preset $(PRESET) --log-level=WARNING && cmake --build --preset $(PRESET)

demo: setup build ## two CNNs alone and together on this machine: table, report.html, results.db
	@scripts/demo build/$(PRESET)/perseus

check: ## install what the tests need, build, run every test
	@scripts/check

check-long: ## the tests that do not fit into make check
	@scripts/check long

bench: ## measure the figures beside their peers; FIGURE=name for one
	@scripts/setup bench && $(MAKE) -s build && bench/run $(FIGURE)

install: build ## install under DESTDIR and PREFIX
	@DESTDIR=$(DESTDIR) cmake --install build/$(PRESET) --prefix $(PREFIX)

deb: build ## build/$(PRESET)/perseus_VERSION_ARCH.deb
	@cd build/$(PRESET) && cpack -G DEB >/dev/null && ls $$PWD/*.deb

clean: ## remove build/
	@rm -rf build
