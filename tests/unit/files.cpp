// load, save and create of a path: what they read, what they leave on the disk, and how they fail.
// Open descriptors are in descriptors.cpp, update is in update.cpp, system calls that fail are in
// faults.cpp, and many processes at once in races.cpp.

#ifndef _WIN32  // where the header has no load and save

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <future>
#include <iostream>
#include <nlohmann/json.hpp>
#include <oci/state.hpp>
#include <stdexcept>
#include <string>

#include "../support/catch.hpp"
#include "../support/container.hpp"
#include "../support/errors.hpp"
#include "../support/files.hpp"

#ifdef __linux__
#include "../support/acl.hpp"
#endif

namespace {

/// A type with conversions of its own, which throw where its owner says so.
struct Custom {
  std::string owner;
};

void throw_as(const std::string& owner) {
  if (owner == "nlohmann's") static_cast<void>(nlohmann::json::object().at("zombie"));
  if (owner == "std's") throw std::runtime_error("a zombie");
}

/// What nlohmann/json says of it: the words differ from version to version.
std::string no_zombie() {
  try {
    throw_as("nlohmann's");
  } catch (const nlohmann::json::out_of_range& error) {
    return error.what();
  }
  return "";
}

void to_json(nlohmann::json& json, const Custom& custom) {
  throw_as(custom.owner);
  json["owner"] = custom.owner;
}

void from_json(const nlohmann::json& json, Custom& custom) {
  json.at("owner").get_to(custom.owner);
  throw_as(custom.owner);
}

}  // namespace

TEST_CASE("load reads a file of any size to its end") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  for (const std::size_t size :
       {64U, 65535U, 65536U, 65537U, 131071U, 131072U, 131073U, 1U << 20U}) {
    CAPTURE(size);
    const std::string id(size - document("").size(), 'x');
    write_text(path, document(id));
    REQUIRE(fs::file_size(path) == size);
    CHECK(oci::load(path).id == id);
  }
}

TEST_CASE("load reads the type that it is asked for") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, R"({"pid": 7, "owner": "ann", "state": {"id": "web"}})");
  CHECK(oci::load(path).pid == 7);
  CHECK(oci::load<oci::ContainerProcessState>(path).state.id == "web");
  CHECK(oci::load<runtime::Container>(path).owner == "ann");
  CHECK(oci::load<Custom>(path).owner == "ann");
  CHECK(oci::load<nlohmann::json>(path)["state"]["id"] == "web");
}

TEST_CASE("load refuses an empty file") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("state.json", "");
  const oci::Error error = error_of([] { static_cast<void>(oci::load("state.json")); });
  CHECK(error.file() == "state.json");
  CHECK(error.message() == "line 1, column 1: expected JSON text, found nothing");
}

TEST_CASE("load says which file is wrong, by the path as it was given") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("state.json", R"({"id": 7})");
  for (const fs::path& path :
       {fs::path("state.json"), fs::path("./state.json"), directory / "state.json"}) {
    check_error(error_of([&] { static_cast<void>(oci::load(path)); }), "/id",
                "expected a string, found 7", path.string());
  }
  write_text(u"st\u00e4te.json", "[]");
  check_error(error_of([] { static_cast<void>(oci::load(u"st\u00e4te.json")); }), "",
              "expected an object, found an array", "st\xC3\xA4te.json");
}

TEST_CASE("load says which file is wrong where the type's own conversion throws") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("state.json", R"({"owner": "nlohmann's"})");
  check_error(error_of([] { static_cast<void>(oci::load<Custom>("state.json")); }), "", no_zombie(),
              "state.json");
  write_text("state.json", R"({"owner": "std's"})");
  CHECK_THROWS_AS(oci::load<Custom>("state.json"), std::runtime_error);
}

namespace {
struct Reference {
  oci::State state;
};
void from_json(const nlohmann::json& json, Reference& reference) {
  reference.state = oci::load(json.at("file").get<std::string>());
}
}  // namespace

TEST_CASE("load says which file is wrong where a conversion loads another file") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("inner.json", R"({"id":7})");
  write_text("outer.json", R"({"file":"inner.json"})");
  check_error(error_of([] { static_cast<void>(oci::load<Reference>("outer.json")); }), "/id",
              "expected a string, found 7", "inner.json");
}

