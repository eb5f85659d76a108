// Access control lists, as Linux keeps them in extended attributes (acl(5)): without the package
// acl.

#ifndef OCI_STATE_TESTS_ACL_HPP
#define OCI_STATE_TESTS_ACL_HPP

#include <sys/xattr.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

/// The tags of linux/posix_acl.h.
enum class AclTag : std::uint16_t {
  owner = 0x01,
  user = 0x02,
  owning_group = 0x04,
  group = 0x08,
  mask = 0x10,
  others = 0x20,
};

/// What one entry permits: 4 to read, 2 to write, 1 to execute. Only users and groups have an ID.
struct AclEntry {
  AclTag tag;
  std::uint16_t permissions;
  std::uint32_t id = UINT32_MAX;
};

/// The value of the attribute: a version and the entries, in the order of their tags, each number
/// with its lowest byte first.
inline std::string acl(const std::vector<AclEntry>& entries) {
  std::string bytes;
  const auto append = [&](std::uint32_t number, int size) {
    for (int byte = 0; byte < size; ++byte) bytes += static_cast<char>(number >> 8 * byte & 0xFFU);
  };
  append(2, 4);
  for (const AclEntry& entry : entries) {
    append(static_cast<std::uint32_t>(entry.tag), 2);
    append(entry.permissions, 2);
    append(entry.id, 4);
  }
  return bytes;
}

constexpr const char* access_acl = "system.posix_acl_access";    // of a file or directory
constexpr const char* default_acl = "system.posix_acl_default";  // for what is made in a directory

/// The list, or nothing if there is none.
inline std::string acl_of(const std::filesystem::path& path, const char* name = access_acl) {
  char bytes[1024];
  const auto size = ::lgetxattr(path.c_str(), name, bytes, sizeof bytes);
  if (size >= 0) return {bytes, static_cast<std::size_t>(size)};
  if (errno == ENODATA || errno == ENOTSUP) return {};
  throw std::system_error(errno, std::generic_category(), path.string() + ": no " + name);
}

/// Gives the file a list, or takes its list away if `list` is empty. Returns whether that went
/// well.
inline bool set_acl(const std::filesystem::path& path, const char* name, const std::string& list) {
  if (!list.empty()) return ::lsetxattr(path.c_str(), name, list.data(), list.size(), 0) == 0;
  return ::lremovexattr(path.c_str(), name) == 0 || errno == ENODATA || errno == ENOTSUP;
}

#endif  // OCI_STATE_TESTS_ACL_HPP
