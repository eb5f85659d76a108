// validate: what the specification asks of a state beyond the types.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <filesystem>
#include <limits>
#include <string>
#include <type_traits>

#include "../support/container.hpp"
#include "../support/errors.hpp"

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::Error;
using oci::State;

namespace {

#ifdef _WIN32
const std::filesystem::path bundle{"C:/run/web"};
#else
const std::filesystem::path bundle{"/run/web"};
#endif

const State good{"1.2.0", "web", ContainerState::running, {}, 42, bundle, {}};
const ContainerProcessState good_process{"1.2.0", {"seccompFd"}, 42, "m", good};

template <class T>
Error validate_error(const T& value) {
  return error_of([&] { validate(value); });
}

/// The state is refused so, and likewise as the state of a container process.
void check_refused(const State& state, const std::string& pointer, const std::string& message) {
  check_error(validate_error(state), pointer, message);
  ContainerProcessState process = good_process;
  process.state = state;
  check_error(validate_error(process), "/state" + pointer, message);
}

void check_valid(const State& state) {
  CHECK_NOTHROW(validate(state));
  ContainerProcessState process = good_process;
  process.state = state;
  CHECK_NOTHROW(validate(process));
}

}  // namespace

TEST_CASE("validate accepts a state of each status") {
  State state = good;
  state.status = GENERATE(ContainerState::creating, ContainerState::created,
                          ContainerState::running, ContainerState::stopped);
  check_valid(state);
  state.annotations = oci::Annotations{{"", ""}};
  check_valid(state);
}

TEST_CASE("validate accepts a status of the runtime's own") {
  State state = good;
  state.status = ContainerState::other;
  state.other_status = GENERATE("paused", "starting", "other", "Running", "\xff");
  check_valid(state);
  state.pid.reset();
  check_valid(state);
}

TEST_CASE("validate accepts any version that is not empty") {
  State state = good;
  state.version = GENERATE("1.0", "1.0.2-dev", "x");  // crun writes "1.0"
  check_valid(state);
}

TEST_CASE("validate refuses an empty ociVersion") {
  State state = good;
  state.version.clear();
  check_refused(state, "/ociVersion", R"(expected a version, found "")");
  ContainerProcessState process = good_process;
  process.version.clear();
  check_error(validate_error(process), "/ociVersion", R"(expected a version, found "")");
}

TEST_CASE("validate refuses an empty id") {
  State state = good;
  state.id.clear();
  check_refused(state, "/id", R"(expected an ID, found "")");
}

TEST_CASE("validate refuses a status without a proper name") {
  State state = good;
  state.status = ContainerState::other;
  check_refused(state, "/status", R"(expected a status of the runtime's own, found "")");
  for (const std::string name : {"creating", "created", "running", "stopped"}) {
    state.other_status = name;
    check_refused(state, "/status",
                  "expected a status of the runtime's own, found \"" + name + '"');
  }
  state.status = static_cast<ContainerState>(7);
  check_refused(state, "/status", "expected a ContainerState, found 7");
}

TEST_CASE("validate refuses a negative pid") {
  State state = good;
  ContainerProcessState process = good_process;
  for (const std::int32_t pid : {-1, std::numeric_limits<std::int32_t>::min()}) {
    const std::string message = "expected 0 or greater, found " + std::to_string(pid);
    state.pid = pid;
    state.status = ContainerState::stopped;
    check_refused(state, "/pid", message);
    state.status = ContainerState::running;
    check_refused(state, "/pid", message);
    process.pid = pid;
    check_error(validate_error(process), "/pid", message);
  }
}

TEST_CASE("validate accepts pid 0, which crun writes for no process, and no fds") {
  State state = good;
  state.pid = 0;
  check_valid(state);
  ContainerProcessState process = good_process;
  process.pid = 0;
  process.fds.clear();
  process.metadata.reset();
  CHECK_NOTHROW(validate(process));
}

TEST_CASE("A pid may be absent while creating and when stopped") {
  State state = good;
  state.pid.reset();
  state.status = GENERATE(ContainerState::creating, ContainerState::stopped);
  check_valid(state);
}

#ifdef __linux__
TEST_CASE("validate refuses a state without a pid while created or running, on Linux") {
  State state = good;
  state.pid.reset();
  check_refused(state, "/pid", "expected a process ID, as the status is running, found none");
  state.status = ContainerState::created;
  check_refused(state, "/pid", "expected a process ID, as the status is created, found none");
}
#else
TEST_CASE("A pid may always be absent, but on Linux") {
  State state = good;
  state.pid.reset();
  check_valid(state);
}
#endif

TEST_CASE("validate refuses a bundle that is not absolute") {
  State state = good;
  state.bundle.clear();
  check_refused(state, "/bundle", R"(expected an absolute path, found "")");
  state.bundle = "run/web";
  check_refused(state, "/bundle", R"(expected an absolute path, found "run/web")");
  state.bundle = "./\n";
  check_refused(state, "/bundle", R"(expected an absolute path, found "./\n")");
#ifndef _WIN32
  state.bundle = "\xff";
  check_refused(state, "/bundle", R"(expected an absolute path, found "\ufffd")");
#endif
}

TEST_CASE("validate refuses a bundle with a NUL byte, where the system would stop") {
  State state = good;
  state.bundle = std::string("/run/web\0/x", 11);
  check_refused(state, "/bundle", R"(expected an absolute path, found "/run/web\u0000/x")");
}

TEST_CASE("validate reports ociVersion, id, status, pid and bundle in this order") {
  State state;
  state.status = ContainerState::other;
  state.pid = -1;
  CHECK(validate_error(state).pointer() == "/ociVersion");
  state.version = "1.2.0";
  CHECK(validate_error(state).pointer() == "/id");
  state.id = "web";
  CHECK(validate_error(state).pointer() == "/status");
  state.status = ContainerState::running;
  CHECK(validate_error(state).pointer() == "/pid");
  state.pid = 42;
  CHECK(validate_error(state).pointer() == "/bundle");
  state.bundle = bundle;
  CHECK_NOTHROW(validate(state));

  ContainerProcessState process;
  process.pid = -1;
  CHECK(validate_error(process).pointer() == "/ociVersion");
  process.version = "1.2.0";
  CHECK(validate_error(process).pointer() == "/pid");
  process.pid = 0;
  CHECK(validate_error(process).pointer() == "/state/ociVersion");
  process.state = state;
  CHECK_NOTHROW(validate(process));
}

TEST_CASE("validate takes a derived type") {
  runtime::Container container;
  static_cast<State&>(container) = good;
  CHECK_NOTHROW(validate(container));
  container.id.clear();
  CHECK(validate_error(container).pointer() == "/id");
}

TEST_CASE("An absent status reads as stopped, which validate can't tell") {
  const std::string text =  // the hooks of linyaps-box have no status
      R"({"ociVersion":"1.0.2","id":"web","pid":42,"bundle":")" + bundle.generic_string() + R"("})";
  const State state = oci::parse(text);
  CHECK(state.status == ContainerState::stopped);
  CHECK_NOTHROW(validate(state));
}

TEST_CASE("parse accepts what validate refuses") {
  CHECK_NOTHROW(oci::parse("{}"));
  CHECK_NOTHROW(oci::parse(R"({"pid":-1,"bundle":"relative","status":"running"})"));
  CHECK_NOTHROW(oci::dump(State{}));
}
