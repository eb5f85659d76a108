// Each system call that load and save make fails, comes back short, or is the last thing that the
// process does; and real limits: a full disk, a limit on the size of files and on descriptors.
//
// The functions under "Interposition" stand before those of the C library in this program, for the
// C++ library too. They need Linux and a C++ library that is linked dynamically.

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iostream>
#include <iterator>
#include <oci/state.hpp>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"
#include "files.hpp"

namespace fs = std::filesystem;

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
std::function<void(const std::string& name, long result)> observe;

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
  return intercept("open",
                   [&] { return real<int(const char*, int, ...)>("open")(path, flags, mode); });
}

int fake_openat(int directory, const char* path, int flags, mode_t mode) __asm__("openat");
int fake_openat(int directory, const char* path, int flags, mode_t mode) {
  return intercept("openat", [&] {
    return real<int(int, const char*, int, ...)>("openat")(directory, path, flags, mode);
  });
}

int fake_fcntl(int file, int command, long argument) __asm__("fcntl");
int fake_fcntl(int file, int command, long argument) {
  return intercept("fcntl",
                   [&] { return real<int(int, int, ...)>("fcntl")(file, command, argument); });
}

ssize_t fake_read(int file, void* data, std::size_t size) __asm__("read");
ssize_t fake_read(int file, void* data, std::size_t size) {
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

int fake_stat(const char* path, struct stat* status) __asm__("stat");
int fake_stat(const char* path, struct stat* status) {
  return intercept("stat", [&] { return real<decltype(fake_stat)>("stat")(path, status); });
}

int fake_lstat(const char* path, struct stat* status) __asm__("lstat");
int fake_lstat(const char* path, struct stat* status) {
  return intercept("lstat", [&] { return real<decltype(fake_lstat)>("lstat")(path, status); });
}

ssize_t fake_readlink(const char* path, char* text, std::size_t size) __asm__("readlink");
ssize_t fake_readlink(const char* path, char* text, std::size_t size) {
  return intercept("readlink",
                   [&] { return real<decltype(fake_readlink)>("readlink")(path, text, size); });
}

int fake_renameat(int from, const char* old, int to, const char* name) __asm__("renameat");
int fake_renameat(int from, const char* old, int to, const char* name) {
  return intercept("renameat",
                   [&] { return real<decltype(fake_renameat)>("renameat")(from, old, to, name); });
}

int fake_unlinkat(int directory, const char* name, int flags) __asm__("unlinkat");
int fake_unlinkat(int directory, const char* name, int flags) {
  return intercept("unlinkat", [&] {
    return real<decltype(fake_unlinkat)>("unlinkat")(directory, name, flags);
  });
}

int fake_close(int file) __asm__("close");
int fake_close(int file) {
  return intercept("close", [&] { return real<decltype(fake_close)>("close")(file); });
}

}  // extern "C"

// ---- What the tests share ----------------------------------------------------------------------

namespace {

using Calls = std::vector<std::string>;
using Names = std::set<fs::path>;

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
  watching = true;
  const int result = errno_of(path, call);
  watching = false;
  return result;
}

int watch_save(const Script& now, const fs::path& path) {
  oci::State state;
  state.id = "new";
  return watch(now, path, [&] { oci::save(state, path); });
}

bool is_lookup(const std::string& name) {
  return name == "stat" || name == "lstat" || name == "readlink";
}

/// The calls but for those that only look: which of them the C++ library makes is its business.
Calls without_lookups(Calls all) {
  all.erase(std::remove_if(all.begin(), all.end(), is_lookup), all.end());
  return all;
}

/// Each errno of the list, and some that save tolerates from one call or another.
constexpr int errors[] = {EIO, ENOSPC, EDQUOT, EACCES, EMFILE, EINTR, EPERM, EINVAL};

/// Longer than the new one, so that what is left of it would show.
const std::string old_id = "the old one, of a length of its own";

/// A path for save: of a file, of none, or of a link to a file.
class Target {
 public:
  enum Kind { absent, present, linked };

  explicit Target(Kind kind) : kind_(kind) {}

  void reset() {
    for (const auto& name : names(directory_.path())) fs::remove_all(directory_ / name);
    if (kind_ == linked) fs::create_symlink("state.json", directory_ / "link");
    if (kind_ != absent) {
      write_text(file_, document(old_id));
      fs::permissions(file_, fs::perms{0640});
      // With another owner there is one to keep. Only root can have that.
      if (::geteuid() == 0) REQUIRE(::chown(file_.c_str(), 12345, 23456) == 0);
    }
  }

