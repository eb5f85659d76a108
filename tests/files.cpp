// load and save: what they read, what they leave on the disk, and how they fail. What happens where
// a system call fails is in faults.cpp, and what many at once do in races.cpp.

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <oci/state.hpp>
#include <stdexcept>
#include <string>

#include "catch.hpp"
#include "files.hpp"

#ifndef _WIN32
#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <csignal>
#include <future>
#endif

namespace fs = std::filesystem;

namespace {

using Names = std::set<fs::path>;

oci::State state_of(const std::string& id) {
  oci::State state;
  state.id = id;
  return state;
}

int load_errno(const fs::path& path) {
  return errno_of(path, [&] { static_cast<void>(oci::load(path)); });
}

int save_errno(const fs::path& path) {
  return errno_of(path, [&] { oci::save(state_of("new"), path); });
}

/// What the oci::Error says that `call` throws.
template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const oci::Error& error) {
    return error.what();
  }
  return "no oci::Error";
}

/// Makes a directory the current one, for as long as it lives.
class CurrentDirectory {
 public:
  explicit CurrentDirectory(const fs::path& path) { fs::current_path(path); }
  CurrentDirectory(const CurrentDirectory&) = delete;
  CurrentDirectory& operator=(const CurrentDirectory&) = delete;
  ~CurrentDirectory() { fs::current_path(before_); }

 private:
  fs::path before_ = fs::current_path();
};

/// A runtime's own type, whose conversions throw where its owner says so.
struct Container : oci::State {
  std::string owner;
};

void throw_as(const std::string& owner) {
  if (owner == "nlohmann's") static_cast<void>(nlohmann::json::object().at("zombie"));
  if (owner == "std's") throw std::runtime_error("a zombie");
}

void to_json(nlohmann::json& json, const Container& container) {
  throw_as(container.owner);
  json = static_cast<const oci::State&>(container);
  json["owner"] = container.owner;
}

void from_json(const nlohmann::json& json, Container& container) {
  json.get_to(static_cast<oci::State&>(container));
  json.at("owner").get_to(container.owner);
  throw_as(container.owner);
}

#ifndef _WIN32

constexpr uid_t nobody = 65534;

/// Calls `call` in a process of its own that belongs to an ordinary user: nobody, with `group`
/// beside their own, where these tests run as root, else whoever runs them.
template <class Call>
int as_ordinary_user(Call call, gid_t group = nobody) {
  return in_child([&] {
    const bool done = ::geteuid() != 0 || (::setgroups(1, &group) == 0 && ::setgid(nobody) == 0 &&
                                           ::setuid(nobody) == 0);
    return done ? call() : -1;
  });
}

struct stat status_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status;
}

unsigned mode_of(const fs::path& path) { return status_of(path).st_mode & 07777U; }

/// Sets the umask, for as long as it lives.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

#endif

}  // namespace

// ---- load --------------------------------------------------------------------------------------

TEST_CASE("load reads a file of any size to its end") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  for (const std::size_t size : {64U, 4094U, 4095U, 4096U, 4097U, 8191U, 8192U, 8193U, 1U << 20U}) {
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
  CHECK(oci::load<Container>(path).owner == "ann");
  CHECK(oci::load<nlohmann::json>(path)["state"]["id"] == "web");
}

TEST_CASE("load takes an empty file for no document") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, "");
  CHECK(message_of([&] {
          static_cast<void>(oci::load(path));
        }).find(path.string() + ": line 1, column 1: syntax error") == 0);
}

TEST_CASE("load says which file is wrong, by the path as it was given") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
  const auto message = [](const fs::path& path) {
    return message_of([&] { static_cast<void>(oci::load(path)); });
  };

  write_text("state.json", R"({"id": 7})");
  CHECK(message("state.json") == "state.json: /id: expected a string, found 7");
  CHECK(message("./state.json") == "./state.json: /id: expected a string, found 7");
  CHECK(message(directory / "state.json") ==
        (directory / "state.json").string() + ": /id: expected a string, found 7");

  write_text(u"st\u00e4te.json", "[]");
  CHECK(message(u"st\u00e4te.json") == "st\xC3\xA4te.json: expected an object, found an array");
}

