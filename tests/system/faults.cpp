// Each system call that load, save, create and update make fails, comes back short, or is the last
// one before the process is killed; other processes come between two calls; and real limits: a full
// disk, a limit on the size of files and on descriptors, a mount point.
//
// The functions under "Interposition" stand before those of the C library in this program, for the
// C++ library too. They need Linux and a C++ library that is linked dynamically.

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <iterator>
#include <oci/state.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/files.hpp"

// ---- Interposition -----------------------------------------------------------------------------

namespace {

enum class Kill { never, before, after };

/// What is to go wrong.
struct Script {
  std::size_t call = SIZE_MAX;  // the system call that is concerned, counted from 0
  int error = 0;                // it fails with this errno, 0 for none,
  std::size_t times = 1;        // and the next ones of its name too, so many in all
  Kill kill = Kill::never;      // the process is killed before or after it
  std::size_t most = SIZE_MAX;  // bytes that one read or write moves
};

Script script;
bool watching = false;
std::size_t hits = 0;  // how many calls have gone wrong
std::vector<std::string> calls;
std::vector<int> open_flags;  // of each open() and openat()
/// Called after each system call.
std::function<void(const std::string& name, long result)> observe;
/// Called before each read(), with its buffer.
std::function<void(const void* data, std::size_t size)> observe_read;
/// Called before each poll(), with the descriptor.
std::function<void(int file)> observe_poll;

/// The C library's own function of that name.
template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

template <class Call>
auto intercept(const char* name, Call call) {
  if (!watching) return call();
  watching = false;
  const std::size_t number = calls.size();
  calls.push_back(name);
  const bool concerned =
      number >= script.call && calls[number] == calls[script.call] && hits < script.times;
  const bool fails = concerned && script.error != 0;
  if (concerned) ++hits;
  if (concerned && script.kill == Kill::before) ::raise(SIGKILL);
  decltype(call()) result = -1;
  if (!fails || calls[number] == "close") result = call();  // close() closes even where it fails
  if (fails) result = -1;
  const int error = fails ? script.error : errno;
  if (concerned && script.kill == Kill::after) ::raise(SIGKILL);
  if (observe) observe(calls[number], result);
  watching = true;
  errno = error;
  return result;
}

std::size_t shortened(std::size_t size) { return watching ? std::min(size, script.most) : size; }

}  // namespace