TEST_CASE("what() escapes what a log can't take of a file's name, and cuts nothing") {
  const std::string long_name(1000, 'x');
  const std::string a_umlaut = "\xC3\xA4";
  const struct {
    std::string file;
    std::string shown;
  } cases[] = {
      {"/run/web 1/\"state\".json", "/run/web 1/\"state\".json"},
      {"st" + a_umlaut + "te \xF0\x9F\x93\x84 \xE2\x82\xAC",
       "st" + a_umlaut + "te \xF0\x9F\x93\x84 \xE2\x82\xAC"},
      {"back\\slash \\u0001", "back\\slash \\u0001"},
      {"a\nb\tc\x01"
       "d\x1B[31m",
       "a\\nb\\tc\\u0001d\\u001b[31m"},
      {"\x1F \x7F ~", "\\u001f \\u007f ~"},
      {"\xC2\x80 \xC2\x9F \xC2\xA0", "\\u0080 \\u009f \xC2\xA0"},
      {"st\xE4te", "st\\ufffdte"},
      {a_umlaut + "\xFF" + a_umlaut, a_umlaut + "\\ufffd" + a_umlaut},
      {a_umlaut + "\x80" + a_umlaut, a_umlaut + "\\ufffd" + a_umlaut},
      {"\"\x80\"", "\"\\ufffd\""},
      {"\xEF\xBF\xBD", "\xEF\xBF\xBD"},
      {long_name, long_name},
  };
  for (const auto& [file, shown] : cases) {
    CAPTURE(file);
    const oci::Error error("/id", "wrong", file);
    CHECK(error.what() == shown + ": /id: wrong");
    CHECK(error.file() == file);
  }
  for (const std::string& bytes : invalid_utf8) {
    CAPTURE(bytes);
    const std::string what = oci::Error("", "wrong", "a" + bytes + "b").what();
    CHECK(what.find("a\\ufffd") == 0);
    CHECK(what.find("b: wrong") == what.size() - 8);
  }
}

TEST_CASE("A path with a NUL byte names no file") {
  const TemporaryDirectory directory;
  write_text(directory / "state", "{}");
  const auto path = directory / std::string("state\0.json", 11);
  CHECK_THROWS_AS(oci::load(path), fs::filesystem_error);
  try {
    oci::save(oci::State{}, path);
    FAIL("no error");
  } catch (const fs::filesystem_error& error) {
    CHECK(error.code() == std::errc::invalid_argument);
    CHECK(error.path1() == path);
    CHECK(std::string(error.what()).find("oci::save: NUL byte in the path") != std::string::npos);
  }
  CHECK(read_text(directory / "state") == "{}");
  CHECK(names(directory.path()).size() == 1);
}

TEST_CASE("load of a file that isn't there, by the path as it was given") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  CHECK(load_errno(directory / "absent.json") == ENOENT);
  CHECK(load_errno("absent.json") == ENOENT);
  CHECK(load_errno("./absent.json") == ENOENT);
  CHECK(load_errno("absent/state.json") == ENOENT);
  CHECK(load_errno("") == ENOENT);
}

TEST_CASE("load of a directory") {
  const TemporaryDirectory directory;
  CHECK(load_errno(directory.path()) == EISDIR);
}

TEST_CASE("load of paths that lead nowhere") {
  const TemporaryDirectory directory;
  write_text(directory / "file", document("web"));
  CHECK(load_errno(directory / "file/state.json") == ENOTDIR);
  CHECK(load_errno(directory / "file/") == ENOTDIR);
  CHECK(load_errno(directory / std::string(256, 'x')) == ENAMETOOLONG);

  fs::create_symlink("absent", directory / "dangling");
  CHECK(load_errno(directory / "dangling") == ENOENT);
  fs::create_symlink("there", directory / "back");
  fs::create_symlink("back", directory / "there");
  CHECK(load_errno(directory / "back") == ELOOP);
  fs::create_symlink("file", directory / "link");
  CHECK(load_errno(directory / "link/state.json") == ENOTDIR);
  CHECK(oci::load(directory / "link").id == "web");
}

