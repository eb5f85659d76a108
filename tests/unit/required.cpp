// Members that a document must have: oci::required.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "../support/errors.hpp"
#include "../support/files.hpp"
#include "../support/ways.hpp"

using nlohmann::json;
using nlohmann::ordered_json;
using oci::ContainerState;
using oci::Error;
using oci::parse;
using oci::State;

namespace owed {

using oci::operator==;  // for types that do not derive from oci's
using oci::operator!=;
using oci::operator<<;

// What a runtime's kill reads: without a process ID, it would signal its own process group.
struct Container {
  std::string id{};
  std::int32_t pid{};
  std::optional<std::string> owner{};
};

// A required member that may be null.
struct Process {
  std::optional<std::int32_t> pid{};
  std::vector<std::string> arguments{};
};

// The hook of the README, which acts on the status.
struct HookState : State {};

// Types that derive from a type with required members: with a list alone, and with both.
struct Lenient : Container {};
struct Strict : Container {};

// Requires nothing, and holds types that do.
struct Pod {
  Container first{};
  std::vector<Container> more{};
  std::map<std::string, Container> named{};
  std::optional<Container> last{};
};

// Requires members that are listed behind others, more than a word has bits.
struct Wide {
  std::array<std::optional<std::int32_t>, 100> values{};
};

// Requires a name that its list does not have.
struct Misspelt {
  std::string name{};
};

template <class T>
struct Value {
  T value{};
};

}  // namespace owed

template <>
inline constexpr auto oci::members<owed::Container> = [](auto& container, auto member) {
  member("id", container.id);
  member("pid", container.pid);
  member("owner", container.owner);
};
template <>
inline constexpr auto oci::required<owed::Container> = std::array<std::string_view, 2>{"id", "pid"};

template <>
inline constexpr auto oci::members<owed::Process> = [](auto& process, auto member) {
  member("pid", process.pid);
  member("args", process.arguments);
};
template <>
inline constexpr auto oci::required<owed::Process> = std::array<std::string_view, 2>{"args", "pid"};

template <>
inline constexpr auto oci::members<owed::HookState> = oci::members<oci::State>;
template <>
inline constexpr auto oci::required<owed::HookState> = std::array<std::string_view, 1>{"status"};

template <>
inline constexpr auto oci::members<owed::Lenient> = oci::members<owed::Container>;

template <>
inline constexpr auto oci::members<owed::Strict> = oci::members<owed::Container>;
template <>
inline constexpr auto oci::required<owed::Strict> = std::array<std::string_view, 1>{"owner"};

template <>
inline constexpr auto oci::members<owed::Pod> = [](auto& pod, auto member) {
  member("first", pod.first);
  member("more", pod.more);
  member("named", pod.named);
  member("last", pod.last);
};

template <>
inline constexpr auto oci::members<owed::Wide> = [](auto& wide, auto member) {
  std::size_t number = 0;
  for (auto& value : wide.values) {
    member(std::to_string(number), value);
    ++number;
  }
};
template <>
inline constexpr auto oci::required<owed::Wide> = std::array<std::string_view, 3>{"99", "64", "63"};

template <>
inline constexpr auto oci::members<owed::Misspelt> =
    [](auto& misspelt, auto member) { member("name", misspelt.name); };
template <>
inline constexpr auto oci::required<owed::Misspelt> = std::array<std::string_view, 1>{"nmae"};

template <class T>
inline constexpr auto oci::members<owed::Value<T>> =
    [](auto& value, auto member) { member("value", value.value); };
template <class T>
inline constexpr auto oci::required<owed::Value<T>> = std::array<std::string_view, 1>{"value"};

namespace {

std::string absent(const std::string& name) {
  return "expected a member named \"" + name + "\", found none";
}

/// Reading `text` fails like this, by both ways.
template <class T>
void check_refused(const std::string& text, const std::string& pointer,
                   const std::string& message) {
  CAPTURE(text);
  check_error(parse_error<T>(text), pointer, message);
  CHECK(reading_dispute<T>(text) == "");
}

/// Writing `value` fails like this, by all ways.
template <class T>
void check_not_written(const T& value, const std::string& pointer, const std::string& message) {
  check_error(dump_error(value), pointer, message);
  check_error(error_of([&] { static_cast<void>(json(value)); }), pointer, message);
  check_error(error_of([&] { static_cast<void>(ordered_json(value)); }), pointer, message);
  std::ostringstream out;
  out << value;
  CHECK(out.str() == (pointer.empty() ? "" : pointer + ": ") + message);
}

}  // namespace