// The labels are the names that count. Functions that had them in C++ could be at odds with what
// the C library's headers define inline.
extern "C" {

int fake_open(const char* path, int flags, mode_t mode) __asm__("open");
int fake_open(const char* path, int flags, mode_t mode) {
  if (watching) open_flags.push_back(flags);
  return intercept("open",
                   [&] { return real<int(const char*, int, ...)>("open")(path, flags, mode); });
}

int fake_openat(int directory, const char* path, int flags, mode_t mode) __asm__("openat");
int fake_openat(int directory, const char* path, int flags, mode_t mode) {
  if (watching) open_flags.push_back(flags);
  return intercept("openat", [&] {
    return real<int(int, const char*, int, ...)>("openat")(directory, path, flags, mode);
  });
}

ssize_t fake_read(int file, void* data, std::size_t size) __asm__("read");
ssize_t fake_read(int file, void* data, std::size_t size) {
  if (watching && observe_read) observe_read(data, size);
  size = shortened(size);
  return intercept("read", [&] { return real<decltype(fake_read)>("read")(file, data, size); });
}

ssize_t fake_write(int file, const void* data, std::size_t size) __asm__("write");
ssize_t fake_write(int file, const void* data, std::size_t size) {
  size = shortened(size);
  return intercept("write", [&] { return real<decltype(fake_write)>("write")(file, data, size); });
}

int fake_fsync(int file) __asm__("fsync");
int fake_fsync(int file) {
  return intercept("fsync", [&] { return real<decltype(fake_fsync)>("fsync")(file); });
}

int fake_fchown(int file, uid_t owner, gid_t group) __asm__("fchown");
int fake_fchown(int file, uid_t owner, gid_t group) {
  return intercept("fchown",
                   [&] { return real<decltype(fake_fchown)>("fchown")(file, owner, group); });
}

int fake_fchmod(int file, mode_t mode) __asm__("fchmod");
int fake_fchmod(int file, mode_t mode) {
  return intercept("fchmod", [&] { return real<decltype(fake_fchmod)>("fchmod")(file, mode); });
}

int fake_fstat(int file, struct stat* status) __asm__("fstat");
int fake_fstat(int file, struct stat* status) {
  return intercept("fstat", [&] { return real<decltype(fake_fstat)>("fstat")(file, status); });
}

int fake_fstatat(int directory, const char* name, struct stat* status,
                 int flags) __asm__("fstatat");
int fake_fstatat(int directory, const char* name, struct stat* status, int flags) {
  return intercept("fstatat", [&] {
    return real<decltype(fake_fstatat)>("fstatat")(directory, name, status, flags);
  });
}

int fake_flock(int file, int operation) __asm__("flock");
int fake_flock(int file, int operation) {
  return intercept("flock", [&] { return real<decltype(fake_flock)>("flock")(file, operation); });
}

int fake_renameat(int from, const char* old, int to, const char* name) __asm__("renameat");
int fake_renameat(int from, const char* old, int to, const char* name) {
  return intercept("renameat",
                   [&] { return real<decltype(fake_renameat)>("renameat")(from, old, to, name); });
}

int fake_linkat(int from, const char* old, int to, const char* name, int flags) __asm__("linkat");
int fake_linkat(int from, const char* old, int to, const char* name, int flags) {
  return intercept(
      "linkat", [&] { return real<decltype(fake_linkat)>("linkat")(from, old, to, name, flags); });
}

int fake_unlinkat(int directory, const char* name, int flags) __asm__("unlinkat");
int fake_unlinkat(int directory, const char* name, int flags) {
  return intercept("unlinkat", [&] {
    return real<decltype(fake_unlinkat)>("unlinkat")(directory, name, flags);
  });
}

ssize_t fake_fgetxattr(int file, const char* name, void* value,
                       std::size_t size) __asm__("fgetxattr");
ssize_t fake_fgetxattr(int file, const char* name, void* value, std::size_t size) {
  return intercept("fgetxattr", [&] {
    return real<decltype(fake_fgetxattr)>("fgetxattr")(file, name, value, size);
  });
}

int fake_fsetxattr(int file, const char* name, const void* value, std::size_t size,
                   int flags) __asm__("fsetxattr");
int fake_fsetxattr(int file, const char* name, const void* value, std::size_t size, int flags) {
  return intercept("fsetxattr", [&] {
    return real<decltype(fake_fsetxattr)>("fsetxattr")(file, name, value, size, flags);
  });
}

int fake_fremovexattr(int file, const char* name) __asm__("fremovexattr");
int fake_fremovexattr(int file, const char* name) {
  return intercept("fremovexattr",
                   [&] { return real<decltype(fake_fremovexattr)>("fremovexattr")(file, name); });
}

int fake_poll(pollfd* files, nfds_t count, int timeout) __asm__("poll");
int fake_poll(pollfd* files, nfds_t count, int timeout) {
  if (watching && observe_poll) observe_poll(files->fd);
  return intercept("poll",
                   [&] { return real<decltype(fake_poll)>("poll")(files, count, timeout); });
}

int fake_close(int file) __asm__("close");
int fake_close(int file) {
  return intercept("close", [&] { return real<decltype(fake_close)>("close")(file); });
}

}  // extern "C"

// ---- What the tests share ----------------------------------------------------------------------

namespace {

using Calls = std::vector<std::string>;

/// How much was tried, for the README.
struct Figures {
  int faults = 0;
  int kills = 0;
  ~Figures() {
    std::cout << "faults: " << faults << " failing or short system calls injected, " << kills
              << " kills survived" << std::endl;
  }
} figures;

/// Runs `call`, while what `now` says goes wrong. Returns as errno_of() does.
template <class Call>
int watch(const Script& now, const fs::path& path, Call call) {
  script = now;
  hits = 0;
  calls.clear();
  open_flags.clear();
  watching = true;
  const int result = errno_of(path, call);
  watching = false;
  return result;
}

int watch_load(const Script& now, const fs::path& path) {
  return watch(now, path, [&] { static_cast<void>(oci::load(path)); });
}

int watch_save(const Script& now, const fs::path& path) {
  const oci::State state = state_of("new");
  return watch(now, path, [&] { oci::save(state, path); });
}

int watch_update(const Script& now, const fs::path& path) {
  return watch(now, path, [&] { oci::update(path, [](oci::State& state) { state.id = "new"; }); });
}

/// Calls `call` once, after the first system call of that name.
class After {
 public:
  After(const std::string& name, std::function<void()> call) {
    observe = [this, name, call = std::move(call)](const std::string& now, long) {
      if (!std::exchange(called_, called_ || now == name) && called_) call();
    };
  }
  After(const After&) = delete;
  After& operator=(const After&) = delete;
  ~After() {
    observe = nullptr;
    CHECK(called_);
  }

 private:
  bool called_ = false;
};

/// Each errno of the list, and some that save tolerates from one call or another.
constexpr int errors[] = {EIO, ENOSPC, EDQUOT, EACCES, EMFILE, EINTR, EPERM, EINVAL};

/// Longer than the new one, so that what is left of it would show.
const std::string old_id = "the old one, of a length of its own";

enum class Task { create, replace, replace_in_sticky_directory, update };

/// The tasks that write, and a directory for them.
class Target {
 public:
  explicit Target(Task task) : task_(task) {}

