#!/usr/bin/env python3
"""Changes include/oci/state.hpp in one small way at a time, and reports what no test notices.

usage: mutate.py [--sample] [--match REGEX] [--tests REGEX] [--list] [--verbose] [--jobs N] [DIR]

The mutants are made from the header's text: a condition becomes true or false, an operand or a
statement is left out, an operator, number, string, errno or flag is replaced, a function returns
{}. They are compiled together, and the environment variable OCI_MUTANT chooses one: the suite is
built once, and run once for each mutant. Only those in constexpr variables are built one by one,
and not in a sample. Left out are types, template arguments, `if constexpr`, static_assert, default
arguments, enumerators, deleted functions, preprocessor lines, and code for Windows.

A mutant is killed if a test fails, crashes or hangs. One that does not compile is no mutant.
Equivalent mutants, which no test can notice, are listed in mutate_equivalent.txt with the reason;
only the quick programs run with them. The exit status is 1 if another mutant survives. Run as root,
each test has mount and PID namespaces of its own, with the file systems read-only: else a wrong
save could replace /dev/null.

--sample takes SAMPLE mutants, chosen by a hash of the header; --match those on lines that match;
--tests builds and runs only the tests with such names; --list lists the mutants, before it is known
which of them compile. DIR keeps the builds.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from mutants import Header

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEADER = "include/oci/state.hpp"
# The programs that run with each mutant, until one fails: one for each unit test, and these.
SYSTEM = {"faults": ["--abort"], "races": []}
SUITE = {**{path.stem: ["--abort"] for path in sorted((ROOT / "tests/unit").glob("*.cpp"))},
         **SYSTEM}
QUICK = 1.5  # seconds: those programs run first, in one sandbox
CHECK = "tests/compile/variants.cpp"  # instantiates the header: finds out quickly what does not compile
EQUIVALENT = "tests/tools/mutate_equivalent.txt"
SAMPLE = 40
# A function that ends without its return statement crashes.
FLAGS = "-O0 -w -fsanitize=return -fsanitize-undefined-trap-on-error"

# The mount namespace of a test that root runs: an empty temporary directory, devices of its own,
# and all else read-only.
SANDBOX = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o size=1g,mode=755 tmpfs "$box"
mkdir -m 1777 "$box/tmp" "$box/dev" "$box/dev/shm"
for name in null zero full random urandom fd stdin stdout stderr; do
  cp -a "/dev/$name" "$box/dev/"
done
while read -r _ point _; do
  case $point in "$box" | /proc | /proc/* | /dev | /dev/*) ;;
  *) mount -o remount,bind,ro "$point" ;;
  esac
done </proc/self/mounts
mount --bind "$box/dev" /dev
box=$box/tmp
set +e
"""

class Tree:
    """A copy of the project, and its build."""

    def __init__(self, path, jobs):
        self.path, self.jobs, self.build = path, jobs, path / "build"
        shutil.copytree(ROOT, path, ignore=shutil.ignore_patterns("build*", ".git"),
                        dirs_exist_ok=True)
        failed = self.call([
            "cmake", "-S", path, "-B", self.build, "-G", "Unix Makefiles",
            f"-DCMAKE_CXX_FLAGS={FLAGS}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
            "-DOCI_STATE_BUILD_TESTS=ON", "-DOCI_STATE_BUILD_EXAMPLES=OFF"])
        if failed:
            sys.exit(failed)
        commands = json.loads((self.build / "compile_commands.json").read_text())
        command = next(c["command"] for c in commands if c["file"].endswith(CHECK))
        self.check = shlex.split(re.sub(r" -o \S+ ", " -fsyntax-only ", command))

    def call(self, command):
        """The output of a command that fails; None if it does not."""
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", cwd=self.path, env={**os.environ, "LC_ALL": "C"})
        return done.stdout if done.returncode else None

    def compile(self, header):
        (self.path / HEADER).write_text(header)
        return self.call(self.check)

    def make(self, header):
        (self.path / HEADER).write_text(header)
        return self.call(["cmake", "--build", self.build, "--parallel", str(self.jobs),
                          "--target", *SUITE, "--", "-k"])

    def blamed(self, errors):
        """The numbers of the mutants that the compiler's errors point to."""
        lines = (self.path / HEADER).read_text().split("\n")
        found, way = set(), []
        for line in errors.split("\n"):
            place = re.search(re.escape(HEADER) + r":(\d+)", line)
            mark = place and re.search(r"/\*@(\d+)\*/", lines[int(place[1]) - 1])
            if mark and (" error: " in line or "required from" in line):
                way.append(int(mark[1]))
            if " error: " in line:  # g++ says before an error how it got there, from the inside
                found.update(way[-1:] if mark else way[:1])
                way = []
        return found

    def weed(self, header, mutants, build):
        """The mutants that compile together; `build` is self.compile or self.make."""
        while errors := build(header.schemata(mutants)):
            bad = self.blamed(errors)
            if not bad:  # the errors point to none: find one by halves
                if not mutants or build(header.text):
                    sys.exit("without a mutant, there are errors:\n" + errors)
                items = list(mutants.items())
                while len(items) > 1:
                    half = items[:len(items) // 2]
                    items = half if build(header.schemata(dict(half))) else items[len(half):]
                bad = {number for _, number in items}
            mutants = {m: number for m, number in mutants.items() if number not in bad}
        return mutants


class Suite:
    """The built tests, run as root in a sandbox. What noticed a mutant last runs first: it is likely to
    notice the next one, which is near to it in the header. Slow programs run after all quick ones."""

    def __init__(self, tree):
        self.tree, self.seconds = tree, {}
        for program in SUITE:
            start = time.monotonic()
            if self.notices([program], 0):
                sys.exit(f"{program} fails without a mutant")
            self.seconds[program] = time.monotonic() - start
        order = sorted(SUITE, key=self.seconds.get)
        self.quick = [program for program in order if self.seconds[program] < QUICK]
        self.slow = [program for program in order if program not in self.quick]

    def notices(self, programs, number):
        """(the first of the programs that notices the mutant, how); None if none does."""
        limit = round(5 + 4 * max(self.seconds.get(program, 75) for program in programs))
        root = os.geteuid() == 0
        box = tempfile.mkdtemp(dir=self.tree.path.parent)
        runs = "\n".join(f"echo {program} && {shlex.quote(str(self.tree.build))}/tests/{program} "
                         f"{' '.join(SUITE[program])} >/dev/null || exit" for program in programs)
        script = "box=$1\n" + (SANDBOX if root else "") + f"""
            cd "$box" && export TMPDIR="$box" && ulimit -t {limit} && ulimit -v 8000000 || exit
            {runs}
            """
        command = ["sh", "-c", script, "sh", box]
        if root:
            command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                       *command]
        process = subprocess.Popen(command, env={**os.environ, "OCI_MUTANT": str(number)},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                   stderr=subprocess.DEVNULL if number else None,
                                   start_new_session=True)
        names, how = "", "hangs"
        try:
            names, _ = process.communicate(timeout=(2 + len(programs)) * limit)
            how = process.returncode
        except subprocess.TimeoutExpired:
            pass
        finally:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            names = names or process.communicate()[0]
            shutil.rmtree(box, ignore_errors=True)
        return (names.split()[-1], how) if how else None

    def killer(self, number, slow=True):
        """The program that notices the mutant, and how; None if none does."""
        for group in [self.quick, *([program] for program in self.slow if slow)]:
            found = self.notices(list(group), number)
            if found:
                program, how = found
                if program in self.quick:
                    self.quick = [program] + [other for other in self.quick if other != program]
                else:
                    self.slow = [program] + [other for other in self.slow if other != program]
                return f"{program} ({how})"
        return None


