#!/bin/sh
# SPDX-License-Identifier: MIT
# The kernel test double as a whole: each of its headers compiles alone, for both versions; what the headers declare is in
# the library and nothing else; the library needs nothing of pinfold's but what is public; and an installed copy compiles a
# module and runs it.  Prints TAP.  tests/kernel_test.sh
src=$(cd "$(dirname "$0")/.." && pwd)
build=${PINFOLD_BUILD:-$src/build/release}
inc=$src/kernel/include
lib=$build/kernel/libpinfold-kernel.a
tmp=$(mktemp -d "${PINFOLD_TEST_DIR:-/tmp}/kernel.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0
failed=0

# tell WHAT ROWS: passes if there are no rows.
tell() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "$2" | head -n 40 | sed 's/^/# /'
		failed=1
	fi
}

headers=$(cd "$inc" && find . -name '*.h' | sed 's#^\./##' | sort)
tell "each header compiles alone" "$(for h in $headers; do
	echo "#include <$h>" | cc -std=gnu11 -Wall -Werror -I"$inc" -fsyntax-only -x c - 2>&1 | head -n 3
done)"
for version in "5,2,0" "6,18,0"; do
	tell "all headers go together in $version, and with libc's" "$(
		{
			echo "#include <stdio.h>"
			echo "#include <stdlib.h>"
			echo "#include <string.h>"
			echo "#include <unistd.h>"
			for h in $headers; do echo "#include <$h>"; done
		} | cc -std=gnu11 -D_GNU_SOURCE -Wall -Werror -I"$inc" "-DPINFOLD_KERNEL_VERSION=KERNEL_VERSION($version)" \
			-fsyntax-only -x c - 2>&1 | head -n 10
	)"
done
tell "no version between the two is taken for one" "$(
	echo "#include <linux/mm.h>" | cc -I"$inc" -DPINFOLD_KERNEL_VERSION=0x050a00 -fsyntax-only -x c - 2>/dev/null &&
		echo "5.10 compiles"
)"

if [ ! -e "$lib" ]; then
	tell "the library exists" "$lib"
	echo "1..$n"
	exit 1
fi
nm -g --defined-only "$lib" | awk 'NF == 3 { print $3 }' | sort -u > "$tmp/defined"
nm -g --undefined-only "$lib" | awk 'NF == 2 { print $2 }' | sort -u > "$tmp/needed"
grep -rhoE 'KD_SYM\([a-z0-9_A-Z]+\)' "$inc" | grep -v '(name)' | sed 's/KD_SYM(\(.*\))/kd_k_\1/' | sort -u > "$tmp/declared"
tell "every call that is declared is there" "$(comm -23 "$tmp/declared" "$tmp/defined")"
tell "every kernel call that is there is declared" "$(grep '^kd_k_' "$tmp/defined" | comm -13 "$tmp/declared" -)"
tell "no symbol but kd_*" "$(grep -v '^kd_' "$tmp/defined")"
nm -D --defined-only "$build/libpinfold.so.0" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u > "$tmp/public"
tell "it needs what is public of pinfold's" "$(grep '^pinfold_' "$tmp/needed" | comm -23 - "$tmp/public")"

DESTDIR=$tmp/dest meson install -C "$build" --no-rebuild >/dev/null 2>&1
pc=$(find "$tmp/dest" -name pinfold-kernel.pc | head -n 1)
cat > "$tmp/module.c" <<'C'
#include <linux/module.h>
#include <linux/mm.h>

static int __init hello(void)
{
	pr_info("a module\n");
	return 0;
}
module_init(hello);
MODULE_LICENSE("MIT");
C
cat > "$tmp/test.c" <<'C'
#include <pinfold/kd.h>

int main(void)
{
	int err = kd_start(0);

	if (!err)
		err = kd_init();
	if (!err && !kd_logged("a module"))
		err = 1;
	return err ? err : kd_stop();
}
C
tell "an installed copy compiles a module, and runs it" "$(
	PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$tmp/dest
	export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
	# The system's own libraries do not lie under the folder.
	flags=$(pkg-config --cflags --libs pinfold-kernel |
		sed "s#$tmp/dest/usr/include#/usr/include#g; s#$tmp/dest/usr/lib#/usr/lib#g")
	where=$(dirname "$(find "$tmp/dest" -name libpinfold.so.0 | head -n 1)")
	# shellcheck disable=SC2086
	cc -o "$tmp/test" "$tmp/test.c" "$tmp/module.c" $flags 2>&1 && LD_LIBRARY_PATH=$where "$tmp/test" 2>&1 || echo "exit status $?"
)"
echo "1..$n"
exit $failed
