// What the tests of load and save share.

#ifndef OCI_STATE_TESTS_FILES_HPP
#define OCI_STATE_TESTS_FILES_HPP

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

/// A fresh directory, removed with all that is in it.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(
      const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::random_device random;
    do {
      path_ = parent / ("oci-state-test-" + std::to_string(random()));
    } while (!std::filesystem::create_directory(path_));
    std::filesystem::permissions(path_, std::filesystem::perms{0755});
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// The document of a state that has nothing but an ID.
inline std::string document(const std::string& id) {
  return R"({"ociVersion":"","id":")" + id + R"(","status":"stopped","bundle":""})";
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The names in a directory.
inline std::set<std::filesystem::path> names(const std::filesystem::path& directory) {
  std::set<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    found.insert(entry.path().filename());
  }
  return found;
}

/// The errno that `call` fails with, 0 where it doesn't. -1 for any other failure, and for one that
/// doesn't name `path` as it was given.
template <class Call>
int errno_of(const std::filesystem::path& path, Call call) {
  try {
    call();
    return 0;
  } catch (const std::filesystem::filesystem_error& error) {
    if (error.path1().native() != path.native() || !error.path2().empty()) return -1;
    return error.code().default_error_condition().value();
  } catch (...) {
    return -1;
  }
}

#ifndef _WIN32

/// Runs `call` in a process of its own. Returns what it returns, from 0 to 255, or -1 where the
/// process was killed.
template <class Call>
int in_child(Call call) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit([&]() noexcept { return call(); }());
  int status = -1;
  if (child == -1 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// How many descriptors are open.
inline std::size_t open_descriptors() { return names("/dev/fd").size(); }

#endif

#endif  // OCI_STATE_TESTS_FILES_HPP
