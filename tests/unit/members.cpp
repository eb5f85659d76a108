// Types of a runtime's own with a list of members: oci::members, oci::NamedStatus.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../support/container.hpp"
#include "../support/errors.hpp"
#include "../support/files.hpp"
#include "../support/ways.hpp"

using nlohmann::json;
using nlohmann::ordered_json;
using oci::ContainerState;
using oci::Error;
using oci::parse;
using oci::State;
using runtime::Container;

namespace lists {

using oci::operator==;  // for types that do not derive from oci's
using oci::operator!=;
using oci::operator<<;

// A list that extends an extended list.
struct Pod : Container {
  std::string sandbox{};
};

// A type that derives from a listed one, without a list of its own.
struct Unlisted : Container {};

// A type that holds listed ones.
struct Task : oci::ContainerProcessState {
  Container container{};
  std::vector<State> states{};
  std::map<std::string, State> named{};
};

// A list that does not begin with a base's.
struct Named {
  std::string name{};
  ContainerState status{};
  std::optional<ContainerState> wanted{};
};

// A status with another name, in a type that is no State.
struct Phase {
  ContainerState now{};
  std::string other_now{};
};

template <class T>
struct Value {
  T value{};
};

// More names than bytes.
struct Aliases {
  bool on{};
};

// Members whose defaults are not empty.
struct Defaults {
  std::vector<std::string> list{"default"};
  std::map<std::string, std::string> map{{"a", "default"}};
  std::optional<std::int32_t> number{5};
  std::int32_t count{7};
};

// Conversions that know nlohmann::json alone.
struct JsonOnly {
  int number{};
};
inline bool operator==(const JsonOnly& left, const JsonOnly& right) {
  return left.number == right.number;
}
void to_json(json& document, const JsonOnly& value) { document = json{{"number", value.number}}; }
void from_json(const json& document, JsonOnly& value) {
  document.at("number").get_to(value.number);
}

#ifndef _WIN32
// A document that is the name of another.
struct Link {
  State state{};
};
void from_json(const json& document, Link& link) {
  link.state = oci::load(std::filesystem::path(document.get<std::string>()));
}
#endif

// Conversions that throw.
struct Failing {
  int kind{};
};
inline bool operator==(const Failing& left, const Failing& right) {
  return left.kind == right.kind;
}
[[noreturn]] void fail(int kind) {
  if (kind == 1) throw Error("/own~1", "expected better");
  if (kind == 2) throw std::runtime_error("own");
  static_cast<void>(json::object().at("absent"));
  throw 7;
}
template <class Json>
void to_json(Json&, const Failing& value) {
  fail(value.kind);
}
template <class Json>
void from_json(const Json& document, Failing&) {
  fail(document.template get<int>());
}

}  // namespace lists

template <>
inline constexpr auto oci::members<lists::Pod> = [](auto& pod, auto member) {
  oci::members<Container>(pod, member);
  member("sandbox", pod.sandbox);
};

template <>
inline constexpr auto oci::members<lists::Task> = [](auto& task, auto member) {
  oci::members<oci::ContainerProcessState>(task, member);
  member("container", task.container);
  member("states", task.states);
  member("named", task.named);
};

template <>
inline constexpr auto oci::members<lists::Named> = [](auto& named, auto member) {
  member("name", named.name);
  member("status", named.status);
  member("wanted", named.wanted);
};

template <>
inline constexpr auto oci::members<lists::Phase> = [](auto& phase, auto member) {
  member("now", oci::NamedStatus{phase.now, phase.other_now});
};

template <>
inline constexpr auto oci::members<lists::Aliases> = [](auto& aliases, auto member) {
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                           "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"}) {
    member(name, aliases.on);
  }
};

template <>
inline constexpr auto oci::members<lists::Defaults> = [](auto& defaults, auto member) {
  member("list", defaults.list);
  member("map", defaults.map);
  member("number", defaults.number);
  member("count", defaults.count);
};

template <class T>
inline constexpr auto oci::members<lists::Value<T>> =
    [](auto& value, auto member) { member("value", value.value); };

