#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every program of examples/ as its first lines say, and looks at the result:
# tests/examples_test.sh.  Prints TAP.  An example without a case below has to run without arguments.
src=$(cd "$(dirname "$0")/.." && pwd)
bin=${PINFOLD_BUILD:-$src/build/release}/tools
dir=$(mktemp -d "${PINFOLD_TEST_DIR:-/tmp}/examples.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
n=0
failed=0

# refused FILE: what the example needs and this system does not give, as the doctor says; nothing if it has all
refused() {
	"$bin/pinfold" doctor | while read -r what state rest; do
		case $what,$state in
		userfaultfd,missing) grep -q PINFOLD_WINDOW_DIRECT "$1" && echo "userfaultfd is refused" ;;
		io_uring,missing) grep -q io_uring_queue_init "$1" && echo "io_uring is refused" ;;
		esac
	done | paste -s -d , | sed 's/,/, /'
}

run_first() { # it counts its runs in a file: each finds what the one before committed
	for i in 1 2 3; do
		"$1" count.dat | grep -x "run $i is on disk" || return 1
	done
}

run_pin_uring() { # it copies the first 64 KiB of a file
	head -c 65536 /dev/urandom > from
	"$1" from to && cmp from to && "$1" from to && cmp from to
}

for path in "$src"/examples/*.c; do
	name=$(basename "$path" .c)
	n=$((n + 1))
	run="$bin/example-$name"
	case $name in first | pin_uring) run="run_$name $run" ;; esac
	if out=$($run 2>&1); then
		echo "ok $n - examples/$name.c"
	elif why=$(refused "$path") && [ -n "$why" ] && echo "$out" | grep -q 'Operation not permitted\|not implemented'; then
		echo "ok $n - examples/$name.c # SKIP $why" # and it said so, too
	else
		echo "not ok $n - examples/$name.c"
		echo "$out" | sed 's/^/# /'
		failed=1
	fi
done
echo "1..$n"
exit $failed