  fs::path path() const { return kind_ == linked ? directory_ / "link" : file_; }

  /// The calls of an undisturbed save, lookups aside.
  Calls expected() const {
    if (kind_ == absent) {
      return {"open", "openat", "write", "fsync", "close", "renameat", "fsync", "close"};
    }
    Calls all{"open",  "openat", "fstat",    "fchown", "fchmod", "write",
              "fsync", "close",  "renameat", "fsync",  "close"};
    if (::geteuid() != 0) all.erase(all.begin() + 3);
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
    Names wanted;
    if (is_new || kind_ != absent) wanted.insert("state.json");
    if (kind_ == linked) wanted.insert("link");
    CHECK(found == wanted);
    CHECK(read_text(file_) == (is_new ? document("new") : kind_ == absent ? "" : document(old_id)));
    if (kind_ == linked) CHECK(fs::is_symlink(path()));
  }

 private:
  Kind kind_;
  TemporaryDirectory directory_;
  fs::path file_ = directory_ / "state.json";
};

/// Whether save gets over it that its call `number` of `all` fails with `error`.
bool is_tolerated(const Calls& all, std::size_t number, int error) {
  const std::string& name = all[number];
  const bool last_of_name = std::find(all.begin() + static_cast<std::ptrdiff_t>(number) + 1,
                                      all.end(), name) == all.end();
  if (error == EINTR) return true;
  if (name == "fchown") return error == EPERM || error == EINVAL;
  if (name == "fsync") return last_of_name && error == EINVAL;  // of a directory
  return name == "close" && last_of_name;                       // of a directory, after all is done
}

}  // namespace

// ---- save --------------------------------------------------------------------------------------

TEST_CASE("save, and one system call fails") {
  const auto kind = GENERATE(Target::absent, Target::present, Target::linked);
  const std::size_t most = GENERATE(SIZE_MAX, std::size_t{20});  // write comes back short
  CAPTURE(kind, most);
  Target target(kind);
  target.reset();
  Script script_for_all;
  script_for_all.most = most;
  REQUIRE(watch_save(script_for_all, target.path()) == 0);
  target.check(true);
  const Calls all = calls;
  Calls expected = target.expected();
  if (most == 20) expected.insert(std::find(expected.begin(), expected.end(), "write"), 2, "write");
  REQUIRE(without_lookups(all) == expected);

  const std::size_t descriptors = open_descriptors();
  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const int error : errors) {
      for (const std::size_t times : {std::size_t{1}, std::size_t{3}, SIZE_MAX}) {
        // Not for ever: a signal comes, a link that can't be read as one isn't a link any more.
        if (times == SIZE_MAX && (error == EINTR || (error == EINVAL && is_lookup(all[number])))) {
          continue;
        }
        CAPTURE(number, all[number], error, times);
        target.reset();
        Script now = script_for_all;
        now.call = number;
        now.error = error;
        now.times = times;
        const int result = watch_save(now, target.path());
        CHECK(hits > 0);
        if (is_lookup(all[number])) {
          CHECK((result == 0 || result == error));
          target.check(result == 0);
        } else if (is_tolerated(all, number, error)) {
          CHECK(result == 0);
          target.check(true);
        } else {
          CHECK(result == error);
          target.check(number == all.size() - 2);  // the directory's sync comes after the rename
        }
        CHECK(open_descriptors() == descriptors);
        ++figures.faults;
      }
    }
  }
}

TEST_CASE("save, and every write comes back short") {
  Target target(Target::present);
  const std::size_t size = document("new").size();
  for (const std::size_t most : {std::size_t{1}, std::size_t{2}, std::size_t{7}, size - 1}) {
    CAPTURE(most);
    target.reset();
    Script now;
    now.most = most;
    CHECK(watch_save(now, target.path()) == 0);
    CHECK(std::count(calls.begin(), calls.end(), "write") ==
          static_cast<std::ptrdiff_t>((size + most - 1) / most));
    target.check(true);
    ++figures.faults;
  }
}