namespace {

template <class T, class = void>
constexpr bool is_comparable = false;
template <class T>
constexpr bool
    is_comparable<T, std::void_t<decltype(std::declval<const T&>() == std::declval<const T&>())>> =
        true;

template <class T, class = void>
constexpr bool is_printable = false;
template <class T>
constexpr bool is_printable<
    T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<const T&>())>> = true;

template <class Json, class T, class = void>
constexpr bool is_readable = false;
template <class Json, class T>
constexpr bool is_readable<
    Json, T, std::void_t<decltype(std::declval<const Json&>().get_to(std::declval<T&>()))>> = true;

static_assert(std::is_constructible_v<json, Container>);
static_assert(std::is_constructible_v<ordered_json, Container>);
static_assert(is_readable<json, Container> && is_readable<ordered_json, Container>);
static_assert(is_comparable<Container> && is_printable<Container>);

// Without a list of its own, a type is never taken for its base: its members would be lost.
static_assert(!std::is_constructible_v<json, lists::Unlisted>);
static_assert(!std::is_constructible_v<ordered_json, lists::Unlisted>);
static_assert(!std::is_constructible_v<json, std::vector<lists::Unlisted>>);
static_assert(!is_readable<json, lists::Unlisted> && !is_readable<ordered_json, lists::Unlisted>);
static_assert(!is_comparable<lists::Unlisted> && !is_printable<lists::Unlisted>);

const std::string minimal_text{
    R"({"ociVersion":"","id":"","status":"stopped","bundle":"","owner":"","terminal":false,)"
    R"("mode":"shared","mounts":[],"ports":[],"groups":{}})"};

const std::string full_text{
    R"({"ociVersion":"1.2.0","id":"web","status":"paused","pid":42,"bundle":"/b",)"
    R"("annotations":{"k":"v"},"owner":"me\n","exitCode":-1,"terminal":true,"mode":"isolated",)"
    R"("mounts":[{"source":"/é","readOnly":true},{"source":"","readOnly":false}],)"
    R"("ports":[0,80,65535],"groups":{"":[],"a":["b","c\""]},"log":"/var//log",)"
    R"("limits":{"memory":18446744073709551615,"nice":-20}})"};

Container full_container() {
  Container container;
  static_cast<State&>(container) = {"1.2.0", "web", ContainerState::other,       "paused",
                                    42,      "/b",  oci::Annotations{{"k", "v"}}};
  container.owner = "me\n";
  container.exit_code = -1;
  container.terminal = true;
  container.mode = runtime::Mode::isolated;
  container.mounts = {{"/é", true}, {"", false}};
  container.ports = {0, 80, 65535};
  container.groups = {{"", {}}, {"a", {"b", "c\""}}};
  container.log = "/var//log";
  container.limits = runtime::Limits{std::numeric_limits<std::uint64_t>::max(), std::int8_t{-20}};
  return container;
}

template <class T>
std::string value_text(const T& value) {
  return oci::dump(lists::Value<T>{value});
}

template <class T>
T value_of(const std::string& text) {
  const std::string document = R"({"value":)" + text + "}";
  CHECK(reading_dispute<lists::Value<T>>(document) == "");
  return parse<lists::Value<T>>(document).value;
}

/// The message for a value that is refused, at /value.
template <class T>
std::string value_message(const std::string& text) {
  const std::string document = R"({"value":)" + text + "}";
  CHECK(reading_dispute<lists::Value<T>>(document) == "");
  const Error error = parse_error<lists::Value<T>>(document);
  CHECK(error.pointer() == "/value");
  return error.message();
}

}  // namespace

// ---- Lists

TEST_CASE("A list may have more names than the struct has bytes") {
  CHECK(parse<lists::Aliases>(R"({"t":true})").on);
  CHECK(is_read_without_document<lists::Aliases>(R"({"a":false,"t":true})"));
  CHECK_FALSE(is_read_without_document<lists::Aliases>(R"({"t":true,"t":true})"));
}

