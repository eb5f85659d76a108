#!/usr/bin/env python3
"""Breaks include/oci/state.hpp one small change at a time, and lists the changes that no test notices.

usage: mutate.py [DIRECTORY]     (a scratch directory, kept, for its builds)

Every mutant names its place in the header: the text between « and » becomes the new text. Most are
compiled together, each behind a switch that the environment variable OCI_MUTANT throws, so that the
suite is built once and run once for each; the few that a switch can't express ("text") are built one
by one. A mutant is killed if a test fails, crashes or hangs, or if it does not compile. On two
cores it takes about half an hour.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = "include/oci/state.hpp"
SUITE = {"state_tests": ["--abort"], "faults": ["--abort"], "races": []}  # in turn, until one fails
TIMEOUT = 100  # seconds for one of them

# (place, new text, kind). An "expr" becomes (mutant ? new : old), a "stmt" if (mutant) {new} else {old}.
MUTANTS = [
    # Types
    ("creating = «1», ", "4", "text"),
    ("stopped = «0», ", "5", "text"),
    ('case ContainerState::creating: return «"creating"»', '"Creating"', "text"),
    ('case ContainerState::created: return «"created"»', '"creating"', "text"),
    ('case ContainerState::running: return «"running"»', '"stopped"', "text"),
    ('case ContainerState::stopped: return «"stopped"»', '"created"', "text"),
    ("  return «{}»;\n}\n\n// ---- JSON", '"stopped"', "text"),
    ('seccomp_fd_name{«"seccompFd"»}', '"seccompfd"', "text"),
    # Errors
    ("if («size > 64»)", "false", "expr"),
    ("    size = «64»;", "60", "expr"),
    ("while («size > 0» && ", "size > 63", "expr"),
    ("(static_cast<unsigned char>(text[size]) & 0xC0U) == «0x80U») --size", "0x81U", "expr"),
    ("dump(-1, ' ', «true», json::error_handler_t::replace);\n  if", "false", "expr"),
    (" true, «json::error_handler_t::replace»);\n  if", "json::error_handler_t::ignore", "expr"),
    ("  «if (size < text.size()) quoted.insert(quoted.size() - 1, \"...\");»", "", "stmt"),
    ("quoted.insert(quoted.size() - «1», \"...\")", "0", "expr"),
    ("exception(«0», text(", "1", "expr"),
    ("return («file.empty()» ? ", "true", "expr"),
    ("(way.empty() ? \"\" : way + «\": \"»)", "\" \"", "expr"),
    ("way = way.substr(«1», way.size() - 2)", "0", "expr"),
    ("(file.empty() ? \"\" : file + «\": \"»)", "\" \"", "expr"),
    # Members
    ('visit(«"ociVersion"», &State::version)', '"version"', "expr"),
    ('visit(«"id"», &State::id)', '"ID"', "expr"),
    ('visit(«"status"», &State::status)', '"state"', "expr"),
    ('visit(«"pid"», &State::pid)', '"PID"', "expr"),
    ('visit(«"bundle"», &State::bundle)', '"path"', "expr"),
    ('visit(«"annotations"», &State::annotations)', '"labels"', "expr"),
    ('visit(«"ociVersion"», &ContainerProcessState::version)', '"version"', "expr"),
    ('visit(«"fds"», ', '"FDs"', "expr"),
    ('visit(«"pid"», &ContainerProcessState::pid)', '"PID"', "expr"),
    ('visit(«"metadata"», ', '"data"', "expr"),
    ('visit(«"state"», ', '"State"', "expr"),
    ('  «visit("id", &State::id);\n  visit("status", &State::status);»',
     'visit("status", &State::status); visit("id", &State::id);', "text"),
    ('  «visit("fds", &ContainerProcessState::fds);\n  visit("pid", &ContainerProcessState::pid);»',
     'visit("pid", &ContainerProcessState::pid); visit("fds", &ContainerProcessState::fds);', "text"),
    ('  «visit("annotations", &State::annotations);»', "", "stmt"),
    ('  «visit("metadata", &ContainerProcessState::metadata);»', "", "stmt"),
    # Pointers and messages
    ("if («c == '~'»)", "false", "expr"),
    ("step += «\"~0\"»", "\"~1\"", "expr"),
    ("else if («c == '/'»)", "false", "expr"),
    ("step += «\"~1\"»", "\"~2\"", "expr"),
    ("throw Error(«pointer_step(token) + error.pointer()», ", "error.pointer() + pointer_step(token)", "expr"),
    ("throw Error(pointer_step(token) + error.pointer(), «error.message()»)", "std::string()", "expr"),
    ("if («found.is_string()») {\n    text", "false", "expr"),
    ("else if («found.is_structured()»)", "found.is_array()", "expr"),
    ("std::string(\"an \") + «found.type_name()»;", "\"array\"", "expr"),
    ("    «text += found.dump();»", "", "stmt"),
    # Types that would lose members
    ("«template <class Json, class T, class... None, detail::if_derived<T> = 0>\n"
     "void to_json(Json& json, const T& value, None...) = delete;»", "", "text"),
    ("«template <class Json, class T, detail::if_derived<T> = 0>\n"
     "void from_json(const Json& json, T&& value) = delete;»", "", "text"),
    # Reading
    ("  «if (!json.is_string()) throw mismatch(\"a string\", json);»", "", "stmt"),
    ("json.is_string() && «get_ref<typename Json::string_t>(json) == to_string(status)»",
     "get_ref<typename Json::string_t>(json).front() == to_string(status).front()", "expr"),
    ("      «value = status;»", "", "stmt"),
    ("<= «std::uint64_t{INT32_MAX}»", "std::uint64_t{INT32_MAX} - 1", "expr"),
    ("<= «std::uint64_t{INT32_MAX}»", "std::uint64_t{INT32_MAX} + 1", "expr"),
    ("fits = «INT32_MIN <= number» &&", "true", "expr"),
    ("fits = «INT32_MIN <= number» &&", "INT32_MIN < number", "expr"),
    ("&& «number <= INT32_MAX»;", "true", "expr"),
    ("if («json.is_number_unsigned()»)", "json.is_number()", "expr"),
    ("else if («json.is_number_integer()») {", "json.is_number()", "expr"),
    ("  «if (json.is_null()) return;»", "", "stmt"),
    ("  «if (!json.is_array()) throw mismatch(\"an array of strings\", json);»", "", "stmt"),
    ("within(«std::to_string(value.size())», [&] {", "std::to_string(value.size() + 1)", "expr"),
    ("  «if (!json.is_object()) throw mismatch(\"an object whose values are strings\", json);»", "", "stmt"),
    ("if («!json.is_null()») read(json, value.emplace());", "true", "expr"),
    ("  «if (!json.is_object()) throw mismatch(\"an object\", json);»", "", "stmt"),
    ("if («found != json.end()») within", "found != json.end() && std::string(name) != \"id\"", "expr"),
    ("  «value = std::move(fresh);»", "", "stmt"),
    ("  T fresh«»;  //", " = value", "text"),
    ("  «detail::read(json, status);»", "", "stmt"),
    ("add(std::move(member.key()), «member.mapped()»);", "members.begin()->second", "expr"),
    ("within(«added->first», [&]", "std::string()", "expr"),
    ("  return «path.native()»;", "path.lexically_normal().native()", "expr"),
    # Writing
    ("json = «std::string(to_string(status))»;", "std::string(\"stopped\")", "expr"),
    ("  «if (value) write(json, name, *value);»",
     "if (value) { write(json, name, *value); } else { json[name] = nullptr; }", "stmt"),
    ("if («to_string(status).empty()»)", "false", "expr"),
    ("  «detail::within(name, [&] { detail::write(object, name, value.*member); });»",
     "detail::write(object, name, value.*member);", "stmt"),
    ("  «json = std::move(object);»", "", "stmt"),
    ("equal = «equal && left.*member == right.*member»", "left.*member == right.*member", "expr"),
    ("return «!(left == right)»;", "left == right", "expr"),
    ("text = Json(value).dump(-1, ' ', false, «Json::error_handler_t::replace»)",
     "Json::error_handler_t::strict", "expr"),
    ("dump(-1, ' ', «false», Json::error_handler_t::replace)", "true", "expr"),
    ("    text = «error.what()»;", "\"\"", "expr"),
    # Parsing
    ("text.substr(0, «position - 1»)", "position", "expr"),
    ("const auto line = «1» + std::count", "0L", "expr"),
    ("position - (before.rfind('\\n') + «1»)", "0", "expr"),
    ("if («!added») {", "false", "expr"),
    ("throw Error(«pointer()»,\n", "std::string()", "expr"),
    ("    «message.erase(0, message.find(\"] \") + 2);»", "", "stmt"),
    ("if («message.rfind(\"parse error\", 0) == 0») message", "false", "expr"),
    ("else if («found.is_binary()»)", "false", "expr"),
    ("    «if (quote != std::string::npos) message.replace(quote, token.size() + 2, printable(token));»", "", "stmt"),
    ("if («open_.back()->is_object()») return *member_", "open_.back()->is_object() && open_.size() < 2", "expr"),
    ("    «open_.pop_back();»", "", "stmt"),
    ("if («&item.value() == child») way", "true", "expr"),
    ("if («nul != std::string_view::npos») {", "false", "expr"),
    ("throw syntax_error(text, nul + «1», ", "2", "expr"),
    ("  «if (in.fail()) throw broken();»", "", "stmt"),
    ("  «if (reader.bad()) throw broken();»", "", "stmt"),
    ("std::istream reader(«in.rdbuf()»);", "nullptr", "expr"),
    ("    «text.append(chunk, static_cast<std::size_t>(reader.gcount()));»",
     "if (text.empty()) text.append(chunk, static_cast<std::size_t>(reader.gcount()));", "stmt"),
    ("«require_utf8(Json(item.key()));»", "", "stmt"),
    ("«require_utf8(item.value());»", "", "stmt"),
    ("if («json.is_structured()») {\n    for", "false", "expr"),
    ("    «detail::require_utf8(document);»", "", "stmt"),
    ("const std::size_t quote = «message.rfind('\\'' + token + '\\'')»;",
     "message.find('\\'' + token + '\\'')", "expr"),
    ("member_ = «&*member»;", "&document_", "expr"),
    ("child = «parent + 1 == open_.end()» ?", "true", "expr"),
    ("way += «pointer_step(item.key())»;", "item.key()", "expr"),
    # Files
    ("while (result == -1 && «errno == EINTR»)", "false", "expr"),
    ("  «if (result == -1) throw_errno(what, path);»", "", "stmt"),
    ("    «if (number_ != -1) ::close(number_);»", "", "stmt"),
    ("if (result == -1 && «errno != EINTR») throw_errno(\"oci::save: cannot close", "true", "expr"),
    ("if («result == -1» && errno != EINTR)", "false", "expr"),
    ("::open(path.c_str(), «O_RDONLY | O_CLOEXEC»)", "O_RDONLY", "expr"),
    ("    «if (count == 0) break;»", "if (count < 4096) { size += static_cast<std::size_t>(count); break; }", "stmt"),
    ("    «if (size == text.size()) text.resize(2 * size);»", "if (size == text.size()) break;", "stmt"),
    ("if («size == text.size()») text.resize(2", "false", "expr"),
    ("  «text.resize(size);»\n  return text;", "", "stmt"),
    ("static_cast<std::size_t>(status.st_size) + 1 : «4096», ", "1", "expr"),
    ("text.remove_prefix(«static_cast<std::size_t>(count)»)", "text.size()", "expr"),
    ("return «std::filesystem::equivalent(path.parent_path(), \"/dev/fd\", not_there)»;", "false", "expr"),
    ("if (::fchown(file, owner, old.st_gid) == 0) return «1»;", "0", "expr"),
    ("return «errno == EPERM || errno == EINVAL» ? 0 : -1;", "errno == EINVAL", "expr"),
    ("return «errno == EPERM || errno == EINVAL» ? 0 : -1;", "errno == EPERM", "expr"),
    ("if («now.st_uid != old.st_uid || now.st_gid != old.st_gid») {", "false", "expr"),
    ("if («now.st_uid != old.st_uid || now.st_gid != old.st_gid») {", "now.st_gid != old.st_gid", "expr"),
    ("if («now.st_uid != old.st_uid || now.st_gid != old.st_gid») {", "now.st_uid != old.st_uid", "expr"),
    ("if («give_to(old.st_uid) == 0») give_to", "give_to(old.st_uid) == 0 && false", "expr"),
    ("== 0) give_to(«static_cast<uid_t>(-1)»)", "old.st_uid", "expr"),
    ("if («(now.st_mode & 0777) != (old.st_mode & 0777)»)", "false", "expr"),
    ("::fchmod(file, «old.st_mode & 0777»)", "0644", "expr"),
    ("if (links == «40») error", "39", "expr"),
    ("if («links == 40») error", "false", "expr"),
    ("for (int links = 0; «exists && S_ISLNK(old.st_mode)» && ", "false", "expr"),
    ("&& «!is_descriptor(target)»; ++links", "true", "expr"),
    ("else if («error != std::errc::invalid_argument» &&", "true", "expr"),
    ("&& «error != std::errc::no_such_file_or_directory») {", "true", "expr"),
    ("  «if (!exists && errno != ENOENT) throw_errno(\"oci::save: cannot open\", path);»", "", "stmt"),
    ("if («exists && !S_ISREG(old.st_mode)»)", "false", "expr"),
    ("::open(target.c_str(), «O_WRONLY | O_CLOEXEC»)", "O_WRONLY", "expr"),
    ("    «file.close(path);\n    return;»", "return;", "stmt"),
    ("«F_DUPFD_CLOEXEC», 0)", "F_DUPFD", "expr"),
    ("slash == 0 ? «\".\"» :", "\"/\"", "expr"),
    ("const std::string parent = «slash == 0»", "false", "expr"),
    ("«O_RDONLY | O_DIRECTORY | O_CLOEXEC»", "O_RDONLY | O_DIRECTORY", "expr"),
    ("const mode_t both = «old.st_mode & (old.st_mode >> 3) & 07»;", "07U", "expr"),
    ("const mode_t mode = exists ? «(old.st_mode & 0700) | both << 3 | both» : 0666", "0666U", "expr"),
    (" | both << 3 | both : «0666»;", "0644", "expr"),
    ("O_CREAT | «O_EXCL» | O_NOFOLLOW", "O_TRUNC", "expr"),
    ("O_EXCL | «O_NOFOLLOW» | O_CLOEXEC", "0", "expr"),
    ("O_EXCL | O_NOFOLLOW | «O_CLOEXEC»", "0", "expr"),
    ("while (number == -1 && «errno == EEXIST»);", "false", "expr"),
    ("    «if (exists) copy_owner_and_mode(old, file, path);»", "", "stmt"),
    ("write_all(file, «text», path);\n    checked(", "text.substr(1)", "expr"),
    ("    «checked(\"oci::save: cannot sync\", path, [&] { return ::fsync(file); });»", "", "stmt"),
    ("    «file.close(path);»\n    checked(\"oci::save: cannot rename\"", "", "stmt"),
    ("    «::unlinkat(directory, name.c_str(), 0);»", "", "stmt"),
    ("return result == -1 && «errno == EINVAL» ? 0 : result;", "false", "expr"),
    ("const int result = «::fsync(directory)»;", "0", "expr"),
    ("throw Error(error.pointer(), error.message(), «path_to_utf8(path)»);", "std::string()", "expr"),
    ("if («!error.file().empty()») throw;", "false", "expr"),
    ("if («path.native().find(std::filesystem::path::value_type{}) == std::string::npos») return;",
     "true", "expr"),
    ("throw Error({}, error.what(), «path_to_utf8(path)»);", "std::string()", "expr"),
    ("throw Error(«error.pointer()», error.message(), path_to_utf8(path));", "std::string()", "expr"),
]


def locate(header, place):
    """The span of the header that the text between « and » of a place stands for."""
    before, old, after = re.fullmatch(r"(.*)«(.*)»(.*)", place, re.S).groups()
    # Line breaks and indentation are clang-format's.
    pattern = [r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in (before, old, after)]
    found = list(re.finditer("({})({})({})".format(*pattern), header))
    if len(found) != 1:
        sys.exit(f"{len(found)} places in the header for: {place}")
    return found[0].span(2)


def schemata(header, numbered):
    """The header with all these mutants behind their switches."""
    spans = {}
    for number, (place, new, kind) in numbered:
        spans.setdefault(locate(header, place), []).append((number, new, kind))
    previous = len(header)
    for (start, end), mutants in sorted(spans.items(), reverse=True):
        if end > previous:
            return None  # overlap: the caller splits
        text = header[start:end]
        for number, new, kind in mutants:
            switch = f"oci_mutant == {number}"
            if kind == "expr":
                text = f"({switch} ? ({new}) : ({text}))"
            else:
                text = f"if ({switch}) {{ {new} }} else {{ {text} }}"
        header = header[:start] + text + header[end:]
        previous = start
    switch = "#include <cstdlib>\ninline const int oci_mutant = "
    switch += 'std::getenv("OCI_MUTANT") ? std::atoi(std::getenv("OCI_MUTANT")) : 0;\n'
    return header.replace("namespace oci {", switch + "\nnamespace oci {", 1)


def batches(header, numbered):
    """As few groups of mutants as can stand in one header together."""
    groups = []
    for mutant in numbered:
        for group in groups:
            if schemata(header, group + [mutant]):
                group.append(mutant)
                break
        else:
            groups.append([mutant])
    return groups


def build(tree, header):
    (tree / HEADER).write_text(header)
    build_dir = tree / "build"
    commands = [
        ["cmake", "-S", tree, "-B", build_dir, "-DCMAKE_CXX_FLAGS=-O0 -w",
         "-DOCI_STATE_BUILD_EXAMPLES=OFF"],
        ["cmake", "--build", build_dir, "--parallel", str(os.cpu_count()), "--target", *SUITE],
    ]
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            return done.stdout
    return None


def check_devices(number):
    """A save gone wrong, run as root, can put a file in the place of a device."""
    for device in ("/dev/null", "/dev/full", "/dev/zero"):
        if not stat.S_ISCHR(os.stat(device).st_mode):
            sys.exit(f"mutant {number} replaced {device}: make it again (mknod) before anything else")


def killer(tree, number, switch):
    """The program of the suite that notices the mutant, or None. `switch`: see schemata()."""
    for program, arguments in SUITE.items():
        try:
            done = subprocess.run([tree / "build/tests" / program, *arguments],
                                  cwd=tree / "build/tests",
                                  env={**os.environ, "OCI_MUTANT": str(switch)}, timeout=TIMEOUT,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
            if done.returncode != 0:
                return program
        except subprocess.TimeoutExpired:
            return f"{program} (hangs)"
        finally:
            check_devices(number)
    return None


def main():
    scratch = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    tree = scratch / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("build*", ".git"), dirs_exist_ok=True)
    header = (ROOT / HEADER).read_text()
    numbered = list(enumerate(MUTANTS, 1))
    switched = [m for m in numbered if m[1][2] != "text"]
    survivors = []

    def report(number, by):
        place, new, _ = MUTANTS[number - 1]
        print(f"{number:4} {'killed by ' + by if by else 'SURVIVED':30} {place!r} -> {new!r}", flush=True)
        if not by:
            survivors.append(number)

    for group in batches(header, switched):
        failure = build(tree, schemata(header, group))
        if failure:
            sys.exit("the mutants do not compile together:\n" + failure)
        if killer(tree, 0, 0):
            sys.exit("the suite fails without a mutant")
        for number, _ in group:
            report(number, killer(tree, number, number))
    for number, (place, new, kind) in numbered:
        if kind == "text":
            start, end = locate(header, place)
            failure = build(tree, header[:start] + new + header[end:])
            report(number, "the compiler" if failure else killer(tree, number, 0))

    print(f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} mutants killed; survived: {survivors}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
