// Types with a to_json and from_json of their own, and other kinds of json. (Lists of members are
// in members.cpp.)

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../support/errors.hpp"
#include "../support/files.hpp"

using nlohmann::json;
using nlohmann::ordered_json;
using oci::ContainerProcessState;
using oci::ContainerState;
using oci::parse;
using oci::State;

namespace own {

// ---- Conversions that know nlohmann::json alone

struct Service : State {
  std::string owner{};
};

bool operator==(const Service& left, const Service& right) {
  return static_cast<const State&>(left) == static_cast<const State&>(right) &&
         left.owner == right.owner;
}

void to_json(json& document, const Service& service) {
  document = static_cast<const State&>(service);
  document["owner"] = service.owner;
}

void from_json(const json& document, Service& service) {
  document.get_to(static_cast<State&>(service));
  document.at("owner").get_to(service.owner);
}

// ---- Conversions for any kind of json

struct Process : ContainerProcessState {
  std::string owner{};
};

template <class Json>
void to_json(Json& document, const Process& process) {
  document = static_cast<const ContainerProcessState&>(process);
  document["owner"] = process.owner;
}

template <class Json>
void from_json(const Json& document, Process& process) {
  document.get_to(static_cast<ContainerProcessState&>(process));
  document.at("owner").get_to(process.owner);
}

// ---- Conversions for any kind of json and for a family of types

struct Sandbox : State {
  std::string owner{};
};

struct Pod : Sandbox {};

template <class Json, class T, std::enable_if_t<std::is_base_of_v<Sandbox, T>, int> = 0>
void to_json(Json& document, const T& pod) {
  document = static_cast<const State&>(pod);
  document["owner"] = pod.owner;
}

template <class Json, class T, std::enable_if_t<std::is_base_of_v<Sandbox, T>, int> = 0>
void from_json(const Json& document, T& pod) {
  document.get_to(static_cast<State&>(pod));
  document.at("owner").get_to(pod.owner);
}

// ---- A specialisation of nlohmann's adl_serializer, and no default constructor

struct Task : State {
  explicit Task(std::string name) : owner(std::move(name)) {}
  std::string owner;
};

// ---- Types that hold a State, and derive from nothing

struct Group {
  std::vector<State> members{};
  State leader{};
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Group, members, leader)
};

struct Wanted {
  ContainerState status{};
  State state{};
};

template <class Json>
void to_json(Json& document, const Wanted& wanted) {
  document["wanted"] = wanted.status;
  document["state"] = wanted.state;
}

template <class Json>
void from_json(const Json& document, Wanted& wanted) {
  document.at("wanted").get_to(wanted.status);
  document.at("state").get_to(wanted.state);
}

// ---- Types without a list and without conversions

struct Bare : State {
  std::string owner{};
};

struct BareProcess : ContainerProcessState {
  std::string owner{};
};

// ---- Conversions that throw

struct Failing {};

void from_json(const json& document, Failing&) {
  if (document.contains("error")) throw oci::Error("/own~1", "expected better");
  if (document.contains("runtime_error")) throw std::runtime_error("own");
  if (document.contains("number")) throw 7;
  static_cast<void>(document.at("absent"));
}

// It throws before it has written anything: the constructor of nlohmann's json would leak that.
void to_json(json&, const Failing&) { throw std::runtime_error("own"); }

#ifndef _WIN32  // where the header has no load and save
// A document that is the name of another.
struct Link {
  State state{};
};

void from_json(const json& document, Link& link) {
  link.state = oci::load(std::filesystem::path(document.get<std::string>()));
}
#endif

// Conversions that quote the document.
struct Quoting {};

void from_json(const json& document, Quoting&) {
  static_cast<void>(document.at(document.at("name").get<std::string>()));
}

struct FailingInNlohmann {};

void to_json(json&, const FailingInNlohmann&) { static_cast<void>(json::object().at("absent")); }

}  // namespace own

