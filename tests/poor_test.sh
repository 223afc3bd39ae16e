#!/bin/sh
# SPDX-License-Identifier: MIT
# Looks at the doctor on a system that refuses io_uring and userfaultfd: tests/poor_test.sh POOR
# POOR is tests/poor/poor.c, built.  With -k: nobody may not reach this folder.  Prints TAP.
src=$(cd "$(dirname "$0")/.." && pwd)
build=${PINFOLD_BUILD:-$src/build/debug}
poor=${1:-$build/tests/poor}
n=0
failed=0

# check WHAT COMMAND...: the doctor's lines are shown where it fails
check() {
	what=$1
	shift
	n=$((n + 1))
	if "$@" >/dev/null 2>&1; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		echo "$out" | sed 's/^/# /'
		failed=1
	fi
}
# says PATTERN...: one line of the doctor has all of them
says() {
	lines=$out
	for pattern; do
		lines=$(echo "$lines" | grep -e "$pattern") || return 1
	done
}

out=$("$poor" -k "$build/tools/pinfold" doctor 2>&1)
status=$?
if [ $status -eq 77 ]; then # this system cannot even be poor
	echo "ok 1 - the doctor # SKIP $(echo "$out" | sed -n 's/^skipped: //p')"
	echo "1..1"
	exit 0
fi
check "exit status 1: no direct windows" [ $status -eq 1 ]
check "io_uring is refused, what happens then, how to get it" \
	says '^io_uring  *missing' 'Operation not permitted' 'the calling thread does its I/O' 'fix: .*io_uring_disabled=0.*seccomp'
check "userfaultfd is refused, what works without, how to get it" \
	says '^userfaultfd  *missing' 'Operation not permitted' 'extent windows' 'fix: .*/dev/userfaultfd.*unprivileged_userfaultfd=1.*seccomp'
check "MEMLOCK is small" says '^MEMLOCK  *small' '8 MiB' 'fix: ulimit -l'
check "direct windows: no" says '^direct windows.*: no'
check "extent windows: yes" says '^extent windows.*: yes'

echo "1..$n"
exit $failed
