#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks that the tree is what sources.txt says: who includes what, who must not know whom, and that no
calls between files form a cycle.  Run it anywhere: tests/order_test.py.  Prints TAP: one line a rule.
"""
import os, re, shutil, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORE = ("lib", "host", "mm", "fs")
# Outside host/: what the language gives, and the two types of its interfaces.
STD = {"stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "string.h", "errno.h", "limits.h", "inttypes.h",
       "stdlib.h", "sys/types.h", "sys/uio.h"}
ALSO = {"mm/journal.c": {"xxhash.h"}, "mm/debug.c": {"stdio.h"}}  # checksums; snprintf of a message
# Modules that must not know others (doc/design.md): file -> headers of mm/ and fs/ that it may not include.
GUP = {"mm/gup.h", "mm/gup_fast.h"}
BLIND = {
    "mm/page_alloc": {"mm/reclaim.h", "mm/lru.h"},
    "mm/pgtable": {"mm/vma.h"},
    "mm/filemap": {"mm/mm.h", "mm/vma.h", "mm/pgtable.h", "fs/*"} | GUP,
    "mm/fault": GUP,
    "mm/writeback": {"mm/mm.h", "mm/vma.h"} | GUP,
    "mm/journal": {"mm/mm.h", "mm/vma.h"} | GUP,
    "mm/gup_fast": {"mm/vma.h", "mm/fault.h"},
    "mm/gup": {"fs/*"},
    "fs/*": {"mm/mm.h", "mm/vma.h", "mm/pgtable.h"} | GUP,
}
# The same for words that stand for a module's subject.
BLIND_WORDS = {"mm/pgtable": r"\bFOLL_\w+", "mm/fault": r"\bFOLL_\w+"}


def read(path):
    with open(os.path.join(ROOT, path), errors="replace") as f:
        return f.read()


def code(path):
    """The file without comments and strings, lines kept (but for the names in #include)."""
    def blank(m):
        s = m.group(0)
        return "\n" * s.count("\n") if s.startswith("/") else '""'
    out = []
    for line in re.sub(r"/\*.*?\*/|//[^\n]*", blank, read(path), flags=re.S).split("\n"):
        out.append(line if re.match(r"\s*#\s*include", line) else re.sub(r'"(\\.|[^"\\\n])*"', blank, line))
    return "\n".join(out)


def listed():
    names = []
    for line in read("sources.txt").split("\n"):
        line = line.split("#")[0].strip()
        if line:
            names.append(line.removeprefix("test ").strip())
    return names


def sources(folders, ends=(".c", ".h")):
    found = []
    for top in folders:
        for where, _, names in os.walk(os.path.join(ROOT, top)):
            found += [os.path.relpath(os.path.join(where, n), ROOT) for n in names if n.endswith(ends)]
    return sorted(found)


def includes(path):
    for n, line in enumerate(code(path).split("\n"), 1):
        m = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if not m:
            continue
        if m.group(1):
            near = os.path.normpath(os.path.join(os.path.dirname(path), m.group(1)))
            name = near if os.path.exists(os.path.join(ROOT, near)) else m.group(1)
            yield n, os.path.normpath(name), True
        else:
            yield n, m.group(2), False


def stem(path):
    return os.path.splitext(path)[0]


def under(path):
    return path.split("/")[0]


def positions():
    """Place of each file: that of its own line or of the .c (.h) file beside it."""
    place = {}
    for n, name in enumerate(listed()):
        place.setdefault(name, n)
    for name in list(place):
        for other in (stem(name) + ".c", stem(name) + ".h"):
            place.setdefault(other, place[name])
    return place


def check_complete():
    names = listed()
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"sources.txt: {name} stands there twice"
    for name in names:
        if not os.path.exists(os.path.join(ROOT, name)):
            yield f"sources.txt: {name} does not exist"
    place = positions()
    for f in sources(CORE):
        if f not in place and f not in ("host/host.h", "lib/export.h"):
            yield f"{f}: has no place in sources.txt"


def allowed(f, header, place):
    if header in ("host/host.h", "lib/export.h") or stem(header) == stem(f):
        return True
    if under(header) == "host" and under(f) not in ("host",):
        return False
    return place.get(header, 1 << 30) < place.get(f, -1)


def check_order():
    place = positions()
    for f in sources(CORE):
        for n, header, quoted in includes(f):
            if quoted and not header.startswith("include/pinfold/") and not allowed(f, header, place):
                yield f"{f}:{n}: includes {header}, which does not stand above it in sources.txt"


def check_system():
    for f in sources(CORE):
        if under(f) == "host":
            continue
        for n, header, quoted in includes(f):
            if not quoted and header not in STD | ALSO.get(f, set()) and not header.startswith("pinfold/"):
                yield f"{f}:{n}: includes <{header}>, which belongs in host/"


def check_public_only():
    for f in sources(("tools", "drivers", "examples", "bench", "include")):
        for n, header, quoted in includes(f):
            if quoted and under(header) != under(f) and not header.startswith("include/pinfold/"):
                yield f"{f}:{n}: includes {header}: public headers only"
            if under(f) == "include" and not quoted and header not in STD and not header.startswith("pinfold/"):
                yield f"{f}:{n}: includes <{header}>"


def blind_to(f, header, banned):
    return header in banned or under(header) + "/*" in banned


def check_blind():
    for f in sources(CORE):
        for key, banned in BLIND.items():
            if stem(f) == key or (key.endswith("/*") and under(f) == under(key)):
                for n, header, _ in includes(f):
                    if blind_to(f, header, banned):
                        yield f"{f}:{n}: must not know {header}"
        words = BLIND_WORDS.get(stem(f))
        if words:
            for n, line in enumerate(code(f).split("\n"), 1):
                for m in re.finditer(words, line):
                    yield f"{f}:{n}: must not know {m.group(0)}"


def check_no_if():
    for f in sources(("mm",), (".c",)):
        for n, line in enumerate(code(f).split("\n"), 1):
            if re.match(r"\s*#\s*if", line):
                yield f"{f}:{n}: {line.strip()}"


def calls(files):
    """file -> {other file: a function it calls there}, by the names of functions that are not static."""
    rows = subprocess.run(["ctags", "-x", "--_xformat=%F\t%N\t%{file}", "--c-kinds=f", "--fields=+f", "-L", "-"], cwd=ROOT,
                          input="\n".join(files), capture_output=True, text=True, check=True).stdout
    owner = {}
    for row in rows.splitlines():
        f, name, scope = (row.split("\t") + [""])[:3]
        if scope.strip() in ("", "-"):
            owner.setdefault(name, set()).add(f)
    edges = {}
    for f in files:
        edges[f] = {}
        for name in re.findall(r"(?<![\w.>])([A-Za-z_]\w+)\s*\(", code(f)):
            at = owner.get(name, set())
            if len(at) == 1 and f not in at:
                edges[f].setdefault(next(iter(at)), name)
    return edges


def reach(edges, start):
    seen, todo = set(), [start]
    while todo:
        for g in edges[todo.pop()]:
            if g not in seen:
                seen.add(g)
                todo.append(g)
    return seen


def check_cycles():
    files = sources(CORE, (".c",))
    edges = calls(files)
    to = {f: reach(edges, f) for f in files}
    told = set()
    for f in files:
        ring = {g for g in to[f] if f in to[g]}
        if ring and f not in told:
            told |= ring
            yield "calls form a cycle over " + ", ".join(sorted(ring)) + ":"
            for a in sorted(ring):
                for b in sorted(ring & set(edges[a])):
                    yield f"  {a} calls {edges[a][b]}() of {b}"


def have_ctags():
    if not shutil.which("ctags"):
        return False
    return "Universal Ctags" in subprocess.run(["ctags", "--version"], capture_output=True, text=True).stdout


RULES = [
    ("every file of the core has its place in sources.txt", check_complete),
    ("files include only what stands above them", check_order),
    ("system headers in host/ only", check_system),
    ("tools, drivers, examples, bench: public headers only", check_public_only),
    ("modules do not know what they must not", check_blind),
    ("no #if in mm/*.c", check_no_if),
    ("no cycle of calls between files", check_cycles),
]


def main():
    print(f"1..{len(RULES)}")
    failed = False
    for n, (what, rule) in enumerate(RULES, 1):
        if rule is check_cycles and not have_ctags():
            print(f"ok {n} - {what} # SKIP install universal-ctags")
            continue
        rows = list(rule())
        print(f"{'not ok' if rows else 'ok'} {n} - {what}")
        for row in rows[:40]:
            print(f"# {row}")
        if len(rows) > 40:
            print(f"# and {len(rows) - 40} more")
        failed |= bool(rows)
    sys.exit(failed)


main()