  const fs::path& path() const { return file_; }

  void reset() {
    for (const auto& name : names(directory_.path())) fs::remove_all(directory_ / name);
    const bool sticky = task_ == Task::replace_in_sticky_directory;
    REQUIRE(::chmod(directory_.path().c_str(), sticky ? 01777 : 0755) == 0);
    if (task_ == Task::create) return;
    write_text(file_, document(old_id));
    REQUIRE(::chmod(file_.c_str(), 0640) == 0);
    // With another owner there is one to keep. Only root can have that.
    if (::geteuid() == 0) REQUIRE(::chown(file_.c_str(), 12345, 23456) == 0);
  }

  int run(const Script& now) const {
    return task_ == Task::update ? watch_update(now, file_) : watch_save(now, file_);
  }

  /// The calls where nothing goes wrong.
  Calls expected() const {
    Calls all{"open", "fstat", "fstatat", "openat"};
    if (task_ == Task::replace || task_ == Task::update) {
      all.push_back("fstat");
      if (::geteuid() == 0) all.push_back("fchown");
      all.push_back("fchmod");
    }
    all.insert(all.end(), {"write", "fsync", "close", "renameat", "fsync", "close"});
    if (task_ == Task::update) {
      all.insert(all.begin(), {"open", "fstat", "flock", "lstat", "read", "read"});
      all.insert(all.end(), {"flock", "close"});
    }
    return all;
  }

  /// The directory holds the new state or the old one, and beside it no more than `leftovers`.
  void check(bool is_new, std::size_t leftovers = 0) const {
    Names found = names(directory_.path());
    for (auto name = found.begin(); name != found.end();) {
      const bool leftover = leftovers > 0 && name->string().find(".oci-state-") == 0;
      if (leftover) --leftovers;
      name = leftover ? found.erase(name) : std::next(name);
    }
    const bool exists = is_new || task_ != Task::create;
    CHECK(found == (exists ? Names{"state.json"} : Names{}));
    CHECK(read_text(file_) == (is_new ? document("new") : exists ? document(old_id) : ""));
  }

 private:
  Task task_;
  TemporaryDirectory directory_;
  fs::path file_ = directory_ / "state.json";
};

std::size_t find(const Calls& all, const std::string& name) {
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), name) - all.begin());
}

/// Whether it doesn't matter that the call `number` of `all` fails with `error`.
bool is_tolerated(const Calls& all, std::size_t number, int error) {
  const std::string& name = all[number];
  if (error == EINTR) return true;
  if (name == "fchown") return error == EPERM || error == EINVAL;
  if (number < find(all, "renameat")) return false;
  return name == "close" || name == "flock" || (name == "fsync" && error == EINVAL);
}

}  // namespace

// ---- save and update ---------------------------------------------------------------------------

TEST_CASE("save or update, and one system call fails") {
  const auto task =
      GENERATE(Task::create, Task::replace, Task::replace_in_sticky_directory, Task::update);
  const std::size_t most = GENERATE(SIZE_MAX, std::size_t{50});  // read and write come back short
  CAPTURE(task, most);
  Target target(task);
  target.reset();
  Script script_for_all;
  script_for_all.most = most;
  REQUIRE(target.run(script_for_all) == 0);
  target.check(true);
  const Calls all = calls;
  Calls expected = target.expected();
  if (most == 50) {
    expected.insert(expected.begin() + static_cast<std::ptrdiff_t>(find(expected, "write")),
                    "write");
    if (task == Task::update) {
      expected.insert(expected.begin() + static_cast<std::ptrdiff_t>(find(expected, "read")),
                      "read");
    }
  }
  REQUIRE(all == expected);

  const std::size_t descriptors = open_descriptors();
  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const int error : errors) {
      for (const std::size_t times : {std::size_t{1}, std::size_t{3}, SIZE_MAX}) {
        if (times == SIZE_MAX && error == EINTR) continue;  // signals don't come for ever
        CAPTURE(number, all[number], error, times);
        target.reset();
        Script now = script_for_all;
        now.call = number;
        now.error = error;
        now.times = times;
        const int result = target.run(now);
        CHECK(hits > 0);
        if (is_tolerated(all, number, error)) {
          CHECK(result == 0);
          target.check(true);
        } else {
          CHECK(result == error);
          target.check(number > find(all, "renameat"));  // the sync of the directory
        }
        CHECK(open_descriptors() == descriptors);
        ++figures.faults;
      }
    }
  }
}