namespace nlohmann {
template <>
struct adl_serializer<own::Task> {
  template <class Json>
  static void to_json(Json& document, const own::Task& task) {
    document = static_cast<const State&>(task);
    document["owner"] = task.owner;
  }
  template <class Json>
  static own::Task from_json(const Json& document) {
    own::Task task(document.at("owner").template get<std::string>());
    document.get_to(static_cast<State&>(task));
    return task;
  }
};
}  // namespace nlohmann

namespace {

template <class Json, class T, class = void>
constexpr bool is_readable = false;
template <class Json, class T>
constexpr bool is_readable<
    Json, T, std::void_t<decltype(std::declval<const Json&>().get_to(std::declval<T&>()))>> = true;

static_assert(std::is_constructible_v<json, State>);
static_assert(std::is_constructible_v<ordered_json, State>);
static_assert(is_readable<json, State> && is_readable<ordered_json, State>);
static_assert(std::is_constructible_v<json, ContainerProcessState>);
static_assert(std::is_constructible_v<ordered_json, ContainerProcessState>);
static_assert(is_readable<json, ContainerProcessState>);
static_assert(is_readable<ordered_json, ContainerProcessState>);

static_assert(!std::is_constructible_v<json, own::Bare>);
static_assert(!std::is_constructible_v<ordered_json, own::Bare>);
static_assert(!is_readable<json, own::Bare> && !is_readable<ordered_json, own::Bare>);
static_assert(!std::is_constructible_v<json, own::BareProcess>);
static_assert(!std::is_constructible_v<ordered_json, own::BareProcess>);
static_assert(!is_readable<json, own::BareProcess> && !is_readable<ordered_json, own::BareProcess>);
static_assert(!std::is_constructible_v<json, std::vector<own::Bare>>);
static_assert(!is_readable<json, std::vector<own::Bare>>);

// A type whose conversions know json alone must not become an ordered_json as its base.
static_assert(std::is_constructible_v<json, own::Service>);
static_assert(!std::is_constructible_v<ordered_json, own::Service>);
static_assert(is_readable<json, own::Service>);

const State web{"1.2.0", "web", ContainerState::running,     {},
                42,      "/b",  oci::Annotations{{"k", "v"}}};
const std::string web_text{
    R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,"bundle":"/b",)"
    R"("annotations":{"k":"v"}})"};
const std::string web_members{web_text.substr(0, web_text.size() - 1)};

/// `value` is written as `text`, which is read back as a value that is written as the same text.
template <class T>
void check_ways(const T& value, const std::string& text) {
  CHECK(oci::dump(value) == text);
  CHECK(oci::dump(parse<T>(text)) == text);
#ifndef _WIN32
  const TemporaryDirectory directory;
  oci::save(value, directory / "state.json");
  CHECK(read_text(directory / "state.json") == text);
  CHECK(oci::dump(oci::load<T>(directory / "state.json")) == text);
#endif
}

}  // namespace

TEST_CASE("A type whose conversions know json alone keeps its members, in json's order") {
  own::Service service;
  static_cast<State&>(service) = web;
  service.owner = "me";
  check_ways(service, R"({"annotations":{"k":"v"},"bundle":"/b","id":"web","ociVersion":"1.2.0",)"
                      R"("owner":"me","pid":42,"status":"running"})");
  CHECK(parse<own::Service>(oci::dump(service)) == service);
  CHECK(ordered_json::parse(oci::dump(service)).get<own::Service>() == service);
}

TEST_CASE("A type whose conversions are templates keeps its members, in their order") {
  own::Process process;
  static_cast<ContainerProcessState&>(process) = {"1.2.0", {"a"}, 7, "m", web};
  process.owner = "me";
  check_ways(process, R"({"ociVersion":"1.2.0","fds":["a"],"pid":7,"metadata":"m","state":)" +
                          web_text + R"(,"owner":"me"})");
  CHECK(parse<own::Process>(oci::dump(process)).owner == "me");
}

TEST_CASE("A family of types with one pair of templates keeps its members, in their order") {
  own::Sandbox sandbox;
  static_cast<State&>(sandbox) = web;
  sandbox.owner = "me";
  check_ways(sandbox, web_members + R"(,"owner":"me"})");

  own::Pod pod;
  static_cast<State&>(pod) = web;
  pod.owner = "me";
  check_ways(pod, web_members + R"(,"owner":"me"})");
}