TEST_CASE("load says which file is wrong where a conversion of one's own throws") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
  write_text("state.json", R"({"owner": "nlohmann's"})");
  CHECK(message_of([] { static_cast<void>(oci::load<Container>("state.json")); }) ==
        "state.json: [json.exception.out_of_range.403] key 'zombie' not found");
  write_text("state.json", R"({"owner": "std's"})");
  CHECK_THROWS_AS(oci::load<Container>("state.json"), std::runtime_error);
}

namespace {
struct Reference {
  oci::State state;
};
void from_json(const nlohmann::json& json, Reference& reference) {
  reference.state = oci::load(json.at("file").get<std::string>());
}
}  // namespace

TEST_CASE("load says which file is wrong where a conversion of one's own loads another") {
  const TemporaryDirectory directory;
  write_text(directory / "inner.json", R"({"id":7})");
  write_text(directory / "outer.json",
             nlohmann::json{{"file", (directory / "inner.json").string()}}.dump());
  try {
    static_cast<void>(oci::load<Reference>(directory / "outer.json"));
    FAIL("no error");
  } catch (const oci::Error& error) {
    CHECK(error.file() == (directory / "inner.json").string());
    CHECK(error.what() == error.file() + ": /id: expected a string, found 7");
  }
}

TEST_CASE("A path with a NUL byte names no file") {
  const TemporaryDirectory directory;
  write_text(directory / "state", "{}");
  const auto path = directory / std::string("state\0.json", 11);
  CHECK_THROWS_AS(oci::load(path), std::filesystem::filesystem_error);
  try {
    oci::save(oci::State{}, path);
    FAIL("no error");
  } catch (const std::filesystem::filesystem_error& error) {
    CHECK(error.code() == std::errc::invalid_argument);
    CHECK(error.path1() == path);
  }
  CHECK(read_text(directory / "state") == "{}");
  CHECK(names(directory.path()).size() == 1);
}

TEST_CASE("load of a file that isn't there, by the path as it was given") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
  CHECK(load_errno(directory / "absent.json") == ENOENT);
  CHECK(load_errno("absent.json") == ENOENT);
  CHECK(load_errno("./absent.json") == ENOENT);
  CHECK(load_errno("absent/state.json") == ENOENT);
  CHECK(load_errno("") == ENOENT);
}

TEST_CASE("load of a directory") {
  const TemporaryDirectory directory;
#ifdef _WIN32
  CHECK(load_errno(directory.path()) == EACCES);
#else
  CHECK(load_errno(directory.path()) == EISDIR);
#endif
}

#ifndef _WIN32

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
  for (const std::size_t size : {64U, 4095U, 4096U, 4097U, 1U << 20U}) {  // the last: in many reads
    CAPTURE(size);
    const std::string id(size - document("").size(), 'x');
    const auto writer = std::async(std::launch::async, [&] { write_text(path, document(id)); });
    CHECK(oci::load(path).id == id);
  }
}

TEST_CASE("load of a device") {
  CHECK(message_of([] {
          static_cast<void>(oci::load("/dev/null"));
        }).find("/dev/null: line 1, column 1: syntax error") == 0);
}

#endif

// ---- save --------------------------------------------------------------------------------------

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

  Container container;
  container.owner = "ann";
  oci::save(container, path);
  CHECK(read_text(path) ==
        R"({"bundle":"","id":"","ociVersion":"","owner":"ann","status":"stopped"})");
  CHECK(oci::load<Container>(path).owner == "ann");

  oci::save(nlohmann::json{{"any", "thing"}}, path);
  CHECK(read_text(path) == R"({"any":"thing"})");
}

TEST_CASE("save takes a path without a directory") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
  oci::save(state_of("old"), "state.json");
  oci::save(state_of("web"), "state.json");
  oci::save(state_of("web"), "./other.json");
  CHECK(read_text(directory / "state.json") == document("web"));
  CHECK(read_text(directory / "other.json") == document("web"));
  CHECK(names(directory.path()) == Names{"state.json", "other.json"});
}

TEST_CASE("save of what can't be encoded touches no file") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
  write_text("state.json", document("old"));
#ifndef _WIN32  // where a directory can't be given a time
  // A temporary that comes and goes would show in the directory's time.
  fs::last_write_time(".", fs::last_write_time(".") - std::chrono::hours(1));
