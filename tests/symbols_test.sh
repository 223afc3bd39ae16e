#!/bin/sh
# SPDX-License-Identifier: MIT
# Looks at the built shared library: its soname, what it exports, what it needs.  Prints TAP.
# tests/symbols_test.sh [LIBRARY], by default that of the build that runs it, or build/release.
src=$(cd "$(dirname "$0")/.." && pwd)
so=${1:-${PINFOLD_BUILD:-$src/build/release}/libpinfold.so.0}
n=0
failed=0

# tell WHAT ROWS: passes if there are no rows.
tell() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "$2" | sed 's/^/# /'
		failed=1
	fi
}

if [ ! -e "$so" ]; then
	echo "1..1"
	echo "not ok 1 - $so does not exist"
	exit 1
fi
exported=$(nm -D --defined-only "$so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u)
# Functions that the headers declare, under the names that the linker sees.
declared=$(for h in "$src"/include/pinfold/*.h; do echo "#include <pinfold/${h##*/}>"; done |
	cc -E -I"$src/include" -x c - | awk '
		/^# [0-9]+ "/ { ours = $3 ~ /pinfold\//; next }
		ours { text = text " " $0 }
		END {
			n = split(text, decl, ";")
			for (i = 1; i <= n; i++) {
				d = decl[i]
				if (match(d, /__asm__ *\( *"[^)]*\)/)) {
					name = substr(d, RSTART, RLENGTH)
					gsub(/__asm__ *\( *|[" )]/, "", name)
					print name
				} else if (d !~ /[{}]|typedef|\( *\*/ && match(d, /[A-Za-z_][A-Za-z_0-9]* *\(/)) {
					print substr(d, RSTART, RLENGTH - 1)
				}
			}
		}' | tr -d ' ' | sort -u)

tell "exports only pinfold_*" "$(echo "$exported" | grep -v '^pinfold_')"
tell "exports every function that a public header declares" \
	"$(echo "$declared" | while read -r f; do echo "$exported" | grep -qx "$f" || echo "$f"; done)"
tell "exports nothing that no public header declares" \
	"$(echo "$exported" | while read -r f; do echo "$declared" | grep -qx "$f" || echo "$f"; done)"
tell "every symbol has version PINFOLD_0.1" "$(nm -D --defined-only "$so" | awk '$2 != "A"' | grep -v '@@PINFOLD_0\.1$')"
tell "soname is libpinfold.so.0" "$(readelf -d "$so" | grep SONAME | grep -v '\[libpinfold\.so\.0\]')"
tell "needs libc and liburing only" "$(readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
	grep -Ev '^(libc\.so\.6|liburing\.so\.[0-9]+|ld-linux.*|lib(a|t|ub)san\.so\.[0-9]+|libgcc_s\.so\.1)$')"
tell "no stack that may be executed, no text relocations" \
	"$(readelf -lW "$so" | grep 'GNU_STACK.*RWE'; readelf -d "$so" | grep TEXTREL)"
echo "1..$n"
exit $failed