TEST_CASE("load without permission") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("web"));
  fs::permissions(path, fs::perms{0});
  CHECK(as_ordinary_user([&] { return load_errno(path); }) == EACCES);
  fs::permissions(path, fs::perms{0644});
  CHECK(as_ordinary_user([&] { return load_errno(path); }) == 0);
  fs::permissions(directory.path(), fs::perms{0});
  CHECK(as_ordinary_user([&] { return load_errno(path); }) == EACCES);
  fs::permissions(directory.path(), fs::perms{0755});
}

TEST_CASE("load reads a FIFO to its end") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  for (const std::size_t size :
       {64U, 4096U, 65536U, 131072U, 1U << 20U}) {  // the last: in many reads
    CAPTURE(size);
    const std::string id(size - document("").size(), 'x');
    const auto writer = std::async(std::launch::async, [&] { write_text(path, document(id)); });
    CHECK(oci::load(path).id == id);
  }
}

TEST_CASE("load of a device") {
  const oci::Error error = error_of([] { static_cast<void>(oci::load("/dev/null")); });
  CHECK(error.file() == "/dev/null");
  CHECK(error.message() == "line 1, column 1: expected JSON text, found nothing");
}

TEST_CASE("save writes the document and nothing else") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  oci::save(state_of("web"), path);
  CHECK(read_text(path) == document("web"));

  oci::State state;
  state.version = "1.2.0";
  state.id = "a\nb";
  state.status = oci::ContainerState::running;
  state.pid = 42;
  state.bundle = "/b";
  state.annotations = oci::Annotations{{"k", "\xC3\xA4"}};
  oci::save(state, path);
  CHECK(read_text(path) ==
        R"({"ociVersion":"1.2.0","id":"a\nb","status":"running","pid":42,"bundle":"/b",)"
        "\"annotations\":{\"k\":\"\xC3\xA4\"}}");
  CHECK(oci::load(path) == state);

  oci::save(state_of("shorter than before"), path);
  CHECK(read_text(path) == document("shorter than before"));
  oci::save(state_of(std::string(1U << 20U, 'x')), path);
  CHECK(read_text(path) == document(std::string(1U << 20U, 'x')));
  CHECK(names(directory.path()) == Names{"state.json"});
}

TEST_CASE("save writes types of every kind") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";

  oci::ContainerProcessState process;
  process.state = state_of("web");
  oci::save(process, path);
  CHECK(read_text(path) == R"({"ociVersion":"","fds":[],"pid":0,"state":)" + document("web") + "}");

  runtime::Container container;
  container.owner = "ann";
  oci::save(container, path);
  CHECK(read_text(path) == oci::dump(container));
  CHECK(oci::load<runtime::Container>(path).owner == "ann");

  oci::save(Custom{"ann"}, path);
  CHECK(read_text(path) == R"({"owner":"ann"})");

  oci::save(nlohmann::json{{"any", "thing"}}, path);
  CHECK(read_text(path) == R"({"any":"thing"})");
}

TEST_CASE("save takes a path without a directory") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  oci::save(state_of("old"), "state.json");
  oci::save(state_of("web"), "state.json");
  oci::save(state_of("web"), "./other.json");
  CHECK(read_text(directory / "state.json") == document("web"));
  CHECK(read_text(directory / "other.json") == document("web"));
  CHECK(names(directory.path()) == Names{"state.json", "other.json"});
}

TEST_CASE("save of what can't be encoded touches no file") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("state.json", document("old"));
  // A temporary that comes and goes would show in the directory's time.
  fs::last_write_time(".", fs::last_write_time(".") - std::chrono::hours(1));
  const auto directory_time = fs::last_write_time(".");
  const auto file_time = fs::last_write_time("state.json");

  for (const std::string file : {"state.json", "absent.json"}) {
    check_error(error_of([&] { oci::save(state_of("\xFF"), file); }), "/id",
                "expected UTF-8, found \"\\ufffd\"", file);
    oci::State state;
    state.status = oci::ContainerState(7);
    check_error(error_of([&] { oci::save(state, file); }), "/status",
                "expected a ContainerState, found 7", file);
    check_error(error_of([&] { oci::save(Custom{"nlohmann's"}, file); }), "", no_zombie(), file);
    CHECK_THROWS_AS(oci::save(Custom{"std's"}, file), std::runtime_error);
  }

  CHECK(read_text("state.json") == document("old"));
  CHECK(names(".") == Names{"state.json"});
  CHECK(fs::last_write_time("state.json") == file_time);
  CHECK(fs::last_write_time(".") == directory_time);
}