TEST_CASE("save, and the process is killed") {
  const auto kind = GENERATE(Target::absent, Target::present, Target::linked);
  const std::size_t most = GENERATE(SIZE_MAX, std::size_t{20});
  CAPTURE(kind, most);
  Target target(kind);
  target.reset();
  Script now;
  now.most = most;
  REQUIRE(watch_save(now, target.path()) == 0);
  const Calls all = calls;
  const auto rename =
      static_cast<std::size_t>(std::find(all.begin(), all.end(), "renameat") - all.begin());

  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const Kill moment : {Kill::before, Kill::after}) {
      CAPTURE(number, all[number], moment);
      target.reset();
      now.call = number;
      now.kill = moment;
      REQUIRE(in_child([&] { return watch_save(now, target.path()); }) == -1);
      target.check(number > rename || (number == rename && moment == Kill::after), 1);
      CHECK(watch_save({}, target.path()) == 0);
      target.check(true, 1);
      ++figures.kills;
    }
  }
}

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

TEST_CASE("save, and the link that it follows turns into a file, or goes") {
  const bool goes = GENERATE(false, true);
  Target target(Target::linked);
  target.reset();
  bool done = false;
  observe = [&](const std::string& name, long) {
    if (done || name != "lstat") return;  // the first lstat() says that it is a link
    done = true;
    fs::remove(target.path());
    if (!goes) write_text(target.path(), document("another"));
  };
  CHECK(watch_save({}, target.path()) == 0);
  observe = nullptr;
  CHECK(done);
  CHECK(fs::is_regular_file(fs::symlink_status(target.path())));
  CHECK(read_text(target.path()) == document("new"));
}

TEST_CASE("save shows its temporary to nobody who may not see the file") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  std::vector<struct stat> seen;  // the temporary, after each system call
  observe = [&](const std::string&, long) {
    for (const auto& name : names(directory.path())) {
      struct stat now {};
      if (name == "state.json" || ::lstat((directory / name).c_str(), &now) != 0) continue;
      seen.push_back(now);
    }
  };
  const mode_t mask = ::umask(0);
  CHECK(watch_save({}, path) == 0);
  CHECK(!seen.empty());
  for (const auto& now : seen) CHECK((now.st_mode & 07777U) == 0666U);

  if (::geteuid() == 0) {
    REQUIRE(::chown(path.c_str(), 12345, 23456) == 0);
  } else {
    std::cout << "SKIPPED: fchown(): only root can make files that belong to others\n";
  }
  for (const mode_t mode : {0600U, 0640U, 0644U, 0604U, 0660U, 0666U, 0444U, 0755U, 0777U}) {
    CAPTURE(mode);
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    struct stat old {};
    REQUIRE(::stat(path.c_str(), &old) == 0);
    seen.clear();
    CHECK(watch_save({}, path) == 0);
    for (const auto& now : seen) {
      const bool owned = now.st_uid == old.st_uid && now.st_gid == old.st_gid;
      // As long as it is somebody else's, its group and the others may be in the old file's group
      // or not: they may do what both may.
      const mode_t both = mode & (mode >> 3U) & 07U;
      CHECK((now.st_mode & 07777U & ~(owned ? mode : 0700U | both << 3U | both)) == 0U);
    }
    REQUIRE(!seen.empty());
    CHECK(seen.back().st_uid == old.st_uid);
    CHECK(seen.back().st_gid == old.st_gid);
    CHECK((seen.back().st_mode & 07777U) == mode);
  }
  ::umask(mask);
  observe = nullptr;
}

