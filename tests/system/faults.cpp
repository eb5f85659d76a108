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

#include "../support/acl.hpp"
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
std::function<void(int file, int timeout)> observe_poll;

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
  return intercept("fstat", [&] {
#ifdef _STAT_VER  // The C library has no such function before glibc 2.33, but in line.
    return ::__fxstat(_STAT_VER, file, status);
#else
    return real<decltype(fake_fstat)>("fstat")(file, status);
#endif
  });
}

int fake_fstatat(int directory, const char* name, struct stat* status,
                 int flags) __asm__("fstatat");
int fake_fstatat(int directory, const char* name, struct stat* status, int flags) {
  return intercept("fstatat", [&] {
#ifdef _STAT_VER
    return ::__fxstatat(_STAT_VER, directory, name, status, flags);
#else
    return real<decltype(fake_fstatat)>("fstatat")(directory, name, status, flags);
#endif
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
  if (watching && observe_poll) observe_poll(files->fd, timeout);
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

int watch_create(const Script& now, const fs::path& path) {
  const oci::State state = state_of("new");
  return watch(now, path, [&] { oci::create(state, path); });
}

int watch_update(const Script& now, const fs::path& path) {
  return watch(now, path, [&] { oci::update(path, [](oci::State& state) { state.id = "new"; }); });
}

/// What the filesystem_error says that `call` throws.
template <class Call>
std::string message_of(const Script& now, const fs::path& path, Call call) {
  std::string what;
  CHECK(watch(now, path, [&] {
          try {
            call();
          } catch (const fs::filesystem_error& failure) {
            what = failure.what();
          }
        }) == 0);
  return what;
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

/// Errnos that any call may fail with, and those that one step or another may fail with.
constexpr int errors[] = {EIO,    ENOSPC,  EDQUOT, EMFILE,    EINTR,  ELOOP,  EPERM,
                          EINVAL, ENOTSUP, ENOSYS, EOVERFLOW, EACCES, ENODATA};

/// A process that may not set an owner, a group or a list gets one of these.
constexpr int refusals[] = {EPERM, EINVAL, ENOTSUP, ENOSYS, EACCES, EOVERFLOW};

bool is_refusal(int error) {
  return std::find(std::begin(refusals), std::end(refusals), error) != std::end(refusals);
}

/// Longer than the new one, so that what is left of it would show.
const std::string old_id = "the old one, of a length of its own";

enum class Task {
  create,
  save_new,
  replace_private,              // a file that group and others may not open
  replace,                      // one that its group may read
  replace_with_list,            // one that a user may read, by a list
  replace_in_shared_directory,  // a file that others may have planted
  update
};
constexpr Task all_tasks[] = {
    Task::create,  Task::save_new,          Task::replace_private,
    Task::replace, Task::replace_with_list, Task::replace_in_shared_directory,
    Task::update};

constexpr uid_t old_owner = 12345;
constexpr gid_t old_group = 23456;

/// A file system in memory, if there is one: it has nothing to sync, and these tests sync often.
fs::path fast_file_system() {
  return fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
}

/// The tasks that write, and a directory for them.
class Target {
 public:
  explicit Target(Task task) : task_(task) {}

  const fs::path& path() const { return file_; }

  void reset() {
    for (const auto& name : names(directory_.path())) fs::remove_all(directory_ / name);
    const bool is_shared = task_ == Task::replace_in_shared_directory;
    REQUIRE(::chmod(directory_.path().c_str(), is_shared ? 01777 : 0755) == 0);
    if (is_new()) return;
    write_text(file_, document(old_id));
    REQUIRE(::chmod(file_.c_str(), task_ == Task::replace_private ? 0600 : 0640) == 0);
    if (task_ == Task::replace_with_list) has_list_ = set_acl(file_, access_acl, list);
    // With another owner there is one to keep. Only root can have that.
    if (::geteuid() == 0) REQUIRE(::chown(file_.c_str(), old_owner, old_group) == 0);
  }

  int run(const Script& now) const {
    if (task_ == Task::create) return watch_create(now, file_);
    return task_ == Task::update ? watch_update(now, file_) : watch_save(now, file_);
  }

  /// The calls if nothing goes wrong.
  Calls expected() const {
    const Calls chown(::geteuid() == 0 ? 1 : 0, "fchown");
    Calls all{"open"};
    const auto then = [&](const Calls& more) { all.insert(all.end(), more.begin(), more.end()); };
    if (task_ == Task::update) then({"openat", "fstat", "flock"});
    then({"fstatat"});
    if (task_ == Task::update) then({"read", "read"});
    if (!is_new()) then({"fstat"});  // of the directory
    if (task_ == Task::update) then({"fstat", "fgetxattr"});
    if (opens_old()) then({"openat", "fstat", "fgetxattr", "close"});
    then({"openat"});
    if (takes_over()) then({"fstat"});
    if (takes_over()) then(chown);
    if (is_shared()) then({has_list_ ? "fsetxattr" : "fremovexattr"});
    if (takes_over()) then({"fchmod"});
    if (takes_over()) then(chown);
    then({"write", "fsync", "close"});
    if (task_ == Task::update) then({"fstatat"});
    if (task_ == Task::create) then({"linkat", "unlinkat"});
    if (task_ != Task::create) then({"renameat"});
    then({"fsync"});
    if (task_ == Task::update) then({"flock", "close"});
    then({"close"});
    return all;
  }

  bool is_new() const { return task_ == Task::create || task_ == Task::save_new; }

  /// Whether the task opens the old file only to see who may.
  bool opens_old() const { return is_shared() && task_ != Task::update; }

  /// After this call, the file is in place.
  std::string last_step() const { return task_ == Task::create ? "linkat" : "renameat"; }

  /// Whether group or others may open the file that is replaced.
  bool is_shared() const { return takes_over() && task_ != Task::replace_private; }

  /// The directory holds the new state or the old one, and beside it no more than `leftovers`.
  void check(bool is_in_place, std::size_t leftovers = 0) const {
    Names found = names(directory_.path());
    for (auto name = found.begin(); name != found.end();) {
      const bool leftover = leftovers > 0 && name->string().find(".oci-state-") == 0;
      if (leftover) --leftovers;
      name = leftover ? found.erase(name) : std::next(name);
    }
    const bool exists = is_in_place || !is_new();
    CHECK(found == (exists ? Names{"state.json"} : Names{}));
    CHECK(read_text(file_) == (is_in_place ? document("new") : exists ? document(old_id) : ""));
  }

 private:
  bool takes_over() const { return !is_new() && task_ != Task::replace_in_shared_directory; }

  const std::string list = acl({{AclTag::owner, 6},
                                {AclTag::user, 4, 54321},
                                {AclTag::owning_group, 0},
                                {AclTag::mask, 4},
                                {AclTag::others, 0}});
  Task task_;
  bool has_list_ = false;
  TemporaryDirectory directory_{fast_file_system()};
  fs::path file_ = directory_ / "state.json";
};

std::size_t find(const Calls& all, const std::string& name) {
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), name) - all.begin());
}

/// Whether it doesn't matter that the call `number` of `all`, those of the task, fails with
/// `error`.
bool is_optional(const Target& target, const Calls& all, std::size_t number, int error) {
  const std::string& name = all[number];
  const std::size_t last_step = find(all, target.last_step());
  if (name == "fchown" || name == "fsetxattr") return is_refusal(error);
  if (name == "fgetxattr" || name == "fremovexattr") return is_refusal(error) || error == ENODATA;
  if (name == "openat" && target.opens_old() && number == find(all, "openat")) {
    return error == EACCES || error == EPERM || error == ELOOP;
  }
  if (name == "close") return number != find(all, "fsync") + 1;  // that of the temporary
  if (number < last_step) return false;
  if (name == "fsync") return error == EINVAL || error == ENOTSUP || error == ENOSYS;
  return name == "flock" || name == "unlinkat";
}

/// The same for so many calls of one name, from the call `number` on.
bool are_optional(const Target& target, const Calls& all, std::size_t number, std::size_t times,
                  int error) {
  if (error == EINTR) return true;
  for (std::size_t other = number; other < all.size() && times > 0; ++other) {
    if (all[other] != all[number]) continue;
    if (!is_optional(target, all, other, error)) return false;
    --times;
  }
  return true;
}

}  // namespace