TEST_CASE("save into a directory that isn't there") {
  const TemporaryDirectory directory;
  CHECK(save_errno(directory / "absent/state.json") == ENOENT);
  CHECK(names(directory.path()).empty());
}

TEST_CASE("save to a directory") {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "run");
  CHECK(save_errno(directory / "run") == EISDIR);
  CHECK(save_errno(directory / "run/") == EISDIR);
  CHECK(save_errno(directory / "run/.") == EISDIR);
  CHECK(names(directory.path()) == Names{"run"});
  CHECK(names(directory / "run").empty());
}

TEST_CASE("save to paths that lead nowhere") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("file", document("old"));
  CHECK(save_errno("") == ENOENT);
  CHECK(save_errno("absent/") == ENOENT);
  CHECK(save_errno("file/") == ENOTDIR);
  CHECK(save_errno("file/state.json") == ENOTDIR);
  CHECK(save_errno(directory / "file/state.json") == ENOTDIR);
  CHECK(names(".") == Names{"file"});
  CHECK(read_text("file") == document("old"));
}

TEST_CASE("save takes the longest name that there is, and names that aren't UTF-8") {
  const TemporaryDirectory directory;
  const std::string longest(255, 'x');
  CHECK(save_errno(directory / longest) == 0);
  CHECK(save_errno(directory / longest) == 0);
  CHECK(read_text(directory / longest) == document("new"));
  CHECK(save_errno(directory / (longest + 'x')) == ENAMETOOLONG);

  const std::string latin1 = "st\xE4te.json";  // macOS refuses such a name
  if (std::ofstream(directory / latin1)) {
    CHECK(save_errno(directory / latin1) == 0);
    CHECK(oci::load(directory / latin1).id == "new");
    write_text(directory / latin1, "[]");
    const CurrentDirectory there(directory);
    const oci::Error error = error_of([&] { static_cast<void>(oci::load(latin1)); });
    CHECK(error.file() == latin1);
    CHECK(error.what() == std::string("st\\ufffdte.json: expected an object, found an array"));
    fs::remove(latin1);
  }
  CHECK(names(directory.path()) == Names{longest});
}

TEST_CASE("save gives a new file the permissions 0600 less the umask") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  for (const unsigned mask : {0U, 022U, 077U, 0277U, 0777U}) {
    CAPTURE(mask);
    const Umask umask(mask);
    CHECK(save_errno(path) == 0);
    CHECK(mode_of(path) == (0600U & ~mask));
    fs::remove(path);
  }
}

TEST_CASE("save leaves a file its permissions") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("old"));
  for (const unsigned mask : {0U, 077U}) {
    for (const unsigned mode :
         {0600U, 0640U, 0644U, 0444U, 0777U, 0601U, 01600U, 01644U, 01000U, 0U}) {
      CAPTURE(mask, mode);
      REQUIRE(::chmod(path.c_str(), mode) == 0);
      const Umask umask(mask);
      CHECK(save_errno(path) == 0);
      CHECK(mode_of(path) == mode);
    }
  }
}

