#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the build into an empty folder, and compiles and runs a program against it as its user would,
# through pkg-config: tests/install_test.sh.  Prints TAP.
src=$(cd "$(dirname "$0")/.." && pwd)
build=${PINFOLD_BUILD:-$src/build/release}
dest=$(mktemp -d "${PINFOLD_TEST_DIR:-/tmp}/install.XXXXXX") || exit 1
trap 'rm -rf "$dest"' EXIT
n=0
failed=0

# step WHAT COMMAND...: a command that must succeed.
step() {
	what=$1
	shift
	n=$((n + 1))
	if out=$("$@" 2>&1); then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		echo "$out" | tail -n 40 | sed 's/^/# /'
		failed=1
	fi
}

step "installs" env DESTDIR="$dest" meson install -C "$build" --no-rebuild
pc=$(find "$dest" -name pinfold.pc | head -n 1)
lib=$(dirname "$(find "$dest" -name libpinfold.so.0 | head -n 1)")
step "has a pkg-config file, both libraries, and every public header" sh -c "
	test -n '$pc' && test -e '$lib/libpinfold.so' && test -e '$lib/libpinfold.a' &&
	cd '$src/include/pinfold' && for h in *.h; do find '$dest' -path \"*/include/pinfold/\$h\" | grep -q . || exit 1; done"
cat > "$dest/t.c" <<'C'
#include <pinfold/pinfold.h>
#include <stdio.h>
int main(void)
{
	struct pinfold_options o = { .size = sizeof(o), .memory = 16 << 20 };
	struct pinfold *m;
	int err = pinfold_create(&o, &m);

	if (!err)
		err = pinfold_destroy(m);
	printf("%s %d\n", pinfold_version(), err);
	return err != 0;
}
C
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$dest
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
# The system's own libraries do not lie under the folder.
flags() { pkg-config "$@" pinfold | sed "s#$dest/usr/include#/usr/include#g; s#$dest/usr/lib#/usr/lib#g"; }
step "a program compiles against the shared library" sh -c "cc -o '$dest/shared' '$dest/t.c' $(flags --cflags --libs)"
step "and runs" env LD_LIBRARY_PATH="$lib" "$dest/shared"
step "a program compiles against the static library" sh -c "
	cc -o '$dest/static' '$dest/t.c' $(flags --cflags) '$lib/libpinfold.a' $(flags --static --libs-only-l | sed 's/-lpinfold//')"
step "and runs" "$dest/static"
echo "1..$n"
exit $failed