TEST_CASE("save, and every write comes back short") {
  Target target(Task::replace);
  const std::size_t size = document("new").size();
  for (const std::size_t most : {std::size_t{1}, std::size_t{2}, std::size_t{7}, size - 1}) {
    CAPTURE(most);
    target.reset();
    Script now;
    now.most = most;
    CHECK(target.run(now) == 0);
    CHECK(std::count(calls.begin(), calls.end(), "write") ==
          static_cast<std::ptrdiff_t>((size + most - 1) / most));
    target.check(true);
    ++figures.faults;
  }
}

TEST_CASE("save or update, and the process is killed") {
  const auto task =
      GENERATE(Task::create, Task::replace, Task::replace_in_sticky_directory, Task::update);
  const std::size_t most = GENERATE(SIZE_MAX, std::size_t{50});
  CAPTURE(task, most);
  Target target(task);
  target.reset();
  Script now;
  now.most = most;
  REQUIRE(target.run(now) == 0);
  const Calls all = calls;
  const std::size_t rename = find(all, "renameat");

  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const Kill moment : {Kill::before, Kill::after}) {
      CAPTURE(number, all[number], moment);
      target.reset();
      now.call = number;
      now.kill = moment;
      REQUIRE(in_child([&] { return target.run(now); }) == -SIGKILL);
      target.check(number > rename || (number == rename && moment == Kill::after), 1);
      CHECK(target.run({}) == 0);  // the next one goes on
      target.check(true, 1);
      ++figures.kills;
    }
  }
}

// ---- save --------------------------------------------------------------------------------------

TEST_CASE("save passes over what a killed process left") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  // The next save of this process takes the number after that of the last one.
  std::string last;
  observe = [&](const std::string& name, long) {
    if (name != "openat") return;
    for (const auto& entry : names(directory.path())) last = entry.string();
  };
  REQUIRE(watch_save({}, path) == 0);
  observe = nullptr;
  const std::size_t end = last.rfind('-') + 1;
  REQUIRE(last.substr(0, end) == ".oci-state-" + std::to_string(::getpid()) + "-");
  const unsigned long next = std::stoul(last.substr(end)) + 1;
  const auto leftover = [&](unsigned long number) {
    return directory / (last.substr(0, end) + std::to_string(number));
  };
  write_text(leftover(next), "a torn state");
  write_text(directory / "victim", "precious");
  fs::create_symlink("victim", leftover(next + 1));
  fs::create_symlink("absent", leftover(next + 2));
  const Names before = names(directory.path());

  REQUIRE(watch_save({}, path) == 0);
  CHECK(std::count(calls.begin(), calls.end(), "openat") == 4);
  CHECK(names(directory.path()) == before);
  CHECK(read_text(path) == document("new"));
  CHECK(read_text(leftover(next)) == "a torn state");
  CHECK(read_text(directory / "victim") == "precious");
}

TEST_CASE("save replaces a link that is planted after it looked, and never follows it") {
  const auto task = GENERATE(Task::create, Task::replace);
  const std::string moment = GENERATE("fstatat", "openat", "close");
  const std::string planted = GENERATE("victim", "absent", "state.json");
  CAPTURE(task, moment, planted);
  const TemporaryDirectory elsewhere;
  write_text(elsewhere / "victim", "precious");
  Target target(task);
  target.reset();
  {
    const After after(moment, [&] {
      fs::remove(target.path());
      const bool loop = planted == "state.json";
      fs::create_symlink(loop ? fs::path(planted) : elsewhere / planted, target.path());
    });
    CHECK(target.run({}) == 0);
  }
  CHECK(fs::is_regular_file(fs::symlink_status(target.path())));
  target.check(true);
  CHECK(names(elsewhere.path()) == Names{"victim"});
  CHECK(read_text(elsewhere / "victim") == "precious");
}

TEST_CASE("save, and a directory takes the file's place after it looked") {
  Target target(Task::create);
  target.reset();
  {
    const After after("fstatat", [&] { fs::create_directory(target.path()); });
    CHECK(target.run({}) == EISDIR);
  }
  CHECK(names(target.path().parent_path()) == Names{"state.json"});
  CHECK(fs::is_directory(target.path()));
}

