// The types: their members and defaults, how they compare and print.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::State;

// ---- Macros, namespace, constants

static_assert(OCI_STATE_VERSION_MAJOR == 1);
static_assert(OCI_STATE_VERSION_MINOR == 0);
static_assert(OCI_STATE_VERSION_PATCH == 0);

static_assert(std::is_same_v<State, oci::v1_0_0::State>);
static_assert(std::is_same_v<ContainerProcessState, oci::v1_0_0::ContainerProcessState>);
static_assert(std::is_same_v<ContainerState, oci::v1_0_0::ContainerState>);
static_assert(std::is_same_v<oci::Error, oci::v1_0_0::Error>);

static_assert(std::is_same_v<decltype(oci::seccomp_fd_name), const std::string_view>);
static_assert(oci::seccomp_fd_name == "seccompFd");

// ---- ContainerState

static_assert(ContainerState{} == ContainerState::stopped);
static_assert(noexcept(to_string(ContainerState{})));
static_assert(std::is_same_v<decltype(to_string(ContainerState{})), std::string_view>);
static_assert(to_string(ContainerState::creating) == "creating");
static_assert(to_string(ContainerState::created) == "created");
static_assert(to_string(ContainerState::running) == "running");
static_assert(to_string(ContainerState::stopped) == "stopped");
static_assert(to_string(ContainerState::other) == "other");
static_assert(to_string(static_cast<ContainerState>(7)).empty());

// No warning of a missing case: these are all enumerators.
constexpr int position(ContainerState status) {
  switch (status) {
    case ContainerState::creating: return 1;
    case ContainerState::created: return 2;
    case ContainerState::running: return 3;
    case ContainerState::stopped: return 4;
    case ContainerState::other: return 5;
  }
  return 0;
}
static_assert(position(ContainerState{}) == 4);

// ---- The structs

static_assert(std::is_same_v<decltype(State::version), std::string>);
static_assert(std::is_same_v<decltype(State::id), std::string>);
static_assert(std::is_same_v<decltype(State::status), ContainerState>);
static_assert(std::is_same_v<decltype(State::other_status), std::string>);
static_assert(std::is_same_v<decltype(State::pid), std::optional<std::int32_t>>);
static_assert(std::is_same_v<decltype(State::bundle), std::filesystem::path>);
static_assert(std::is_same_v<decltype(State::annotations), std::optional<oci::Annotations>>);
static_assert(std::is_same_v<oci::Annotations, std::map<std::string, std::string>>);

static_assert(std::is_same_v<decltype(ContainerProcessState::version), std::string>);
static_assert(std::is_same_v<decltype(ContainerProcessState::fds), std::vector<std::string>>);
static_assert(std::is_same_v<decltype(ContainerProcessState::pid), std::int32_t>);
static_assert(
    std::is_same_v<decltype(ContainerProcessState::metadata), std::optional<std::string>>);
static_assert(std::is_same_v<decltype(ContainerProcessState::state), State>);

template <class T>
constexpr bool is_plain_value = std::is_aggregate_v<T>&& std::is_default_constructible_v<T>&&
    std::is_copy_constructible_v<T>&& std::is_copy_assignable_v<T>&&
        std::is_nothrow_move_constructible_v<T>&& std::is_nothrow_move_assignable_v<T>;
static_assert(is_plain_value<State>);
static_assert(is_plain_value<ContainerProcessState>);

// A derived type without a list of members is never taken for its base: its own members would be
// lost.
struct Derived : State {
  std::string owner{};
};

struct DerivedProcess : ContainerProcessState {};

template <class T, class = void>
constexpr bool is_comparable = false;
template <class T>
constexpr bool
    is_comparable<T, std::void_t<decltype(std::declval<const T&>() == std::declval<const T&>())>> =
        true;

template <class T, class = void>
constexpr bool is_comparable_unequal = false;
template <class T>
constexpr bool is_comparable_unequal<
    T, std::void_t<decltype(std::declval<const T&>() != std::declval<const T&>())>> = true;

template <class T, class = void>
constexpr bool is_printable = false;
template <class T>
constexpr bool is_printable<
    T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<const T&>())>> = true;

