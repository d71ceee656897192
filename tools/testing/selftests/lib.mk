# SPDX-License-Identifier: GPL-2.0-only
#
# lib.mk - builds and runs a directory of kselftests outside a kernel tree
#
# A directory includes this as ../lib.mk; inside a kernel tree the same line
# finds the kernel's own. The variables that are known here mean what they mean
# there: TEST_PROGS, TEST_GEN_PROGS, TEST_PROGS_EXTENDED,
# TEST_GEN_PROGS_EXTENDED, TEST_FILES, EXTRA_CLEAN, CFLAGS, LDLIBS, OUTPUT.
# In contrast to the kernel's, "run_tests" fails when a test fails and keeps to
# the timeout of the file settings.

SELFTESTS := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
OUTPUT ?= $(CURDIR)
CC ?= cc
RUN := $(SELFTESTS)/kselftest/run

TEST_GEN_PROGS := $(patsubst %,$(OUTPUT)/%,$(TEST_GEN_PROGS))
TEST_GEN_PROGS_EXTENDED := $(patsubst %,$(OUTPUT)/%,$(TEST_GEN_PROGS_EXTENDED))
BUILT := $(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED)

.PHONY: all run_tests install clean
all: $(BUILT)

$(OUTPUT)/%: %.c $(LOCAL_HDRS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LDLIBS)

run_tests: all
	$(RUN) $(TEST_PROGS) $(TEST_GEN_PROGS)

install: all
	@test -n "$(INSTALL_PATH)" || { echo 'Set INSTALL_PATH to a directory.' >&2; exit 1; }
	mkdir -p $(INSTALL_PATH)/$(notdir $(CURDIR))
	cp -R $(SELFTESTS)/kselftest $(INSTALL_PATH)
	cp $(TEST_PROGS) $(TEST_PROGS_EXTENDED) $(TEST_FILES) $(BUILT) \
		$(INSTALL_PATH)/$(notdir $(CURDIR))

clean:
	rm -f $(BUILT) $(EXTRA_CLEAN)
