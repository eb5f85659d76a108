// A runtime's own type with a list of members, for all tests that need one.

#ifndef OCI_STATE_TESTS_CONTAINER_HPP
#define OCI_STATE_TESTS_CONTAINER_HPP

#include <oci/state.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace runtime {

// An enum with conversions of nlohmann's.
enum class Mode { shared, isolated };
NLOHMANN_JSON_SERIALIZE_ENUM(Mode, {{Mode::shared, "shared"}, {Mode::isolated, "isolated"}})

// A struct with conversions for any kind of json.
struct Mount {
  std::string source{};
  bool read_only{};
};

inline bool operator==(const Mount& left, const Mount& right) {
  return left.source == right.source && left.read_only == right.read_only;
}

template <class Json>
void to_json(Json& json, const Mount& mount) {
  json = Json{{"source", mount.source}, {"readOnly", mount.read_only}};
}

template <class Json>
void from_json(const Json& json, Mount& mount) {
  json.at("source").get_to(mount.source);
  json.at("readOnly").get_to(mount.read_only);
}

// A struct with a list of its own, which derives from nothing.
struct Limits {
  std::uint64_t memory{};
  std::optional<std::int8_t> nice{};
};

using oci::operator==;  // for types such as Limits

struct Container : oci::State {
  std::string owner{};
  std::optional<std::int32_t> exit_code{};
  bool terminal{};
  Mode mode{};
  std::vector<Mount> mounts{};
  std::vector<std::uint16_t> ports{};
  std::map<std::string, std::vector<std::string>> groups{};
  std::optional<std::filesystem::path> log{};
  std::optional<Limits> limits{};
};

}  // namespace runtime

template <>
inline constexpr auto oci::members<runtime::Limits> = [](auto& limits, auto member) {
  member("memory", limits.memory);
  member("nice", limits.nice);
};

template <>
inline constexpr auto oci::members<runtime::Container> = [](auto& container, auto member) {
  oci::members<oci::State>(container, member);
  member("owner", container.owner);
  member("exitCode", container.exit_code);
  member("terminal", container.terminal);
  member("mode", container.mode);
  member("mounts", container.mounts);
  member("ports", container.ports);
  member("groups", container.groups);
  member("log", container.log);
  member("limits", container.limits);
};

#endif  // OCI_STATE_TESTS_CONTAINER_HPP