TEST_CASE("save where the owner or the group can't be kept") {
  if (::geteuid() != 0) {
    std::cout << "SKIPPED: fchown(): only root can make files that belong to others\n";
    return;
  }
  const int error = GENERATE(EPERM, EINVAL);  // EINVAL: an ID that the user namespace lacks
  Target target(Task::replace);
  for (const mode_t mode : {0640U, 0664U, 0666U, 0070U, 0777U}) {
    CAPTURE(error, mode);
    Script now;
    now.call = find(target.expected(), "fchown");
    now.error = error;
    for (now.times = 1; now.times <= 2; ++now.times) {
      CAPTURE(now.times);
      target.reset();
      REQUIRE(::chmod(target.path().c_str(), mode) == 0);
      std::vector<mode_t> seen;  // of the temporary
      observe = [&](const std::string&, long) {
        for (const auto& entry : fs::directory_iterator(target.path().parent_path())) {
          if (entry.path() != target.path()) seen.push_back(status_of(entry.path()).st_mode);
        }
      };
      CHECK(target.run(now) == 0);
      observe = nullptr;
      const bool group_kept = now.times == 1;
      const mode_t expected = mode & (group_kept ? 0777U : 0707U);
      CHECK(status_of(target.path()).st_uid == 0);
      CHECK(status_of(target.path()).st_gid == (group_kept ? 23456 : 0));
      CHECK(mode_of(target.path()) == expected);
      CHECK(!seen.empty());
      for (const mode_t then : seen) CHECK((then & 0077U & ~expected) == 0U);
    }
  }
}

TEST_CASE("save lets nobody else open its temporary before owner and group are right") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  std::vector<struct stat> seen;  // the temporary, after each system call
  observe = [&](const std::string&, long) {
    for (const auto& name : names(directory.path())) {
      if (name != "state.json") seen.push_back(status_of(directory / name));
    }
  };
  const Umask umask(0);
  CHECK(watch_save({}, path) == 0);
  CHECK(!seen.empty());
  for (const auto& now : seen) CHECK((now.st_mode & 07777U) == 0600U);

  for (const bool sticky : {false, true}) {
    REQUIRE(::chmod(directory.path().c_str(), sticky ? 01777 : 0755) == 0);
    for (const mode_t mode : {0600U, 0640U, 0644U, 0604U, 0660U, 0666U, 0444U, 0755U, 0777U}) {
      CAPTURE(sticky, mode);
      if (::geteuid() == 0) REQUIRE(::chown(path.c_str(), 12345, 23456) == 0);
      REQUIRE(::chmod(path.c_str(), mode) == 0);
      const struct stat old = status_of(path);
      seen.clear();
      CHECK(watch_save({}, path) == 0);
      REQUIRE(!seen.empty());
      for (const auto& now : seen) {
        const bool owned = now.st_uid == old.st_uid && now.st_gid == old.st_gid;
        CHECK((now.st_mode & 0077U & ~(owned && !sticky ? mode : 0U)) == 0U);
      }
      CHECK((seen.back().st_mode & 07777U) == (sticky ? 0600U : mode));
      CHECK(seen.back().st_uid == (sticky ? ::geteuid() : old.st_uid));
      CHECK(seen.back().st_gid == (sticky ? ::getegid() : old.st_gid));
    }
  }
  observe = nullptr;
}

// ---- update ------------------------------------------------------------------------------------

TEST_CASE("update makes no other call where the change says so or throws") {
  Target target(Task::update);
  target.reset();
  const Calls expected{"open", "fstat", "flock", "lstat", "read", "read", "flock", "close"};
  CHECK(watch({}, target.path(),
              [&] { oci::update(target.path(), [](oci::State&) { return false; }); }) == 0);
  CHECK(calls == expected);
  CHECK(watch({}, target.path(),
              [&] { oci::update(target.path(), [](oci::State&) { throw 7; }); }) == -1);
  CHECK(calls == expected);
}