TEST_CASE("What a document has replaces the default of a member, also where it is null or 0") {
  using lists::Defaults;
  const auto [text, list, map, number,
              count] = GENERATE(table<std::string, std::vector<std::string>, oci::Annotations,
                                      std::optional<std::int32_t>, std::int32_t>({
      {"{}", {"default"}, {{"a", "default"}}, 5, 7},
      {R"({"list":["new"],"map":{"a":"new"},"number":6,"count":8})", {"new"}, {{"a", "new"}}, 6, 8},
      {R"({"list":null,"map":{},"number":null,"count":0})", {}, {}, {}, 0},
      {R"({"list":[],"map":{},"number":0,"count":-0})", {}, {}, 0, 0},
  }));
  CHECK(reading_dispute<Defaults>(text) == "");
  CHECK(is_read_without_document<Defaults>(text));
  const auto value = parse<Defaults>(text);
  CHECK(value.list == list);
  CHECK(value.map == map);
  CHECK(value.number == number);
  CHECK(value.count == count);
}

// ---- All ways to convert

TEST_CASE("parse and dump know all members of a list, in its order") {
  CHECK(oci::dump(Container{}) == minimal_text);
  CHECK(oci::dump(full_container()) == full_text);
  CHECK(parse<Container>(full_text) == full_container());
  CHECK(parse<Container>(full_text).log->native() == full_container().log->native());
  CHECK(parse<Container>("{}") == Container{});
  CHECK(is_read_without_document<Container>(full_text));
  CHECK(is_read_without_document<Container>(minimal_text));
  CHECK(is_read_without_document<std::vector<oci::ContainerState>>(R"(["running","stopped"])"));
}

#ifndef _WIN32  // where the header has no load and save
TEST_CASE("load and save know all members of a list") {
  const TemporaryDirectory directory;
  oci::save(full_container(), directory / "state.json");
  CHECK(read_text(directory / "state.json") == full_text);
  CHECK(oci::load<Container>(directory / "state.json") == full_container());
}

TEST_CASE("An Error of another file that a member names has the pointer and the name of that") {
  const TemporaryDirectory directory;
  const auto inner = directory / "inner.json";
  const auto outer = directory / "outer.json";
  write_text(inner, R"({"id":7})");
  write_text(outer, R"({"value":")" + inner.string() + R"("})");
  const Error error =
      error_of([&] { static_cast<void>(oci::load<lists::Value<lists::Link>>(outer)); });
  check_error(error, "/id", "expected a string, found 7", inner.string());
}

TEST_CASE("update knows all members of a list") {
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  oci::save(full_container(), path);
  const auto change = [](Container& container) { container.exit_code = 7; };
  Container expected = full_container();
  expected.exit_code = 7;
  CHECK(oci::update<Container>(path, change) == expected);
  CHECK(oci::load<Container>(path) == expected);
}
#endif

TEST_CASE("nlohmann's conversions know all members of a list") {
  const json sorted = full_container();
  CHECK(sorted == json::parse(full_text));
  CHECK(sorted.get<Container>() == full_container());
  const ordered_json ordered = full_container();
  CHECK(ordered.dump() == full_text);
  CHECK(ordered.get<Container>() == full_container());

  Container target = full_container();
  json::object().get_to(target);
  CHECK(target == Container{});
  CHECK(json(std::vector<Container>{full_container()}).get<std::vector<Container>>() ==
        std::vector<Container>{full_container()});
}

TEST_CASE("from_json of a list changes nothing when it throws") {
  Container target = full_container();
  const json wrong{{"owner", "you"}, {"terminal", 7}};
  CHECK_THROWS_AS(wrong.get_to(target), Error);
  CHECK(target == full_container());
}

TEST_CASE("operator<< prints all members of a list") {
  std::ostringstream out;
  out << full_container();
  CHECK(out.str() == full_text);
  Container container;
  container.owner = "\xff";
  out.str("");
  out << container;
  CHECK(out.str() == R"(/owner: expected UTF-8, found "\ufffd")");
}

