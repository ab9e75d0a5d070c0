# SPDX-License-Identifier: GPL-2.0
#
# The user's entry; `make help` tells. What the kernel's build reads is in Kbuild.

.DEFAULT_GOAL := help
.PHONY: help demo test conformance mutants bench profile shell module userspace check clean distclean

export KERNEL KDIR LANE MIRROR ACCEL

images := qemu-images

help: ## This list
	@$(images)/help "$(firstword $(MAKEFILE_LIST))"

demo: ## See real binder clients talk through the driver, beside the C driver (first run: minutes)
	@$(images)/demo

test: ## Everything: host tests, then guests with both drivers; ends with "N passed, N failed"
	@$(images)/test $(SUITES)

conformance: ## The suite on C and ours with its coverage of the ABI; ends with "N cases, N differences"
	@$(images)/conformance $(if $(UPDATE),--update)

mutants: ## Break the driver on purpose, show that the suite notices; ends with "N mutants, N survivors"
	@$(images)/$(if $(ROOMS),mutate-rooms,mutate) $(MUTANTS)

bench: ## C and ours in one guest: instructions and time per call
	@userspace-tests/bench/run

profile: ## Instructions per function of WORKLOAD=, C and ours side by side
	@userspace-tests/profile/run $(WORKLOAD)

shell: ## An interactive guest with both drivers and the tools in it
	@$(images)/guest shell $(GUEST_ARGS)

module: ## Build the driver: build/current/rust_binder.ko
	@$(images)/module build

userspace: ## Build the programs that run in the guest
	@$(images)/userspace

check: ## Formatting, lints, rooms, unsafe, panics, ABI, coverage, mutants, texts, documentation; ends with "N passed, N failed"
	@$(images)/check $(CHECKS)

clean: ## Remove what was built here
	rm -rf build

distclean: clean ## Also the cache: sandbox, kernels, guest roots
	@$(images)/cache remove