TEST_CASE("save leaves a file its owner and group, as far as the process may set them") {
  if (::geteuid() != 0) {
    std::cout << "SKIPPED: the owner of files: only root can make files that belong to others\n";
    return;
  }
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  REQUIRE(::chmod(directory.path().c_str(), 0777) == 0);
  constexpr uid_t user = 12345;
  constexpr gid_t group = 23456;
  const auto make_file = [&](uid_t its_user, gid_t its_group) {
    write_text(path, document("old"));
    REQUIRE(::chown(path.c_str(), its_user, its_group) == 0);
    REQUIRE(::chmod(path.c_str(), 0640) == 0);
  };

  for (const uid_t its_user : {0U, user}) {
    for (const gid_t its_group : {0U, group}) {
      make_file(its_user, its_group);
      CHECK(save_errno(path) == 0);  // as root: both
      CHECK(status_of(path).st_uid == its_user);
      CHECK(status_of(path).st_gid == its_group);
      CHECK(mode_of(path) == 0640U);
      CHECK(read_text(path) == document("new"));
    }
  }

  make_file(user, group);
  CHECK(as_ordinary_user([&] { return save_errno(path); }, group) == 0);  // in the group: that
  CHECK(status_of(path).st_uid == nobody);
  CHECK(status_of(path).st_gid == group);
  CHECK(mode_of(path) == 0640U);
  CHECK(read_text(path) == document("new"));

  // Not in the group: neither. What the old group might do, the new one may not, and its members,
  // who are among the others now, may not do more than before.
  const struct {
    mode_t mode;
    mode_t expected;
  } modes[] = {{0640, 0600}, {0664, 0604}, {0666, 0606}, {0644, 0604},
               {0646, 0604}, {0604, 0600}, {0606, 0600}, {0777, 0707},
               {0755, 0705}, {0444, 0404}, {0400, 0400}, {01664, 01604}};
  for (const auto& [mode, expected] : modes) {
    CAPTURE(mode);
    make_file(user, group);
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    CHECK(as_ordinary_user([&] { return save_errno(path); }) == 0);
    CHECK(status_of(path).st_uid == nobody);
    CHECK(status_of(path).st_gid == nobody);
    CHECK(mode_of(path) == expected);
    CHECK(read_text(path) == document("new"));
  }
}

TEST_CASE("save keeps no set-user-ID or set-group-ID bit, and keeps the sticky bit") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("old"));
  for (const unsigned bits : {06000U, 04000U, 02000U, 07000U}) {
    for (const unsigned mode : {0755U, 0600U, 0700U}) {
      CAPTURE(bits, mode);
      REQUIRE(::chmod(path.c_str(), bits | mode) == 0);
      CHECK(save_errno(path) == 0);
      CHECK(mode_of(path) == ((bits & 01000U) | mode));
    }
  }
}

TEST_CASE("save in a directory with the sticky bit that nobody else may write to keeps all") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const bool is_root = ::geteuid() == 0;
  for (const unsigned mode : {01700U, 01755U, 01711U, 0777U, 0775U, 0770U}) {
    CAPTURE(mode);
    REQUIRE(::chmod(directory.path().c_str(), mode) == 0);
    write_text(path, document("old"));
    REQUIRE(::chmod(path.c_str(), 01664) == 0);
    if (is_root) REQUIRE(::chown(path.c_str(), 12345, 23456) == 0);
    CHECK(save_errno(path) == 0);
    CHECK(mode_of(path) == 01664U);
    CHECK((!is_root || (status_of(path).st_uid == 12345 && status_of(path).st_gid == 23456)));
    fs::remove(path);
  }
}

TEST_CASE("save in a directory with the sticky bit that others may write to keeps nothing") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const mode_t shared = GENERATE(01777U, 01775U, 01757U, 01730U, 01703U);
  REQUIRE(::chmod(directory.path().c_str(), shared) == 0);
  for (const unsigned mask : {0U, 022U, 0277U}) {
    CAPTURE(mask);
    write_text(path, document("old"));
    REQUIRE(::chmod(path.c_str(), 0666) == 0);
    const Umask umask(mask);
    CHECK(save_errno(path) == 0);
    CHECK(mode_of(path) == (0600U & ~mask));
    CHECK(read_text(path) == document("new"));
    fs::remove(path);
  }
}

TEST_CASE("update in a directory with the sticky bit that others may write to keeps nothing") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("old"));
  REQUIRE(::chmod(path.c_str(), 0666) == 0);
  REQUIRE(::chmod(directory.path().c_str(), 01770) == 0);
  CHECK(errno_of(path, [&] { oci::update(path, [](oci::State&) {}); }) == 0);
  CHECK(mode_of(path) == 0600U);
}