TEST_CASE("Containers are equal if all members of the list are") {
  Container other = full_container();
  CHECK(other == full_container());
  CHECK_FALSE(other != full_container());
  SECTION("a member of the base") { other.pid = 43; }
  SECTION("the name of the status") { other.other_status = "starting"; }
  SECTION("owner") { other.owner = "you"; }
  SECTION("exit_code") { other.exit_code.reset(); }
  SECTION("terminal") { other.terminal = false; }
  SECTION("mode") { other.mode = runtime::Mode::shared; }
  SECTION("mounts") { other.mounts[1].read_only = true; }
  SECTION("ports") { other.ports.pop_back(); }
  SECTION("groups") { other.groups.at("a").clear(); }
  SECTION("log") { other.log.reset(); }
  SECTION("limits") { other.limits->nice.reset(); }
  CHECK_FALSE(other == full_container());
  CHECK(other != full_container());
}

// ---- Rules

TEST_CASE("Absent members of a list get their defaults") {
  lists::Value<int> zero;
  CHECK(parse<lists::Value<int>>("{}") == zero);
  const auto task = parse<lists::Task>(R"({"container":{"owner":"me"}})");
  CHECK(task.container.owner == "me");
  CHECK(task.container.mode == runtime::Mode::shared);
  CHECK(task.states.empty());
}

TEST_CASE("Null is none for an optional, no elements for a vector, an Error for the rest") {
  const auto container =
      parse<Container>(R"({"exitCode":null,"log":null,"limits":null,"mounts":null,"ports":null})");
  CHECK(container == Container{});
  CHECK(is_read_without_document<Container>(
      R"({"exitCode":null,"limits":{"nice":null},"ports":null})"));
  for (const std::string name : {"owner", "terminal", "groups"}) {
    CHECK(parse_error<Container>(R"({")" + name + R"(":null})").pointer() == "/" + name);
  }
  CHECK(parse_error<Container>(R"({"limits":{"memory":null}})").pointer() == "/limits/memory");
  CHECK(parse_error<Container>(R"({"groups":{"a":null,"b":[null]}})").pointer() == "/groups/b/0");
}

TEST_CASE("Unknown members are ignored, duplicate ones refused, in a list as well") {
  CHECK(parse<Container>(R"({"x":{"owner":7},"owner":"me","limits":{"x":[]}})").owner == "me");
  CHECK(parse_error<Container>(R"({"owner":"a","owner":"a"})").pointer() == "/owner");
  CHECK(parse_error<Container>(R"({"limits":{"memory":1,"memory":1}})").pointer() ==
        "/limits/memory");
  CHECK(parse_error<Container>(R"({"groups":{"a":[],"a":[]}})").pointer() == "/groups/a");
  CHECK(parse_error<Container>(R"({"mounts":[{"source":"","readOnly":true,"source":""}]})")
            .pointer() == "/mounts/0/source");
}

TEST_CASE("An Error about a member of a list has its pointer") {
  const auto [text, pointer, message] = GENERATE(table<std::string, std::string, std::string>({
      {R"({"owner":7})", "/owner", "expected a string, found 7"},
      {R"({"exitCode":2147483648})", "/exitCode",
       "expected an integer from -2147483648 to 2147483647, found 2147483648"},
      {R"({"ports":{}})", "/ports", "expected an array, found an object"},
      {R"({"ports":[80,65536]})", "/ports/1", "expected an integer from 0 to 65535, found 65536"},
      {R"({"ports":[-1]})", "/ports/0", "expected an integer from 0 to 65535, found -1"},
      {R"({"groups":[]})", "/groups", "expected an object, found an array"},
      {R"({"groups":{"a/b":"c"}})", "/groups/a~1b", R"(expected an array of strings, found "c")"},
      {R"({"groups":{"a":["b",1]}})", "/groups/a/1", "expected a string, found 1"},
      {R"({"log":[]})", "/log", "expected a string, found an array"},
      {R"({"limits":[]})", "/limits", "expected an object, found an array"},
      {R"({"limits":{"nice":128}})", "/limits/nice",
       "expected an integer from -128 to 127, found 128"},
      {R"({"limits":{"memory":18446744073709551616}})", "/limits/memory",
       "expected an integer from 0 to 18446744073709551615, found 1.8446744073709552e+19"},
      {R"({"limits":{"memory":-1}})", "/limits/memory",
       "expected an integer from 0 to 18446744073709551615, found -1"},
      {R"([])", "", "expected an object, found an array"},
  }));
  check_error(parse_error<Container>(text), pointer, message);
  CHECK(reading_dispute<Container>(text) == "");
}