TEST_CASE("A type with an adl_serializer, without a default constructor, keeps its members") {
  own::Task task("me");
  static_cast<State&>(task) = web;
  check_ways(task, web_members + R"(,"owner":"me"})");
}

TEST_CASE("A type may hold States") {
  check_ways(own::Wanted{ContainerState::created, web},
             R"({"wanted":"created","state":)" + web_text + "}");

  const own::Group group{{web, State{}}, web};
  const auto read = parse<own::Group>(oci::dump(group));
  CHECK(read.members == group.members);
  CHECK(read.leader == web);
}

TEST_CASE("Containers of States work") {
  check_ways(std::vector<State>{web, State{}},
             "[" + web_text + R"(,{"ociVersion":"","id":"","status":"stopped","bundle":""}])");
  check_ways(std::map<std::string, State>{{"z", web}, {"a", web}},
             R"({"a":)" + web_text + R"(,"z":)" + web_text + "}");
  check_ways(std::vector<ContainerProcessState>{}, "[]");
  CHECK(parse<std::vector<State>>("[" + web_text + ",{}]") == std::vector<State>{web, State{}});
}

TEST_CASE("parse, dump, load and save work with json and ordered_json") {
  check_ways(json::parse(R"({"b":[1,2.5,null,true],"a":{"c":"é"}})"),
             R"({"a":{"c":"é"},"b":[1,2.5,null,true]})");
  check_ways(ordered_json::parse(R"({"b":[1,2.5,null,true],"a":{"c":"é"}})"),
             R"({"b":[1,2.5,null,true],"a":{"c":"é"}})");
  CHECK(parse<ordered_json>(R"({"z":1,"a":[{},[],{"y":-7,"b":18446744073709551615}]})").dump() ==
        R"({"z":1,"a":[{},[],{"y":-7,"b":18446744073709551615}]})");
  check_ways(
      json{std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::int64_t>::min()},
      "[18446744073709551615,-9223372036854775808]");
  CHECK(parse<json>("7") == 7);
  CHECK(parse<json>("null").is_null());
}

TEST_CASE("Documents for types with their own from_json are read as strictly") {
  using namespace std::string_literals;
  const std::string text =
      GENERATE(""s, R"({"owner":"a","owner":"b"})"s, R"({"owner":"a","x":{"y":1,"y":2}})"s,
               R"({"owner":"a"} {})"s, "{\"owner\":\"a\"}\0"s, "{\"owner\":\"\xff\"}"s,
               R"({"owner":"a","pid":1e2})"s, R"({"owner":"a","status":""})"s);
  CAPTURE(text);
  CHECK_THROWS_AS(parse<own::Service>(text), oci::Error);
  CHECK_THROWS_AS(parse<own::Sandbox>(text), oci::Error);
  CHECK_THROWS_AS(parse<own::Task>(text), oci::Error);
}

TEST_CASE("dump refuses a string that is not UTF-8 in any type, with its pointer") {
  const auto pointer_of = [](const auto& value) {
    const oci::Error error = dump_error(value);
    CHECK(error.message() == R"(expected UTF-8, found "\ufffd")");
    return error.pointer();
  };
  own::Service service;
  service.owner = "\xff";
  CHECK(pointer_of(service) == "/owner");
  CHECK(pointer_of(std::vector<State>{State{}, State{"", "\xff"}}) == "/1/id");
  CHECK(pointer_of(json{{"a/b", {{"c", {1, "\xff"}}}}}) == "/a~1b/c/1");
  CHECK(pointer_of(ordered_json{{"a", {{"\xff", 1}}}}) == "/a/\xff");
  CHECK(pointer_of(std::string("\xff")).empty());
}

