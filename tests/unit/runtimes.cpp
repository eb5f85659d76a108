// The state files of runtimes, as types of a user: youki's, which adds to the specification's
// State, and runc's state.json, which is another document altogether.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "../support/errors.hpp"
#include "../support/files.hpp"
#include "../support/ways.hpp"

using nlohmann::json;
using nlohmann::ordered_json;
using oci::ContainerState;
using oci::parse;

// ---- youki

namespace youki {

struct State : oci::State {
  std::optional<std::string> created{};
  std::optional<std::uint32_t> creator{};
  bool use_systemd{};
  std::optional<bool> clean_up_intel_rdt_subdirectory{};
};

}  // namespace youki

template <>
inline constexpr auto oci::members<youki::State> = [](auto& state, auto member) {
  oci::members<oci::State>(state, member);
  member("created", state.created);
  member("creator", state.creator);
  member("useSystemd", state.use_systemd);
  member("cleanUpIntelRdtSubdirectory", state.clean_up_intel_rdt_subdirectory);
};

// serde refuses a document without these.
template <>
inline constexpr auto oci::required<youki::State> =
    std::array<std::string_view, 5>{"ociVersion", "id", "status", "bundle", "useSystemd"};

// ---- runc

namespace runc {

using oci::operator==;
using oci::operator!=;
using oci::operator<<;

struct State {
  std::string id{};
  std::int32_t init_process_pid{};
  std::uint64_t init_process_start{};
  std::string created{};
  ordered_json config{};
  bool rootless{};
  // Go writes null for a map that nobody made.
  std::optional<std::map<std::string, std::string>> cgroup_paths{};
  std::optional<std::map<std::string, std::string>> namespace_paths{};
  std::optional<std::vector<std::string>> external_descriptors{};
  std::optional<std::string> intel_rdt_path{};
};

}  // namespace runc

template <>
inline constexpr auto oci::members<runc::State> = [](auto& state, auto member) {
  member("id", state.id);
  member("init_process_pid", state.init_process_pid);
  member("init_process_start", state.init_process_start);
  member("created", state.created);
  member("config", state.config);
  member("rootless", state.rootless);
  member("cgroup_paths", state.cgroup_paths);
  member("namespace_paths", state.namespace_paths);
  member("external_descriptors", state.external_descriptors);
  member("intel_rdt_path", state.intel_rdt_path);
};

template <>
inline constexpr auto oci::required<runc::State> =
    std::array<std::string_view, 2>{"id", "init_process_pid"};

namespace {

const std::string youki_text{
    R"({"ociVersion":"1.2.1","id":"web","status":"paused","pid":4242,"bundle":"/run/web",)"
    R"("annotations":{},"created":"2025-03-01T10:02:03.123456789Z","creator":0,)"
    R"("useSystemd":true,"cleanUpIntelRdtSubdirectory":false})"};

const std::string runc_text{
    R"({"id":"web","init_process_pid":4242,"init_process_start":18446744073709551615,)"
    R"("created":"2025-03-01T10:02:03.123456789Z","config":{"rootfs":"/run/web/rootfs",)"
    R"("umask":null,"readonlyfs":false,"mounts":[{"source":"proc","destination":"/proc",)"
    R"("flags":14,"propagation_flags":null}],"capabilities":{"Bounding":["CAP_KILL"]},)"
    R"("labels":["bundle=/run/web"],"cgroups":{"path":"","memory":0.5}},"rootless":false,)"
    R"("cgroup_paths":{"":"/sys/fs/cgroup/web"},)"
    R"("namespace_paths":{"NEWIPC":"/proc/4242/ns/ipc","NEWNS":"/proc/4242/ns/mnt"},)"
    R"("external_descriptors":["/dev/null","pipe:[1]","pipe:[2]"],"intel_rdt_path":""})"};

}  // namespace

// ---- youki

