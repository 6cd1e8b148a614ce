#!/usr/bin/env python3
"""The rules of this tree that a compiler doesn't check: who may include whom, where threads and clocks may be,
how long things may get, and that the documents name what exists.

usage: lint.py [--root DIR]         checks the tree; prints file:line: rule: what (reason), exits 1 on a finding
       lint.py --self-test          plants a violation of each rule in an empty tree and sees it found
       lint.py --purity LIBRARY     checks that libraft.a asks the system for nothing (clock, threads, files, ...)
       lint.py --list               prints the rules and their reasons

A rule is a function of the tree that yields (path, line number, what), with its reason and a planted violation.
"""

import argparse
import fnmatch
import pathlib
import re
import subprocess
import sys
import tempfile

# Who may include whom. A folder may always include itself; tests/ may include everything.
LAYERS = {
    "base": [],
    "raft": ["base"],
    "io": ["base"],
    "wal": ["io", "base"],
    "snapshot": ["io", "base"],
    "proto": ["base"],
    "conf": ["base"],
    "daemon": ["raft", "wal", "snapshot", "proto", "conf", "io", "base"],
    "client": ["proto", "io", "base"],
    "io/asio": ["io", "proto", "base"],
    "sim": ["daemon", "client", "io", "raft", "wal", "snapshot", "proto", "conf", "base"],
    "cli": ["client", "proto", "io", "io/asio", "conf", "snapshot", "wal", "raft", "base"],
}
# The places where a world is chosen.
LAYER_EXCEPTIONS = {"daemon/main.cpp": ["io/asio"], "client/asio_runner*": ["io/asio"]}

# Headers that cost seconds a file: where they may be, and never two of them in one file.
HEAVY = {
    "boost/asio": ["io/asio/*", "client/asio_runner*"],
    "CLI/": ["cli/*", "sim/*main.cpp", "daemon/main.cpp", "examples/kv/*main.cpp"],
    "toml++/": ["conf/*", "examples/kv/cluster_file.cpp"],
    "nlohmann/": ["snapshot/*", "daemon/*", "cli/*", "examples/kv/*"],
    "openssl/": ["snapshot/*", "base/*", "examples/kv/checkpoint.cpp"],
    "leveldb/": ["snapshot/leveldb_store.cpp", "tests/*"],
    "gtest/": ["tests/*"],
}

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 120  # the formatter aims at 110

# What libraft.a may not ask for, as patterns of symbol names.
IMPURE = (r"^(clock_gettime|gettimeofday|time|nanosleep|usleep|sleep|pthread_\w+|open|open64|openat|read|write"
          r"|pread\w*|pwrite\w*|close|fsync|fdatasync|socket|connect|send|recv\w*|poll|epoll_\w+|getenv|rand"
          r"|random|srand|getpid|syscall|printf|puts|fopen|fwrite|fprintf|_ZNSt6chrono.*|_ZNSt13random_device.*"
          r"|_ZNSt6thread.*|_ZNSt18condition_variable.*|_ZSt4cout|_ZSt4cerr)$")


class Tree:
    """The files under version control (or all, where there is none), read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.text = {}
        for path in self._names():
            file = self.root / path
            if file.is_file() and not file.is_symlink():
                try:
                    self.text[path] = file.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    pass  # a binary fixture

    def _names(self):
        if (self.root / ".git").exists():
            listed = subprocess.run(
                ["git", "-C", self.root, "ls-files", "--cached", "--others", "--exclude-standard"],
                check=True, capture_output=True, text=True).stdout
            return sorted(set(listed.splitlines()))
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())

    def matching(self, *patterns):
        for path, text in self.text.items():
            if any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
                yield path, text

    def code(self, outside=()):
        """C++ files with comments and string contents blanked: (path, lines)."""
        for path, text in self.matching("*.h", "*.cpp"):
            if not any(fnmatch.fnmatch(path, pattern) for pattern in outside):
                yield path, blank(text).splitlines()


def blank(text):
    """Replaces comments and the inside of strings by spaces; lines and columns stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)

    def spaces(match):
        found = match.group(0)
        if found.startswith(("//", "/*")):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]

    # An include's file name is no string to be blanked.
    return "\n".join(line if line.startswith("#include") else blanked
                     for line, blanked in zip(text.split("\n"), pattern.sub(spaces, text).split("\n")))