// ---- save, create and update -------------------------------------------------------------------

TEST_CASE("save, create or update, and one system call fails") {
  const Task task = GENERATE(from_range(std::begin(all_tasks), std::end(all_tasks)));
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
        if (are_optional(target, all, number, times, error)) {
          CHECK(result == 0);
          target.check(true, all[number] == "unlinkat" && error != EINTR ? 1 : 0);
        } else {
          CHECK(result == error);
          target.check(number > find(all, target.last_step()));  // the sync of the directory
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

TEST_CASE("save, create or update, and the process is killed") {
  const Task task = GENERATE(from_range(std::begin(all_tasks), std::end(all_tasks)));
  const std::size_t most = GENERATE(SIZE_MAX, std::size_t{50});
  CAPTURE(task, most);
  Target target(task);
  target.reset();
  Script now;
  now.most = most;
  REQUIRE(target.run(now) == 0);
  const Calls all = calls;
  const std::size_t last_step = find(all, target.last_step());

  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const Kill moment : {Kill::before, Kill::after}) {
      CAPTURE(number, all[number], moment);
      target.reset();
      now.call = number;
      now.kill = moment;
      REQUIRE(in_child([&] { return target.run(now); }) == -SIGKILL);
      const bool is_in_place = number > last_step || (number == last_step && moment == Kill::after);
      target.check(is_in_place, 1);
      const bool is_created = task == Task::create && is_in_place;
      CHECK(target.run({}) == (is_created ? EEXIST : 0));  // the next one goes on
      CHECK(watch_save({}, target.path()) == 0);
      target.check(true, 1);
      ++figures.kills;
    }
  }
}