TEST_CASE("update opens the file for reading, without waiting, and follows no link") {
  Target target(Task::update);
  target.reset();
  REQUIRE(target.run({}) == 0);
  CHECK(open_flags.at(0) == (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

TEST_CASE("update opens the file for writing where flock() wants that, as on NFS") {
  Target target(Task::update);
  target.reset();
  Script now;
  now.call = 2;
  now.error = EBADF;
  CHECK(target.run(now) == 0);
  target.check(true);
  Calls expected = target.expected();
  expected.insert(expected.begin(), {"open", "fstat", "flock", "close"});
  // The first descriptor goes when the second is there.
  std::swap(expected[3], expected[4]);
  CHECK(calls == expected);
  CHECK(open_flags.at(0) == (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  CHECK(open_flags.at(1) == (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));

  const std::size_t descriptors = open_descriptors();
  now.times = 2;
  target.reset();
  CHECK(target.run(now) == EBADF);
  target.check(false);
  CHECK(open_descriptors() == descriptors);
}

TEST_CASE("update looks again at a file that it had to open twice") {
  Target target(Task::update);
  const std::string planted = GENERATE("link", "directory", "another file");
  CAPTURE(planted);
  const TemporaryDirectory elsewhere;
  write_text(elsewhere / "victim", document("precious"));
  target.reset();
  Script now;
  now.call = 2;
  now.error = EBADF;
  {
    const After after("flock", [&] {
      fs::remove(target.path());
      if (planted == "link") fs::create_symlink(elsewhere / "victim", target.path());
      if (planted == "directory") fs::create_directory(target.path());
      if (planted == "another file") write_text(target.path(), document("another"));
    });
    CHECK(target.run(now) == (planted == "link" ? ELOOP : planted == "directory" ? EISDIR : 0));
  }
  if (planted == "another file") target.check(true);
  CHECK(read_text(elsewhere / "victim") == document("precious"));
}

TEST_CASE("update does not look at the errno of an earlier call") {
  Target target(Task::update);
  target.reset();
  CHECK(watch({}, target.path(), [&] {
          errno = EBADF;
          oci::update(target.path(), [](oci::State& state) { state.id = "newer"; });
        }) == 0);
  CHECK(calls == target.expected());
}

TEST_CASE("update starts again where the file was replaced while it waited") {
  Target target(Task::update);
  target.reset();
  {
    const After after("flock", [&] { CHECK(save_errno(target.path()) == 0); });
    std::string found;
    CHECK(watch({}, target.path(), [&] {
            oci::update(target.path(), [&](oci::State& state) {
              found = state.id;
              state.id += "er";
            });
          }) == 0);
    CHECK(found == "new");
  }
  CHECK(oci::load(target.path()).id == "newer");
  Calls expected = target.expected();
  const auto reopened =
      expected.insert(expected.begin(), {"open", "fstat", "flock", "lstat", "flock"});
  expected.insert(reopened + 6, "close");  // of the first, when the second is open
  CHECK(calls == expected);
}

TEST_CASE("update finds no regular file after the wait") {
  const TemporaryDirectory elsewhere;
  write_text(elsewhere / "victim", document("precious"));
  Target target(Task::update);
  target.reset();
  const std::string planted = GENERATE("nothing", "link", "directory", "FIFO");
  CAPTURE(planted);
  {
    const After after("flock", [&] {
      fs::remove(target.path());
      if (planted == "link") fs::create_symlink(elsewhere / "victim", target.path());
      if (planted == "directory") fs::create_directory(target.path());
      if (planted == "FIFO") REQUIRE(::mkfifo(target.path().c_str(), 0600) == 0);
    });
    CHECK(target.run({}) == (planted == "nothing"     ? ENOENT
                             : planted == "link"      ? ELOOP
                             : planted == "directory" ? EISDIR
                                                      : ENXIO));
  }
  CHECK(names(target.path().parent_path()).size() == (planted == "nothing" ? 0 : 1));
  CHECK(read_text(elsewhere / "victim") == document("precious"));
}

TEST_CASE("update finds a file of the same number on another file system after the wait") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const auto make_file = [&](const std::string& id) {  // the first one of its file system
    if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, nullptr) != 0) return false;
    write_text(path, document(id));
    return true;
  };
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 || !make_file("first")) {
    std::cout << "SKIPPED: two file systems: only root with CAP_SYS_ADMIN can mount them\n";
    return;
  }
  const struct stat first = status_of(path);
  std::string found;
  {
    const After after("flock", [&] {
      REQUIRE(make_file("second"));
      REQUIRE(status_of(path).st_ino == first.st_ino);
    });
    CHECK(watch({}, path, [&] {
            oci::update(path, [&](oci::State& state) {
              found = state.id;
              state.id = "new";
            });
          }) == 0);
  }
  CHECK(found == "second");
  CHECK(read_text(path) == document("new"));
  REQUIRE(::umount(directory.path().c_str()) == 0);
  CHECK(read_text(path) == document("first"));
  REQUIRE(::umount(directory.path().c_str()) == 0);
}

// ---- load --------------------------------------------------------------------------------------

TEST_CASE("load, and one system call fails") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const std::string id(GENERATE(1U, 10000U), 'x');
  const std::size_t most = GENERATE(SIZE_MAX, std::size_t{1000});  // read comes back short
  CAPTURE(id.size(), most);
  write_text(path, document(id));
  std::string loaded;
  const auto load = [&](const Script& now) {
    loaded.clear();
    return watch(now, path, [&] { loaded = oci::load(path).id; });
  };
  Script now;
  now.most = most;
  REQUIRE(load(now) == 0);
  REQUIRE(loaded == id);
  const Calls all = calls;
  Calls expected{"open", "read", "read", "close"};
  if (most == 1000 && id.size() == 10000) expected.insert(expected.begin() + 1, 10, "read");
  REQUIRE(all == expected);

  const std::size_t descriptors = open_descriptors();
  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const int error : errors) {
      CAPTURE(number, all[number], error);
      now.call = number;
      now.error = error;
      const bool tolerated = error == EINTR || all[number] == "close";
      CHECK(load(now) == (tolerated ? 0 : error));
      CHECK(hits > 0);
      CHECK(loaded == (tolerated ? id : ""));
      CHECK(open_descriptors() == descriptors);
      ++figures.faults;
    }
  }
}

