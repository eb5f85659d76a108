// Uses the whole interface once. It is built as each standard, with every warning an error, and
// with each of the settings that nlohmann/json has: see CMakeLists.txt.

#include <oci/state.hpp>
// And once more: the include guard is under test too. NOLINTNEXTLINE(readability-duplicate-include)
#include <oci/state.hpp>

#include <exception>
#include <filesystem>
#include <iostream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_set>

namespace {

// A type whose conversions know nlohmann::json alone.
struct Container : oci::State {
  std::string owner{};
};

void to_json(nlohmann::json& json, const Container& container) {
  json = static_cast<const oci::State&>(container);
  json["owner"] = container.owner;
}

void from_json(const nlohmann::json& json, Container& container) {
  json.get_to(static_cast<oci::State&>(container));
  json.at("owner").get_to(container.owner);
}

// A type whose conversions are templates.
struct Pod {
  oci::State state{};
  oci::ContainerState wanted{};
};

template <class Json>
void to_json(Json& json, const Pod& pod) {
  json["wanted"] = pod.wanted;
  json["state"] = pod.state;
}

template <class Json>
void from_json(const Json& json, Pod& pod) {
  json.at("wanted").get_to(pod.wanted);
  json.at("state").get_to(pod.state);
}

void check(bool good, const std::string& what) {
  if (!good) throw std::runtime_error("wrong: " + what);
}

template <class T>
void round_trip(const std::string& text, const std::filesystem::path& file) {
  check(oci::dump(oci::parse<T>(text)) == text, text);
  std::istringstream stream(text);
  oci::save(oci::parse<T>(stream), file);
  check(oci::dump(oci::load<T>(file)) == text, text + " in a file");
}

template <class Json>
void convert() {
  oci::ContainerProcessState process;
  process.fds = {std::string(oci::seccomp_fd_name)};
  process.metadata = "m";
  process.state.status = oci::ContainerState::created;
  process.state.pid = 42;
  process.state.annotations = oci::Annotations{{"key", "value"}};
  const Json json = process;
  const Json state = process.state;
  const Json status = process.state.status;
  check(json.at("state") == state && state.at("status") == status, "to_json");
  check(json.template get<oci::ContainerProcessState>() == process, "from_json");
  check(state.template get<oci::State>() == process.state, "from_json");
  check(status.template get<oci::ContainerState>() == process.state.status, "from_json");
  check(process != oci::ContainerProcessState{} && process.state != oci::State{}, "!=");
}

}  // namespace

int main() try {
  const auto file = std::filesystem::temp_directory_path() /
                    ("oci-state-variant-" + std::to_string(std::random_device{}()));
  const std::string state =
      R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,"bundle":"/b",)"
      R"("annotations":{"a":"1","b":"2"}})";
  round_trip<oci::State>(state, file);
  round_trip<oci::ContainerProcessState>(
      R"({"ociVersion":"1.2.0","fds":["seccompFd","x"],"pid":42,"metadata":"m","state":)" + state +
          "}",
      file);
  round_trip<Container>(
      R"({"bundle":"/b","id":"web","ociVersion":"1.2.0","owner":"me","status":"stopped"})", file);
  round_trip<Pod>(R"({"wanted":"running","state":)" + state + "}", file);
  round_trip<nlohmann::json>(R"({"a":[1,2.5,null,true],"b":{"c":"d"}})", file);
  round_trip<nlohmann::ordered_json>(R"({"b":{"c":"d"},"a":[1,2.5,null,true]})", file);
  convert<nlohmann::json>();
  convert<nlohmann::ordered_json>();

  try {
    static_cast<void>(oci::parse(R"({"annotations":{"a/b":1}})"));
    check(false, "an error");
  } catch (const oci::Error& error) {
    check(error.pointer() == "/annotations/a~1b", error.what());
    check(error.message() == "expected a string, found 1", error.what());
  }

  std::ostringstream out;
  out << oci::parse(state) << oci::ContainerState::created << oci::ContainerProcessState{};
  check(out.str().find(state + "created{") == 0, out.str());

  static_assert(to_string(oci::ContainerState{}) == "stopped");
  const std::unordered_set<oci::ContainerState> seen{oci::ContainerState::created};
  check(seen.count(oci::ContainerState::created) == 1, "a hash");
  std::filesystem::remove(file);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