TEST_CASE("save, create and update go on in the directory that they opened, whatever its name") {
  const TemporaryDirectory directory(fast_file_system());
  const fs::path path = directory / "run/state.json";
  const fs::path moved = directory / "moved/state.json";
  fs::create_directory(directory / "run");
  const std::string task = GENERATE("create", "save", "replace", "update");
  CAPTURE(task);
  if (task == "replace" || task == "update") {
    write_text(path, document("old"));
    REQUIRE(::chmod(path.c_str(), 0640) == 0);
  }
  {
    const After after("open", [&] {
      fs::rename(directory / "run", directory / "moved");
      fs::create_directory(directory / "run");
      write_text(path, document("another"));
    });
    const auto run = task == "create" ? watch_create : task == "update" ? watch_update : watch_save;
    CHECK(run({}, path) == 0);
  }
  CHECK(read_text(moved) == document("new"));
  CHECK(read_text(path) == document("another"));
  CHECK(names(directory / "moved") == Names{"state.json"});
  CHECK(names(directory / "run") == Names{"state.json"});
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
  const auto task = GENERATE(Task::save_new, Task::replace);
  const std::string moment = GENERATE("fstatat", "openat", "close", "fsync");
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
  Target target(Task::save_new);
  target.reset();
  {
    const After after("fstatat", [&] { fs::create_directory(target.path()); });
    CHECK(target.run({}) == EISDIR);
  }
  CHECK(names(target.path().parent_path()) == Names{"state.json"});
  CHECK(fs::is_directory(target.path()));
}

namespace {

/// Saves with that script over a shared file of that mode. Returns the mode of the new file, and
/// checks that the temporary never gave more to group and others.
unsigned mode_after(Target& target, const Script& now, unsigned mode) {
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
  target.check(true);
  CHECK(hits == now.times);
  CHECK(!seen.empty());
  for (const mode_t then : seen) CHECK((then & 0077U & ~mode_of(target.path())) == 0U);
  ++figures.faults;
  return mode_of(target.path());
}

Script fails_with(int error, std::size_t call, std::size_t times = 1) {
  Script now;
  now.call = call;
  now.error = error;
  now.times = times;
  return now;
}

}  // namespace