TEST_CASE("load, and every read comes back short") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const std::string id(5000, 'x');
  write_text(path, document(id));
  for (const std::size_t most : {1U, 2U, 4095U, 4096U, 5000U}) {
    CAPTURE(most);
    Script now;
    now.most = most;
    std::string loaded;
    CHECK(watch(now, path, [&] { loaded = oci::load(path).id; }) == 0);
    CHECK(loaded == id);
    ++figures.faults;
  }
}

TEST_CASE("load of a file that grows while it is read") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const std::string text = document(std::string(300000, 'x'));
  for (const std::size_t size : {std::size_t{10}, std::size_t{5000}, std::size_t{131072}}) {
    CAPTURE(size);
    write_text(path, text.substr(0, size));
    const After after("read", [&] { write_text(path, text); });
    std::string loaded;
    CHECK(watch({}, path, [&] { loaded = oci::load(path).id; }) == 0);
    CHECK(loaded.size() == 300000);
  }
}

TEST_CASE("load touches no memory that it doesn't need") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("web"));
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::size_t buffer = 0;
  std::size_t resident = 0;
  observe_read = [&](const void* data, std::size_t size) {
    buffer = size;
    std::vector<unsigned char> pages(size / page + 1);
    const auto first = reinterpret_cast<std::uintptr_t>(data) / page * page;
    REQUIRE(::mincore(reinterpret_cast<void*>(first), size, pages.data()) == 0);
    resident = static_cast<std::size_t>(
        std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1U) != 0; }));
  };
  const bool is_descriptor = GENERATE(false, true);
  const int file = ::open(path.c_str(), O_RDONLY);
  if (is_descriptor) {
    ::malloc_trim(0);  // so that no memory is left that was touched before
    CHECK(watch({}, path, [&] { static_cast<void>(oci::load(file)); }) == 0);
  } else {
    ::malloc_trim(0);
    CHECK(watch_load({}, path) == 0);
  }
  ::close(file);
  observe_read = nullptr;
  CHECK(buffer >= 65536);  // a packet of 64 KiB
  CHECK(resident <= 2);    // the pages at its ends, where something else may be
}

// ---- Open descriptors --------------------------------------------------------------------------

TEST_CASE("load or save of a descriptor, and one system call fails") {
  const bool is_save = GENERATE(false, true);
  const std::size_t most = GENERATE(SIZE_MAX, std::size_t{20});
  CAPTURE(is_save, most);
  const TemporaryDirectory directory;
  write_text(directory / "state.json", document("new"));
  const int file = ::open((directory / "state.json").c_str(), O_RDWR);
  REQUIRE(file != -1);
  std::string loaded;
  const auto run = [&](const Script& now) {
    REQUIRE(::lseek(file, 0, SEEK_SET) == 0);
    if (is_save) REQUIRE(::ftruncate(file, 0) == 0);
    loaded.clear();
    return watch(now, "/dev/fd/" + std::to_string(file), [&] {
      if (is_save) {
        oci::save(state_of("new"), file);
      } else {
        loaded = oci::load(file).id;
      }
    });
  };
  Script now;
  now.most = most;
  REQUIRE(run(now) == 0);
  const Calls all = calls;
  const std::size_t size = document("new").size();
  const std::size_t pieces = most == 20 ? (size + 19) / 20 : 1;
  REQUIRE(all == (is_save ? Calls(pieces, "write") : Calls(pieces + 1, "read")));

  const std::size_t descriptors = open_descriptors();
  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const int error : {EIO, EINTR, EAGAIN, EBADF, EPIPE, EISDIR, ECONNRESET}) {
      CAPTURE(number, error);
      now.call = number;
      now.error = error;
      const bool tolerated = error == EINTR;
      CHECK(run(now) == (tolerated ? 0 : error));
      CHECK(hits == 1);
      if (is_save) {
        CHECK(read_text(directory / "state.json") ==
              document("new").substr(0, tolerated ? size : number * most));
      } else {
        CHECK(loaded == (tolerated ? "new" : ""));
      }
      CHECK(open_descriptors() == descriptors);
      ++figures.faults;
    }
  }
  ::close(file);
}

TEST_CASE("no descriptor of load, save and update outlives exec") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  std::size_t opened = 0;
  observe = [&](const std::string& name, long descriptor) {
    if (name != "open" && name != "openat") return;
    ++opened;
    CHECK((::fcntl(static_cast<int>(descriptor), F_GETFD) & FD_CLOEXEC) != 0);
  };
  CHECK(watch_save({}, path) == 0);
  CHECK(opened == 2);  // the directory and the temporary
  CHECK(watch_load({}, path) == 0);
  CHECK(opened == 3);
  CHECK(watch_update({}, path) == 0);
  CHECK(opened == 6);
  Script now;
  now.call = 2;
  now.error = EBADF;
  CHECK(watch_update(now, path) == 0);
  CHECK(opened == 10);
  observe = nullptr;
}