def equivalents():
    """(regular expression for a line of the header, one for a change, why) each."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / EQUIVALENT).read_text())
    return re.findall(r"line: (.*)\nchange: (.*)\nwhy: (.*)", text)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    for flag in ("--sample", "--list", "--verbose"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--match", default="")
    parser.add_argument("--tests", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("directory", nargs="?")
    options = parser.parse_args()
    for program in [program for program in SUITE if not re.search(options.tests, program)]:
        del SUITE[program]

    header = Header((ROOT / HEADER).read_text())
    lines = header.text.split("\n")
    listed = equivalents()
    needed = set()
    results = collections.Counter()
    started = time.monotonic()

    def described(mutant):
        line = f"{mutant.place}: {lines[mutant.line - 1].strip()}"
        return line, f"{mutant.kind}: {mutant.old} -> {mutant.new or 'nothing'}"

    def show(mutant):
        line, change = described(mutant)
        return f"{HEADER}:{mutant.line}: {line}\n    {change[:160]}"

    def reason(mutant):
        """The entry of the list that calls the mutant equivalent, if any."""
        line, change = described(mutant)
        return next((entry for entry in listed
                     if re.search(entry[0], line) and re.search(entry[1], change)), None)

    def report(mutant, killer):
        entry = reason(mutant)
        what = "killed" if killer else "equivalent" if entry else "survived"
        results[what] += 1
        if not killer:
            needed.add(entry)
        if what == "survived" or options.verbose:
            print(f"{what}{' by ' + killer if killer else ''}: {show(mutant)}", flush=True)

    singles = header.singles()
    mutants = {m: n for m, n in header.mutants().items()
               if re.search(options.match, described(m)[0])}
    if options.sample:
        order = sorted(mutants.items(), key=lambda pair: hashlib.sha256(
            f"{pair[1]} {header.text}".encode()).digest())
        mutants = dict([pair for pair in order if pair[0] not in singles and not reason(pair[0])]
                       [:2 * SAMPLE])  # some do not compile
    if options.list:
        print(*map(show, mutants), sep="\n")
        return 0

    scratch = pathlib.Path(options.directory or tempfile.mkdtemp()).resolve()
    scratch.chmod(0o755)  # for the tests that run as an ordinary user
    try:
        tree = Tree(scratch / "tree", options.jobs)
        switched = {m: n for m, n in mutants.items() if m not in singles}
        switched = tree.weed(header, switched, tree.compile)
        if options.sample:
            switched = dict(list(switched.items())[:SAMPLE])
        switched = tree.weed(header, switched, tree.make)
        suite = Suite(tree)
        print(f"{len(switched)} mutants in one build, after {time.monotonic() - started:.0f} s",
              flush=True)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            killers = pool.map(lambda mutant: suite.killer(switched[mutant], not reason(mutant)),
                               switched)
            for mutant, killer in zip(switched, killers):
                report(mutant, killer)
        for mutant, text in singles.items():
            if mutant not in mutants:
                continue
            failed = tree.compile(text) or tree.make(text)
            report(mutant, "the compiler" if failed else suite.killer(0))
    finally:
        if not options.directory:
            shutil.rmtree(scratch)
    for entry in listed:
        if entry not in needed and not options.sample and not options.match:
            print(f"{EQUIVALENT}: no such mutant survives: {entry[0]}")
    print(f"{sum(results.values())} mutants in {time.monotonic() - started:.0f} s: "
          + ", ".join(f"{count} {what}" for what, count in sorted(results.items())))
    return 1 if results["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