TEST_CASE("save in a directory with the sticky bit lets nobody plant a file or a hard link") {
  if (::geteuid() != 0) {
    std::cout << "SKIPPED: planted files: only root can make files that belong to others\n";
    return;
  }
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const fs::path other = directory / "other";
  const bool is_link = GENERATE(false, true);
  const bool has_group = GENERATE(false, true);  // the directory gives its group to new files
  CAPTURE(is_link, has_group);
  REQUIRE(::chown(directory.path().c_str(), 0, has_group ? 23456 : 0) == 0);
  REQUIRE(::chmod(directory.path().c_str(), has_group ? 03777 : 01777) == 0);
  write_text(is_link ? other : path, document("planted"));
  REQUIRE(::chown((is_link ? other : path).c_str(), 12345, 34567) == 0);
  REQUIRE(::chmod((is_link ? other : path).c_str(), 0666) == 0);
  if (is_link) fs::create_hard_link(other, path);

  CHECK(save_errno(path) == 0);
  CHECK(status_of(path).st_uid == 0);
  CHECK(status_of(path).st_gid == (has_group ? 23456 : 0));
  CHECK(mode_of(path) == 0600U);
  CHECK(read_text(path) == document("new"));
  if (is_link) {
    CHECK(read_text(other) == document("planted"));
    CHECK(mode_of(other) == 0666U);
    CHECK(status_of(other).st_uid == 12345);
  }
}

TEST_CASE("save without permission") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("old"));
  fs::permissions(path, fs::perms{0666});
  fs::permissions(directory.path(), fs::perms{0555});
  const auto time = fs::last_write_time(directory.path());
  CHECK(as_ordinary_user([&] { return save_errno(path); }) == EACCES);
  CHECK(as_ordinary_user([&] { return save_errno(directory / "absent.json"); }) == EACCES);
  fs::permissions(directory.path(), fs::perms{0666});  // can't be entered
  CHECK(as_ordinary_user([&] { return save_errno(path); }) == EACCES);
  fs::permissions(directory.path(), fs::perms{0755});
  CHECK(fs::last_write_time(directory.path()) == time);
  if (::geteuid() == 0) {  // sticky: the temporary goes in, but not in root's file's place
    fs::permissions(directory.path(), fs::perms{01777});
    CHECK(as_ordinary_user([&] { return save_errno(path); }) == EPERM);
  }
  CHECK(read_text(path) == document("old"));
  CHECK(names(directory.path()) == Names{"state.json"});
}

TEST_CASE("save puts another file in the place of the old one") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("old"));
  fs::create_hard_link(path, directory / "second name");
  std::ifstream reader(path);

  CHECK(save_errno(path) == 0);
  std::string text;
  std::getline(reader, text);
  CHECK(text == document("old"));
  CHECK(read_text(directory / "second name") == document("old"));
  CHECK(read_text(path) == document("new"));
}

TEST_CASE("save refuses a symbolic link, and leaves it and its target as they are") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("file", document("old"));
  fs::create_directory("run");
  for (const char* const target : {"file", "absent", "link", "run", "/dev/null", "/dev/stdout"}) {
    CAPTURE(target);
    fs::create_symlink(target, "link");
    CHECK(as_ordinary_user([] { return save_errno("link"); }) == ELOOP);
    CHECK(save_errno("link") == ELOOP);
    CHECK(save_errno(directory / "link") == ELOOP);
    CHECK(fs::read_symlink("link") == target);
    CHECK(names(".") == Names{"file", "link", "run"});
    CHECK(names("run").empty());
    fs::remove("link");
  }
  CHECK(read_text("file") == document("old"));
}

TEST_CASE("save goes through links to directories") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  fs::create_directory("run");
  fs::create_symlink("run", "link");
  fs::create_symlink(directory / "link", "chain");
  for (const char* const path : {"link/a", "chain/b", "chain/../run/c"}) {
    CAPTURE(path);
    CHECK(save_errno(path) == 0);
    CHECK(save_errno(path) == 0);
  }
  CHECK(names("run") == Names{"a", "b", "c"});
  CHECK(save_errno("link/") == EISDIR);
  CHECK(names(".") == Names{"chain", "link", "run"});
  CHECK(fs::is_symlink("link"));
}

