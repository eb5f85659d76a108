// What the tests of load, save and update share.

#ifndef OCI_STATE_TESTS_FILES_HPP
#define OCI_STATE_TESTS_FILES_HPP

#ifndef _WIN32
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <oci/state.hpp>
#include <random>
#include <set>
#include <stdexcept>
#include <string>

namespace fs = std::filesystem;

inline std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

#ifndef _WIN32  // where the header has no load and save

using Names = std::set<fs::path>;

/// A fresh directory, removed with all that is in it.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const fs::path& parent = fs::temp_directory_path()) {
    std::random_device random;
    do {
      path_ = parent / ("oci-state-test-" + std::to_string(random()));
    } while (!fs::create_directory(path_));
    fs::permissions(path_, fs::perms{0755});
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  const fs::path& path() const { return path_; }
  fs::path operator/(const fs::path& name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// Makes a directory the current one, for as long as it lives.
class CurrentDirectory {
 public:
  explicit CurrentDirectory(const TemporaryDirectory& directory) {
    fs::current_path(directory.path());
  }
  CurrentDirectory(const CurrentDirectory&) = delete;
  CurrentDirectory& operator=(const CurrentDirectory&) = delete;
  ~CurrentDirectory() { fs::current_path(before_); }

 private:
  fs::path before_ = fs::current_path();
};

/// A state that has nothing but an ID.
inline oci::State state_of(const std::string& id) {
  oci::State state;
  state.id = id;
  return state;
}

/// Its document.
inline std::string document(const std::string& id) {
  return R"({"ociVersion":"","id":")" + id + R"(","status":"stopped","bundle":""})";
}

inline void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// The names in a directory.
inline Names names(const fs::path& directory) {
  Names found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    found.insert(entry.path().filename());
  }
  return found;
}

/// Whether a message names a function of this library and one of its steps, as in
/// "oci::save: cannot sync: Input/output error".
inline bool names_a_step(const std::string& message) {
  static const std::set<std::string> steps{"NUL byte in the path",
                                           "cannot close",
                                           "cannot create a temporary",
                                           "cannot link",
                                           "cannot lock",
                                           "cannot look at the directory",
                                           "cannot look at the file",
                                           "cannot look at the temporary",
                                           "cannot open",
                                           "cannot open the directory",
                                           "cannot open the file",
                                           "cannot read",
                                           "cannot read the access control list",
                                           "cannot remove the access control list",
                                           "cannot rename",
                                           "cannot set the access control list",
                                           "cannot set the owner",
                                           "cannot set the permissions",
                                           "cannot sync",
                                           "cannot sync the directory",
                                           "cannot wait",
                                           "cannot write",
                                           "not a regular file",
                                           "the file was deleted during the update",
                                           "the file was replaced during the update",
                                           "there is such a file"};
  for (const std::string function : {"load", "save", "create", "update"}) {
    const std::string heading = " oci::" + function + ": ";
    const std::size_t found = message.find(heading);
    if (found == std::string::npos) continue;
    const std::size_t begin = found + heading.size();
    return steps.count(message.substr(begin, message.find(": ", begin) - begin)) > 0;
  }
  return false;
}

/// The errno that `call` fails with, 0 where it doesn't. -1 for any other failure, and for one that
/// doesn't name `path` as it was given, or a function of this library and its step.
template <class Call>
int errno_of(const fs::path& path, Call call) {
  try {
    call();
    return 0;
  } catch (const fs::filesystem_error& error) {
    if (error.path1().native() != path.native() || !error.path2().empty()) return -1;
    if (!names_a_step(error.what())) return -1;
    return error.code().default_error_condition().value();
  } catch (...) {
    return -1;
  }
}

inline int load_errno(const fs::path& path) {
  return errno_of(path, [&] { static_cast<void>(oci::load(path)); });
}

inline int save_errno(const fs::path& path) {
  return errno_of(path, [&] { oci::save(state_of("new"), path); });
}

/// Runs `call` in a process of its own. Returns what it returns, from 0 to 255, or the signal that
/// killed it, negated.
template <class Call>
int in_child(Call call) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit([&]() noexcept { return call(); }());
  int status = 0;
  if (child == -1 || ::waitpid(child, &status, 0) != child) throw std::runtime_error("no child");
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

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

/// Of a path, without following a link.
inline struct stat status_of(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) throw std::runtime_error("no " + path.string());
  return status;
}

inline unsigned mode_of(const fs::path& path) { return status_of(path).st_mode & 07777U; }

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

/// How many descriptors are open.
inline std::size_t open_descriptors() { return names("/dev/fd").size(); }

#endif

#endif  // OCI_STATE_TESTS_FILES_HPP