static_assert(is_comparable<State> && is_comparable<ContainerProcessState>);
static_assert(!is_comparable<Derived> && !is_comparable<DerivedProcess>);
static_assert(is_comparable_unequal<State> && is_comparable_unequal<ContainerProcessState>);
static_assert(!is_comparable_unequal<Derived> && !is_comparable_unequal<DerivedProcess>);
static_assert(is_printable<State> && is_printable<ContainerProcessState>);
static_assert(is_printable<ContainerState>);
static_assert(!is_printable<Derived> && !is_printable<DerivedProcess>);

static_assert(std::is_constructible_v<nlohmann::json, const State&>);
static_assert(!std::is_constructible_v<nlohmann::json, const Derived&>);

namespace {

template <class T>
std::string print(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

// Compares in both directions, with both operators.
template <class T>
void check_equal(const T& left, const T& right) {
  CHECK(left == right);
  CHECK(right == left);
  CHECK_FALSE(left != right);
  CHECK_FALSE(right != left);
}

template <class T>
void check_different(const T& left, const T& right) {
  CHECK_FALSE(left == right);
  CHECK_FALSE(right == left);
  CHECK(left != right);
  CHECK(right != left);
}

const State full{"1.2.0", "web",      ContainerState::running,     {},
                 42,      "/run/web", oci::Annotations{{"k", "v"}}};

State with_other_status(const std::string& name) {
  State state = full;
  state.status = ContainerState::other;
  state.other_status = name;
  return state;
}
const ContainerProcessState full_process{"1.2.0", {"seccompFd"}, 43, "m", full};

}  // namespace

TEST_CASE("A status works as a key of unordered containers") {
  const std::unordered_set<ContainerState> two{ContainerState::created, ContainerState::running,
                                               ContainerState::created};
  CHECK(two.size() == 2);
  CHECK(two.count(ContainerState::running) == 1);
  CHECK(two.count(ContainerState::stopped) == 0);
}

TEST_CASE("Default-constructed values") {
  const State state;
  CHECK(state.version.empty());
  CHECK(state.id.empty());
  CHECK(state.status == ContainerState::stopped);
  CHECK(state.other_status.empty());
  CHECK_FALSE(state.pid.has_value());
  CHECK(state.bundle.empty());
  CHECK_FALSE(state.annotations.has_value());

  const ContainerProcessState process;
  CHECK(process.version.empty());
  CHECK(process.fds.empty());
  CHECK(process.pid == 0);
  CHECK_FALSE(process.metadata.has_value());
  CHECK(process.state == state);
}

TEST_CASE("States are equal if all members are") {
  State other = full;
  check_equal(other, full);
  SECTION("version") { other.version = "1.2.1"; }
  SECTION("id") { other.id = "we"; }
  SECTION("status") { other.status = ContainerState::created; }
  SECTION("another status") { other.status = ContainerState::other; }
  SECTION("pid") { other.pid = 43; }
  SECTION("no pid") { other.pid.reset(); }
  SECTION("bundle") { other.bundle = "/run/we"; }
  SECTION("an annotation's value") { other.annotations->at("k") = "w"; }
  SECTION("one annotation more") { other.annotations->emplace("l", "v"); }
  SECTION("no annotations") { other.annotations.reset(); }
  check_different(other, full);
}

TEST_CASE("The name of another status counts, a left-over one does not") {
  check_equal(with_other_status("paused"), with_other_status("paused"));
  check_different(with_other_status("paused"), with_other_status("starting"));
  State left_over = full;
  left_over.other_status = "paused";
  check_equal(left_over, full);
  check_different(left_over, with_other_status("paused"));
}

TEST_CASE("Bundles are equal if they are as paths") {
  State other = full;
  other.bundle = "/run//web";
  check_equal(other, full);
}

TEST_CASE("An absent value is not zero, nor empty") {
  State left;
  State right;
  SECTION("pid") { left.pid = 0; }
  SECTION("annotations") { left.annotations.emplace(); }
  check_different(left, right);

  ContainerProcessState process;
  process.metadata = "";
  check_different(process, ContainerProcessState{});
}

TEST_CASE("Container process states are equal if all members are") {
  ContainerProcessState other = full_process;
  check_equal(other, full_process);
  SECTION("version") { other.version.clear(); }
  SECTION("fds") { other.fds = {"seccompFD"}; }
  SECTION("one more of the fds") { other.fds.emplace_back(); }
  SECTION("pid") { other.pid = 42; }
  SECTION("metadata") { other.metadata = "n"; }
  SECTION("no metadata") { other.metadata.reset(); }
  SECTION("a member of the state") { other.state.pid = 43; }
  check_different(other, full_process);
}

TEST_CASE("A status prints its name") {
  CHECK(print(ContainerState::creating) == "creating");
  CHECK(print(ContainerState::created) == "created");
  CHECK(print(ContainerState::running) == "running");
  CHECK(print(ContainerState::stopped) == "stopped");
  CHECK(print(ContainerState::other) == "other");
}

TEST_CASE("status_name() gives the name in the document") {
  State state;
  CHECK(status_name(state) == "stopped");
  for (const auto status :
       {ContainerState::creating, ContainerState::created, ContainerState::running}) {
    state.status = status;
    state.other_status = "left over";
    CHECK(status_name(state) == to_string(status));
  }
  CHECK(status_name(with_other_status("paused")) == "paused");
  CHECK(status_name(with_other_status("\n\xff\"")) == "\n\xff\"");
  CHECK(status_name(with_other_status("")).empty());
  state.status = static_cast<ContainerState>(7);
  CHECK(status_name(state).empty());
}

TEST_CASE("A struct prints its JSON") {
  CHECK(print(State{}) == R"({"ociVersion":"","id":"","status":"stopped","bundle":""})");
  CHECK(print(full) ==
        R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,"bundle":"/run/web",)"
        R"("annotations":{"k":"v"}})");
  CHECK(print(full_process) ==
        R"({"ociVersion":"1.2.0","fds":["seccompFd"],"pid":43,"metadata":"m","state":)"
        R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,"bundle":"/run/web",)"
        R"("annotations":{"k":"v"}}})");
  CHECK(print(with_other_status("paused")) ==
        R"({"ociVersion":"1.2.0","id":"web","status":"paused","pid":42,"bundle":"/run/web",)"
        R"("annotations":{"k":"v"}})");
}