TEST_CASE("save or update if the owner or the group can't be kept") {
  if (::geteuid() != 0) {
    std::cout << "SKIPPED: fchown(): only root can make files that belong to others\n";
    return;
  }
  const struct {
    unsigned old;
    unsigned without_group;  // others keep what the group had too
    unsigned without_owner;  // group and others keep what the owner had too
    unsigned without_both;
  } modes[] = {
      {0640, 0600, 0640, 0600}, {0664, 0604, 0664, 0604},     {0666, 0606, 0666, 0606},
      {0604, 0600, 0604, 0600}, {0646, 0604, 0646, 0604},     {0644, 0604, 0644, 0604},
      {0777, 0707, 0777, 0707}, {0754, 0704, 0754, 0704},     {0466, 0406, 0444, 0404},
      {0070, 0000, 0000, 0000}, {0007, 0000, 0000, 0000},     {01644, 01604, 01644, 01604},
      {0677, 0607, 0666, 0606}, {01670, 01600, 01660, 01600},
  };
  const int error = GENERATE(from_range(std::begin(refusals), std::end(refusals)));
  Target target(GENERATE(Task::replace, Task::update));
  const std::size_t group = find(target.expected(), "fchown");
  for (const auto& mode : modes) {
    CAPTURE(error, mode.old);
    CHECK(mode_after(target, fails_with(error, group), mode.old) == mode.without_group);
    CHECK(status_of(target.path()).st_uid == old_owner);
    CHECK(status_of(target.path()).st_gid == 0);

    // If nothing is left to the group and to others, the list is not looked at any more.
    CHECK(mode_after(target, fails_with(error, group, 2), mode.old) == mode.without_both);
    CHECK(status_of(target.path()).st_uid == 0);
    CHECK(status_of(target.path()).st_gid == 0);

    const std::size_t owner = group + 3;
    REQUIRE(target.expected()[owner] == "fchown");
    CHECK(mode_after(target, fails_with(error, owner), mode.old) == mode.without_owner);
    CHECK(status_of(target.path()).st_uid == 0);
    CHECK(status_of(target.path()).st_gid == old_group);
  }
}

TEST_CASE("save and update of a file of one's own set no owner") {
  const Task task = GENERATE(Task::replace_private, Task::replace, Task::update);
  CAPTURE(task);
  Target target(task);
  target.reset();
  if (::geteuid() == 0) REQUIRE(::chown(target.path().c_str(), 0, 0) == 0);
  CHECK(target.run({}) == 0);
  CHECK(std::count(calls.begin(), calls.end(), "fchown") == 0);
}

TEST_CASE("save of a private file if the owner or the group can't be kept") {
  if (::geteuid() != 0) {
    std::cout << "SKIPPED: fchown(): only root can make files that belong to others\n";
    return;
  }
  const int error = GENERATE(from_range(std::begin(refusals), std::end(refusals)));
  Target target(Task::replace_private);
  const std::size_t group = find(target.expected(), "fchown");
  const std::size_t owner = group + 2;
  REQUIRE(target.expected()[owner] == "fchown");
  CHECK(mode_after(target, fails_with(error, owner), 0600) == 0600U);  // the owner can't be kept
  CHECK(status_of(target.path()).st_uid == 0);
  CHECK(status_of(target.path()).st_gid == old_group);
  CHECK(mode_after(target, fails_with(error, group), 0600) == 0600U);  // the group can't be kept
  CHECK(status_of(target.path()).st_uid == old_owner);
  CHECK(status_of(target.path()).st_gid == 0);
  CHECK(mode_after(target, fails_with(error, group, 2), 0600) == 0600U);  // neither can
  CHECK(status_of(target.path()).st_uid == 0);
  CHECK(status_of(target.path()).st_gid == 0);
}

TEST_CASE("save or update if the list can't be read") {
  Target target(GENERATE(Task::replace_with_list, Task::update));
  const std::size_t read = find(target.expected(), "fgetxattr");
  for (const int error : {ENODATA, ENOTSUP, ENOSYS}) {  // there is none
    CAPTURE(error);
    CHECK(mode_after(target, fails_with(error, read), 0644) == 0644U);
    CHECK(acl_of(target.path()).empty());
  }
  for (const int error : {EPERM, EINVAL, EACCES, EOVERFLOW}) {
    CAPTURE(error);
    CHECK(mode_after(target, fails_with(error, read), 0644) == 0600U);
    CHECK(mode_after(target, fails_with(error, read), 01777) == 01700U);
    CHECK(acl_of(target.path()).empty());
  }
}

TEST_CASE("save if the list can't be set") {
  Target target(Task::replace_with_list);
  target.reset();
  if (find(target.expected(), "fsetxattr") == target.expected().size()) {
    std::cout << "SKIPPED: lists that can't be set: this file system has none\n";
    return;
  }
  for (const int error : refusals) {
    CAPTURE(error);
    const std::size_t set = find(target.expected(), "fsetxattr");
    CHECK(mode_after(target, fails_with(error, set), 0644) == 0600U);
    CHECK(acl_of(target.path()).empty());
  }
  if (::geteuid() != 0) return;
  // The list may refuse somebody whom the old group would not.
  const std::size_t group = find(target.expected(), "fchown");
  CHECK(mode_after(target, fails_with(EPERM, group), 0644) == 0600U);
  CHECK(acl_of(target.path()).empty());
}