TEST_CASE("nlohmann's exceptions become an Error with the pointer of the member") {
  const auto [text, pointer] = GENERATE(table<std::string, std::string>({
      {R"({"mounts":[{"source":"a","readOnly":true},{"source":"a"}]})", "/mounts/1"},
      {R"({"mounts":[7]})", "/mounts/0"},
  }));
  const auto document = nlohmann::json::parse(text);
  std::string words;  // which differ from version to version
  try {
    static_cast<void>(document.at(nlohmann::json::json_pointer(pointer)).get<runtime::Mount>());
  } catch (const nlohmann::json::exception& error) {
    words = error.what();
  }
  const Error error = parse_error<Container>(text);
  CHECK(error.pointer() == pointer);
  CHECK(!words.empty());
  CHECK(error.message() == words);
  CHECK(error.what() == pointer + ": " + error.message());
  CHECK(reading_dispute<Container>(text) == "");
}

TEST_CASE("dump refuses strings of a list that are not UTF-8, with the pointer") {
  Container container = full_container();
  std::string pointer;
  const std::string bad{"a\xff"};
  SECTION("a string") {
    container.owner = bad;
    pointer = "/owner";
  }
  SECTION("a struct's") {
    container.mounts[1].source = bad;
    pointer = "/mounts/1/source";
  }
  SECTION("a map's name") {
    container.groups[bad];
    pointer = "/groups/" + bad;
  }
  SECTION("an element") {
    container.groups.at("a")[1] = bad;
    pointer = "/groups/a/1";
  }
#ifndef _WIN32
  SECTION("a path") {
    container.log = bad;
    pointer = "/log";
  }
#endif
  const Error error = dump_error(container);
  CHECK(error.pointer() == pointer);
  CHECK(error.message() == R"(expected UTF-8, found "a\ufffd")");
  lists::Task task;
  task.container = container;
  CHECK(dump_error(task).pointer() == "/container" + pointer);
}

// ---- Lists of several kinds

TEST_CASE("A list may extend an extended list") {
  lists::Pod pod;
  static_cast<Container&>(pod) = full_container();
  pod.sandbox = "s";
  const std::string text = full_text.substr(0, full_text.size() - 1) + R"(,"sandbox":"s"})";
  CHECK(oci::dump(pod) == text);
  CHECK(parse<lists::Pod>(text) == pod);
  CHECK(is_read_without_document<lists::Pod>(text));
  CHECK(parse<lists::Pod>(text) != parse<lists::Pod>(full_text));
  CHECK(json(pod).get<lists::Pod>() == pod);
}

TEST_CASE("A list may have listed types as members, also in vectors and maps") {
  lists::Task task;
  static_cast<oci::ContainerProcessState&>(task) = {"1.2.0", {"a"}, 7, {}, full_container()};
  task.container = full_container();
  task.states = {State{}, full_container()};
  task.named = {{"a", State{}}};
  const std::string base =
      full_text.substr(0, full_text.find(R"(,"owner")")) + "}";  // what a State has of it
  const std::string none = R"({"ociVersion":"","id":"","status":"stopped","bundle":""})";
  const std::string text = R"({"ociVersion":"1.2.0","fds":["a"],"pid":7,"state":)" + base +
                           R"(,"container":)" + full_text + R"(,"states":[)" + none + "," + base +
                           R"(],"named":{"a":)" + none + "}}";
  CHECK(oci::dump(task) == text);
  CHECK(parse<lists::Task>(text) == task);
  CHECK(is_read_without_document<lists::Task>(text));
  CHECK(reading_dispute<lists::Task>(text) == "");
  CHECK(writing_dispute(task) == "");
  CHECK(parse_error<lists::Task>(R"({"states":[{},{"annotations":{"a":1}}]})").pointer() ==
        "/states/1/annotations/a");
  CHECK(parse_error<lists::Task>(R"({"named":{"a/b":{"pid":""}}})").pointer() == "/named/a~1b/pid");
  CHECK(parse_error<lists::Task>(R"({"container":{"limits":{"nice":""}}})").pointer() ==
        "/container/limits/nice");
  task.states[1].status = static_cast<ContainerState>(7);
  check_error(dump_error(task), "/states/1/status", "expected a ContainerState, found 7");
}