RULES = []


def rule(name, reason, planted):
    """Registers a rule; `planted` is {path: text} of a smallest tree that breaks it."""
    def register(function):
        RULES.append((name, reason, planted, function))
        return function
    return register


def folder_of(path):
    return "io/asio" if path.startswith("io/asio/") else path.split("/")[0]


@rule("layers", "arrows point one way, so that raft/ and wal/ can be read, tested and used alone",
      {"raft/a.cpp": '// A.\n#include "wal/wal.h"\n'})
def layers(tree):
    for path, lines in tree.code():
        folder = folder_of(path)
        if folder not in LAYERS:
            continue
        allowed = [folder] + LAYERS[folder]
        for pattern, more in LAYER_EXCEPTIONS.items():
            if fnmatch.fnmatch(path, pattern):
                allowed = allowed + more
        for number, line in enumerate(lines, 1):
            included = re.match(r'#include "([^"]+)"', line)
            if not included:
                continue
            target = folder_of(included.group(1))
            if "/" not in included.group(1):
                yield path, number, f'include "{included.group(1)}" by its path from the root'
            elif target not in allowed:
                yield path, number, f"{folder} may not include {target}"


@rule("heavy", "these headers cost seconds each: one place for each, never two in a file",
      {"daemon/a.cpp": "// A.\n#include <boost/asio/io_context.hpp>\n"})
def heavy(tree):
    for path, lines in tree.code(outside=["tests/*"]):
        seen = set()
        for number, line in enumerate(lines, 1):
            included = re.match(r"#include [<\"]([^>\"]+)", line)
            for prefix, where in HEAVY.items():
                if included and included.group(1).startswith(prefix):
                    seen.add(prefix)
                    seen.discard("openssl/")  # the cheapest of them
                    if not any(fnmatch.fnmatch(path, pattern) for pattern in where):
                        yield path, number, f"{included.group(1)} belongs in {' '.join(where)}"
                    if len(seen) > 1:
                        yield path, number, f"a second heavy header: {' and '.join(sorted(seen))}"


@rule("threads", "one loop thread runs all logic; threads and locks live in io/asio/ only",
      {"daemon/a.cpp": "// A.\n#include <mutex>\nstd::mutex m;\n"})
def threads(tree):
    word = re.compile(r"#include <(mutex|atomic|thread|shared_mutex|condition_variable|future|semaphore|latch)>"
                      r"|\bstd::(mutex|recursive_mutex|shared_mutex|atomic\w*|jthread|thread\b|condition_variable"
                      r"|async\b|future)|\bpthread_\w+|\bthread_local\b")
    # base/bytes.cpp keeps its books per thread.
    for path, lines in tree.code(outside=["io/asio/*", "tests/*", "base/bytes.cpp"]):
        yield from ((path, n, m.group(0)) for n, line in enumerate(lines, 1) if (m := word.search(line)))


@rule("clock", "time and randomness are data: they come in with events, so that a seed repeats a run",
      {"wal/a.cpp": "// A.\nauto t = std::chrono::steady_clock::now();\n"})
def clock(tree):
    word = re.compile(r"\b(steady_clock|system_clock|high_resolution_clock)::now|\bclock_gettime\s*\("
                      r"|\bgettimeofday\s*\(|\bstd::time\s*\(|\brandom_device\b|\bstd::rand\b|\bgetrandom\s*\("
                      r"|\bgetentropy\s*\(")
    outside = ["io/asio/*", "tests/*", "client/asio_runner*", "sim/*main.cpp", "examples/*"]
    for path, lines in tree.code(outside=outside):
        yield from ((path, n, m.group(0)) for n, line in enumerate(lines, 1) if (m := word.search(line)))


