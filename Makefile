# SPDX-License-Identifier: GPL-2.0-only
#
# dm-sync: the module, its tool and their tests. "make help" lists the targets.
#
# The module is built for one kernel at a time, each in a directory of links to
# the source, build/RELEASE/, so that objects of different kernels never mix.
# This needs the kernel's headers, make and a compiler, and no network.

VERSION	:= $(shell sed -n 's/^DM_SYNC_VERSION := //p' kernel/Kbuild)

# Which kernel: KDIR=headers or build tree; KVER=release (KERNELRELEASE= is
# taken as well); or else the running kernel if its headers are installed, or
# else the newest installed headers.
HEADERS	 = $(patsubst /lib/modules/%/build/Makefile,%,$(wildcard /lib/modules/*/build/Makefile))
NEWEST	 = $(lastword $(shell printf '%s\n' $(HEADERS) | sort -V))
RUNNING	:= $(shell uname -r)
override KVER := $(or $(KVER),$(KERNELRELEASE))
ifeq ($(KDIR),)
override KVER := $(or $(KVER),$(filter $(RUNNING),$(HEADERS)),$(NEWEST),$(RUNNING))
override KDIR := /lib/modules/$(KVER)/build
else
override KVER := $(or $(KVER),$(shell cat '$(KDIR)/include/config/kernel.release'))
endif

OUT	?= build/$(KVER)
KO	:= $(OUT)/dm-sync.ko
KBUILD	 = $(MAKE) -C $(KDIR) M=$(abspath $(OUT))/kernel

# The tests' machine boots the newest kernel that is installed whole.
BOOTABLE = $(filter $(patsubst /boot/vmlinuz-%,%,$(wildcard /boot/vmlinuz-*)),$(HEADERS))
VM_KVER	 = $(lastword $(shell printf '%s\n' $(BOOTABLE) | sort -V))
DEBUG	 = tools/testing/vm/kernel-debug

SYNCTL	:= $(MAKE) -C tools/synctl
UNIT	:= $(MAKE) -C tools/testing/unit
PREFIX	?= /usr/local
DESTDIR	?=
export PREFIX DESTDIR

.DEFAULT_GOAL := help
.PHONY: help
help: ## this list
	@echo 'dm-sync $(VERSION). Targets:'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | \
		while IFS='|' read -r name text; do printf '%-16s %s\n' "  $$name" "$$text"; done
	@echo 'The module is built for KVER=$(KVER); KVER=RELEASE or KDIR=DIRECTORY choose another.'

.PHONY: all module synctl
all: module synctl ## the module and synctl

module: $(OUT)/kernel ## build/RELEASE/dm-sync.ko
	+$(KBUILD) modules
	@cmp -s $(OUT)/kernel/dm-sync.ko $(KO) || cp $(OUT)/kernel/dm-sync.ko $(KO)
	@echo 'built $(KO)'

synctl: ## the tool
	$(SYNCTL)

# Links, so that make sees the source's own times. Those that lead nowhere any
# more are of files that were removed, or of a tree that was moved.
.PHONY: $(OUT)/kernel
$(OUT)/kernel:
	@test -e $(KDIR)/Makefile || { \
		echo 'There are no headers of kernel $(KVER) at $(KDIR).' >&2; \
		echo 'On Debian: apt install linux-headers-$(KVER)' >&2; exit 1; }
	@mkdir -p $@
	@ln -sfn $(CURDIR)/include $(OUT)/include
	@find -L $@ -type l -delete
	@for f in kernel/*.[ch] kernel/Kbuild; do \
		test "$$(readlink $(OUT)/$$f)" = $(CURDIR)/$$f || ln -sfn $(CURDIR)/$$f $(OUT)/$$f; done

.PHONY: install uninstall dkms dkms-remove
install: all ## install the module for KVER, and synctl below PREFIX
	+$(KBUILD) INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates modules_install
	$(if $(DESTDIR),,depmod $(KVER))
	$(SYNCTL) install

uninstall: ## undo install
	rm -f $(DESTDIR)/lib/modules/$(KVER)/updates/dm-sync.ko*
	$(if $(DESTDIR),,depmod $(KVER))
	$(SYNCTL) uninstall

DKMS_SOURCE := /usr/src/dm-sync-$(VERSION)
dkms: ## have dkms build the module for every kernel from now on
	rm -rf $(DKMS_SOURCE)
	mkdir -p $(DKMS_SOURCE)/kernel
	cp -R dkms.conf COPYING include $(DKMS_SOURCE)
	cp kernel/*.[ch] kernel/Kbuild $(DKMS_SOURCE)/kernel
	dkms add dm-sync/$(VERSION)
	dkms install dm-sync/$(VERSION)

dkms-remove: ## undo dkms
	dkms remove dm-sync/$(VERSION) --all
	rm -rf $(DKMS_SOURCE)

# What is missing is installed first; a prerequisite of its own, because it may
# bring the kernel that the rules after it look for.
SETUPS := setup-build setup-demo setup-check setup-debug setup-lint
.PHONY: $(SETUPS)
$(SETUPS): setup-%:
	@tools/setup build $(filter-out build,$*) $(if $(filter check,$*),real)

.PHONY: vm-build
vm-build:
	@$(MAKE) --no-print-directory all KVER=$(VM_KVER) KDIR=

.PHONY: demo demo-mirror demo-snapshot demo-clone
demo: setup-demo ## see it work, in a virtual machine
	@$(MAKE) --no-print-directory vm-build
	tools/testing/demo

demo-mirror: setup-demo ## its part on the mirror
	@$(MAKE) --no-print-directory vm-build
	tools/testing/demo mirror

demo-snapshot: setup-demo ## its part on snapshots
	@$(MAKE) --no-print-directory vm-build
	tools/testing/demo snapshot

demo-clone: setup-demo ## its part on the clone
	@$(MAKE) --no-print-directory vm-build
	tools/testing/demo clone

.PHONY: check check-unit check-debug check-kernels bench bench-chunk lint
check: setup-check ## all tests, on a stock kernel in a virtual machine
	@$(MAKE) --no-print-directory vm-build
	tools/testing/check $(ARGS)

check-unit: setup-build ## the tests that need no kernel
	$(UNIT) check
	$(SYNCTL) check

check-debug: setup-check setup-debug ## all tests, on a kernel with KASAN, lockdep, kmemleak
	@$(DEBUG) >/dev/null
	@set -e; dir=$$($(DEBUG) --path); \
	$(MAKE) --no-print-directory all KDIR="$$dir" KVER=; \
	tools/testing/check --kernel "$$dir" $(ARGS)

check-kernels: ## build without a warning against all installed headers
	@tools/lint kernels

bench: setup-check ## count the device I/O of typical loads, hold it against the budgets
	@$(MAKE) --no-print-directory vm-build
	tools/testing/bench $(ARGS)

bench-chunk: setup-check ## compare sizes of chunks on disks of known speed
	@$(MAKE) --no-print-directory vm-build
	tools/testing/bench chunk $(ARGS)

lint: setup-lint ## static checks: sparse, shellcheck, mandoc, own rules
	@tools/lint

.PHONY: clean
clean: ## remove what was built
	rm -rf build
	$(SYNCTL) clean
	$(UNIT) clean