TEST_CASE("A list may stand for itself") {
  const lists::Named named{"n", ContainerState::running, ContainerState::stopped};
  const std::string text = R"({"name":"n","status":"running","wanted":"stopped"})";
  CHECK(oci::dump(named) == text);
  CHECK(parse<lists::Named>(text) == named);
  std::ostringstream out;
  out << named;
  CHECK(out.str() == text);
  CHECK(oci::dump(lists::Named{}) == R"({"name":"","status":"stopped"})");
}

TEST_CASE("A member that is a bare ContainerState has no place for another name") {
  const std::string message =
      R"(expected "creating", "created", "running" or "stopped" (other names need a State), found )";
  check_error(parse_error<lists::Named>(R"({"status":"paused"})"), "/status",
              message + R"("paused")");
  check_error(parse_error<lists::Named>(R"({"wanted":""})"), "/wanted", message + R"("")");
  check_error(dump_error(lists::Named{"", ContainerState::other, {}}), "/status",
              R"(expected a status of the runtime's own, found "")");
  check_error(dump_error(lists::Named{"", {}, ContainerState::other}), "/wanted",
              R"(expected a status of the runtime's own, found "")");
}

TEST_CASE("A list may have a status with a place for another name") {
  const auto phase = parse<lists::Phase>(R"({"now":"paused"})");
  CHECK(phase.now == ContainerState::other);
  CHECK(phase.other_now == "paused");
  CHECK(oci::dump(phase) == R"({"now":"paused"})");
  check_error(parse_error<lists::Phase>(R"({"now":""})"), "/now",
              R"(expected a string that is not empty, found "")");
}

// ---- Members of several types