#endif
  const auto directory_time = fs::last_write_time(".");
  const auto file_time = fs::last_write_time("state.json");

  const std::string expected = "state.json: /id: expected UTF-8, found \"\\ufffd\"";
  CHECK(message_of([] { oci::save(state_of("\xFF"), "state.json"); }) == expected);
  CHECK(message_of([] { oci::save(state_of("\xFF"), "absent.json"); }) ==
        "absent.json" + expected.substr(expected.find(':')));
  oci::State state;
  state.status = oci::ContainerState(7);
  CHECK(message_of([&] { oci::save(state, "state.json"); }) ==
        "state.json: /status: expected a ContainerState, found 7");

  Container container;
  container.owner = "nlohmann's";
  CHECK(message_of([&] { oci::save(container, "state.json"); }) ==
        "state.json: [json.exception.out_of_range.403] key 'zombie' not found");
  container.owner = "std's";
  CHECK_THROWS_AS(oci::save(container, "state.json"), std::runtime_error);

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
#ifdef _WIN32
  CHECK(save_errno(directory / "run") == EACCES);
#else
  CHECK(save_errno(directory / "run") == EISDIR);
  CHECK(save_errno(directory / "run/") == EISDIR);
  CHECK(save_errno(directory / "run/.") == EISDIR);
#endif
  CHECK(names(directory.path()) == Names{"run"});
  CHECK(names(directory / "run").empty());
}

#ifndef _WIN32

TEST_CASE("save to paths that lead nowhere") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
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
    const CurrentDirectory there(directory.path());
    CHECK(message_of([&] { static_cast<void>(oci::load(latin1)); }) ==
          latin1 + ": expected an object, found an array");
    fs::remove(latin1);
  }
  CHECK(names(directory.path()) == Names{longest});
}

TEST_CASE("save gives a new file the permissions 0666 less the umask") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  for (const unsigned mask : {0U, 022U, 027U, 077U, 0777U}) {
    CAPTURE(mask);
    const Umask umask(mask);
    CHECK(save_errno(path) == 0);
    CHECK(mode_of(path) == (0666U & ~mask));
    fs::remove(path);
  }
}

TEST_CASE("save leaves a file its permissions") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("old"));
  for (const unsigned mask : {0U, 077U}) {
    for (const unsigned mode : {0600U, 0640U, 0644U, 0444U, 0777U, 0U}) {
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

  make_file(user, group);
  CHECK(as_ordinary_user([&] { return save_errno(path); }) == 0);  // not in the group: none
  CHECK(status_of(path).st_uid == nobody);
  CHECK(status_of(path).st_gid == nobody);
  CHECK(mode_of(path) == 0640U);
  CHECK(read_text(path) == document("new"));
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

TEST_CASE("save follows links, and leaves them in place") {
  const TemporaryDirectory directory;
  const fs::path file = directory / "a/state.json";
  const fs::path link = directory / "link";
  fs::create_directories(directory / "a");
  fs::create_directories(directory / "b/c");
  fs::create_symlink("../../a/state.json", directory / "b/c/relative");
  fs::create_symlink(directory / "b/c/relative", directory / "b/absolute");
  for (const fs::path& text : {fs::path("a/state.json"), file, fs::path("b/c/relative"),
                               fs::path("b/absolute"), fs::path("b/../b/./absolute")}) {
    CAPTURE(text.string());
    for (const bool dangling : {true, false}) {
      CAPTURE(dangling);
      fs::remove(link);
      fs::create_symlink(text, link);
      fs::remove(file);
      if (!dangling) {
        write_text(file, document("old"));
        fs::permissions(file, fs::perms{0640});
      }
      const Umask umask(022);
      CHECK(save_errno(link) == 0);
      CHECK(fs::read_symlink(link) == text);
      CHECK(fs::is_regular_file(fs::symlink_status(file)));
      CHECK(read_text(file) == document("new"));
      CHECK(mode_of(file) == (dangling ? 0644U : 0640U));
      CHECK(names(directory / "a") == Names{"state.json"});
    }
  }
  CHECK(fs::is_symlink(directory / "b/absolute"));
  CHECK(fs::is_symlink(directory / "b/c/relative"));
  CHECK(names(directory.path()) == Names{"a", "b", "link"});
  CHECK(names(directory / "b") == Names{"absolute", "c"});

  const CurrentDirectory there(directory.path());
  CHECK(save_errno("link") == 0);
  CHECK(fs::is_symlink("link"));
}

TEST_CASE("save of what can't be encoded says the link's name, not what it leads to") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
  fs::create_symlink("state.json", "link");
  CHECK(message_of([] { oci::save(state_of("\xFF"), "link"); }) ==
        "link: /id: expected UTF-8, found \"\\ufffd\"");
  fs::create_symlink("absent/state.json", "nowhere");
  CHECK(save_errno("nowhere") == ENOENT);
  CHECK(names(".") == Names{"link", "nowhere"});
}

TEST_CASE("save refuses loops of links, and chains too long to be told from them") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
  fs::create_symlink("self", "self");
  fs::create_symlink("there", "back");
  fs::create_symlink("back", "there");
  CHECK(save_errno("self") == ELOOP);
  CHECK(save_errno("back") == ELOOP);
  CHECK(names(".") == Names{"self", "there", "back"});

  const std::string old = document("longer than the new one");
  write_text("0", old);
  for (int links = 1; links <= 60; ++links) {
    fs::create_symlink(std::to_string(links - 1), std::to_string(links));
  }
  CHECK(save_errno("41") == ELOOP);
  CHECK(save_errno("60") == ELOOP);
  CHECK(read_text("0") == old);
  CHECK(save_errno("40") == 0);
  CHECK(read_text("0") == document("new"));
}

