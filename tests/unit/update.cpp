// update: what it changes, what it returns, how it fails, and that updates wait for each other.
// What a system call does that fails is in faults.cpp, and what many workers do at once in
// races.cpp.

#ifndef _WIN32

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <oci/state.hpp>
#include <stdexcept>
#include <string>
#include <thread>

#include "../support/catch.hpp"
#include "../support/container.hpp"
#include "../support/errors.hpp"
#include "../support/files.hpp"

namespace {

constexpr std::chrono::milliseconds a_while(50);
constexpr std::chrono::seconds long_enough(20);

void rename_to_new(oci::State& state) { state.id = "new"; }

/// The errno of an update, -2 where it fails but has called `change`.
int update_errno(const fs::path& path) {
  bool called = false;
  const int error = errno_of(path, [&] {
    oci::update(path, [&](oci::State& state) {
      called = true;
      state.id = "new";
    });
  });
  return error != 0 && called ? -2 : error;
}

/// A file that holds the state "old", and whether it has been written to or replaced since.
class StateFile {
 public:
  StateFile() {
    write_text(path_, document("old"));
    before_ = status_of(path_);
  }

  const fs::path& path() const { return path_; }
  const TemporaryDirectory& directory() const { return directory_; }

  bool is_untouched() const {
    const struct stat now = status_of(path_);
    return now.st_ino == before_.st_ino && now.st_mtim.tv_sec == before_.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before_.st_mtim.tv_nsec &&
           now.st_ctim.tv_sec == before_.st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == before_.st_ctim.tv_nsec && read_text(path_) == document("old") &&
           names(directory_.path()) == Names{"state.json"};
  }

 private:
  TemporaryDirectory directory_;
  fs::path path_ = directory_ / "state.json";
  struct stat before_ {};
};

/// A child process that lives until this object goes.
class Child {
 public:
  Child() : number_(::fork()) {
    if (number_ == 0) {
      for (;;) ::pause();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(number_, SIGKILL);
    ::waitpid(number_, nullptr, 0);
  }

 private:
  pid_t number_;
};

/// Whether somebody holds a lock on the file.
bool is_locked(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY);
  REQUIRE(file != -1);
  const bool locked = ::flock(file, LOCK_EX | LOCK_NB) != 0;
  ::close(file);
  return locked;
}

}  // namespace

TEST_CASE("update loads, changes, saves and returns the value") {
  const StateFile file;
  const oci::State state = oci::update(file.path(), [](oci::State& changed) {
    CHECK(changed.id == "old");
    changed.id = "new";
    changed.pid = 7;
  });
  CHECK(state.id == "new");
  CHECK(state.pid == 7);
  CHECK(oci::load(file.path()) == state);
  CHECK(names(file.directory().path()) == Names{"state.json"});
}

TEST_CASE("update saves where the change returns true") {
  const StateFile file;
  const oci::State state = oci::update(file.path(), [](oci::State& changed) {
    changed.id = "new";
    return true;
  });
  CHECK(state.id == "new");
  CHECK(read_text(file.path()) == document("new"));
}

TEST_CASE("update writes nothing where the change returns false") {
  const StateFile file;
  const oci::State state = oci::update(file.path(), [](oci::State& changed) {
    changed.id = "new";
    return false;
  });
  CHECK(state.id == "new");
  CHECK(file.is_untouched());
}

TEST_CASE("update writes nothing where the change throws, and the exception goes through") {
  const StateFile file;
  const auto update_and = [&](auto raise) {
    oci::update(file.path(), [&](oci::State& changed) {
      changed.id = "new";
      raise();
    });
  };
  CHECK_THROWS_AS(update_and([] { throw 7; }), int);
  CHECK_THROWS_AS(update_and([] { throw std::runtime_error("no"); }), std::runtime_error);
  CHECK_THROWS_AS(update_and([] { nlohmann::json::object().at("no"); }),
                  nlohmann::json::out_of_range);
  check_error(error_of([&] { update_and([] { throw oci::Error("/pid", "no"); }); }), "/pid", "no");
  CHECK(file.is_untouched());
  CHECK(!is_locked(file.path()));
}