TEST_CASE("save refuses a FIFO, a socket and a device, and leaves them as they are") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  REQUIRE(::mkfifo("fifo", 0666) == 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  address.sun_path[0] = 's';
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(save_errno("fifo") == ENXIO);
  CHECK(save_errno("s") == ENXIO);
  CHECK(fs::is_fifo(fs::symlink_status("fifo")));
  CHECK(fs::is_socket(fs::symlink_status("s")));
  CHECK(names(".") == Names{"fifo", "s"});
  ::close(socket);

  // As an ordinary user: root would put a file in the device's place, were save wrong.
  CHECK(as_ordinary_user([] { return save_errno("/dev/null"); }) == ENXIO);
  CHECK(fs::is_character_file("/dev/null"));
}

namespace {

int create_errno(const fs::path& path) {
  return errno_of(path, [&] { oci::create(state_of("new"), path); });
}

}  // namespace

TEST_CASE("create writes the document that save writes, to a file that is not there") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  oci::create(state_of("web"), directory / "a.json");
  oci::create(state_of("web"), "b.json");
  oci::create(state_of("web"), "./c.json");
  for (const char* const name : {"a.json", "b.json", "c.json"}) {
    CHECK(read_text(name) == document("web"));
    CHECK(status_of(name).st_nlink == 1);
  }
  runtime::Container container;
  container.owner = "ann";
  oci::create(container, "d.json");
  CHECK(read_text("d.json") == oci::dump(container));
  oci::create(nlohmann::json{{"any", "thing"}}, "e.json");
  CHECK(read_text("e.json") == R"({"any":"thing"})");
  CHECK(names(".") == Names{"a.json", "b.json", "c.json", "d.json", "e.json"});
}

TEST_CASE("create refuses whatever has the name, and changes nothing") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("file", document("old"));
  write_text("empty", "");
  fs::create_directory("run");
  fs::create_symlink("file", "link");
  fs::create_symlink("absent", "dangling");
  fs::create_symlink("loop", "loop");
  REQUIRE(::mkfifo("fifo", 0666) == 0);
  fs::permissions("file", fs::perms{0});
  const Names before = names(".");
  fs::last_write_time(".", fs::last_write_time(".") - std::chrono::hours(1));
  const auto time = fs::last_write_time(".");
  for (const char* const path : {"file", "empty", "run", "run/", "run/.", "run/..", ".", "/",
                                 "link", "dangling", "loop", "fifo"}) {
    CAPTURE(path);
    CHECK(create_errno(path) == EEXIST);
    CHECK(as_ordinary_user([&] { return create_errno(path); }) == EEXIST);
  }
  CHECK(create_errno(directory / "file") == EEXIST);
  CHECK(create_errno("/dev/null") == EEXIST);
  CHECK(names(".") == before);
  CHECK(fs::last_write_time(".") == time);  // and no temporary came and went
  fs::permissions("file", fs::perms{0600});
  CHECK(read_text("file") == document("old"));
  CHECK(fs::file_size("empty") == 0);
  CHECK(fs::read_symlink("dangling") == "absent");
}

TEST_CASE("create to paths that lead nowhere, and without permission") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("file", document("old"));
  CHECK(create_errno("") == ENOENT);
  CHECK(create_errno("absent/") == ENOENT);
  CHECK(create_errno("absent/state.json") == ENOENT);
  CHECK(create_errno("file/") == ENOTDIR);
  CHECK(create_errno("file/state.json") == ENOTDIR);
  CHECK(create_errno(std::string(256, 'x')) == ENAMETOOLONG);
  CHECK(create_errno(fs::path(std::string("state\0.json", 11))) == EINVAL);
  fs::permissions(".", fs::perms{0555});
  CHECK(as_ordinary_user([] { return create_errno("state.json"); }) == EACCES);
  fs::permissions(".", fs::perms{0755});
  CHECK(names(".") == Names{"file"});
  CHECK(read_text("file") == document("old"));
}

TEST_CASE("create takes the longest name, goes through links to directories, leaves nothing open") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  fs::create_directory("run");
  fs::create_directory_symlink("run", "link");
  const std::size_t before = open_descriptors();
  CHECK(create_errno(std::string(255, 'x')) == 0);
  CHECK(create_errno("link/state.json") == 0);
  CHECK(create_errno("link/state.json") == EEXIST);
  CHECK(create_errno("absent/state.json") == ENOENT);
  CHECK(open_descriptors() == before);
  CHECK(names("run") == Names{"state.json"});
  CHECK(names(".") == Names{"run", "link", std::string(255, 'x')});
}