TEST_CASE("Printing never throws") {
  SECTION("a string that is not UTF-8 prints the error") {
    State state;
    state.id =
        "a\xff"
        "b é";
    CHECK(print(state) == R"(/id: expected UTF-8, found "a\ufffdb \u00e9")");
    ContainerProcessState process;
    process.fds = {"\xc3"};
    CHECK(print(process) == R"(/fds/0: expected UTF-8, found "\ufffd")");
    CHECK(print(with_other_status("\xff")) == R"(/status: expected UTF-8, found "\ufffd")");
  }
  SECTION("a status without a proper name prints the error") {
    CHECK(print(with_other_status("")) ==
          R"(/status: expected a status of the runtime's own, found "")");
    CHECK(print(with_other_status("running")) ==
          R"(/status: expected a status of the runtime's own, found "running")");
  }
  SECTION("a status that is no enumerator prints the error") {
    State state;
    state.status = static_cast<ContainerState>(7);
    CHECK(print(state).find('7') != std::string::npos);
    ContainerProcessState process;
    process.state = state;
    CHECK(print(process).find('7') != std::string::npos);
    CHECK_NOTHROW(print(state.status));
  }
}

#if __cplusplus >= 202002L
TEST_CASE("Designated initialisers in C++20") {
  const State state{.version = "1.2.0", .id = "web", .pid = 42};
  CHECK(state.version == "1.2.0");
  CHECK(state.id == "web");
  CHECK(state.status == ContainerState::stopped);
  CHECK(state.pid == 42);
  CHECK(state.bundle.empty());
  CHECK_FALSE(state.annotations.has_value());

  const State all{.version = "1.2.0",
                  .id = "web",
                  .status = ContainerState::running,
                  .other_status = "",
                  .pid = 42,
                  .bundle = "/run/web",
                  .annotations = oci::Annotations{{"k", "v"}}};
  CHECK(all == full);

  const ContainerProcessState process{
      .version = "1.2.0", .fds = {"seccompFd"}, .pid = 43, .metadata = "m", .state = full};
  CHECK(process == full_process);
}
#endif
