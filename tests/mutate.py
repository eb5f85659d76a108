#!/usr/bin/env python3
"""Changes include/oci/state.hpp in one small way at a time, and reports the changes that no test notices.

usage: mutate.py [--sample] [--match REGEX] [--list] [--verbose] [--jobs N] [DIRECTORY]

The mutants are made from the header's text: a condition becomes true or false, an operand or a
statement is left out, an operator, a number, a string, an errno name or a flag is replaced, a
function returns {}. They are compiled together; the environment variable OCI_MUTANT chooses one, so
that the suite is built once and run once for each mutant. Enumerators, deleted functions, and
constexpr variables that must be constant are built one by one, and not in a sample. Left out are
types, template arguments, `if constexpr`, static_assert, default arguments, range expressions of
loops, preprocessor lines, and code for Windows.

A mutant is killed if a test fails, crashes or hangs. One that does not compile is no mutant.
Equivalent mutants, which no test can notice, are listed in mutate_equivalent.txt with the reason.
The exit status is 1 if another mutant survives. Run as root, every test runs in mount and PID
namespaces of its own, with the file systems read-only: a broken save can replace /dev/null.

--sample takes SAMPLE mutants, chosen by a hash of the header; --match those on lines that match.
--list only lists them. DIRECTORY keeps the builds. On two cores a sample takes two minutes, all
mutants less than an hour.
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

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = "include/oci/state.hpp"
SUITE = {"faults": ["--abort"], "state_tests": ["--abort"], "races": []}  # in turn, until one fails
EQUIVALENT = "tests/mutate_equivalent.txt"
CHECK = "tests/variants.cpp"  # instantiates the header: what does not compile is found with it
SAMPLE = 40
# Without a return statement a function must not return: the mutant is killed.
FLAGS = "-O0 -w -fsanitize=return -fsanitize-undefined-trap-on-error"

# The switch. `const` integers are initialised at compile time if they can be, hence two functions.
PRELUDE = """
#include <cstdlib>
namespace oci_mutants {
inline const int active = std::getenv("OCI_MUTANT") ? std::atoi(std::getenv("OCI_MUTANT")) : 0;
inline bool on(int number) { return number == active; }
constexpr bool on_constexpr(int number) {
  return __builtin_is_constant_evaluated() ? false : on(number);
}
}  // namespace oci_mutants
"""

# The mount namespace of a test that root runs: an empty temporary directory, devices of its own, and
# all else read-only.
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

TOKEN = re.compile(r"""
  (?P<skip>//[^\n]*|/\*.*?\*/)
  | (?P<directive>(?<=\n)[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<string>(?:u8|[uUL])?(?:R"(?P<mark>[^(]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"))
  | (?P<char>'(?:\\.|[^'\\\n])+')
  | (?P<number>\d(?:'?[\w.])*)
  | (?P<name>operator\s*(?:\(\)|\[\]|[-+*/%^&|~!=<>]+)|[A-Za-z_]\w*)
  | (?P<op>::|->|\.\.\.|\+\+|--|&&|\|\||(?<=\s)>>=?(?=\s)|<<=?|[-+*/%&|^=!<]=|(?<=\s)>=|.)
  """, re.S | re.X)
Token = collections.namedtuple("Token", "kind text start end")
Mutant = collections.namedtuple("Mutant", "line kind old new text")
# wrap: "stmt", "expr", "bool" (a condition), "constexpr" (that word of a variable), "single"
Region = collections.namedtuple("Region", "start end wrap switch mutants")

PRECEDENCE = {"?": 2, ":": 2, "||": 3, "&&": 4, "|": 5, "^": 6, "&": 7, "==": 8, "!=": 8, "<": 9,
              ">": 9, "<=": 9, ">=": 9, "<<": 10, ">>": 10, "+": 11, "-": 11, "*": 12, "/": 12,
              "%": 12, ",": 0, ";": 0, "return": 0, "throw": 0,
              **{f"{op}=": 1 for op in ("", "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")}}
OPERATORS = {"==": ["!="], "!=": ["=="], "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="],
             ">=": [">", "<"], "&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"], "*": ["/"],
             "/": ["*"], "%": ["*"], "<<": [">>"], ">>": ["<<"], "+=": ["-="], "-=": ["+="]}
OPERANDS = {"&&": "true", "||": "false", "|": "0", "&": "~0U", "?": None, "+": ""}
NAMES = {"true": "false", "false": "true", "O_RDONLY": "O_RDWR", "O_WRONLY": "O_RDWR",
         "LOCK_EX": "LOCK_SH", "LOCK_SH": "LOCK_EX", "LOCK_NB": "0", "F_DUPFD_CLOEXEC": "F_DUPFD",
         "replace": "ignore", "strict": "replace", "array": "object", "object": "array"}
TYPES = {"const", "static", "auto", "unsigned", "signed", "int", "bool", "char", "long", "short",
         "double", "float", "volatile", "thread_local", "typename"}
NO_CODE = {"using", "typedef", "static_assert", "struct", "class", "enum", "template", "constexpr",
           "goto", "friend"}


class Header:
    """The header's tokens, and the regions of its code that have mutants."""

    def __init__(self, text):
        self.text, self.tokens, self.match, self.regions = text, [], {}, []
        self.constexpr, self.deduced = False, False  # of the function or lambda
        windows = []  # for each #if around: is the code for Windows alone?
        for found in TOKEN.finditer(text):
            kind = found.lastgroup if found.lastgroup != "mark" else "string"
            if kind == "directive":
                word, rest = re.match(r"\s*#\s*(\w*)(.*)", found[0], re.S).groups()
                if word.startswith("if"):
                    alone = "_WIN32" in rest and word != "ifndef" and "!" not in rest
                    windows.append(alone if "_WIN32" in rest else None)
                elif word in ("else", "elif") and windows[-1] is not None:
                    windows[-1] = not windows[-1]
                elif word == "endif":
                    windows.pop()
            elif kind != "skip" and not found[0].isspace() and True not in windows:
                self.tokens.append(Token(kind, found[0], *found.span()))
        opened = []
        for i, token in enumerate(self.tokens):
            if token.text in ("(", "[", "{") or token.text == "<" and not self.spaced(i):
                opened.append(i)
            elif token.text in (")", "]", "}") or token.text == ">" and not self.gap(i):
                while token.text != ">" and self.at(opened[-1]) == "<":
                    opened.pop()
                if token.text != ">" or self.at(opened[-1]) == "<":
                    self.match[i] = opened[-1]
                    self.match[opened.pop()] = i
        self.scope(0, len(self.tokens))

    def at(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def gap(self, i):
        """Whether there is white space before the token."""
        return i > 0 and self.tokens[i].start > self.tokens[i - 1].end

    def spaced(self, i):
        """Whether the token is a binary operator: clang-format puts spaces around those."""
        return self.gap(i) and self.gap(i + 1) and self.at(i - 1) != "template"

    def code(self, i, j, changes=()):
        """The tokens from i to j on one line. `changes`: (first, last + 1, new text) each."""
        words = []
        while i < j:
            new = next((change for change in changes if change[0] == i), None)
            words.append((" " if self.gap(i) else "") + (new[2] if new else self.at(i)))
            i = new[1] if new and new[1] > i else i + 1
        return "".join(words).strip()

    def skip(self, i, j, *ends):
        """The first of these tokens that is not within brackets, else j."""
        while i < j and self.at(i) not in ends:
            i = self.match.get(i, i) + 1 if self.match.get(i, i) > i else i + 1
        return min(i, j)

    # Where the code is

    def scope(self, i, end):
        """Namespaces and classes."""
        start, parameters, initializers = i, False, False
        while i < end:
            token, close = self.at(i), self.match.get(i, i)
            words = [self.at(k) for k in range(start, i)]
            if token == "template" and i == start:
                start = self.match[i + 1] + 1
            elif token == ";" or token == ":" and self.at(i - 1) in ("public", "private", "protected"):
                if words[-2:] == ["=", "delete"] and "operator" not in " ".join(words):
                    if len(words) > 8:  # no copy constructor
                        self.region(start, i + 1, "single", [self.change(start, i + 1, start, i + 1, "declaration", "")])
                start, parameters, initializers = i + 1, False, False
            elif token == ":" and parameters:
                initializers = True
            elif token == "=" and not parameters:
                stop = self.skip(i, end, ";")
                self.variable(start, i + 1, stop)
                close = stop - 1
            elif token == "{":
                if "namespace" in words:
                    self.scope(i + 1, close)
                    start = close + 1
                elif "enum" in words:
                    for k in range(i + 1, close):
                        self.region(k, k + 1, "single", self.literals(k, k + 1, k))
                elif not parameters and set(words) & {"class", "struct", "union"}:
                    self.scope(i + 1, close)
                elif initializers and re.match(r"\w", self.at(i - 1)):
                    self.arguments(i)
                elif parameters:
                    self.constexpr, self.deduced = "constexpr" in words, "auto" in words
                    self.block(i + 1, close)
                    self.constexpr = False
                    start, parameters, initializers = close + 1, False, False
                elif close > i + 1:
                    self.variable(start, i + 1, close)
            elif token == "(":
                if initializers:
                    self.arguments(i)
                parameters = True
            i = max(i, close) + 1

    def variable(self, start, i, j):
        words = [self.at(k) for k in range(start, i)]
        if "using" in words:
            return
        if "constexpr" not in words:
            self.expression(i, j, "expr")
        elif "bool" not in words:  # a trait
            self.expression(i, j, "expr")
            if self.regions and self.regions[-1].start >= self.tokens[i].start:
                k = start + words.index("constexpr")
                self.region(k, k + 1, "constexpr", self.regions[-1].mutants)

    def block(self, i, end):
        while i < end:
            i = self.statement(i, end)

    def statement(self, i, end):
        """Finds the regions of one statement. Returns the index of the next."""
        word = self.at(i)
        close = self.match.get(i + 1, i + 1)
        if word == "{":
            self.block(i + 1, self.match[i])
            return self.match[i] + 1
        if word in ("case", "default"):
            return self.skip(i, end, ":") + 1
        if word == "if" and self.at(i + 1) == "constexpr":
            i = self.match[i + 2] + 1
        elif word in ("if", "while", "switch"):
            first = self.skip(i + 2, close, ";")
            if first < close:
                self.declaration(i + 2, first)
            first = first + 1 if first < close else i + 2
            if self.declares(first):
                self.declaration(first, close)
            elif word != "switch":
                self.expression(first, close, "bool", ["true", "false"] if word == "if" else ["false"])
            i = close + 1
        elif word == "for":
            first = self.skip(i + 2, close, ";")
            if first < close:
                second = self.skip(first + 1, close, ";")
                self.declaration(i + 2, first)
                self.expression(first + 1, second, "bool", ["false"])
                self.expression(second + 1, close, "expr")
                return self.statement(close + 1, end)
            after = self.statement(close + 1, end)
            if not any(self.at(k) == "return" for k in range(close, after)):
                self.region(i, after, "stmt", [self.change(i, after, i, after, "statement", "")])
            return after
        elif word == "do":
            i = self.statement(i + 1, end)  # "while"
            self.expression(i + 2, self.match[i + 1], "bool", ["false"])
            return self.match[i + 1] + 2
        elif word == "try":
            i = self.statement(i + 1, end)
            while self.at(i) == "catch":
                i = self.statement(self.match[i + 1] + 1, end)
            return i
        else:
            stop = self.skip(i, end, ";")
            if word in NO_CODE or stop == i:
                pass
            elif self.declares(i):
                self.declaration(i, stop)
            else:
                self.expression(i, stop + 1, "stmt")
            return stop + 1
        i = self.statement(i, end)
        return self.statement(i + 1, end) if word == "if" and self.at(i) == "else" else i

    def declares(self, i):
        if self.at(i) in TYPES:
            return True
        if self.at(i) in PRECEDENCE:
            return False
        while self.at(i) == "::" or self.tokens[i].kind == "name" or self.at(i) == "<" and i in self.match:
            if self.tokens[i].kind == "name" and self.tokens[i + 1].kind == "name":
                return True
            i = self.match.get(i, i) + 1
            if self.at(i - 1) == ">" and self.tokens[i].kind == "name":
                return True
        return self.at(i) in ("&", "*", "&&") and not self.gap(i) and self.gap(i + 1)

    def declaration(self, i, end):
        first = self.skip(i, end, "=")
        if first < end:
            self.expression(first + 1, end, "expr")
        elif self.at(end - 1) in (")", "}"):
            self.arguments(self.match[end - 1])

    def arguments(self, i):
        end, i = self.match[i], i + 1
        while i < end:
            stop = self.skip(i, end, ",")
            self.expression(i, stop, "expr")
            i = stop + 1

    # The mutants

    def region(self, i, j, wrap, mutants):
        start, end = self.tokens[i].start, self.tokens[j - 1].end
        if mutants and not re.search(r"\n *#", self.text[start:end]):
            switch = "on_constexpr" if self.constexpr else "on"
            self.regions.append(Region(start, end, wrap, switch, mutants))

    def change(self, i, j, first, last, kind, new):
        """The mutant of tokens i to j in which the tokens from first to last are new."""
        line = self.text.count("\n", 0, self.tokens[first].start) + 1
        text = self.code(i, j, [(first, last, new)]) if new or (first, last) != (i, j) else ""
        return Mutant(line, kind, self.code(first, last), new, text)

    def expression(self, i, j, wrap, whole=()):
        """One full expression, or a statement that is one: its mutants, and the lambdas in it."""
        mutants = [self.change(i, j, i, j, "condition", new) for new in whole if i < j]
        if wrap == "stmt":
            mutants += self.statements(i, j)
        k = i
        while k < j:
            if self.at(k) == "[" and (k == i or not re.search(r"[\w\])>]$", self.at(k - 1))
                                      or self.at(k - 1) == "return"):  # a lambda
                body = self.skip(k, j, "{")
                deduced, self.deduced = self.deduced, "->" not in self.code(k, body)
                self.block(body + 1, self.match[body])
                self.deduced = deduced
                k = self.match[body] + 1
                continue
            mutants += self.literals(i, j, k) + self.operators(i, j, k)
            k += 1
        unique = {}
        for mutant in mutants:
            if mutant.text != self.code(i, j):
                unique.setdefault(mutant.text, mutant)
        if i < j and self.at(i) not in ("{", "[") or wrap == "stmt":
            self.region(i, j, wrap, list(unique.values()))

    def statements(self, i, j):
        if self.at(i) != "return" or j == i + 2:
            return [self.change(i, j, i, j, "statement", "")]
        words = [self.at(k) for k in range(i + 1, j - 1)]
        if len(words) == 1 and not words[0].isidentifier() or words[0] in ("{", "[", "true", "false"):
            return []  # a literal, an initializer list, a lambda
        news = [] if self.deduced else ["{}"]
        if "?" not in words and {"&&", "||", "==", "!=", "<", ">", "<=", ">="} & {
                self.at(k) for k in range(i, j) if self.spaced(k)}:
            news.append("true")
        return [self.change(i, j, i + 1, j - 1, "return", new) for new in news]

    def literals(self, i, j, k):
        token, news = self.tokens[k], []
        if token.kind == "number":
            news = [f"({token.text} + 1)"] + [f"({token.text} - 1)"] * (token.text.strip("0") != "")
        elif token.kind == "string":
            news = [re.sub(r'"([^(]*\(|)', r'"\1#', token.text, count=1) if token.text[-2:] == ')"'
                    and "R" in token.text[:3] else token.text.replace('"', '"#', 1)]
        elif token.kind == "char":
            news = ["'#'"]
        elif token.text in NAMES and (self.at(k - 1) == "::" or token.text not in ("replace", "array", "object")):
            news = [NAMES[token.text]]
        elif re.fullmatch(r"E[A-Z]{3,}", token.text):
            news = ["EDOM"]
        elif self.at(k - 2) == "errc" and self.at(k - 1) == "::":
            news = ["argument_out_of_domain"]
        return [self.change(i, j, k, k + 1, token.kind if token.kind != "name" else "constant", new) for new in news]

    def operators(self, i, j, k):
        op = self.at(k)
        if op == "!" and not self.spaced(k):
            return [self.change(i, j, k, k + 1, "operator", "")]
        if op in ("++", "--"):
            return [self.change(i, j, k, k + 1, "operator", "--" if op == "++" else "++")]
        if op not in PRECEDENCE or not self.spaced(k):
            return []
        made = [self.change(i, j, k, k + 1, "operator", new) for new in OPERATORS.get(op, [])]
        if op not in OPERANDS:
            return made
        left, right = k, k + 1
        while left > i and self.at(left - 1) not in ("(", "[", "{") and not (
                self.at(left - 1) in PRECEDENCE and PRECEDENCE[self.at(left - 1)] <= PRECEDENCE[op]
                and (self.spaced(left - 1) or PRECEDENCE[self.at(left - 1)] < 1)):
            left = min(left - 1, self.match.get(left - 1, left))
        while right < j and self.at(right) not in (")", "]", "}") and not (
                self.at(right) in PRECEDENCE and PRECEDENCE[self.at(right)] <= PRECEDENCE[op]
                and (self.spaced(right) or PRECEDENCE[self.at(right)] < 1)):
            right = max(right + 1, self.match.get(right, 0) + 1)
        if op == "?":
            return made + [self.change(i, j, left, k, "condition", new) for new in ("true", "false")]
        if op == "+":
            made += [self.change(i, j, left, k + 1, "operand", "")] * (self.tokens[left].kind not in ("string", "number"))
            return made + [self.change(i, j, k, right, "operand", "")] * (self.tokens[k + 1].kind not in ("string", "number"))
        return made + [self.change(i, j, left, k, "operand", OPERANDS[op]),
                       self.change(i, j, k + 1, right, "operand", OPERANDS[op])]

    # The schemata

    def mutants(self):
        """All mutants and their numbers, in the order of the header."""
        regions = sorted(self.regions, key=lambda region: region.start)
        return {m: n for n, m in enumerate(dict.fromkeys(m for r in regions for m in r.mutants), 1)}

    def variables(self):
        """The mutants that make a constexpr variable one that is only const."""
        return [m for r in self.regions if r.wrap == "constexpr" for m in r.mutants]

    def declarations(self):
        return [m for r in self.regions if r.wrap == "single" for m in r.mutants]

    def schemata(self, chosen):
        """The header with these mutants behind their switches. `chosen`: {mutant: number}."""
        regions = [(r, {m: chosen[m] for m in r.mutants if m in chosen}) for r in self.regions]
        regions = sorted((pair for pair in regions if pair[1]), key=lambda p: (p[0].start, -p[0].end))

        def render(start, end):
            parts = []
            while regions and regions[0][0].start < end:
                region, mutants = regions.pop(0)
                parts += [self.text[start:region.start],
                          self.switches(region, mutants, render(region.start, region.end))]
                start = region.end
            return "".join(parts) + self.text[start:end]

        first = self.tokens[0].start
        return self.text[:first] + PRELUDE + render(first, len(self.text))

    @staticmethod
    def switches(region, mutants, old):
        """The code of a region. Each mutant is on a line of its own, marked for Tree.blamed()."""
        if region.wrap == "constexpr":
            return "const"
        if region.wrap == "single":
            return next(iter(mutants)).text
        before, after = {"stmt": ("if ({}) {{ {} }} else", "{{ {} }}"),
                         "bool": ("{} ? bool({}) :", "bool({})"),
                         "expr": ("{} ? ({}) :", "({})")}[region.wrap]
        switch = f"oci_mutants::{region.switch}"
        lines = [f"\n/*@{number}*/ " + before.format(f"{switch}({number})", mutant.text)
                 for mutant, number in mutants.items()]
        body = "".join(lines) + "\n" + after.format(old)
        return "{" + body + " }" if region.wrap == "stmt" else "(" + body + ")"


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
        found, way, open_error = set(), [], False
        for line in errors.split("\n"):
            place = re.search(re.escape(HEADER) + r":(\d+)", line)
            mark = place and re.search(r"/\*@(\d+)\*/", lines[int(place[1]) - 1])
            if " error: " in line:
                blame = [mark[1]] if mark else way[:1]  # g++ says before an error how it got there
                found.update(blame)
                way, open_error = [], not blame
            elif mark and open_error and " note: " in line:  # clang++ after it
                found.add(mark[1])
                open_error = False
            elif mark:
                way.append(mark[1])
        return {int(number) for number in found}

    def weed(self, header, mutants, build):
        """The mutants that compile together; `build` is self.compile or self.make."""
        while mutants:
            errors = build(header.schemata(mutants))
            if errors is None:
                break
            bad = self.blamed(errors) or {mutants[m] for m in header.variables() if m in mutants}
            if not bad and len(mutants) > 1:  # they point to none: try each half
                items = list(mutants.items())
                kept = {**self.weed(header, dict(items[::2]), build),
                        **self.weed(header, dict(items[1::2]), build)}
                bad = set(mutants.values()) - set(kept.values())
                if not bad:
                    sys.exit("the mutants do not compile together:\n" + errors)
            mutants = {m: n for m, n in mutants.items() if bad and n not in bad}
        return mutants


class Suite:
    """The built tests, run as root in a sandbox."""

    def __init__(self, tree):
        self.tree, self.limits = tree, {}
        for program in SUITE:
            start = time.monotonic()
            if self.notices(program, 0):
                sys.exit(f"{program} fails without a mutant")
            self.limits[program] = round(5 + 4 * (time.monotonic() - start))

    def notices(self, program, number):
        """How the program notices the mutant; None if it does not."""
        limit = self.limits.get(program, 300)
        root = os.geteuid() == 0
        box = tempfile.mkdtemp(dir=self.tree.path.parent)
        script = "box=$1; shift\n" + (SANDBOX if root else "") + f"""
            cd "$box" && export TMPDIR="$box" && ulimit -t {limit} && ulimit -v 8000000 && "$@" """
        command = ["sh", "-c", script, "sh", box, self.tree.build / "tests" / program,
                   *SUITE[program]]
        if root:
            command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                       *command]
        process = subprocess.Popen(command, env={**os.environ, "OCI_MUTANT": str(number)},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            return f"{program} {process.returncode}" if process.wait(3 * limit) else None
        except subprocess.TimeoutExpired:
            return f"{program} (hangs)"
        finally:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            process.wait()
            shutil.rmtree(box, ignore_errors=True)

    def killer(self, number):
        return next(filter(None, (self.notices(program, number) for program in SUITE)), None)


def equivalents():
    """(regular expression for the line of the header, one for the change, reason) each."""
    text = (ROOT / EQUIVALENT).read_text()
    return [tuple(re.search(rf"^{key}: (.*)", entry, re.M)[1] for key in ("line", "change", "why"))
            for entry in re.split(r"\n\n+", re.sub(r"(?m)^#.*\n", "", text).strip()) if entry]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    for flag in ("--sample", "--list", "--verbose"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--match", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("directory", nargs="?")
    options = parser.parse_args()

    header = Header((ROOT / HEADER).read_text())
    lines = header.text.split("\n")
    listed = equivalents()
    used = set()

    def show(mutant):
        change = " ".join(f"{mutant.old} -> {mutant.new}".split())
        change = change if len(change) < 90 else f"{change[:50]} ... {change[-35:]}"
        return f"{HEADER}:{mutant.line}: {mutant.kind}: {change}\n      {lines[mutant.line - 1].strip()}"

    def reason(mutant):
        """Why the mutant is equivalent, if it is listed."""
        change = f"{mutant.kind}: {mutant.old} -> {mutant.new}"
        for line, pattern, why in listed:
            if re.search(line, lines[mutant.line - 1]) and re.search(pattern, change):
                used.add((line, pattern, why))
                return why
        return None

    numbers = header.mutants()
    mutants = {m: n for m, n in numbers.items() if re.search(options.match, lines[m.line - 1])}
    singles = [m for m in header.declarations() if m in mutants]
    for mutant in singles:
        del mutants[mutant]
    if options.sample:
        singles = []
        order = sorted((m for m in mutants if not reason(m)), key=lambda m: hashlib.sha256(
            f"{numbers[m]} {header.text}".encode()).digest())
        mutants = {m: numbers[m] for m in order[:2 * SAMPLE]}  # some of them do not compile
    if options.list:
        print(*map(show, [*mutants, *singles]), sep="\n")
        return 0

    scratch = pathlib.Path(options.directory or tempfile.mkdtemp()).resolve()
    results = collections.Counter()
    started = time.monotonic()

    def report(mutant, killer):
        what = "killed" if killer else "equivalent" if reason(mutant) else "survived"
        results[what] += 1
        if what == "survived" or options.verbose:
            print(f"{what}{' by ' + killer if killer else ''}: {show(mutant)}", flush=True)

    try:
        tree = Tree(scratch / "tree", options.jobs)
        kept = tree.weed(header, mutants, tree.compile)
        if options.sample:
            kept = {m: n for m, n in list(kept.items())[:SAMPLE]}
        kept = tree.weed(header, kept, tree.make)
        singles += [m for m in header.variables() if m in mutants and m not in kept]
        suite = Suite(tree)
        print(f"{len(kept)} mutants in one build after {time.monotonic() - started:.0f} s", flush=True)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for mutant, killer in zip(kept, pool.map(lambda m: suite.killer(kept[m]), kept)):
                report(mutant, killer)
        for mutant in singles:
            text = header.schemata({mutant: 0})
            report(mutant, "the compiler" if tree.compile(text) or tree.make(text) else suite.killer(0))
    finally:
        if not options.directory:
            shutil.rmtree(scratch)
    print(f"{sum(results.values())} mutants in {time.monotonic() - started:.0f} s: "
          + ", ".join(f"{count} {what}" for what, count in results.items()))
    return 1 if results["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