TEST_CASE("save that writes straight, and one system call fails") {
  const bool is_descriptor = GENERATE(false, true);
  const std::size_t most = GENERATE(SIZE_MAX, std::size_t{20});
  CAPTURE(is_descriptor, most);
  const TemporaryDirectory directory;
  const fs::path fifo = directory / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  const int writer = ::open(fifo.c_str(), O_WRONLY);
  REQUIRE(reader != -1);
  REQUIRE(writer != -1);
  const fs::path path = is_descriptor ? "/dev/fd/" + std::to_string(writer) : fifo.string();

  Script now;
  now.most = most;
  REQUIRE(watch_save(now, path) == 0);
  const Calls all = calls;
  Calls expected{is_descriptor ? "fcntl" : "open", "write", "close"};
  if (most == 20) expected.insert(expected.begin() + 1, 2, "write");
  REQUIRE(without_lookups(all) == expected);

  const std::size_t descriptors = open_descriptors();
  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const int error : errors) {
      CAPTURE(number, all[number], error);
      char text[1000];
      while (::read(reader, text, sizeof text) > 0) continue;  // what was written before
      now.call = number;
      now.error = error;
      const int result = watch_save(now, path);
      CHECK(hits > 0);
      if (is_lookup(all[number])) {
        CHECK((result == 0 || result == error));
      } else {
        CHECK(result == (error == EINTR ? 0 : error));
      }
      if (result == 0) {
        const ssize_t size = ::read(reader, text, sizeof text);
        CHECK(std::string(text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))) ==
              document("new"));
      }
      CHECK(names(directory.path()) == Names{"fifo"});
      CHECK(open_descriptors() == descriptors);
      ++figures.faults;
    }
  }
  ::close(reader);
  ::close(writer);
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
  Calls expected{"open", "fstat", "read", "read", "close"};
  if (most == 1000 && id.size() == 10000) expected.insert(expected.begin() + 2, 10, "read");
  REQUIRE(all == expected);

  const std::size_t descriptors = open_descriptors();
  for (std::size_t number = 0; number < all.size(); ++number) {
    for (const int error : errors) {
      CAPTURE(number, all[number], error);
      now.call = number;
      now.error = error;
      const bool tolerated = error == EINTR || all[number] == "fstat" || all[number] == "close";
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
  for (const std::size_t most : {1U, 2U, 4095U, 4096U, 4097U}) {
    CAPTURE(most);
    Script now;
    now.most = most;
    std::string loaded;
    CHECK(watch(now, path, [&] { loaded = oci::load(path).id; }) == 0);
    CHECK(loaded == id);
    ++figures.faults;
  }
}

TEST_CASE("load of a file that grows under its eyes") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const std::string text = document(std::string(100000, 'x'));
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{5000}}) {
    CAPTURE(size);
    write_text(path, text.substr(0, size));
    observe = [&](const std::string& name, long) {
      if (name == "fstat") write_text(path, text);
    };
    std::string loaded;
    CHECK(watch({}, path, [&] { loaded = oci::load(path).id; }) == 0);
    observe = nullptr;
    CHECK(loaded.size() == 100000);
  }
}

// ---- Both --------------------------------------------------------------------------------------

TEST_CASE("no descriptor of load and save outlives exec") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "state.json";
  const fs::path fifo = directory / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const int both_ends = ::open(fifo.c_str(), O_RDWR);
  REQUIRE(both_ends != -1);
  std::size_t opened = 0;
  observe = [&](const std::string& name, long descriptor) {
    if (name != "open" && name != "openat" && name != "fcntl") return;
    ++opened;
    CHECK((::fcntl(static_cast<int>(descriptor), F_GETFD) & FD_CLOEXEC) != 0);
  };
  CHECK(watch_save({}, path) == 0);  // two: the directory and the temporary
  CHECK(watch({}, path, [&] { static_cast<void>(oci::load(path)); }) == 0);
  CHECK(watch_save({}, fifo) == 0);
  CHECK(watch_save({}, "/dev/fd/" + std::to_string(both_ends)) == 0);
  observe = nullptr;
  CHECK(opened == 5);
  ::close(both_ends);
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
  oci::State small;
  small.id = "new";
  oci::State large;
  large.id = std::string(200000, 'x');  // more than a page of any machine

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
  Target target(GENERATE(Target::absent, Target::present));
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

TEST_CASE("load and save where no descriptor is left") {
  Target target(Target::present);
  target.reset();
  const auto load = [&] { static_cast<void>(oci::load(target.path())); };
  // The lowest number that is free, and whether as many follow it as save needs.
  const int lowest = ::dup(0);
  REQUIRE(lowest != -1);
  ::close(lowest);
  REQUIRE(::fcntl(lowest + 1, F_GETFD) == -1);
  int load_with[3];
  int save_with[3];
  for (std::size_t spare = 0; spare < 3; ++spare) {
    {
      const Limit limit(RLIMIT_NOFILE, static_cast<rlim_t>(lowest) + spare);
      load_with[spare] = errno_of(target.path(), load);
      save_with[spare] = watch_save({}, target.path());
    }
    target.check(spare == 2);
  }
  CHECK(load_with[0] == EMFILE);
  CHECK(load_with[1] == 0);
  CHECK(save_with[0] == EMFILE);
  CHECK(save_with[1] == EMFILE);
  CHECK(save_with[2] == 0);
}