TEST_CASE("Each integer type has its own range") {
  CHECK(value_of<std::int8_t>("-128") == -128);
  CHECK(value_of<std::uint8_t>("255") == 255);
  CHECK(value_of<std::int64_t>("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(value_of<std::uint64_t>("18446744073709551615") ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(value_of<std::uint32_t>("-0") == 0);
  CHECK(value_message<std::int8_t>("-129") == "expected an integer from -128 to 127, found -129");
  CHECK(value_message<std::int8_t>("128") == "expected an integer from -128 to 127, found 128");
  CHECK(value_message<std::uint8_t>("256") == "expected an integer from 0 to 255, found 256");
  CHECK(value_message<std::uint8_t>("-1") == "expected an integer from 0 to 255, found -1");
  CHECK(value_message<std::int64_t>("9223372036854775808") ==
        "expected an integer from -9223372036854775808 to 9223372036854775807, "
        "found 9223372036854775808");
  CHECK(value_message<std::uint64_t>("1.0") ==
        "expected an integer from 0 to 18446744073709551615, found 1.0");
  CHECK(value_message<std::uint64_t>("true") ==
        "expected an integer from 0 to 18446744073709551615, found true");
  CHECK(value_text(std::numeric_limits<std::int64_t>::min()) ==
        R"({"value":-9223372036854775808})");
  CHECK(value_text(std::numeric_limits<std::uint64_t>::max()) ==
        R"({"value":18446744073709551615})");
  CHECK(value_text(std::int8_t{-128}) == R"({"value":-128})");
  CHECK(value_text(std::uint8_t{65}) == R"({"value":65})");
}

TEST_CASE("A bool is no integer, and an integer no bool") {
  CHECK(value_of<bool>("true"));
  CHECK(value_text(true) == R"({"value":true})");
  CHECK(value_message<bool>("1") == "expected true or false, found 1");
  CHECK(value_message<bool>("null") == "expected true or false, found null");
  CHECK(value_message<bool>("\"true\"") == R"(expected true or false, found "true")");
  CHECK(value_of<std::vector<bool>>("[true,false]") == std::vector<bool>{true, false});
  CHECK(value_text(std::vector<bool>{true, false}) == R"({"value":[true,false]})");
}

TEST_CASE("Vectors, maps and optionals may be nested") {
  using Nested = std::map<std::string, std::vector<std::map<std::string, std::int16_t>>>;
  const std::string text = R"({"a":[{},{"b":-1,"c":32767}],"d":[]})";
  CHECK(value_text(value_of<Nested>(text)) == R"({"value":)" + text + "}");
  CHECK(parse_error<lists::Value<Nested>>(R"({"value":{"a":[{"b":32768}]}})").pointer() ==
        "/value/a/0/b");
  using Paths = std::vector<std::filesystem::path>;
  CHECK(value_text(value_of<Paths>(R"(["/a//b","c"])")) == R"({"value":["/a//b","c"]})");
  CHECK(value_of<std::optional<Paths>>("null") == std::nullopt);
}

TEST_CASE("Doubles and documents are converted by nlohmann") {
  CHECK(value_of<double>("1.5") == 1.5);
  CHECK(value_of<double>("-1e2") == -100);
  CHECK(value_text(0.1) == R"({"value":0.1})");
  CHECK(value_of<json>(R"({"b":[1,"é"],"a":null})") == json{{"b", {1, "é"}}, {"a", nullptr}});
  CHECK(value_text(json{{"b", 1}, {"a", "é"}}) == R"({"value":{"a":"é","b":1}})");
  CHECK(value_text(ordered_json{{"b", 1}, {"a", 2}}) == R"({"value":{"b":1,"a":2}})");
  CHECK(parse_error<lists::Value<json>>(R"({"value":{"a":[{"b":1,"b":2}]}})").pointer() ==
        "/value/a/0/b");
  lists::Value<json> bad{json{{"a", "\xff"}}};
  check_error(dump_error(bad), "/value/a", R"(expected UTF-8, found "\ufffd")");
}

TEST_CASE("Members whose conversions know nlohmann::json alone work in text and json") {
  using JsonOnly = lists::JsonOnly;
  CHECK(value_of<JsonOnly>(R"({"number":7})").number == 7);
  CHECK(value_text(JsonOnly{7}) == R"({"value":{"number":7}})");
  CHECK(value_text(std::vector<JsonOnly>{{7}}) == R"({"value":[{"number":7}]})");
  CHECK(writing_dispute(lists::Value<JsonOnly>{{7}}) == "");
  CHECK(value_message<JsonOnly>("{}").find("'number' not found") != std::string::npos);
}

TEST_CASE("What a member's own conversion throws becomes an Error if it is nlohmann's") {
  using Failing = lists::Failing;
  check_error(parse_error<lists::Value<Failing>>(R"({"value":1})"), "/value/own~1",
              "expected better");
  CHECK(value_message<Failing>("0").find("'absent' not found") != std::string::npos);
  CHECK_THROWS_AS(parse<lists::Value<Failing>>(R"({"value":2})"), std::runtime_error);

  check_error(dump_error(lists::Value<Failing>{{1}}), "/value/own~1", "expected better");
  const Error error = dump_error(lists::Value<Failing>{{0}});
  CHECK(error.pointer() == "/value");
  CHECK(error.message().find("'absent' not found") != std::string::npos);
  CHECK_THROWS_AS(oci::dump(lists::Value<Failing>{{2}}), std::runtime_error);
}

TEST_CASE("The text is checked before a conversion's own exception goes through") {
  using Failing = lists::Failing;
  CHECK_THROWS_AS(parse<lists::Value<Failing>>(R"({"value":2)"), Error);
  CHECK_THROWS_AS(parse<lists::Value<Failing>>(R"({"value":2,"x":1,"x":1})"), Error);
}
