// Uses the whole interface once. It is built with each C++ standard and with each setting of
// nlohmann/json, and every warning is an error: see tests/CMakeLists.txt.

#include <nlohmann/json.hpp>

using json = nlohmann::json;  // as many programs do: the header must not shadow it

#include <oci/state.hpp>
// And once more, for the include guard. NOLINTNEXTLINE(readability-duplicate-include)
#include <oci/state.hpp>

#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif

#include <exception>
#include <filesystem>
#include <iostream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "../support/container.hpp"

namespace {

// A type whose conversions know nlohmann::json alone.
struct Service : oci::State {
  std::string owner{};
};

void to_json(json& document, const Service& service) {
  document = static_cast<const oci::State&>(service);
  document["owner"] = service.owner;
}

void from_json(const json& document, Service& service) {
  document.get_to(static_cast<oci::State&>(service));
  document.at("owner").get_to(service.owner);
}

// A type whose conversions are templates.
struct Pod {
  oci::State state{};
  oci::ContainerState wanted{};
};

template <class Json>
void to_json(Json& document, const Pod& pod) {
  document["wanted"] = pod.wanted;
  document["state"] = pod.state;
}

template <class Json>
void from_json(const Json& document, Pod& pod) {
  document.at("wanted").get_to(pod.wanted);
  document.at("state").get_to(pod.state);
}

void check(bool good, const std::string& what) {
  if (!good) throw std::runtime_error("wrong: " + what);
}

template <class T>
void round_trip(const std::string& text, [[maybe_unused]] const std::filesystem::path& file) {
  check(oci::dump(oci::parse<T>(text)) == text, text);
#ifndef _WIN32  // where the header has no load and save
  oci::save(oci::parse<T>(text), file);
  check(oci::dump(oci::load<T>(file)) == text, text + " in a file");
#endif
}

template <class Json>
void convert() {
  oci::ContainerProcessState process;
  process.fds = {std::string(oci::seccomp_fd_name)};
  process.metadata = "m";
  process.state.status = oci::ContainerState::other;
  process.state.other_status = "paused";
  process.state.pid = 42;
  process.state.annotations = oci::Annotations{{"key", "value"}};
  const Json document = process;
  const Json state = process.state;
  const Json status = oci::ContainerState::created;
  check(document.at("state") == state && state.at("status") == "paused", "to_json");
  check(document.template get<oci::ContainerProcessState>() == process, "from_json");
  check(state.template get<oci::State>() == process.state, "from_json");
  check(status.template get<oci::ContainerState>() == oci::ContainerState::created, "from_json");

  runtime::Container container;
  container.owner = "me";
  container.mounts = {{"/a", true}};
  container.limits.emplace();
  const Json contained = container;
  check(contained.template get<runtime::Container>() == container, "from_json of a list");
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
  round_trip<runtime::Container>(
      state.substr(0, state.size() - 1) +
          R"(,"owner":"me","exitCode":-1,"terminal":true,"mode":"isolated","mounts":[],)"
          R"("ports":[80],"groups":{"a":["b"]},"log":"/l","limits":{"memory":1,"nice":-1}})",
      file);
  round_trip<Service>(
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

  oci::State invalid = oci::parse(state);
  check(status_name(invalid) == "running", "status_name");
  invalid.id.clear();
  oci::ContainerProcessState process{"1.2.0", {}, 1, {}, invalid};
  try {
    validate(process);
    check(false, "validate");
  } catch (const oci::Error& error) {
    check(error.pointer() == "/state/id" && error.file().empty(), error.what());
  }

#ifndef _WIN32
  oci::save(oci::State{}, file);
  const auto change = [](oci::State& value) { value.id = "new"; };
  const auto change_nothing = [](oci::State& value) { return value.id != "new"; };
  check(oci::update(file, change).id == "new", "update");
  check(oci::update(file, change_nothing) == oci::load(file), "update that changes nothing");
  const int descriptor = ::open(file.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC);
  oci::save(oci::parse(state), descriptor);
  check(::lseek(descriptor, 0, SEEK_SET) == 0, "lseek");
  check(oci::dump(oci::load(descriptor)) == state, "descriptors");
  ::close(descriptor);
#endif

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