TEST_CASE("youki's state is read and written as youki writes it") {
  const auto state = parse<youki::State>(youki_text);
  CHECK(status_name(state) == "paused");
  CHECK(state.created == "2025-03-01T10:02:03.123456789Z");
  CHECK(state.creator == 0U);
  CHECK(state.use_systemd);
  CHECK(state.clean_up_intel_rdt_subdirectory == false);
#ifndef _WIN32  // where /run/web is not absolute
  CHECK_NOTHROW(validate(state));
#endif
  CHECK(oci::dump(state) == youki_text);
  CHECK(ordered_json(state).dump() == youki_text);
  CHECK(json::parse(youki_text).get<youki::State>() == state);
  CHECK(reading_dispute<youki::State>(youki_text) == "");
  CHECK(is_read_without_document<youki::State>(youki_text));
  CHECK(writing_dispute(state) == "");
}

TEST_CASE("serde writes null for youki's cleanUpIntelRdtSubdirectory") {
  const std::string text =
      R"({"ociVersion":"1.2.1","id":"web","status":"creating","bundle":"/b","useSystemd":false,)"
      R"("cleanUpIntelRdtSubdirectory":null})";
  const auto state = parse<youki::State>(text);
  CHECK(state.clean_up_intel_rdt_subdirectory == std::nullopt);
  CHECK(state.status == ContainerState::creating);
}

TEST_CASE("A youki state without a member that serde needs, or with a wrong one, is refused") {
  auto document = ordered_json::parse(youki_text);
  document.erase("useSystemd");
  check_error(parse_error<youki::State>(document.dump()), "",
              R"(expected a member named "useSystemd", found none)");
  document["useSystemd"] = "yes";
  check_error(parse_error<youki::State>(document.dump()), "/useSystemd",
              R"(expected true or false, found "yes")");
  document["useSystemd"] = true;
  document["creator"] = -1;
  check_error(parse_error<youki::State>(document.dump()), "/creator",
              "expected an integer from 0 to 4294967295, found -1");
}

TEST_CASE("A youki state may be cut off anywhere") {
  for (std::size_t size = 0; size < youki_text.size(); ++size) {
    CAPTURE(size);
    CHECK(reading_dispute<youki::State>(youki_text.substr(0, size)) == "");
    CHECK_THROWS_AS(parse<youki::State>(youki_text.substr(0, size)), oci::Error);
  }
}

// ---- runc

TEST_CASE("runc's state.json is read and written as runc writes it, with its configuration") {
  const auto state = parse<runc::State>(runc_text);
  CHECK(state.init_process_pid == 4242);
  CHECK(state.config.at("labels").at(0) == "bundle=/run/web");
  CHECK(state.cgroup_paths->at("") == "/sys/fs/cgroup/web");
  CHECK(state.external_descriptors->size() == 3);
  CHECK(oci::dump(state) == runc_text);
  CHECK(ordered_json(state).dump() == runc_text);
  CHECK(ordered_json::parse(runc_text).get<runc::State>() == state);
  CHECK(is_read_without_document<runc::State>(runc_text));
  CHECK(writing_dispute(state) == "");
}

TEST_CASE("The null that Go writes for a map or a slice that nobody made is none") {
  const auto state = parse<runc::State>(
      R"({"id":"web","init_process_pid":1,"cgroup_paths":null,"namespace_paths":null,)"
      R"("external_descriptors":null})");
  CHECK(state.cgroup_paths == std::nullopt);
  CHECK(state.namespace_paths == std::nullopt);
  CHECK(state.external_descriptors == std::nullopt);
}

TEST_CASE("The specification's state is not taken for runc's") {
  check_error(parse_error<runc::State>(R"({"ociVersion":"1.0.2","id":"web","pid":42})"), "",
              R"(expected a member named "init_process_pid", found none)");
}

#ifndef _WIN32  // where the header has no load and save
TEST_CASE("An update of runc's state.json keeps what runc wrote") {
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  write_text(path, runc_text);
  oci::update<runc::State>(path, [](runc::State& state) { state.rootless = true; });
  std::string expected = runc_text;
  expected.replace(expected.find(R"("rootless":false)"), 16, R"("rootless":true)");
  CHECK(read_text(path) == expected);
}
#endif
