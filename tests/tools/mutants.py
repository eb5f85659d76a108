"""Makes the mutants of mutate.py from the text of a C++ header, and a header that has them all.

It knows no more of the grammar than where statements and full expressions begin and end, and takes
the rest from clang-format's white space: a binary operator has spaces around it, a reference and a
template's bracket have none. What is no C++ after all does not compile, and is left out then.
"""

import collections
import re

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

TOKEN = re.compile(r"""
  (?P<skip>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<directive>(?<=\n)\#(?:\\\n|[^\n])*)
  | (?P<string>R"(?P<mark>[^(]*)\(.*?\)(?P=mark)"|(?:u8|[uUL])?"(?:\\.|[^"\\])*")
  | (?P<char>'(?:\\.|[^'\\])+')
  | (?P<number>\d(?:'?[\w.])*)
  | (?P<name>operator\s*(?:\(\)|\[\]|[-+*/%^&|~!=<>]+)|[A-Za-z_]\w*)
  | (?P<op>::|->|\.\.\.|\+\+|--|&&|\|\||(?<=\s)>[>=](?=\s)|<<|[-+*/%&|^=!<]=|.)
  """, re.S | re.X)
Token = collections.namedtuple("Token", "kind text start end")
# place: "class::function"; text: of the whole region
Mutant = collections.namedtuple("Mutant", "line place kind old new text")
Region = collections.namedtuple("Region", "start end wrap switch mutants")

PRECEDENCE = {op: level for level, ops in enumerate([
    ", ; return throw", "= += -= *= /= %= &= |= ^=", "? :", "||", "&&", "|", "^", "&", "== !=",
    "< > <= >=", "<< >>", "+ -", "* / %"]) for op in ops.split()}
BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
NEGATION = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
OTHER = {"&&": "||", "||": "&&", "+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "<<": ">>",
         ">>": "<<", "+=": "-=", "-=": "+=", "++": "--", "--": "++"}
NEUTRAL = {"&&": "true", "||": "false", "|": "0", "&": "~0U", "+": ""}  # instead of an operand
TOKENS = [  # (kind, the token with its scope, instead)
    ("number", r"(.+)", r"(\1 + 1)"),
    ("number", r"(.*[1-9A-Fa-f].*)", r"(\1 - 1)"),
    ("string", r'(R"\w*\(|\w*")(.*)', r"\1#\2"),
    ("char", r".+", "'#'"),
    ("name", r"E[A-Z]{3,}", "EDOM"),
    ("name", r"errc::\w+", "argument_out_of_domain"),
    *(("name", pair.split()[0], pair.split()[1]) for pair in (
        "true false", "false true", "O_RDONLY O_RDWR", "O_WRONLY O_RDWR", "LOCK_EX LOCK_SH",
        "LOCK_SH LOCK_EX", "F_DUPFD_CLOEXEC F_DUPFD", "\\w+::replace ignore",
        "value_t::array object", "value_t::object array")),
]
DECLARATION = re.compile(r"(const|static|auto)\b|"
                         r"(?!return|throw|delete)[\w:]+(<.*?>)?[&*]*( const)? \w+ ?[;=({\[]")
NO_CODE = ("using", "typedef", "static_assert", "struct", "class", "enum", "template", "constexpr")