TEST_CASE("A required member that is absent is an Error with the pointer of the object") {
  using owed::Container;
  check_refused<Container>("{}", "", absent("id"));
  check_refused<Container>(R"({"pid":7})", "", absent("id"));
  check_refused<Container>(R"({"id":"a"})", "", absent("pid"));
  check_refused<Container>(R"({"id":"a","owner":"me","x":{"pid":7}})", "", absent("pid"));
  check_refused<Container>(R"({"id":"a","Pid":7,"pid ":7,"pi":7})", "", absent("pid"));
}

TEST_CASE("A document that has the required members is read, in any order and spelling") {
  using owed::Container;
  for (const std::string text : {R"({"id":"a","pid":7})", R"({"pid":7,"x":[],"id":"a"})",
                                 R"({"p\u0069d":7,"\u0069d":"a"})"}) {
    CAPTURE(text);
    CHECK(parse<Container>(text) == Container{"a", 7, {}});
    CHECK(reading_dispute<Container>(text) == "");
  }
}

TEST_CASE(
    "Of several required members that are absent, the first of the list `required` is named") {
  check_refused<owed::Process>("{}", "", absent("args"));
  check_refused<owed::Process>(R"({"args":[]})", "", absent("pid"));
  check_refused<owed::Wide>("{}", "", absent("99"));
  check_refused<owed::Wide>(R"({"99":1})", "", absent("64"));
  check_refused<owed::Wide>(R"({"0":1,"63":1,"99":1})", "", absent("64"));
  check_refused<owed::Wide>(R"({"64":1,"99":1})", "", absent("63"));
  check_refused<owed::Wide>(R"({"0":1,"6":1,"69":1,"71":1,"98":1})", "", absent("99"));
  CHECK(parse<owed::Wide>(R"({"63":1,"64":1,"99":2})").values[99] == 2);
}

TEST_CASE("An error of a member that is there comes before a required member that is not") {
  check_refused<owed::Container>(R"({"id":7})", "/id", "expected a string, found 7");
  check_refused<owed::Container>(R"({"owner":7})", "/owner", "expected a string, found 7");
  check_refused<owed::Pod>(R"({"first":{"id":"a"},"more":[{"id":7}]})", "/first", absent("pid"));
  check_refused<owed::Container>(R"({"id":"a","id":"a"})", "/id",
                                 R"(expected one member named "id", found two)");
  check_refused<owed::Container>("[]", "", "expected an object, found an array");
  check_refused<owed::Container>("null", "", "expected an object, found null");
}

TEST_CASE("A null counts as there, and the member's type judges it") {
  CHECK(parse<owed::Process>(R"({"pid":null,"args":null})") == owed::Process{});
  CHECK(reading_dispute<owed::Process>(R"({"pid":null,"args":null})") == "");
  check_refused<owed::Container>(R"({"id":null,"pid":7})", "/id", "expected a string, found null");
}

TEST_CASE("A required name that is in no list can never be satisfied") {
  check_refused<owed::Misspelt>("{}", "", absent("nmae"));
  check_refused<owed::Misspelt>(R"({"name":"a"})", "", absent("nmae"));
  check_refused<owed::Misspelt>(R"({"name":"a","nmae":"a"})", "", absent("nmae"));
  check_not_written(owed::Misspelt{"a"}, "", absent("nmae"));
}

TEST_CASE("Required members are exact about the type, as lists are") {
  CHECK(parse<owed::Lenient>("{}") == owed::Lenient{});
  CHECK(oci::dump(owed::Lenient{}) == R"({"id":"","pid":0})");
  CHECK(parse<owed::Strict>(R"({"owner":"me"})").owner == "me");
  check_refused<owed::Strict>(R"({"id":"a","pid":7})", "", absent("owner"));
  check_not_written(owed::Strict{}, "", absent("owner"));
}

