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
inline constexpr auto oci::members<runtime::Limits> = std::tuple{
    oci::member("memory", &runtime::Limits::memory),
    oci::member("nice", &runtime::Limits::nice),
};

template <>
inline constexpr auto oci::members<runtime::Container> =
    oci::extend<oci::State>(oci::member("owner", &runtime::Container::owner),
                            oci::member("exitCode", &runtime::Container::exit_code),
                            oci::member("terminal", &runtime::Container::terminal),
                            oci::member("mode", &runtime::Container::mode),
                            oci::member("mounts", &runtime::Container::mounts),
                            oci::member("ports", &runtime::Container::ports),
                            oci::member("groups", &runtime::Container::groups),
                            oci::member("log", &runtime::Container::log),
                            oci::member("limits", &runtime::Container::limits));

#endif  // OCI_STATE_TESTS_CONTAINER_HPP
