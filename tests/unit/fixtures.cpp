// The documents in fixtures/. The type of NAME.json is what NAME begins with. Of refused/, NAME.txt
// has the message of parse; of impostors/, which parse accepts as a State, that of validate. The
// other directories are valid. Those with "serde" in the name were written by serde_json from the
// types of the original (oci-spec-rs); those in runc/, crun/, podman-*/ and containerd/ by these.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "../support/container.hpp"
#include "../support/errors.hpp"
#include "../support/files.hpp"
#include "../support/ways.hpp"

namespace fs = std::filesystem;

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::State;

namespace {

std::vector<fs::path> documents_in(const std::string& directory) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(fs::path(FIXTURES) / directory)) {
    if (entry.path().extension() == ".json") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  REQUIRE_FALSE(found.empty());
  return found;
}

const std::vector<std::string> runtimes{"runc", "crun", "podman-runc", "podman-crun", "containerd"};

std::vector<fs::path> valid_documents() {
  std::vector<fs::path> found = documents_in("valid");
  for (const auto& runtime : runtimes) {
    for (const auto& path : documents_in(runtime)) found.push_back(path);
  }
  return found;
}

std::string message_for(const fs::path& path) {
  std::string message = read_text(fs::path(path).replace_extension(".txt"));
  REQUIRE_FALSE(message.empty());
  message.pop_back();  // the newline
  return message;
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

State state_in(const char* name) { return oci::parse(read_text(fs::path(FIXTURES) / name)); }

}  // namespace

TEST_CASE("A valid document gives the same value as text and as a file") {
#ifndef _WIN32  // where the header has no load and save
  const TemporaryDirectory directory;
#endif
  const auto paths = valid_documents();
  REQUIRE(paths.size() >= 78);
  for (const auto& path : paths) {
    CAPTURE(path);
    with_type_of(path, [&](auto value) {
      using T = decltype(value);
      const std::string text = read_text(path);
      value = oci::parse<T>(text);
      CHECK(oci::parse<T>(oci::dump(value)) == value);
#ifndef _WIN32
      CHECK(oci::load<T>(path) == value);
      oci::save(value, directory / "copy.json");
      CHECK(oci::load<T>(directory / "copy.json") == value);
      CHECK(read_text(directory / "copy.json") == oci::dump(value));
#endif
      if (path.filename().string().find("serde") != std::string::npos) {
        CHECK(oci::dump(value) == text);
      }
    });
  }
}

TEST_CASE("A refused document is refused with its message, as text and as a file") {
  const auto paths = documents_in("refused");
  REQUIRE(paths.size() >= 65);
  for (const auto& path : paths) {
    CAPTURE(path);
    const std::string message = message_for(path);
    with_type_of(path, [&](auto value) {
      using T = decltype(value);
      const std::string what = parse_error<T>(read_text(path)).what();
      CAPTURE(what, message);
      CHECK(says(what, message));
#ifndef _WIN32
      CHECK(error_of([&] { static_cast<void>(oci::load<T>(path)); }).what() ==
            path.string() + ": " + what);
#endif
    });
  }
}

TEST_CASE("parse and from_json agree on each document, dump and to_json on what it holds") {
  auto paths = valid_documents();
  for (const std::string directory : {"refused", "impostors"}) {
    for (const auto& path : documents_in(directory)) paths.push_back(path);
  }
  for (const auto& path : paths) {
    const std::string text = read_text(path);
    const auto check = [&](auto value) {
      using T = decltype(value);
      CHECK(reading_dispute<T>(text) == "");
      try {
        value = oci::parse<T>(text);
      } catch (const oci::Error&) {
        return;
      }
      CHECK(writing_dispute(value) == "");
    };
    CAPTURE(path);
    check(State{});
    check(ContainerProcessState{});
    check(runtime::Container{});
  }
}

TEST_CASE("What runtimes write is read without a document") {
  for (const auto& runtime : runtimes) {
    for (const auto& path : documents_in(runtime)) {
      CAPTURE(path);
      with_type_of(path, [&](auto value) {
        const std::string text = read_text(path);
        CHECK(oci::detail::read_text(text, value));
        CHECK(value == oci::parse<decltype(value)>(text));
      });
    }
  }
}

#ifndef _WIN32  // where their bundles are not absolute: they have no drive
TEST_CASE("validate accepts what runtimes write") {
  for (const auto& runtime : runtimes) {
    for (const auto& path : documents_in(runtime)) {
      CAPTURE(path);
      with_type_of(path, [&](auto value) {
        value = oci::parse<decltype(value)>(read_text(path));
        CHECK_NOTHROW(validate(value));
      });
    }
  }
}
#endif

TEST_CASE("parse accepts an impostor as a State, validate refuses it with its message") {
  for (const auto& path : documents_in("impostors")) {
    CAPTURE(path);
    const State state = oci::parse(read_text(path));
    CHECK(error_of([&] { validate(state); }).what() == message_for(path));
  }
}

// What holds for every document may hide what is wrong with one: some of them, member by member.

TEST_CASE("The specification's examples") {
  CHECK(state_in("valid/state-specification-example.json") ==
        State{"0.2.0",
              "oci-container1",
              ContainerState::running,
              {},
              4422,
              "/containers/redis",
              oci::Annotations{{"myKey", "myValue"}}});

  const auto process = oci::parse<ContainerProcessState>(
      read_text(fs::path(FIXTURES) / "valid/container-process-state-specification-example.json"));
  CHECK(process.version == "1.0.2");
  CHECK(process.fds == std::vector<std::string>{std::string(oci::seccomp_fd_name)});
  CHECK(process.pid == 4422);
  CHECK(process.metadata == "MKNOD=/dev/null,/dev/net/tun;BPF_MAP_TYPES=hash,array");
  CHECK(process.state == State{"1.0.2",
                               "oci-container1",
                               ContainerState::creating,
                               {},
                               4422,
                               "/containers/redis",
                               oci::Annotations{{"myKey", "myValue"}}});
}

TEST_CASE("A Kubernetes pod's state, with JSON in its annotations") {
  const State pod = state_in("valid/state-kubernetes-pod.json");
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

TEST_CASE("Statuses that runtimes define") {
  for (const std::string name : {"runc/runc-state-paused.json", "crun/crun-state-paused.json"}) {
    CHECK(state_in(name.c_str()).status == ContainerState::other);
    CHECK(state_in(name.c_str()).other_status == "paused");
  }
  for (const std::string name :
       {"crun/hook-startContainer.json", "podman-crun/hook-startContainer.json"}) {
    CHECK(state_in(name.c_str()).status == ContainerState::other);
    CHECK(state_in(name.c_str()).other_status == "starting");
    CHECK(state_in(name.c_str()).pid == 0);
  }
}

TEST_CASE("A runtime's additional members are ignored") {
  CHECK(state_in("valid/state-members-of-a-runtime.json") ==
        State{"1.2.0", "web", ContainerState::running, {}, 4242, "/run/web"});
}

TEST_CASE("Escapes are decoded") {
  const State state = state_in("valid/state-escapes.json");
  CHECK(state.version == "1.2.0");
  CHECK(state.id == std::string("\"\\/\b\f\n\r\t\0\x1f\x7fé€😀", 20));
  CHECK(state.status == ContainerState::running);
  CHECK(state.bundle == "/b");
  CHECK(state.annotations ==
        oci::Annotations{{"", "the empty name"}, {"a/b~c", "for a pointer"}, {"key", "value"}});
}