class Header:
    """The tokens, and the regions that have mutants: a statement or a full expression each."""

    def __init__(self, text):
        self.text, self.tokens, self.match, self.regions = text, [], {}, []
        self.place, self.constexpr = "", False  # of the function
        self.deduced = False  # the return type of the function or lambda
        windows = []  # for each #if around: is this for Windows alone? None: another condition
        for found in TOKEN.finditer(text):
            kind = found.lastgroup.replace("mark", "string")
            if kind == "directive":
                word, rest = re.match(r"#\s*(\w+)(.*)", found[0], re.S).groups()
                if word.startswith("if"):
                    windows.append("_WIN32" in rest and word != "ifndef" and "!" not in rest
                                   if "_WIN32" in rest else None)
                elif word == "endif":
                    windows.pop()
                elif word.startswith("el") and windows[-1] is not None:
                    windows[-1] = not windows[-1]
            elif kind != "skip" and True not in windows:
                self.tokens.append(Token(kind, found[0], *found.span()))
        opened = []
        for i, token in enumerate(self.tokens):
            if token.text in ("(", "[", "{") or token.text == "<" and not self.spaced(i):
                opened.append(i)
            elif token.text in (")", "]", "}"):
                while self.at(opened[-1]) == "<":
                    opened.pop()
                self.match[i] = opened.pop()
            elif token.text == ">" and not self.gap(i) and self.at(opened[-1]) == "<":
                self.match[i] = opened.pop()
        self.match.update({close: opener for opener, close in self.match.items()})
        self.scope(0, len(self.tokens))

    def at(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def gap(self, i):
        """Whether white space stands before the token."""
        return 0 < i < len(self.tokens) and self.tokens[i].start > self.tokens[i - 1].end

    def spaced(self, i):
        """Whether the token is a binary operator."""
        return self.gap(i) and self.gap(i + 1) and self.at(i - 1) != "template"

    def code(self, i, j):
        """The tokens from i to j on one line."""
        return "".join(" " * (self.gap(k) and k > i) + self.at(k) for k in range(i, j))

    def after(self, i):
        """The token after this one, or after the bracket that it opens."""
        return max(i, self.match.get(i, i)) + 1

    def find(self, i, j, word):
        """Where the word stands outside of brackets, else j."""
        while i < j and self.at(i) != word:
            i = self.after(i)
        return i

    # Where the code is

    def scope(self, i, end):
        """Namespaces, classes, and what is declared in them."""
        start, parameters = i, False
        while i < end:
            token, after, before = self.at(i), self.after(i), self.code(start, i)
            if token == ";" or re.fullmatch("public|private|protected", before):
                start, parameters = i + 1, False
            elif token == "=" and not parameters:
                after = self.find(i, end, ";")
                self.variable(start, i + 1, after)
            elif token == "(":
                parameters = True
            elif token == "template":
                start = after = self.after(i + 1)
            elif token == "{" and parameters:
                outer = self.place
                if not before.startswith("catch "):  # which belongs to the function before it
                    name = re.search(r"([\w~]+|operator\S+)\((?!auto)", before)[1]
                    self.constexpr = re.search(r"\bconstexpr\b", before) is not None
                    self.deduced = re.search(r"\bauto\b", before) is not None
                self.place += name
                self.block(i + 1, after - 1)
                self.place, self.constexpr = outer, False
                start, parameters = after, False
            elif token == "{" and re.search(r"\b(namespace|class|struct|union)\b", before):
                outer, name = self.place, re.search(r"(?:class|struct|union) ([\w:]+)", before)
                self.place += f"{name[1]}::" if name else ""
                self.scope(i + 1, after - 1)
                start, self.place = after, outer
            elif token == "{" and not re.search(r"\benum\b", before):
                self.variable(start, i + 1, after - 1)
            i = after

    def variable(self, start, i, j):
        before = self.code(start, i)
        if re.search(r"\b(using|constexpr bool)\b", before):  # a type, a trait
            return
        self.expression(i, j, "single" if "constexpr" in before else "expr")

    def block(self, i, end):
        while i < end:
            i = self.statement(i, end)

    def statement(self, i, end):
        """Finds the regions of one statement. Returns where the next begins."""
        word, first = self.at(i), i + 2
        close = self.after(i + 1) - 1  # of what is in parentheses
        if word == "{":
            self.block(i + 1, self.after(i) - 1)
            return self.after(i)
        if word in ("case", "default"):
            return self.find(i, end, ":") + 1
        if word == "do":
            i = self.statement(i + 1, end)  # "while"
            self.expression(i + 2, self.after(i + 1) - 1, "bool", ["false"])
            return self.after(i + 1) + 1
        if word == "try":
            i = self.statement(i + 1, end)
            while self.at(i) == "catch":
                i = self.statement(self.after(i + 1), end)
            return i
        if word == "for" and self.find(first, close, ";") == close:
            after = self.statement(close + 1, end)
            if "return" not in self.code(i, after):
                self.region(i, after, "stmt", [self.change(i, after, i, after, "statement", "")])
            return after
        if word in ("if", "for", "while", "switch"):
            if self.at(i + 1) == "constexpr":
                close = first = self.after(first) - 1
            semicolon = self.find(first, close, ";")
            if semicolon < close:
                self.declaration(first, semicolon)
                first = semicolon + 1
            semicolon = self.find(first, close, ";")
            if DECLARATION.match(self.code(first, close) + ";"):
                self.declaration(first, close)
            elif word != "switch":
                self.expression(first, semicolon, "bool", ["false", "true"][:1 + (word == "if")])
                self.expression(semicolon + 1, close, "expr")
            i = self.statement(close + 1, end)
            return self.statement(i + 1, end) if word == "if" and self.at(i) == "else" else i
        after = self.find(i, end, ";")
        if DECLARATION.match(self.code(i, after + 1)) and "constexpr" not in self.code(i, i + 2):
            self.declaration(i, after)
        elif word not in NO_CODE and after > i:
            self.expression(i, after + 1, "stmt")
        return after + 1

    def declaration(self, i, end):
        first = self.find(i, end, "=")
        if first < end:
            self.expression(first + 1, end, "expr")
        elif self.at(end - 1) in (")", "}"):
            self.arguments(self.match[end - 1])

    def arguments(self, i):
        end, i = self.match[i], i + 1
        while i < end:
            after = self.find(i, end, ",")
            self.expression(i, after, "expr")
            i = after + 1

    # The mutants

    def region(self, i, j, wrap, mutants):
        start, end = self.tokens[i].start, self.tokens[j - 1].end
        if mutants and not re.search(r"^#", self.text[start:end], re.M):
            switch = "oci_mutants::on" + "_constexpr" * self.constexpr
            self.regions.append(Region(start, end, wrap, switch, mutants))

    def change(self, i, j, first, last, kind, new):
        """The mutant of tokens i to j that has `new` in place of the tokens from first to last."""
        line = self.text.count("\n", 0, self.tokens[first].start) + 1
        text = " ".join(filter(None, (self.code(i, first), new, self.code(last, j))))
        return Mutant(line, self.place, kind, self.code(first, last), new, text)

    def expression(self, i, j, wrap, whole=()):
        """A full expression, or the statement that it makes: its mutants, and the lambdas in it."""
        mutants = [self.change(i, j, i, j, "condition", new) for new in whole if i < j]
        if wrap == "stmt" and (self.at(i) != "return" or j == i + 2):
            mutants.append(self.change(i, j, i, j, "statement", ""))
        elif wrap == "stmt" and not self.deduced and not re.fullmatch(
                r"return (\{.*|true|false|[^a-zA-Z_]\S*);", self.code(i, j)):
            mutants.append(self.change(i, j, i + 1, j - 1, "return", "{}"))
        k = i
        while k < j:
            if self.at(k) == "[" and (k == i or re.search(r'return|[^\w\])>"]$', self.at(k - 1))):
                body = self.find(k, j, "{")  # of a lambda
                deduced, self.deduced = self.deduced, "->" not in self.code(k, body)
                self.block(body + 1, self.match[body])
                k, self.deduced = self.after(body), deduced
            else:
                mutants += self.tokens_of(i, j, k) + self.operators(i, j, k, wrap)
                k += 1
        if wrap == "stmt" or i < j and self.at(i) not in ("{", "["):
            self.region(i, j, wrap, list({m.text: m for m in reversed(mutants)}.values())[::-1])

    def tokens_of(self, i, j, k):
        scope = f"{self.at(k - 2)}::" if self.at(k - 1) == "::" else ""
        found = [(re.fullmatch(pattern, scope + self.at(k), re.S), new)
                 for kind, pattern, new in TOKENS if kind == self.tokens[k].kind]
        mutants = [self.change(i, j, k, k + 1, self.tokens[k].kind, match.expand(new))
                   for match, new in found if match]
        compared = {self.at(k + 1), self.at(k - 1 - (self.at(k - 1) == "-"))} & {"==", "!="}
        return mutants[:1] if compared else mutants

    def operators(self, i, j, k, wrap):
        op = self.at(k)
        # In conditions an operand is left out, or all is true or false: that says more.
        negates = wrap != "bool" and not any(
            self.at(n) in ("&&", "||", "?") and self.spaced(n) for n in range(i, j))
        if op in ("++", "--") or op == "!" and negates:
            return [self.change(i, j, k, k + 1, "operator", OTHER.get(op, ""))]
        if op not in PRECEDENCE or not self.spaced(k):
            return []
        news = [BOUNDARY.get(op), OTHER.get(op), NEGATION.get(op) if negates else None]
        mutants = [self.change(i, j, k, k + 1, "operator", new) for new in news if new]
        left, right = self.edge(i, j, k, -1) + 1, self.edge(i, j, k, 1)
        if op == "?":
            return [self.change(i, j, left, k, "condition", new) for new in ("true", "false")]
        if op == "+":  # a literal has mutants of its own
            operands = (left, k, left, k + 1), (k + 1, right, k, right)
            return mutants + [self.change(i, j, first, last, "operand", "")
                              for a, b, first, last in operands
                              if b > a + 1 or self.tokens[a].kind == "name"]
        if op in NEUTRAL:
            mutants += [self.change(i, j, first, last, "operand", NEUTRAL[op])
                        for first, last in ((left, k), (k + 1, right))]
        return mutants

    def edge(self, i, j, k, step):
        """Where the operand of the operator k ends on that side."""
        level, n = PRECEDENCE[self.at(k)], k + step
        while i <= n < j and not (n in self.match and (self.match[n] - n) * step < 0):
            if PRECEDENCE.get(self.at(n), 99) <= level and (
                    self.spaced(n) or PRECEDENCE[self.at(n)] == 0):
                break
            n = self.match.get(n, n) + step
        return n

    # The schemata

    def mutants(self):
        """All mutants and their numbers, in the order of the header."""
        regions = sorted(self.regions, key=lambda region: region.start)
        return {m: n for n, m in enumerate(dict.fromkeys(m for r in regions for m in r.mutants), 1)}

    def singles(self):
        """The mutants that no switch can express, and the header with each of them."""
        return {m: self.text[:r.start] + m.text + self.text[r.end:]
                for r in self.regions if r.wrap == "single" for m in r.mutants}

    def schemata(self, chosen):
        """The header with these mutants, {mutant: number}, behind their switches. Each is on a line
        of its own that says which it is, for the compiler's errors."""
        regions = [(r, {m: chosen[m] for m in r.mutants if m in chosen}) for r in self.regions]
        regions = sorted((r for r in regions if r[1]), key=lambda r: (r[0].start, -r[0].end))
        forms = {"stmt": ("{", "if ({}) {{ {} }} else", "{", "}}"),
                 "expr": ("(", "{} ? ({}) :", "(", "))"),
                 "bool": ("(", "{} ? bool({}) :", "bool(", "))")}

        def render(start, end):
            parts = []
            while regions and regions[0][0].start < end:
                region, mutants = regions.pop(0)
                before, form, middle, after = forms[region.wrap]
                parts += [self.text[start:region.start], before]
                parts += [f"\n/*@{number}*/ " + form.format(f"{region.switch}({number})", m.text)
                          for m, number in mutants.items()]
                parts += ["\n", middle, render(region.start, region.end), after]
                start = region.end
            return "".join(parts) + self.text[start:end]

        first = self.tokens[0].start
        return self.text[:first] + PRELUDE + render(first, len(self.text))