TEST_CASE("update takes every kind of callable") {
  const StateFile file;
  CHECK(oci::update(file.path(), rename_to_new).id == "new");
  CHECK(oci::update(file.path(), std::function<bool(oci::State&)>([](oci::State& state) {
                      state.id += "er";
                      return true;
                    }))
            .id == "newer");
  CHECK(
      oci::update(file.path(), [id = std::make_unique<std::string>("moved")](auto& state) mutable {
        state.id = std::move(*id);
      }).id == "moved");
  CHECK(read_text(file.path()) == document("moved"));
}

TEST_CASE("update of types of every kind") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";

  oci::save(oci::ContainerProcessState{}, path);
  oci::update<oci::ContainerProcessState>(path, [](auto& process) { process.state.id = "web"; });
  CHECK(oci::load<oci::ContainerProcessState>(path).state.id == "web");

  runtime::Container container;
  container.owner = "ann";
  oci::save(container, path);
  container = oci::update<runtime::Container>(path, [](runtime::Container& changed) {
    changed.exit_code = 1;
    changed.status = oci::ContainerState::other;
    changed.other_status = "paused";
  });
  CHECK(container.owner == "ann");
  CHECK(read_text(path) == oci::dump(container));
  CHECK(nlohmann::json::parse(read_text(path))["status"] == "paused");

  write_text(path, R"({"z":1,"id":"web","a":2})");
  oci::update<nlohmann::ordered_json>(path, [](auto& json) { json["id"] = "new"; });
  CHECK(read_text(path) == R"({"z":1,"id":"new","a":2})");
}

TEST_CASE("update keeps the permissions, the owner and the group") {
  const StateFile file;
  const bool is_root = ::geteuid() == 0;
  if (is_root) REQUIRE(::chown(file.path().c_str(), 12345, 23456) == 0);
  REQUIRE(::chmod(file.path().c_str(), 0640) == 0);
  oci::update(file.path(), rename_to_new);
  CHECK(mode_of(file.path()) == 0640U);
  CHECK(status_of(file.path()).st_uid == (is_root ? 12345 : ::geteuid()));
  CHECK((!is_root || status_of(file.path()).st_gid == 23456));
}

TEST_CASE("update of wrong content names the file, and doesn't call the change") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("state.json", R"({"id":7})");
  check_error(error_of([] { oci::update("state.json", [](oci::State&) { FAIL("called"); }); }),
              "/id", "expected a string, found 7", "state.json");
  CHECK(read_text("state.json") == R"({"id":7})");
  CHECK(!is_locked("state.json"));
}

TEST_CASE("update to what can't be encoded names the file, and leaves it") {
  const StateFile file;
  const auto update = [&] {
    oci::update(file.path(), [](oci::State& state) { state.id = "\xFF"; });
  };
  check_error(error_of(update), "/id", "expected UTF-8, found \"\\ufffd\"", file.path().string());
  CHECK(file.is_untouched());
  CHECK(!is_locked(file.path()));
}

TEST_CASE("update of paths that lead nowhere") {
  const StateFile file;
  const CurrentDirectory there(file.directory());
  CHECK(update_errno("absent.json") == ENOENT);
  CHECK(update_errno("absent/state.json") == ENOENT);
  CHECK(update_errno("") == ENOENT);
  CHECK(update_errno("state.json/") == ENOTDIR);
  CHECK(update_errno("state.json/state.json") == ENOTDIR);
  CHECK(update_errno(std::string(256, 'x')) == ENAMETOOLONG);
  const auto with_nul = fs::path(std::string("state.json\0x", 12));
  CHECK(update_errno(with_nul) == EINVAL);
  CHECK(file.is_untouched());
}