// ---- Real limits -------------------------------------------------------------------------------

namespace {

/// Sets a limit of this process, for as long as it lives.
class Limit {
 public:
  Limit(int resource, rlim_t most) : resource_(resource) {
    REQUIRE(::getrlimit(resource_, &before_) == 0);
    rlimit now = before_;
    now.rlim_cur = most;
    REQUIRE(::setrlimit(resource_, &now) == 0);
  }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;
  ~Limit() { ::setrlimit(resource_, &before_); }

 private:
  int resource_;
  rlimit before_{};
};

}  // namespace

TEST_CASE("save on a full disk") {
  const TemporaryDirectory directory;
  const auto mount = [&](const std::string& options) {
    // Seen by this process alone.
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, options.c_str()) == 0;
  };
  const fs::path path = directory / "state.json";
  const oci::State small = state_of("new");
  const oci::State large = state_of(std::string(200000, 'x'));  // more than a page of any machine

  // One page: the old state has it.
  if (!mount("size=" + std::to_string(::sysconf(_SC_PAGESIZE)))) {
    std::cout << "SKIPPED: a full disk: only root with CAP_SYS_ADMIN can mount a small one\n";
    return;
  }
  CHECK(errno_of(path, [&] { oci::save(large, path); }) == ENOSPC);
  CHECK(names(directory.path()).empty());
  write_text(path, document("old"));
  CHECK(errno_of(path, [&] { oci::save(small, path); }) == ENOSPC);
  CHECK(read_text(path) == document("old"));
  CHECK(names(directory.path()) == Names{"state.json"});
  fs::remove(path);
  CHECK(errno_of(path, [&] { oci::save(small, path); }) == 0);
  CHECK(read_text(path) == document("new"));
  REQUIRE(::umount(directory.path().c_str()) == 0);

  // Two inodes: the directory and the old state.
  REQUIRE(mount("nr_inodes=2"));
  write_text(path, document("old"));
  CHECK(errno_of(path, [&] { oci::save(small, path); }) == ENOSPC);
  CHECK(read_text(path) == document("old"));
  CHECK(names(directory.path()) == Names{"state.json"});
  REQUIRE(::umount(directory.path().c_str()) == 0);
}

TEST_CASE("save of more than RLIMIT_FSIZE") {
  Target target(GENERATE(Task::create, Task::replace));
  target.reset();
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t most : {rlim_t{0}, rlim_t{10}, rlim_t{58}}) {
    CAPTURE(most);
    int result = -1;
    {
      const Limit limit(RLIMIT_FSIZE, most);
      result = watch_save({}, target.path());
    }
    CHECK(result == EFBIG);
    target.check(false);
  }
  std::signal(SIGXFSZ, handler);
}

TEST_CASE("save to a file that is itself a mount point") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  write_text(path, document("below"));
  write_text(directory / "mounted", document("old"));
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount((directory / "mounted").c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    std::cout << "SKIPPED: a mount point: only root with CAP_SYS_ADMIN can make one\n";
    return;
  }
  CHECK(save_errno(path) == EBUSY);
  CHECK(watch_update({}, path) == EBUSY);
  CHECK(read_text(path) == document("old"));
  CHECK(names(directory.path()) == Names{"mounted", "state.json"});
  REQUIRE(::umount(path.c_str()) == 0);
}

TEST_CASE("load, save and update where no descriptor is left") {
  Target target(Task::replace);
  target.reset();
  // The lowest number that is free, and whether as many follow it as update needs.
  const int lowest = ::dup(0);
  REQUIRE(lowest != -1);
  ::close(lowest);
  REQUIRE(::fcntl(lowest + 1, F_GETFD) == -1);
  REQUIRE(::fcntl(lowest + 2, F_GETFD) == -1);
  for (std::size_t spare = 0; spare < 4; ++spare) {
    int results[3];  // before a check that would open descriptors
    const auto with_limit = [&](auto run) {
      target.reset();
      const Limit limit(RLIMIT_NOFILE, static_cast<rlim_t>(lowest) + spare);
      return run({}, target.path());
    };
    results[0] = with_limit(watch_load);
    target.check(false);
    results[1] = with_limit(watch_save);
    target.check(spare >= 2);
    results[2] = with_limit(watch_update);
    target.check(spare >= 3);
    CAPTURE(spare);
    CHECK(results[0] == (spare >= 1 ? 0 : EMFILE));
    CHECK(results[1] == (spare >= 2 ? 0 : EMFILE));
    CHECK(results[2] == (spare >= 3 ? 0 : EMFILE));
  }
}