TEST_CASE("save or update if the list that comes from the directory can't be removed") {
  Target target(GENERATE(Task::replace, Task::update));
  const std::size_t remove = find(target.expected(), "fremovexattr");
  for (const int error : {ENODATA, ENOTSUP, ENOSYS}) {  // there is none
    CAPTURE(error);
    CHECK(mode_after(target, fails_with(error, remove), 0644) == 0644U);
  }
  for (const int error : {EPERM, EINVAL, EACCES, EOVERFLOW}) {
    CAPTURE(error);
    CHECK(mode_after(target, fails_with(error, remove), 0644) == 0600U);
  }
}

TEST_CASE("save over a shared file that it can't open gives nothing to group and others") {
  Target target(GENERATE(Task::replace, Task::replace_with_list));
  const std::size_t open = find(target.expected(), "openat");
  for (const int error : {EACCES, EPERM, ENOENT, ELOOP}) {
    CAPTURE(error);
    CHECK(mode_after(target, fails_with(error, open), 0644) == 0600U);
  }
}

TEST_CASE("save opens the old file for reading, without waiting, and follows no link") {
  Target target(Task::replace);
  target.reset();
  REQUIRE(target.run({}) == 0);
  CHECK(open_flags.at(1) == (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

TEST_CASE("save refuses what takes the file's place between two looks") {
  Target target(Task::replace);
  target.reset();
  const bool is_directory = GENERATE(false, true);
  CAPTURE(is_directory);
  {
    const After after("fstatat", [&] {
      fs::remove(target.path());
      if (is_directory) fs::create_directory(target.path());
      if (!is_directory) REQUIRE(::mkfifo(target.path().c_str(), 0644) == 0);
    });
    CHECK(target.run({}) == (is_directory ? EISDIR : ENXIO));
  }
  CHECK(names(target.path().parent_path()) == Names{"state.json"});
}

TEST_CASE("save lets nobody else open its temporary before its group is right") {
  const TemporaryDirectory directory(fast_file_system());
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
        const bool has_group = now.st_gid == old.st_gid;  // the owner comes last
        CHECK((now.st_mode & 0077U & ~(has_group && !sticky ? mode : 0U)) == 0U);
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
  const Calls expected{"open", "openat", "fstat", "flock", "fstatat",
                       "read", "read",   "flock", "close", "close"};
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
  CHECK(open_flags.at(1) == (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

TEST_CASE("update opens the file for writing where flock() wants that, as on NFS") {
  Target target(Task::update);
  target.reset();
  Script now;
  now.call = 3;
  now.error = EBADF;
  CHECK(target.run(now) == 0);
  target.check(true);
  Calls expected = target.expected();
  // The first descriptor goes when the second is there.
  expected.insert(expected.begin() + 4, {"openat", "close", "fstat", "flock"});
  CHECK(calls == expected);
  CHECK(open_flags.at(1) == (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  CHECK(open_flags.at(2) == (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));

  const std::size_t descriptors = open_descriptors();
  now.times = 2;
  target.reset();
  CHECK(target.run(now) == EBADF);
  target.check(false);
  CHECK(open_descriptors() == descriptors);
  const auto what = message_of(now, target.path(), [&] {
    oci::update(target.path(), [](oci::State& state) { state.id = "new"; });
  });
  CHECK(what.find("oci::update: cannot lock") != std::string::npos);
}

TEST_CASE("update looks again at a file that it had to open twice") {
  Target target(Task::update);
  const std::string planted = GENERATE("link", "directory", "another file");
  CAPTURE(planted);
  const TemporaryDirectory elsewhere;
  write_text(elsewhere / "victim", document("precious"));
  target.reset();
  Script now;
  now.call = 3;
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
  // The first descriptor goes when the second is there.
  expected.insert(expected.begin() + 5, {"flock", "openat", "close", "fstat", "flock", "fstatat"});
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

TEST_CASE("update, and the file is deleted or replaced during its own sync") {
  const TemporaryDirectory elsewhere;
  write_text(elsewhere / "victim", document("precious"));
  Target target(Task::update);
  target.reset();
  const std::string planted = GENERATE("nothing", "a save", "another file", "link", "directory");
  const std::string moment = GENERATE("fsync", "close");
  CAPTURE(planted, moment);
  {
    const After after(moment, [&] {
      if (planted == "a save") {
        oci::save(state_of("another"), target.path());
        return;
      }
      fs::remove(target.path());
      if (planted == "another file") write_text(target.path(), document("another"));
      if (planted == "link") fs::create_symlink(elsewhere / "victim", target.path());
      if (planted == "directory") fs::create_directory(target.path());
    });
    CHECK(target.run({}) == (planted == "nothing" ? ENOENT : ESTALE));
  }
  const bool is_file = planted == "a save" || planted == "another file";
  CHECK(names(target.path().parent_path()) ==
        (planted == "nothing" ? Names{} : Names{"state.json"}));
  if (is_file) CHECK(read_text(target.path()) == document("another"));
  CHECK(fs::is_symlink(target.path()) == (planted == "link"));
  CHECK(fs::is_directory(target.path()) == (planted == "directory"));
  CHECK(read_text(elsewhere / "victim") == document("precious"));
}

namespace {

/// Mounts a tmpfs that only this process sees, with one file. Returns whether it may.
bool mount_with_file(const fs::path& directory, const std::string& name, const std::string& id) {
  const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                       ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                       ::mount("tmpfs", directory.c_str(), "tmpfs", 0, nullptr) == 0;
  if (!mounted) {
    std::cout << "SKIPPED: two file systems: only root with CAP_SYS_ADMIN can mount them\n";
    return false;
  }
  write_text(directory / name, document(id));
  return true;
}

}  // namespace

TEST_CASE("update finds a file of the same number on another file system after the wait") {
  const TemporaryDirectory directory;
  const TemporaryDirectory other;
  const fs::path path = directory / "state.json";
  const fs::path second = other / "second";
  if (!mount_with_file(directory.path(), "state.json", "first")) return;
  REQUIRE(mount_with_file(other.path(), "second", "second"));
  REQUIRE(status_of(path).st_ino == status_of(second).st_ino);
  std::string found;
  {
    const After after("flock", [&] {
      REQUIRE(::mount(second.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0);
    });
    CHECK(watch({}, path, [&] {
            oci::update(path, [&](oci::State& state) { found = state.id; });
          }) == EBUSY);  // nothing can be renamed over a mount
  }
  CHECK(found == "second");
  CHECK(read_text(path) == document("second"));
  CHECK(names(directory.path()) == Names{"state.json"});
  REQUIRE(::umount(path.c_str()) == 0);
  CHECK(read_text(path) == document("first"));
  REQUIRE(::umount(other.path().c_str()) == 0);
  REQUIRE(::umount(directory.path().c_str()) == 0);
}

TEST_CASE("update goes on in its directory though another is mounted over it") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  if (!mount_with_file(directory.path(), "state.json", "first")) return;
  std::string found;
  {
    const After after("flock", [&] {
      REQUIRE(mount_with_file(directory.path(), "state.json", "second"));
      REQUIRE(read_text(path) == document("second"));
    });
    CHECK(watch({}, path, [&] {
            oci::update(path, [&](oci::State& state) {
              found = state.id;
              state.id = "new";
            });
          }) == 0);
  }
  CHECK(found == "first");
  CHECK(read_text(path) == document("second"));
  REQUIRE(::umount(directory.path().c_str()) == 0);
  CHECK(read_text(path) == document("new"));
  REQUIRE(::umount(directory.path().c_str()) == 0);
}

// ---- create ------------------------------------------------------------------------------------

TEST_CASE("create replaces nothing that comes after it looked") {
  const TemporaryDirectory elsewhere;
  Target target(Task::create);
  target.reset();
  const std::string planted = GENERATE("another file", "link", "directory");
  const std::string moment = GENERATE("fstatat", "fsync", "close");
  CAPTURE(planted, moment);
  {
    const After after(moment, [&] {
      if (planted == "another file") write_text(target.path(), document("another"));
      if (planted == "link") fs::create_symlink(elsewhere / "absent", target.path());
      if (planted == "directory") fs::create_directory(target.path());
    });
    CHECK(target.run({}) == EEXIST);
  }
  CHECK(names(target.path().parent_path()) == Names{"state.json"});
  if (planted == "another file") CHECK(read_text(target.path()) == document("another"));
  CHECK(fs::is_symlink(target.path()) == (planted == "link"));
  CHECK(names(elsewhere.path()).empty());
}

TEST_CASE("save says which step fails after the file was given back to its owner") {
  if (::geteuid() != 0) {
    std::cout << "SKIPPED: fchown(): only root can make files that belong to others\n";
    return;
  }
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  const auto reset = [&] {
    write_text(path, document("old"));
    REQUIRE(::chmod(path.c_str(), 0066) == 0);  // the owner has less than the others
    REQUIRE(::chown(path.c_str(), old_owner, static_cast<gid_t>(-1)) == 0);
  };
  reset();
  REQUIRE(watch_save({}, path) == 0);
  const auto from_end = std::find(calls.rbegin(), calls.rend(), "fchmod") - calls.rbegin();
  const Script now = fails_with(EIO, calls.size() - 1 - static_cast<std::size_t>(from_end));
  REQUIRE(now.call > find(calls, "fchown"));
  reset();
  const auto what = message_of(now, path, [&] { oci::save(state_of("new"), path); });
  CHECK(what.find("oci::save: cannot set the permissions") != std::string::npos);
  CHECK(read_text(path) == document("old"));
  CHECK(names(directory.path()) == Names{"state.json"});
}

TEST_CASE("create looks first, and makes no other call if there is a file") {
  Target target(Task::create);
  target.reset();
  write_text(target.path(), document("old"));
  CHECK(target.run({}) == EEXIST);
  CHECK(calls == Calls{"open", "fstatat", "close"});
  CHECK(read_text(target.path()) == document("old"));
}

TEST_CASE("create says which step a file system without hard links refuses") {
  Target target(Task::create);
  const int error = GENERATE(EPERM, ENOTSUP, ENOSYS, EMLINK);
  CAPTURE(error);
  const Script now = fails_with(error, find(target.expected(), "linkat"));
  CHECK(target.run(now) == error);
  target.check(false);
  const auto what =
      message_of(now, target.path(), [&] { oci::create(state_of("new"), target.path()); });
  CHECK(what.find("oci::create: cannot link") != std::string::npos);
  target.check(false);
}

TEST_CASE("create leaves a second link if it is killed in time, which later saves pass over") {
  Target target(Task::create);
  target.reset();
  Script now;
  now.call = find(target.expected(), "linkat");
  now.kill = Kill::after;
  REQUIRE(in_child([&] { return target.run(now); }) == -SIGKILL);
  CHECK(status_of(target.path()).st_nlink == 2);
  CHECK(oci::load(target.path()).id == "new");
  CHECK(target.run({}) == EEXIST);
  CHECK(errno_of(target.path(), [&] { oci::save(state_of("newer"), target.path()); }) == 0);
  CHECK(oci::load(target.path()).id == "newer");
  CHECK(status_of(target.path()).st_nlink == 1);
  CHECK(names(target.path().parent_path()).size() == 2);
}

TEST_CASE("create lets nobody else open its file at any time") {
  Target target(Task::create);
  target.reset();
  const Umask umask(0);
  std::size_t seen = 0;
  observe = [&](const std::string&, long) {
    for (const auto& name : names(target.path().parent_path())) {
      ++seen;
      CHECK(mode_of(target.path().parent_path() / name) == 0600U);
    }
  };
  CHECK(target.run({}) == 0);
  observe = nullptr;
  CHECK(seen > 0);
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

namespace {

/// A pipe whose ends don't block, and whether it is to be read from or written to.
class NonBlockingPipe {
 public:
  explicit NonBlockingPipe(bool is_save) : is_save_(is_save) {
    REQUIRE(::pipe2(ends_, O_NONBLOCK) == 0);
  }
  NonBlockingPipe(const NonBlockingPipe&) = delete;
  NonBlockingPipe& operator=(const NonBlockingPipe&) = delete;
  ~NonBlockingPipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }

  int end() const { return ends_[is_save_ ? 1 : 0]; }
  const char* call() const { return is_save_ ? "write" : "read"; }

  /// Loads a document, which is written before, or saves one.
  int run(const Script& now) {
    if (!is_save_) {
      REQUIRE(::write(ends_[1], document("new").data(), document("new").size()) > 0);
      ::close(std::exchange(ends_[1], -1));
    }
    return watch(now, "/dev/fd/" + std::to_string(end()), [&] {
      if (is_save_) oci::save(state_of("new"), end());
      if (!is_save_) static_cast<void>(oci::load(end()));
    });
  }

  /// What has been saved.
  std::string text() const {
    std::string text(1000, '\0');
    const ssize_t count = ::read(ends_[0], text.data(), text.size());
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
  }

 private:
  bool is_save_;
  int ends_[2]{-1, -1};
};

}  // namespace

TEST_CASE("load and save of a descriptor that would block ask poll, and go on") {
  const bool is_save = GENERATE(false, true);
  const int error = GENERATE(EAGAIN, EWOULDBLOCK);
  CAPTURE(is_save, error);
  NonBlockingPipe pipe(is_save);
  int waits_for = 0;
  observe_poll = [&](int, int timeout) { waits_for = timeout; };
  CHECK(pipe.run(fails_with(error, 0)) == 0);
  observe_poll = nullptr;
  CHECK(waits_for == -1);  // for ever, and not again and again
  Calls expected{pipe.call(), "poll", pipe.call()};
  if (!is_save) expected.push_back("read");  // to the end
  CHECK(calls == expected);
  if (is_save) CHECK(pipe.text() == document("new"));
  ++figures.faults;
}

TEST_CASE("load and save of a descriptor, and poll fails") {
  const bool is_save = GENERATE(false, true);
  const int error = GENERATE(EINTR, ENOMEM, EINVAL);
  CAPTURE(is_save, error);
  NonBlockingPipe pipe(is_save);
  {
    const After after(pipe.call(), [&] {  // which was refused: the next call is poll
      script = fails_with(error, 1);
      hits = 0;
    });
    CHECK(pipe.run(fails_with(EAGAIN, 0)) == (error == EINTR ? 0 : error));
  }
  CHECK(calls.at(1) == "poll");
  CHECK(hits == 1);
  ++figures.faults;
}

TEST_CASE("load and save of a descriptor that is closed while they wait") {
  const bool is_save = GENERATE(false, true);
  CAPTURE(is_save);
  NonBlockingPipe pipe(is_save);
  const int copy = ::dup(pipe.end());
  observe_poll = [](int file, int) { ::close(file); };
  CHECK(pipe.run(fails_with(EAGAIN, 0)) == EBADF);
  observe_poll = nullptr;
  CHECK(calls == Calls{pipe.call(), "close", "poll"});
  REQUIRE(::dup2(copy, pipe.end()) == pipe.end());
  ::close(copy);
  ++figures.faults;
}

TEST_CASE("load follows links, and makes no terminal its own") {
  Target target(Task::replace);
  target.reset();
  CHECK(watch_load({}, target.path()) == 0);
  CHECK(open_flags == std::vector<int>{O_RDONLY | O_NOCTTY | O_CLOEXEC});
}

TEST_CASE("no descriptor of load, save, create and update outlives exec") {
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
  now.call = 3;
  now.error = EBADF;
  CHECK(watch_update(now, path) == 0);
  CHECK(opened == 10);
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  CHECK(watch_save({}, path) == 0);
  CHECK(opened == 13);  // the old file too
  fs::remove(path);
  CHECK(watch_create({}, path) == 0);
  CHECK(opened == 15);
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

TEST_CASE("save and create on a full disk") {
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

  // Where something has the name, that is what create says.
  CHECK(errno_of(path, [&] { oci::create(small, path); }) == EEXIST);
  CHECK(errno_of(directory / "new", [&] { oci::create(small, directory / "new"); }) == ENOSPC);
  REQUIRE(::mount(nullptr, directory.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) ==
          0);
  CHECK(errno_of(path, [&] { oci::create(small, path); }) == EEXIST);
  CHECK(errno_of(directory / "new", [&] { oci::create(small, directory / "new"); }) == EROFS);
  CHECK(names(directory.path()) == Names{"state.json"});
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

TEST_CASE("save or create of more than RLIMIT_FSIZE") {
  Target target(GENERATE(Task::create, Task::save_new, Task::replace));
  target.reset();
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t most : {rlim_t{0}, rlim_t{10}, rlim_t{58}}) {
    CAPTURE(most);
    int result = -1;
    {
      const Limit limit(RLIMIT_FSIZE, most);
      result = target.run({});
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