TEST_CASE("update refuses what is no regular file with the errors of save, and leaves it") {
  const TemporaryDirectory directory;
  const CurrentDirectory there(directory);
  write_text("file", document("old"));
  fs::create_symlink("file", "link");
  fs::create_symlink("absent", "dangling");
  fs::create_symlink("loop", "loop");
  fs::create_directory("run");
  REQUIRE(::mkfifo("fifo", 0666) == 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  address.sun_path[0] = 's';
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const Names before = names(".");

  for (const char* const path : {"link", "dangling", "loop", "run", "run/", "run/.", "fifo", "s"}) {
    CAPTURE(path);
    const int expected = save_errno(path);
    CHECK(expected > 0);
    CHECK(update_errno(path) == expected);
  }
  CHECK(update_errno("link") == ELOOP);
  CHECK(update_errno("run") == EISDIR);
  CHECK(update_errno("fifo") == ENXIO);
  CHECK(as_ordinary_user([] { return update_errno("/dev/null"); }) == ENXIO);

  CHECK(names(".") == before);
  CHECK(fs::is_symlink("link"));
  CHECK(fs::is_symlink("dangling"));
  CHECK(fs::is_directory("run"));
  CHECK(fs::is_fifo("fifo"));
  CHECK(fs::is_socket("s"));
  CHECK(read_text("file") == document("old"));
  ::close(socket);
}

TEST_CASE("update goes through links to directories") {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "run");
  fs::create_directory_symlink("run", directory / "link");
  write_text(directory / "run/state.json", document("old"));
  CHECK(update_errno(directory / "link/state.json") == 0);
  CHECK(read_text(directory / "run/state.json") == document("new"));
}

TEST_CASE("update without permission") {
  const StateFile file;
  fs::permissions(file.path(), fs::perms{0});
  CHECK(as_ordinary_user([&] { return update_errno(file.path()); }) == EACCES);
  fs::permissions(file.path(), fs::perms{0600});
  CHECK(read_text(file.path()) == document("old"));
}

TEST_CASE("update leaves no file and no descriptor") {
  const StateFile file;
  const std::size_t before = open_descriptors();
  CHECK(update_errno(file.path()) == 0);
  oci::update(file.path(), [](oci::State&) { return false; });
  CHECK_THROWS(oci::update(file.path(), [](oci::State&) { throw 7; }));
  CHECK(update_errno(file.directory() / "absent") == ENOENT);
  CHECK(update_errno(file.directory().path()) == EISDIR);
  CHECK(open_descriptors() == before);
  CHECK(names(file.directory().path()) == Names{"state.json"});
}

TEST_CASE("update waits for another update, and goes on from what that saved") {
  const bool is_process = GENERATE(false, true);
  CAPTURE(is_process);
  const StateFile file;
  std::future<int> second;
  oci::update(file.path(), [&](oci::State& state) {
    const auto update = [&] {
      return errno_of(file.path(),
                      [&] { oci::update(file.path(), [](oci::State& s) { s.id += " second"; }); });
    };
    second = std::async(std::launch::async,
                        [is_process, update] { return is_process ? in_child(update) : update(); });
    CHECK(second.wait_for(a_while) == std::future_status::timeout);
    state.id += " first";
  });
  CHECK(second.get() == 0);
  CHECK(read_text(file.path()) == document("old first second"));
}

TEST_CASE("load and save don't wait for an update, which saves nothing after a save") {
  const StateFile file;
  const int error = errno_of(file.path(), [&] {
    oci::update(file.path(), [&](oci::State& state) {
      CHECK(oci::load(file.path()).id == "old");
      CHECK(save_errno(file.path()) == 0);
      CHECK(oci::load(file.path()).id == "new");
      state.id += " and updated";
    });
  });
  CHECK(error == ESTALE);
  CHECK(read_text(file.path()) == document("new"));
  CHECK(names(file.directory().path()) == Names{"state.json"});
}

namespace {

/// Takes the file away, and puts something else in its place.
void replace_by(const std::string& what, const fs::path& path) {
  fs::remove(path);
  if (what == "a file") write_text(path, document("another"));
  if (what == "a hard link") {
    write_text(path.parent_path() / "other", document("another"));
    fs::create_hard_link(path.parent_path() / "other", path);
  }
  if (what == "a symbolic link") fs::create_symlink("other", path);
  if (what == "a directory") fs::create_directory(path);
  if (what == "a FIFO") REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
}

}  // namespace

// A file that is deleted and made anew often gets the same number, but for the old one, which is
// still open.
TEST_CASE("update overwrites nothing that it has not read") {
  const std::string what =
      GENERATE("nothing", "a file", "a hard link", "a symbolic link", "a directory", "a FIFO");
  CAPTURE(what);
  const StateFile file;
  const TemporaryDirectory& directory = file.directory();
  Names before;
  struct stat planted {};
  int changes = 0;
  const int error = errno_of(file.path(), [&] {
    oci::update(file.path(), [&](oci::State& state) {
      ++changes;
      state.id = "new";
      replace_by(what, file.path());
      before = names(directory.path());
      if (what != "nothing") planted = status_of(file.path());
    });
  });
  CHECK(error == (what == "nothing" ? ENOENT : ESTALE));
  CHECK(changes == 1);  // it does not try again
  CHECK(names(directory.path()) == before);
  if (what == "nothing") return;
  CHECK(status_of(file.path()).st_ino == planted.st_ino);
  CHECK(status_of(file.path()).st_mode == planted.st_mode);
  if (fs::is_regular_file(fs::symlink_status(file.path()))) {
    CHECK(read_text(file.path()) == document("another"));
  }
}

