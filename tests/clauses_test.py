#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
scripts/clauses: this tree's tags and table are good, and in small trees each thing that it is there to find is found.
Prints TAP.
"""
import json, os, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONTRACT = """# Clauses
- **A1** 0 pages
  give 0.
- **A2** replaced: bad flags are -EINVAL.
- **A3** not here: keys.
- **B1** next issue: commits.
"""
TESTS = """/* Clauses A1, A2 as replaced, decision D3: both.  A9 is no tag here. */
static void both_hold(void **state)
{
}

/* Clause A1. */
static void the_first_holds(struct side *s)
{
}

\tSCENARIO("forks share (both)", "A1 B1", fork_shares),

/* Clause B1: by itself. */
int main(void)
"""
RESULTS = {"debug": {"api-a_test": {"passed": ["both_hold (pool)", "both_hold (extent)", "the_first_holds",
                                               "forks share (both)", ""], "failed": [], "skipped": []}},
           "poor": {"api-a_test": {"passed": ["both_hold (pool)", "the_first_holds"], "failed": [],
                                   "skipped": [["both_hold (extent)", "no window"], ["forks share (both)", "no fork"]]}}}
count = 0


def run(*args):
    done = subprocess.run([sys.executable, f"{ROOT}/scripts/clauses", *args], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def say(good, name, out):
    global count
    count += 1
    print(f"{'ok' if good else 'not ok'} {count} - {name}")
    if not good:
        print("\n".join("  # " + line for line in out.split("\n")))
    return good


class Tree:
    """A small tree; change: {file: [(old, new)]} of what makes a good one."""
    def __init__(self, top, change):
        os.makedirs(f"{top}/doc")
        os.makedirs(f"{top}/tests/api")
        self.top, files = top, {"doc/contract.md": CONTRACT, "tests/api/a_test.c": TESTS,
                                "results.json": json.dumps(RESULTS)}
        for name, text in files.items():
            for old, new in change.get(name, []):
                assert old in text, old
                text = text.replace(old, new)
            with open(f"{top}/{name}", "w") as f:
                f.write(text)

    def run(self, *args):
        return run("--root", self.top, *[a if a.startswith("-") else f"{self.top}/{a}" for a in args])

    def table(self):
        with open(f"{self.top}/doc/clauses.md") as f:
            return f.read()


def finds(name, change, words):
    with tempfile.TemporaryDirectory() as top:
        code, out = Tree(f"{top}/t", change).run("results.json")
        return say(code == 1 and words in out, name, out)


def good_tree():
    with tempfile.TemporaryDirectory() as top:
        tree = Tree(f"{top}/t", {})
        code, out = tree.run("results.json")
        good = say(code == 0 and not out, "a good tree is good", out)
        text = tree.table()
        rows = ["| A1 | 0 pages give 0. | api/a_test.c: both_hold, the_first_holds, fork_shares | "
                "passed; fork_shares: passed; skipped: no fork (poor) |",
                "| A2 | replaced: bad flags are -EINVAL. | api/a_test.c: both_hold | passed |",
                "| A3 | not here: keys. |  |  |",
                "| B1 | next issue: commits. | api/a_test.c: main, fork_shares | passed; fork_shares: passed; skipped: "
                "no fork (poor) |"]
        good &= say(all(row in text for row in rows), "the table says clause, tests and result", text)
        code, out = tree.run()
        good &= say(code == 0, "the table is that of the tags, whatever the results", out)
        with open(f"{tree.top}/tests/api/a_test.c", "a") as f:
            f.write("\n/* Clause A2: too. */\nstatic void another(void **state)\n{\n}\n")
        code, out = tree.run()
        good &= say(code == 1 and "doc/clauses.md is not" in out, "a table older than the tags is told", out)
        code, out = tree.run("--write")
        kept = [row for row in rows if not row.startswith("| A2")] + [
            "| A2 | replaced: bad flags are -EINVAL. | api/a_test.c: both_hold, another |  |"]
        good &= say(code == 0 and all(row in tree.table() for row in kept), "--write keeps what is known", tree.table())
        return good


def main():
    code, out = run()
    good = say(code == 0, "each binding clause has a test, each tag a clause, and doc/clauses.md is of them", out)
    good &= good_tree()
    test, contract = "tests/api/a_test.c", "doc/contract.md"
    good &= finds("a clause without a test is told", {test: [("A1, A2 as", "A1 as")]}, "A2 has no test")
    good &= finds("a clause that is missing is told", {contract: [("- **A2** replaced: bad flags are -EINVAL.\n", "")]},
                  "A3 is not the next of its group")
    good &= finds("a tag of no clause is told", {test: [("Clause A1.", "Clause A7.")]}, "there is no clause A7")
    good &= finds("a row of scenarios of no clause is told", {test: [("A1 B1", "A1 B7")]}, "there is no clause B7")
    good &= finds("a tag above no test is told", {test: [("static void both", "int both")]}, "stands above no test")
    good &= finds("a tag without a clause is told", {test: [("Clause A1.", "Clause 1.")]}, "a tag without a clause")
    for what, told in ("failing test", ""), ("test that died", "died in "):
        failed = [('"failed": [], "skipped": []', f'"failed": ["{told}both_hold (direct)"], "skipped": []')]
        good &= finds(f"a {what} is told", {"results.json": failed}, "both_hold: failed (debug)")
    good &= finds("a test that ran nowhere is told", {"results.json": [('"the_first_holds"', '"another"')]},
                  "the_first_holds: ran in no part")
    print(f"1..{count}")
    return 0 if good else 1


sys.exit(main())