TEST_CASE("save writes to a FIFO") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  fs::create_symlink("fifo", directory / "link");
  const std::string id(1U << 20U, 'x');  // in many writes
  for (const fs::path& way : {path, directory / "link"}) {
    auto reader = std::async(std::launch::async, [&] { return read_text(path); });
    oci::save(state_of(id), way);
    CHECK(reader.get() == document(id));
  }
  CHECK(fs::is_fifo(fs::symlink_status(path)));
  CHECK(names(directory.path()) == Names{"fifo", "link"});
}

// In /dev only as an ordinary user: root could put a file in a device's place, were save wrong.
TEST_CASE("save writes to a device") {
  const TemporaryDirectory directory;
  fs::create_symlink("/dev/null", directory / "link");
  CHECK(as_ordinary_user([&] { return save_errno("/dev/null"); }) == 0);
  CHECK(as_ordinary_user([&] { return save_errno(directory / "link"); }) == 0);
  CHECK(fs::is_symlink(directory / "link"));
  if (fs::exists("/dev/full")) {
    CHECK(as_ordinary_user([&] { return save_errno("/dev/full"); }) == ENOSPC);
  } else {
    std::cout << "SKIPPED: save to a full device: there is no /dev/full\n";
  }
}

TEST_CASE("save to a socket fails") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory.path());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  address.sun_path[0] = 's';
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(save_errno("s") > 0);  // ENXIO, or EOPNOTSUPP
  CHECK(fs::is_socket(fs::symlink_status("s")));
  CHECK(names(".") == Names{"s"});
  ::close(socket);
}

TEST_CASE("save writes to the standard output where it stands") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "output";
  fs::create_symlink("/dev/stdout", directory / "link");
  fs::create_symlink("link", directory / "link to it");
  for (const fs::path& way : {fs::path("/dev/stdout"), fs::path("/dev/fd/1"), directory / "link",
                              directory / "link to it"}) {
    CAPTURE(way.string());
    write_text(path, "much that stood there before the program was started, and goes on after it");
    fs::permissions(path, fs::perms{0666});
    REQUIRE(as_ordinary_user([&] {
              ::close(1);
              if (::open(path.c_str(), O_WRONLY | O_TRUNC) != 1) return -1;
              if (::write(1, "a\n", 2) != 2) return -1;
              const int result = save_errno(way);
              return ::write(1, "b\n", 2) == 2 ? result : -1;
            }) == 0);
    CHECK(read_text(path) == "a\n" + document("new") + "b\n");
  }
  CHECK(names(directory.path()) == Names{"output", "link", "link to it"});

  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  CHECK(as_ordinary_user([&] {
          ::dup2(pipe[1], 57);
          return save_errno("/dev/fd/57");
        }) == 0);
  std::string text(100, '\0');
  text.resize(static_cast<std::size_t>(::read(pipe[0], text.data(), text.size())));
  CHECK(text == document("new"));
  ::close(pipe[0]);
  CHECK(as_ordinary_user([&] {
          std::signal(SIGPIPE, SIG_IGN);
          ::dup2(pipe[1], 1);
          return save_errno("/dev/stdout");
        }) == EPIPE);
  ::close(pipe[1]);
  CHECK(as_ordinary_user([&] {
          ::close(1);
          return save_errno("/dev/stdout");
        }) == ENOENT);
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