TEST_CASE("nlohmann's exceptions of a from_json or to_json become an Error, others go through") {
  CHECK(parse_error<own::Service>("{}").message().find("'owner' not found") != std::string::npos);
  CHECK(parse_error<own::Service>(R"({"owner":7})").message().find("must be string") !=
        std::string::npos);
  const oci::Error error = dump_error(own::FailingInNlohmann{});
  CHECK(error.pointer().empty());
  CHECK(error.message().find("'absent' not found") != std::string::npos);

  check_error(parse_error<own::Failing>(R"({"error":0})"), "/own~1", "expected better");
  CHECK_THROWS_AS(parse<own::Failing>(R"({"runtime_error":0})"), std::runtime_error);
  CHECK_THROWS_AS(parse<own::Failing>(R"({"number":0})"), int);
  CHECK_THROWS_AS(oci::dump(own::Failing{}), std::runtime_error);
}

#ifndef _WIN32
TEST_CASE("What nlohmann's exceptions quote of a document is made printable") {
  const oci::Error error = parse_error<own::Quoting>(R"({"name":"a\n\u001b[31m\u009b"})");
  const std::string what = error.what();
  CHECK(what.find(R"('a\n\u001b[31m\u009b' not found)") != std::string::npos);
}

TEST_CASE("The same exceptions in load and save; an Error gets the name of the file") {
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  const auto load_error = [&](const std::string& text) {
    write_text(path, text);
    return error_of([&] { static_cast<void>(oci::load<own::Failing>(path)); });
  };
  check_error(load_error(R"({"error":0})"), "/own~1", "expected better", path.string());
  const oci::Error absent = load_error("{}");
  CHECK(absent.file() == path.string());
  CHECK(absent.message().find("'absent' not found") != std::string::npos);
  const oci::Error writing = error_of([&] { oci::save(own::FailingInNlohmann{}, path); });
  CHECK(writing.file() == path.string());
  CHECK(writing.message().find("'absent' not found") != std::string::npos);

  write_text(path, R"({"runtime_error":0})");
  CHECK_THROWS_AS(oci::load<own::Failing>(path), std::runtime_error);
  write_text(path, R"({"number":0})");
  CHECK_THROWS_AS(oci::load<own::Failing>(path), int);
  CHECK_THROWS_AS(oci::save(own::Failing{}, path), std::runtime_error);
  CHECK(read_text(path) == R"({"number":0})");
}

TEST_CASE("An Error of a from_json that loads another file keeps the name of that") {
  const TemporaryDirectory directory;
  write_text(directory / "inner.json", R"({"id":7})");
  const auto path = directory / "outer.json";
  write_text(path, '"' + (directory / "inner.json").generic_string() + '"');
  const oci::Error error = error_of([&] { static_cast<void>(oci::load<own::Link>(path)); });
  check_error(error, "/id", "expected a string, found 7",
              (directory / "inner.json").generic_string());
}
#endif

TEST_CASE("Kinds of json with other numbers work, but for parse") {
  using small_json = nlohmann::basic_json<std::map, std::vector, std::string, bool, std::int32_t,
                                          std::uint32_t, float>;
  const ContainerProcessState process{"1.2.0", {"a"}, -7, "m", web};
  const small_json document = process;
  CHECK(document.at("state").at("pid") == 42);
  CHECK(document.get<ContainerProcessState>() == process);
  CHECK(small_json(ContainerState::created).get<ContainerState>() == ContainerState::created);

  CHECK(small_json{{"pid", 2147483647U}}.get<State>().pid == 2147483647);
  CHECK(small_json{{"pid", -2147483647 - 1}}.get<State>().pid == -2147483647 - 1);
  CHECK_THROWS_AS((small_json{{"pid", 2147483648U}}.get<State>()), oci::Error);
  CHECK_THROWS_AS((small_json{{"pid", 1.0F}}.get<State>()), oci::Error);

  CHECK(oci::dump(document) ==
        R"({"fds":["a"],"metadata":"m","ociVersion":"1.2.0","pid":-7,"state":)"
        R"({"annotations":{"k":"v"},"bundle":"/b","id":"web","ociVersion":"1.2.0","pid":42,)"
        R"("status":"running"}})");
  CHECK(oci::dump(small_json::parse(R"({"a":[4294967295,-2147483648]})")) ==
        R"({"a":[4294967295,-2147483648]})");
}
