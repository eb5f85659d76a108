// The documents in fixtures/: NAME.json, whose type the name begins with, and for what is refused
// NAME.txt, the message. Those with "serde" in the name were written by serde_json from the types
// of the original (oci-spec-rs), those under runc/ by runc.

#include <oci/state.hpp>

#include "catch.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "files.hpp"

namespace fs = std::filesystem;

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::State;

namespace {

/// The documents that are valid, or those that are refused, in all of fixtures/.
std::vector<fs::path> documents(bool refused) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(FIXTURES)) {
    const fs::path& path = entry.path();
    if (path.extension() != ".json") continue;
    if (fs::exists(fs::path(path).replace_extension(".txt")) == refused) found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Calls `call` with a value of the type that the document at `path` is of.
template <class Call>
void with_type_of(const fs::path& path, Call call) {
  if (path.filename().string().rfind("container-process-state", 0) == 0) {
    call(ContainerProcessState{});
  } else {
    call(State{});
  }
}

State state_in(const char* name) { return oci::load(fs::path(FIXTURES) / "valid" / name); }

}  // namespace

TEST_CASE("Each valid document goes through text, stream and file and is the same") {
  const TemporaryDirectory directory;
  const auto paths = documents(false);
  REQUIRE(paths.size() >= 28);
  for (const auto& path : paths) {
    CAPTURE(path);
    with_type_of(path, [&](auto value) {
      using T = decltype(value);
      const std::string text = read_text(path);
      value = oci::parse<T>(text);
      CHECK(oci::parse<T>(oci::dump(value)) == value);
      std::istringstream stream(text);
      CHECK(oci::parse<T>(stream) == value);
      CHECK(oci::load<T>(path) == value);
      oci::save(value, directory / "copy.json");
      CHECK(oci::load<T>(directory / "copy.json") == value);
      CHECK(read_text(directory / "copy.json") == oci::dump(value));
      if (path.filename().string().find("serde") != std::string::npos) {
        CHECK(oci::dump(value) == text);
      }
    });
  }
}

TEST_CASE("Each refused document is refused with its message, as text and as a file") {
  const auto paths = documents(true);
  REQUIRE(paths.size() >= 65);
  for (const auto& path : paths) {
    CAPTURE(path);
    std::string message = read_text(fs::path(path).replace_extension(".txt"));
    message.pop_back();  // the newline
    with_type_of(path, [&](auto value) {
      using T = decltype(value);
      try {
        static_cast<void>(oci::parse<T>(read_text(path)));
        FAIL_CHECK("accepted");
      } catch (const oci::Error& error) {
        CHECK(error.what() == message);
      }
      try {
        static_cast<void>(oci::load<T>(path));
        FAIL_CHECK("accepted");
      } catch (const oci::Error& error) {
        CHECK(error.what() == path.string() + ": " + message);
      }
    });
  }
}

// What is right for every document may hide what is wrong with each: some, member by member.

TEST_CASE("The specification's examples") {
  CHECK(state_in("state-specification-example.json") ==
        State{"0.2.0", "oci-container1", ContainerState::running, 4422, "/containers/redis",
              oci::Annotations{{"myKey", "myValue"}}});

  const auto process = oci::load<ContainerProcessState>(
      fs::path(FIXTURES) / "valid/container-process-state-specification-example.json");
  CHECK(process.version == "1.0.2");
  CHECK(process.fds == std::vector<std::string>{std::string(oci::seccomp_fd_name)});
  CHECK(process.pid == 4422);
  CHECK(process.metadata == "MKNOD=/dev/null,/dev/net/tun;BPF_MAP_TYPES=hash,array");
  CHECK(process.state == State{"1.0.2", "oci-container1", ContainerState::creating, 4422,
                               "/containers/redis", oci::Annotations{{"myKey", "myValue"}}});
}

TEST_CASE("A Kubernetes pod's state, with JSON in its annotations") {
  const State pod = state_in("state-kubernetes-pod.json");
  CHECK(pod.version == "1.2.0");
  CHECK(pod.id == "c5b8e94f2d7a6013be5c4d9ef0a1728f63d5e4c3b2a19087f6e5d4c3b2a1908a");
  CHECK(pod.status == ContainerState::running);
  CHECK(pod.pid == 182734);
  CHECK(pod.bundle.filename() == "userdata");
  REQUIRE(pod.annotations.has_value());
  CHECK(pod.annotations->size() == 40);
  CHECK(pod.annotations->at("io.kubernetes.cri.sandbox-namespace") == "ingress-nginx");
  CHECK(pod.annotations->at("io.kubernetes.cri-o.Metadata") == R"({"name":"controller"})");
  const std::string& applied =
      pod.annotations->at("kubectl.kubernetes.io/last-applied-configuration");
  CHECK(applied.size() == 2242);
  CHECK(applied.substr(0, 33) == R"({"apiVersion":"v1","kind":"Pod",")");
  CHECK(applied.back() == '\n');
  CHECK(oci::dump(pod).size() == 7109);
}

TEST_CASE("What a runtime adds is passed over") {
  CHECK(state_in("state-members-of-a-runtime.json") ==
        State{"1.2.0", "web", ContainerState::running, 4242, "/run/web"});
}

TEST_CASE("What is written as escapes") {
  const State state = state_in("state-escapes.json");
  CHECK(state.version == "1.2.0");
  CHECK(state.id == std::string("\"\\/\b\f\n\r\t\0\x1f\x7fé€😀", 20));
  CHECK(state.status == ContainerState::running);
  CHECK(state.bundle == "/b");
  CHECK(state.annotations ==
        oci::Annotations{{"", "the empty name"}, {"a/b~c", "for a pointer"}, {"key", "value"}});
}