@rule("order", "the order of an unordered container would leak into behaviour, and runs would not repeat",
      {"raft/a.cpp": "// A.\nstd::unordered_map<int, int> peers_;\nvoid f() {\n    for (auto& p : peers_) g(p);\n}\n"})
def order(tree):
    declared = re.compile(r"\bunordered_(?:multi)?(?:map|set)<[^;{}]*>\s+(\w+)\s*[;{=]")
    names = {}
    for path, lines in tree.code():
        if folder_of(path) in ("raft", "daemon", "sim"):
            names.setdefault(folder_of(path), set()).update(declared.findall("\n".join(lines)))
    for path, lines in tree.code():
        for name in names.get(folder_of(path), ()):
            use = re.compile(rf"\bfor\s*\([^;]*:\s*[\w.>-]*\b{name}\)|\b{name}\.(begin|cbegin)\(")
            yield from ((path, n, f"iterates {name}") for n, line in enumerate(lines, 1) if use.search(line))


@rule("coroutines", "GCC 12 destroys temporaries of co_await expressions twice (docs/decisions/0003)",
      {"cli/a.cpp": "// A.\nauto f() { co_await g([v] { h(v); }); }\n"})
def coroutines(tree):
    word = re.compile(r"\bco_(await|return|yield)\b")
    for path, lines in tree.code():
        yield from ((path, n, m.group(0)) for n, line in enumerate(lines, 1) if (m := word.search(line)))


@rule("file-length", f"a file is one idea; beyond {FILE_LINES_MAX} lines it is several",
      {"conf/a.cpp": "// A.\n" * (FILE_LINES_MAX + 1)})
def file_length(tree):
    for path, text in tree.matching("*.h", "*.cpp", "*.py"):
        length = text.count("\n")
        if length > FILE_LINES_MAX:
            yield path, length, f"{length} lines, at most {FILE_LINES_MAX}"


@rule("function-length", f"a function fits a screen: {FUNCTION_LINES_MAX} lines",
      {"conf/a.cpp": "// A.\nvoid f() {\n" + "    g();\n" * FUNCTION_LINES_MAX + "}\n"})
def function_length(tree):
    # In formatted code a body ends at the first "}" with its head's indent.
    head = re.compile(r"^( {0,8})(?!if|for|while|switch|else|do\b|catch|\}|namespace)\S.*\)"
                      r"(?: const)?(?: noexcept)?(?: override)?(?: -> [\w:<>*& ]+)? \{$|^()    .*\) *: .*\{$")
    for path, lines in tree.code(outside=["tests/*"]):
        for number, line in enumerate(lines, 1):
            begins = head.match(line)
            if not begins or "](" in line:
                continue
            end = (begins.group(1) or "") + "}"
            for length, later in enumerate(lines[number:], 1):
                if later.startswith(end):
                    if length - 1 > FUNCTION_LINES_MAX - 1:
                        yield path, number, f"{length - 1} lines in {line.strip()[:60]}"
                    break


@rule("columns", "so that two files fit beside each other",
      {"scripts/a": "#!/usr/bin/env bash\n# A. --help\nset -euo pipefail\n# " + "x" * COLUMNS_MAX + "\n"})
def columns(tree):
    for path, text in tree.matching("*.h", "*.cpp", "*.py", "*.cmake", "scripts/*", "*.proto"):
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                yield path, number, f"{len(line)} columns, at most {COLUMNS_MAX}"


@rule("opening", "a file opens with what it is for (or its header does)",
      {"wal/a.h": "#pragma once\n"})
def opening(tree):
    for path, text in tree.matching("*.h", "*.cpp"):
        header = path[:-len(".cpp")] + ".h"
        spoken_for = path.endswith(".cpp") and (header in tree.text or path.startswith("tests/"))
        if not text.startswith("//") and not spoken_for:
            yield path, 1, "no comment at the head"
        if path.endswith(".h") and "#pragma once" not in text:
            yield path, 1, "no #pragma once"