TEST_CASE("update looks at nothing if the change returns false, and so a file can be deleted") {
  const StateFile file;
  const std::string what = GENERATE("nothing", "a file", "a directory");
  CAPTURE(what);
  std::future<int> second;
  CHECK(errno_of(file.path(), [&] {
          oci::update(file.path(), [&](oci::State&) {
            second = std::async(std::launch::async, [&] { return update_errno(file.path()); });
            CHECK(second.wait_for(a_while) == std::future_status::timeout);
            replace_by(what, file.path());
            return false;
          });
        }) == 0);
  CHECK(second.get() == (what == "nothing" ? ENOENT : what == "a directory" ? EISDIR : 0));
  CHECK(names(file.directory().path()) == (what == "nothing" ? Names{} : Names{"state.json"}));
}

TEST_CASE("update whose change saves the file does not save over that, and is not tried again") {
  const StateFile file;
  int changes = 0;
  const auto update_and_save = [&] {
    oci::update(file.path(), [&](oci::State& state) {
      ++changes;
      oci::save(state_of("creating"), file.path());  // as runtimes do before they run hooks
      state.id = "created";
    });
  };
  CHECK(errno_of(file.path(), update_and_save) == ESTALE);
  CHECK(changes == 1);
  CHECK(read_text(file.path()) == document("creating"));
}

TEST_CASE("update that enters while another is inside loses no change without an error") {
  const StateFile file;
  const int error = errno_of(file.path(), [&] {
    oci::update(file.path(), [&](oci::State& state) {
      state.id += " and lost";
      CHECK(save_errno(file.path()) == 0);
      oci::update(file.path(), [](oci::State& second) { second.id += " and updated"; });
    });
  });
  CHECK(error == ESTALE);
  CHECK(read_text(file.path()) == document("new and updated"));
}

TEST_CASE("update saves to the file that it loaded, wherever the working directory goes") {
  const StateFile file;
  const CurrentDirectory there(file.directory());
  const TemporaryDirectory elsewhere;
  const bool has_file = GENERATE(false, true);
  if (has_file) write_text(elsewhere / "state.json", document("another"));
  oci::update("state.json", [&](oci::State& state) {
    fs::current_path(elsewhere.path());
    state.id = "new";
  });
  CHECK(read_text(file.path()) == document("new"));
  CHECK(names(elsewhere.path()) == (has_file ? Names{"state.json"} : Names{}));
  if (has_file) CHECK(read_text(elsewhere / "state.json") == document("another"));
}

TEST_CASE("update saves to the file that it loaded, though its directory gets another name") {
  const TemporaryDirectory directory;
  const bool has_file = GENERATE(false, true);
  const bool is_link = GENERATE(false, true);
  CAPTURE(has_file, is_link);
  fs::create_directory(directory / "run");
  fs::create_directory(directory / "other");
  fs::create_directory_symlink("run", directory / "link");
  write_text(directory / "run/state.json", document("old"));
  if (has_file) write_text(directory / "other/state.json", document("another"));
  oci::update(directory / (is_link ? "link/state.json" : "run/state.json"), [&](oci::State& state) {
    if (is_link) {
      fs::remove(directory / "link");
      fs::create_directory_symlink("other", directory / "link");
    } else {
      fs::rename(directory / "run", directory / "moved");
      fs::rename(directory / "other", directory / "run");
    }
    state.id = "new";
  });
  const fs::path before = directory / (is_link ? "run" : "moved");
  const fs::path other = directory / (is_link ? "other" : "run");
  CHECK(read_text(before / "state.json") == document("new"));
  CHECK(names(before) == Names{"state.json"});
  CHECK(names(other) == (has_file ? Names{"state.json"} : Names{}));
  if (has_file) CHECK(read_text(other / "state.json") == document("another"));
}

