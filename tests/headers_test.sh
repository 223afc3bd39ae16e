#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles every public header alone, as pedantic C11 and as C++11: tests/headers_test.sh.  Prints TAP.
src=$(cd "$(dirname "$0")/.." && pwd)
n=0
failed=0

# try LANGUAGE HEADER COMPILER [FLAG...]
try() {
	what="$2 compiles as $1"
	header=$2
	shift 2
	n=$((n + 1))
	if ! command -v "$1" >/dev/null 2>&1; then
		echo "ok $n - $what # SKIP install g++"
	elif out=$(echo "#include <pinfold/$header>" | "$@" -I"$src/include" -Wall -Wextra -Wpedantic -Werror -fsyntax-only - 2>&1); then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		echo "$out" | sed 's/^/# /'
		failed=1
	fi
}

for path in "$src"/include/pinfold/*.h; do
	header=${path##*/}
	try C11 "$header" cc -std=c11 -x c
	try C++11 "$header" c++ -std=c++11 -x c++
	try C++20 "$header" c++ -std=c++20 -x c++
done
echo "1..$n"
exit $failed