@rule("leftovers", "what is not done is an entry in docs or nothing; it doesn't hide in a comment",
      {"wal/a.cpp": "// A.\n// TO" + "DO: sync\n"})
def leftovers(tree):
    word = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    for path, text in tree.matching("*.h", "*.cpp", "*.py", "*.md", "*.cmake", "scripts/*", "*.proto", "*.txt"):
        yield from ((path, n, m.group(0)) for n, line in enumerate(text.splitlines(), 1) if (m := word.search(line)))


@rule("sleeps", "a test waits for a condition, never for a time",
      {"tests/unit/a_test.cpp": "// A.\nvoid f() { std::this_thread::sleep_for(1s); }\n"})
def sleeps(tree):
    word = re.compile(r"\bsleep_(for|until)\b|\b(u|nano)?sleep\s*\(")
    for path, lines in tree.code(outside=["tests/bench/*"]):
        yield from ((path, n, m.group(0)) for n, line in enumerate(lines, 1) if (m := word.search(line)))


@rule("skips", "a skipped test must show in the list at the end of scripts/test: NOT TESTED: what (why)",
      {"tests/unit/a_test.cpp": "// A.\nvoid f() { GTEST_SKIP() << \"not here\"; }\n"})
def skips(tree):
    word = re.compile(r"\bGTEST_SKIP\b|\bskipTest\(|\bunittest\.skip|\bSkipTest\b|SKIP_RETURN_CODE|\bDISABLED\b")
    for path, text in tree.matching("tests/*", "cmake/*"):
        if path.startswith("tests/lint/"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if word.search(line) and "NOT TESTED: " not in line:
                yield path, number, "a skip without its reason in words"


@rule("scripts", "each script fails early and explains itself",
      {"scripts/a": "#!/usr/bin/env bash\necho hello\n"})
def scripts(tree):
    for path, text in tree.matching("scripts/*"):
        if path.endswith(".sh") or "/" in path[len("scripts/"):] or not text.startswith("#!/usr/bin/env bash"):
            continue
        if not re.search(r"^set -euo pipefail$", text, re.M):
            yield path, 1, "no set -euo pipefail"
        if "--help" not in text:
            yield path, 1, "no --help"


@rule("planted", "the build compiles exactly the files that plant bugs a second time, and a header can't be among them",
      {"wal/a.cpp": "// A.\nbool f() { return planted(PlantedBug::b); }\n", "cmake/speed.cmake": "# None.\n"})
def planted_files(tree):
    listed = re.search(r"set\(RAFTD_PLANTED_SOURCES([^)]*)\)", tree.text.get("cmake/speed.cmake", ""))
    listed = set(listed.group(1).split()) if listed else set()
    for path, lines in tree.code(outside=["tests/*", "base/planted.h", "sim/*"]):
        asks = [n for n, line in enumerate(lines, 1) if re.search(r"\bplanted\(", line)]
        if asks and path.endswith(".h"):
            yield path, asks[0], "planted() in a header: move it to a .cpp"
        elif asks and path not in listed:
            yield path, asks[0], "add the file to RAFTD_PLANTED_SOURCES in cmake/speed.cmake"
        elif path in listed and not asks:
            yield path, 1, "plants nothing: take it out of RAFTD_PLANTED_SOURCES in cmake/speed.cmake"


@rule("names", "the files of a folder are compiled together: a type or constant of one is one of all",
      {"wal/a.cpp": "// A.\nnamespace {\nconstexpr int kBytes = 1;\n}  // namespace\n",
       "wal/b.cpp": "// B.\nnamespace {\nconstexpr int kBytes = 2;\n}  // namespace\n"})
def names(tree):
    declared = re.compile(r"(?:struct|class|enum class|enum|union) (\w+)\b(?! *;|::)|using (\w+) =|"
                          r"(?:static )?constexpr [^=({]*?(\w+)(?: = |\{|\[)")
    known = {}
    headers_first = sorted(tree.code(outside=["tests/support/*", "tests/fuzz/*", "tests/bench/*", "tests/model/*",
                                          "examples/*", "*main.cpp"]),
                           key=lambda file: not file[0].endswith(".h"))
    for path, lines in headers_first:
        folder = path.rsplit("/", 1)[0]
        if folder == "tests/unit":
            folder += "/" + path.rsplit("/", 1)[1].split("_")[0]
        inside = False
        for number, line in enumerate(lines, 1):
            if line.startswith("namespace {"):
                inside = True
            elif line.startswith("}") and "namespace" in tree.text[path].splitlines()[number - 1]:
                inside = False
            found = declared.match(line) if inside or path.endswith(".h") else None
            name = found and next(group for group in found.groups() if group)
            # An alias of the same may be repeated.
            first, same = known.setdefault((folder, name), (path, line)) if name else (path, line)
            if inside and first != path and not (line.startswith("using") and same == line):
                yield path, number, f"{name} is also a name in {first}"


@rule("docs", "a document that names what is gone misleads",
      {"docs/tour.md": "`wal/gone.cpp` calls `vanish()`, see [more](gone.md)\n", "wal/a.cpp": "// A.\n"})
def docs(tree):
    sources = "\n".join(text for _, text in tree.matching("*.h", "*.cpp", "*.py", "*.proto"))
    folders = {path.split("/")[0] for path in tree.text} | {"wal"}
    for path, text in tree.matching("*.md"):
        # Only these two promise that each name in them exists; others also speak of what is not built yet.
        strict = path in ("README.md", "docs/tour.md", "raft/README.md", "CONTRIBUTING.md")
        for number, line in enumerate(text.splitlines(), 1):
            for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", line):
                there = (tree.root / path).parent / target
                if not there.exists():
                    yield path, number, f"no file {target}"
            for token in re.findall(r"`([^`]+)`", line) if strict else ():
                file = re.fullmatch(r"([a-z]+)/[\w./-]+\.(h|cpp|md|py|txt|proto|cmake|json)(:\d+)?|scripts/\w+", token)
                if file and (file.group(1) or "scripts") in folders:
                    if not (tree.root / token.split(":")[0]).exists():
                        yield path, number, f"no file {token}"
                call = re.fullmatch(r"(?:[\w:]+::)?(\w+)\(\)", token)
                if call and not re.search(rf"\b{call.group(1)}\(", sources):
                    yield path, number, f"no function {token}"


def promises(tree):
    """(number of the promise, line, names of tests) of docs/guarantees.md."""
    section, line = None, 0
    held = {}
    for number, text in enumerate(tree.text.get("docs/guarantees.md", "").splitlines(), 1):
        head = re.match(r"## (?:(P\d+) )?", text)
        if head:
            section, listing = head.group(1), False
            if section:
                held[section] = (number, [])
        elif section:
            listing = text.startswith("**Held by**") or (listing and bool(text.strip()))
            if listing:
                held[section][1].extend((number, name) for name in re.findall(r"`([^`]+)`", text))
    return held


def test_exists(tree, name):
    """A name as docs/guarantees.md explains them."""
    first, _, rest = name.partition(".")
    if first == "scenario":
        return rest == "raft" or f"tests/scenarios/{rest.replace('.', '/', 1)}.txt" in tree.text
    if first == "e2e":
        program, _, case = rest.partition(".")
        text = tree.text.get(f"tests/e2e/{program}_test.py")
        return text is not None and (not case or f"\n    def {case}(self" in text)
    if first in ("sim", "fuzz"):
        declared = "\n".join(text for _, text in tree.matching("cmake/*.cmake"))
        kind, _, bug = rest.partition(".")
        call = rf"raftd_planted_test\({bug}" if bug else rf"raftd_(sim_test|fuzz)\({kind}"
        return re.search(rf"^{call}\b", declared, re.M) is not None
    case = rf"^TEST(_F|_P)?\({re.escape(first)},\s*{re.escape(rest)}\)"
    return any(re.search(case, text, re.M) for _, text in tree.matching("tests/*.cpp"))


@rule("promises", "each of P1 to P10 names what holds it up",
      {"docs/guarantees.md":
       "".join(f"## P{n} A\n**Held by** `e2e.kill`.\n" for n in range(1, 10)) + "## P10 B\nIt is.\n",
       "tests/e2e/kill_test.py": ""})
def promise_without_test(tree):
    if "docs/guarantees.md" not in tree.text:
        return
    held = promises(tree)
    for promise in (f"P{n}" for n in range(1, 11)):
        number, names = held.get(promise, (1, []))
        if not names:
            yield "docs/guarantees.md", number, f"{promise} names no test that holds it"


@rule("promise-tests", "a promise that rests on a test that is gone rests on nothing",
      {"docs/guarantees.md": "## P1 A\n**Held by** `WalCrash.Append`,\n`WalCrash.Gone`.\n",
       "tests/unit/a_test.cpp": "TEST(WalCrash, Append) {}\n"})
def promise_of_gone_test(tree):
    for _, names in promises(tree).values():
        for number, name in names:
            if not test_exists(tree, name):
                yield "docs/guarantees.md", number, f"no test {name}"


def purity(library):
    """Undefined symbols of the archive that reach for the system."""
    listed = subprocess.run(["nm", "--undefined-only", "--format=just-symbols", library],
                            check=True, capture_output=True, text=True).stdout
    names = {line.split("@")[0] for line in listed.splitlines() if line and not line.endswith(":")}
    return sorted(name for name in names if re.match(IMPURE, name))


def check(root):
    tree = Tree(root)
    count = 0
    for name, reason, _, function in RULES:
        for path, number, what in function(tree):
            print(f"{path}:{number}: {name}: {what} ({reason})")
            count += 1
    print(f"lint: {len(tree.text)} files, {len(RULES)} rules, {count} findings")
    return 1 if count else 0


def self_test():
    """Each planted violation is found by its own rule; the same tree without it is clean."""
    bad = []
    for name, _, planted, function in RULES:
        with tempfile.TemporaryDirectory() as root:
            for path, text in planted.items():
                file = pathlib.Path(root) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            if not list(function(Tree(root))):
                bad.append(f"{name}: does not see its planted violation")
        with tempfile.TemporaryDirectory() as root:
            clean = pathlib.Path(root) / "wal" / "a.h"
            clean.parent.mkdir()
            clean.write_text('// A.\n#pragma once\n#include "io/disk.h"\n// std::mutex is only spoken of\n')
            found = [what for _, _, what in function(Tree(root))]
            if found:
                bad.append(f"{name}: sees what isn't there: {found}")
    with tempfile.TemporaryDirectory() as root:
        source = pathlib.Path(root) / "a.cpp"
        source.write_text("#include <ctime>\nlong f() { return std::time(nullptr); }\n")
        subprocess.run(["g++", "-c", source, "-o", f"{root}/a.o"], check=True)
        subprocess.run(["ar", "rc", f"{root}/a.a", f"{root}/a.o"], check=True)
        if purity(f"{root}/a.a") != ["time"]:
            bad.append("purity: does not see a call of time()")
    for line in bad:
        print(line)
    print(f"lint: {len(RULES) + 1} rules tested on planted violations, {len(bad)} failed")
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--purity", metavar="LIBRARY")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if options.purity:
        impure = purity(options.purity)
        for name in impure:
            print(f"{options.purity}: {name} (the core is a value: no clock, threads, files or sockets)")
        print(f"purity: {len(impure)} findings")
        return 1 if impure else 0
    if options.list:
        for name, reason, _, _ in RULES:
            print(f"{name}: {reason}")
        return 0
    return check(options.root)


if __name__ == "__main__":
    sys.exit(main())