TEST_CASE("create of what can't be encoded names the file, and touches none") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("there.json", document("old"));
  fs::last_write_time(".", fs::last_write_time(".") - std::chrono::hours(1));
  const auto time = fs::last_write_time(".");
  for (const std::string file : {"state.json", "there.json"}) {
    check_error(error_of([&] { oci::create(state_of("\xFF"), file); }), "/id",
                "expected UTF-8, found \"\\ufffd\"", file);
  }
  CHECK(names(".") == Names{"there.json"});
  CHECK(fs::last_write_time(".") == time);
}

TEST_CASE("create gives the file the permissions 0600 less the umask, in every directory") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  for (const unsigned mode : {0755U, 02777U, 01777U}) {
    REQUIRE(::chmod(directory.path().c_str(), mode) == 0);
    for (const unsigned mask : {0U, 022U, 077U, 0277U, 0777U}) {
      CAPTURE(mode, mask);
      const Umask umask(mask);
      CHECK(create_errno(path) == 0);
      CHECK(mode_of(path) == (0600U & ~mask));
      fs::remove(path);
    }
  }
}

#ifdef __linux__
TEST_CASE("create and save take the list that the directory gives, which chmod g+r puts to use") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const std::string list = acl({{AclTag::owner, 7},
                                {AclTag::user, 4, nobody},
                                {AclTag::owning_group, 0},
                                {AclTag::mask, 4},
                                {AclTag::others, 0}});
  if (::geteuid() != 0 || !set_acl(directory.path(), default_acl, list)) {
    std::cout << "SKIPPED: a default list: only root can try as another user, if there are lists\n";
    return;
  }
  const auto load_as_user = [&] { return as_ordinary_user([&] { return load_errno(path); }); };
  const bool is_created = GENERATE(true, false);
  CAPTURE(is_created);
  CHECK((is_created ? create_errno(path) : save_errno(path)) == 0);
  CHECK(mode_of(path) == 0600U);
  CHECK(!acl_of(path).empty());
  CHECK(load_as_user() == EACCES);
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  CHECK(load_as_user() == 0);
  for (const bool updates : {false, true}) {
    CAPTURE(updates);
    if (updates) CHECK(errno_of(path, [&] { oci::update(path, [](oci::State&) {}); }) == 0);
    if (!updates) CHECK(save_errno(path) == 0);
    CHECK(mode_of(path) == 0640U);
    CHECK(load_as_user() == 0);
  }
}
#endif

TEST_CASE("load, save and create say which of them failed, at which step, and why") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("file", "{}");
  fs::create_symlink("file", "link");
  const auto what = [](auto call) -> std::string {
    try {
      call();
    } catch (const fs::filesystem_error& error) {
      return error.what();
    }
    return {};
  };
  const auto check = [&](auto call, const std::string& step, const std::string& path) {
    const std::string text = what(call);
    CAPTURE(text);
    CHECK(text.find(step) != std::string::npos);
    CHECK(text.find(path) != std::string::npos);
  };
  check([] { static_cast<void>(oci::load("absent")); }, "oci::load: cannot open", "absent");
  check([] { static_cast<void>(oci::load(-1)); }, "oci::load: cannot read", "/dev/fd/-1");
  check([] { oci::save(oci::State{}, -1); }, "oci::save: cannot write", "/dev/fd/-1");
  check([] { oci::save(oci::State{}, "no/x"); }, "oci::save: cannot open the directory", "no/x");
  check([] { oci::save(oci::State{}, "link"); }, "oci::save: not a regular file", "link");
  check([] { oci::create(oci::State{}, "file"); }, "oci::create: there is such a file", "file");
  check([] { oci::update("absent", [](oci::State&) {}); }, "oci::update: cannot open", "absent");
}

TEST_CASE("load and save close what they open") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const std::size_t before = open_descriptors();
  CHECK(save_errno(path) == 0);
  CHECK(save_errno(path) == 0);
  CHECK(load_errno(path) == 0);
  CHECK(save_errno(directory.path()) == EISDIR);
  CHECK(load_errno(directory.path()) == EISDIR);
  write_text(path, "[]");
  CHECK(load_errno(path) == -1);
  CHECK(open_descriptors() == before);
}

#endif