TEST_CASE("update gives the new file the access that the old one has when the change returns") {
  const StateFile file;
  REQUIRE(::chmod(file.path().c_str(), 0644) == 0);
  const bool is_root = ::geteuid() == 0;
  oci::update(file.path(), [&](oci::State& state) {
    REQUIRE(::chmod(file.path().c_str(), 0640) == 0);
    if (is_root) REQUIRE(::chown(file.path().c_str(), 12345, 23456) == 0);
    state.id = "new";
  });
  CHECK(read_text(file.path()) == document("new"));
  CHECK(mode_of(file.path()) == 0640U);
  if (is_root) CHECK(status_of(file.path()).st_uid == 12345);
  if (is_root) CHECK(status_of(file.path()).st_gid == 23456);
}

TEST_CASE("update has to read the directory, also where the change returns false") {
  const StateFile file;
  fs::permissions(file.path(), fs::perms{0644});
  fs::permissions(file.directory().path(), fs::perms{0311});
  const auto update = [&] {
    return errno_of(file.path(),
                    [&] { oci::update(file.path(), [](oci::State&) { return false; }); });
  };
  CHECK(as_ordinary_user([&] { return load_errno(file.path()); }) == 0);
  CHECK(as_ordinary_user(update) == EACCES);
  fs::permissions(file.directory().path(), fs::perms{0755});
  CHECK(as_ordinary_user(update) == 0);
}

TEST_CASE("update waits for whoever locks the file, and not for who locks the directory") {
  const StateFile file;
  const int directory = ::open(file.directory().path().c_str(), O_RDONLY);
  REQUIRE(::flock(directory, LOCK_EX) == 0);
  for (const int kind : {LOCK_SH, LOCK_EX}) {
    CAPTURE(kind);
    const int locked = ::open(file.path().c_str(), O_RDONLY);
    REQUIRE(::flock(locked, kind) == 0);
    auto update = std::async(std::launch::async, [&] { return update_errno(file.path()); });
    CHECK(update.wait_for(a_while) == std::future_status::timeout);
    ::close(locked);
    CHECK(update.get() == 0);
  }
  ::close(directory);
  CHECK(read_text(file.path()) == document("new"));
}

// A child that is forked in the change has a copy of the descriptor, which keeps the lock where
// update only closes its own.
TEST_CASE("update unlocks though a child lives that was forked in the change") {
  const StateFile file;
  std::unique_ptr<Child> child;
  SECTION("after false") {
    oci::update(file.path(), [&](oci::State&) {
      child = std::make_unique<Child>();
      return false;
    });
  }
  SECTION("after an exception") {
    CHECK_THROWS_AS(oci::update(file.path(),
                                [&](oci::State&) {
                                  child = std::make_unique<Child>();
                                  throw 7;
                                }),
                    int);
  }
  CHECK(!is_locked(file.path()));
  CHECK(file.is_untouched());
}

TEST_CASE("update lets one that waits go on though a child lives that was forked in the change") {
  const StateFile file;
  std::unique_ptr<Child> child;
  std::future<int> second;
  oci::update(file.path(), [&](oci::State& state) {
    second = std::async(std::launch::async, [&] {
      return errno_of(file.path(),
                      [&] { oci::update(file.path(), [](oci::State& s) { s.id += " second"; }); });
    });
    CHECK(second.wait_for(a_while) == std::future_status::timeout);
    child = std::make_unique<Child>();
    state.id += " first";
  });
  CHECK(second.wait_for(long_enough) == std::future_status::ready);
  child.reset();
  CHECK(second.get() == 0);
  CHECK(read_text(file.path()) == document("old first second"));
}

TEST_CASE("update whose change runs a child that exits") {
  const StateFile file;
  oci::update(file.path(), [&](oci::State& state) {
    CHECK(in_child([] { return 7; }) == 7);
    CHECK(is_locked(file.path()));  // the child's exit doesn't unlock
    state.id = "new";
  });
  CHECK(read_text(file.path()) == document("new"));
}

TEST_CASE("update goes on after one that was killed") {
  const StateFile file;
  CHECK(in_child([&] {
          oci::update(file.path(), [](oci::State&) { ::raise(SIGKILL); });
          return 0;
        }) == -SIGKILL);
  CHECK(file.is_untouched());
  CHECK(update_errno(file.path()) == 0);
}

#endif
