# SPDX-License-Identifier: MIT
# make demo         installs what is missing, builds, and shows what pinfold does on a real file
# make check        every test, in four builds, and poor; under 15 minutes on two cores
# make check-quick  the unit and API tests in the debug build; seconds
# make check-poor   every test in the debug build, as nobody, without io_uring and userfaultfd; a minute
# make fuzz         random programs on the kernel and on pinfold, until one differs or ^C; `make check` does so for a minute.
#                   ARGS: --seconds N, --seed N (the first), --once (only that one), --window none|extent|mixed|direct,
#                   --replay FILE, --keep FOLDER (programs worth keeping): tests/fuzz/kernel_test.c
# make bench        measures, and writes bench/README.md; with other ARGS it only prints
# make install      PREFIX=/usr/local DESTDIR=
# make check-fresh  demo and check in a minimal Debian of its own (root)
# ARGS="..." goes to the program behind demo, check, fuzz, bench and check-fresh.
PREFIX ?= /usr/local
ARGS =

all:
	@scripts/install-deps build
	@scripts/build release product

demo:
	@scripts/install-deps demo
	@scripts/build release tools/pinfold
	@build/release/tools/pinfold demo $(ARGS)

check:
	@scripts/install-deps check
	@scripts/check $(ARGS)

check-quick:
	@scripts/install-deps check
	@scripts/check --quick $(ARGS)

check-poor:
	@scripts/install-deps check
	@scripts/check poor $(ARGS)

fuzz:
	@scripts/install-deps check
	@scripts/build release tests/fuzz-kernel_test
	@mkdir -p build/release/tests/scratch
	@TMPDIR=build/release/tests/scratch PINFOLD_SOURCE=. \
		build/release/tests/fuzz-kernel_test --seconds 0 --seed $$(date +%s) $(ARGS)

bench:
	@scripts/install-deps bench
	@scripts/build release product $$(ls bench/*.c >/dev/null 2>&1 && echo benchmarks)
	@bench/run $(or $(ARGS),--readme)

install:
	@scripts/install-deps build
	@PREFIX=$(PREFIX) scripts/build release product
	@DESTDIR=$(DESTDIR) meson install -C build/release --no-rebuild --quiet

check-fresh:
	@scripts/install-deps fresh
	@scripts/check-fresh $(ARGS)

clean:
	rm -rf build

.PHONY: all demo check check-quick check-poor fuzz bench install check-fresh clean