TEST_CASE("Nested types and elements have required members of their own") {
  using owed::Pod;
  const std::string first = R"({"first":{"id":"a","pid":1})";
  check_refused<Pod>(R"({"first":{}})", "/first", absent("id"));
  check_refused<Pod>(first + R"(,"more":[{"id":"a","pid":1},{"id":"b"}]})", "/more/1",
                     absent("pid"));
  check_refused<Pod>(first + R"(,"named":{"a/b":{"pid":1}}})", "/named/a~1b", absent("id"));
  check_refused<Pod>(first + R"(,"last":{"pid":1}})", "/last", absent("id"));
  CHECK(parse<Pod>(first + R"(,"last":null})").first.pid == 1);
  CHECK(parse<Pod>("{}") == Pod{});  // nothing is required of what is absent

  check_error(parse_error<std::vector<owed::Container>>(R"([{"id":"a","pid":1},{}])"), "/1",
              absent("id"));
  check_refused<owed::Value<owed::Process>>("{}", "", absent("value"));
  check_refused<owed::Value<owed::Process>>(R"({"value":{"args":[]}})", "/value", absent("pid"));
}

TEST_CASE("Writing refuses a required member that is none, with the same words") {
  check_not_written(owed::Process{}, "", absent("pid"));
  CHECK(oci::dump(owed::Process{7, {}}) == R"({"pid":7,"args":[]})");
  check_not_written(owed::Wide{}, "", absent("99"));
  check_not_written(owed::Value<owed::Process>{}, "/value", absent("pid"));
  check_not_written(owed::Value<std::optional<int>>{}, "", absent("value"));
  check_error(dump_error(std::vector<owed::Process>{{7, {}}, {}}), "/1", absent("pid"));
  check_error(dump_error(std::map<std::string, owed::Process>{{"a/b", {}}}), "/a~1b",
              absent("pid"));
}

TEST_CASE("The default is to require nothing, of State and ContainerProcessState as well") {
  CHECK(parse("{}") == State{});
  CHECK(parse<oci::ContainerProcessState>("{}") == oci::ContainerProcessState{});
}

TEST_CASE("A hook that acts on the status can tell an absent one from a stopped container") {
  using owed::HookState;
  check_refused<HookState>(R"({"ociVersion":"1.2.0","id":"web","bundle":"/b"})", "",
                           absent("status"));
  CHECK(parse<HookState>(R"({"status":"stopped"})").status == ContainerState::stopped);
  CHECK(parse<HookState>(R"({"status":"paused"})").other_status == "paused");
  CHECK(oci::dump(HookState{}) == oci::dump(State{}));
}

TEST_CASE("Conversions of nlohmann's require the same members") {
  owed::Container container{"a", 7, "me"};
  const auto get = [&](const json& document) {
    return error_of([&] { document.get_to(container); });
  };
  check_error(get(json{{"id", "b"}}), "", absent("pid"));
  CHECK(container == owed::Container{"a", 7, "me"});
  check_error(error_of([] { static_cast<void>(ordered_json::object().get<owed::Container>()); }),
              "", absent("id"));
}

#ifndef _WIN32  // where the header has no load and save
TEST_CASE("load, save and update require the same members, and name the file") {
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  write_text(path, "{}");
  check_error(error_of([&] { static_cast<void>(oci::load<owed::Container>(path)); }), "",
              absent("id"), path.string());
  check_error(error_of([&] { oci::save(owed::Process{}, path); }), "", absent("pid"),
              path.string());
  CHECK(read_text(path) == "{}");

  bool is_called = false;
  const auto change = [&](owed::Container&) { is_called = true; };
  check_error(error_of([&] { oci::update<owed::Container>(path, change); }), "", absent("id"),
              path.string());
  CHECK_FALSE(is_called);

  oci::save(owed::Process{7, {"sh"}}, path);
  const auto forget = [](owed::Process& process) { process.pid.reset(); };
  check_error(error_of([&] { oci::update<owed::Process>(path, forget); }), "", absent("pid"),
              path.string());
  CHECK(read_text(path) == R"({"pid":7,"args":["sh"]})");
}
#endif
