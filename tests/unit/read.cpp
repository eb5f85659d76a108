// Reading: what each member of a document may hold, and what a document may be.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../support/errors.hpp"
#include "../support/ways.hpp"

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::Error;
using oci::parse;
using oci::State;

namespace {

// A document whose one member `name` is `value`, in JSON.
std::string with(const std::string& name, const std::string& value) {
  return "{\"" + name + "\":" + value + "}";
}

// The document is refused, with the pointer of the member.
template <class T>
void check_refused(const std::string& name, const std::string& value) {
  CHECK(parse_error<T>(with(name, value)).pointer() == "/" + name);
}

// Values that are not strings. Null is tested apart from them.
const std::vector<std::string> not_strings{"true", "false", "0",  "-1",
                                           "1.5",  "[]",    "{}", R"(["a"])"};

const std::vector<std::pair<std::string, std::int32_t>> pids{
    {"0", 0},
    {"-0", 0},
    {"1", 1},
    {"-1", -1},
    {"4242", 4242},
    {" \t\r\n 42 \n", 42},
    {"2147483647", std::numeric_limits<std::int32_t>::max()},
    {"-2147483648", std::numeric_limits<std::int32_t>::min()},
};

const std::vector<std::string> not_pids{
    // Out of range. Cut to 32 or 64 bits, the last ones would be 42.
    "2147483648", "-2147483649", "4294967295", "4294967296", "-4294967296", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "4294967338", "-4294967254", "18446744073709551658",
    // Numbers that are not integers, though some have the value of one.
    "1.5", "1.0", "-1.0", "0.0", "-0.0", "1e2", "1E2", "100e-2", "1e-400",
    // Not numbers.
    "true", "false", R"("42")", R"("")", "[]", "{}", "[42]", R"({"pid":42})"};

// Not JSON.
const std::vector<std::string> not_numbers{"+1",  "01",  "-01",      "00",       "-",
                                           ".5",  "1.",  "1e",       "0x10",     "1_0",
                                           "1,0", "NaN", "Infinity", "-Infinity"};

}  // namespace

// ---- State

TEST_CASE("An empty object is the default State") {
  const State state = parse("{}");
  CHECK(state.version.empty());
  CHECK(state.id.empty());
  CHECK(state.status == ContainerState::stopped);
  CHECK_FALSE(state.pid.has_value());
  CHECK(state.bundle.empty());
  CHECK_FALSE(state.annotations.has_value());
}

TEST_CASE("All members of a State are read") {
  const State state = parse(R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,)"
                            R"("bundle":"/run/web","annotations":{"b":"2","a":""}})");
  CHECK(state.version == "1.2.0");
  CHECK(state.id == "web");
  CHECK(state.status == ContainerState::running);
  CHECK(state.pid == 42);
  CHECK(state.bundle == "/run/web");
  CHECK(state.annotations == oci::Annotations{{"a", ""}, {"b", "2"}});
}

TEST_CASE("Members may come in any order") {
  CHECK(parse(R"({"annotations":{},"bundle":"/b","pid":1,"status":"created","id":"i"})") ==
        State{"", "i", ContainerState::created, {}, 1, "/b", oci::Annotations{}});
}

TEST_CASE("ociVersion, id and bundle must be strings") {
  CHECK(parse(with("ociVersion", R"("1.0.2-dev")")).version == "1.0.2-dev");
  CHECK(parse(with("id", R"("a b/c")")).id == "a b/c");
  CHECK(parse(with("bundle", R"("/srv//x/./y/")")).bundle.native() ==
        std::filesystem::path("/srv//x/./y/").native());
  CHECK(parse(with("bundle", R"("relative")")).bundle == "relative");

  const std::string name = GENERATE("ociVersion", "id", "bundle");
  CHECK(parse(with(name, R"("")")) == State{});
  check_refused<State>(name, "null");
  for (const auto& value : not_strings) check_refused<State>(name, value);
}

TEST_CASE("Escapes in strings are decoded") {
  CHECK(parse(R"({"id":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\uDE00é€😀\u007f"})").id ==
        "\"\\/\b\f\n\r\tAé€😀é€😀\x7f");
  CHECK(parse(R"({"id":"a\u0000b"})").id == std::string("a\0b", 3));
  const auto bundle = parse(R"({"bundle":"/b\u00fcndel"})").bundle.u8string();
  CHECK(std::string(bundle.begin(), bundle.end()) == "/bündel");
  CHECK(parse(R"({"annotations":{"\u00e9":"\u0000"}})").annotations ==
        oci::Annotations{{"é", std::string(1, '\0')}});
  CHECK(parse(R"({"i\u0064":"web"})").id == "web");
}

TEST_CASE("The specification's statuses are read as their enumerators") {
  const auto [name, status] = GENERATE(table<std::string, ContainerState>({
      {"creating", ContainerState::creating},
      {"created", ContainerState::created},
      {"running", ContainerState::running},
      {"stopped", ContainerState::stopped},
  }));
  const State state = parse(with("status", '"' + name + '"'));
  CHECK(state.status == status);
  CHECK(state.other_status.empty());
}

TEST_CASE("Any other status is read with its name") {
  const auto [text, name] = GENERATE(table<std::string, std::string>({
      {"paused", "paused"},
      {"starting", "starting"},
      {"Running", "Running"},
      {"runnin", "runnin"},
      {"runningg", "runningg"},
      {" running", " running"},
      {"other", "other"},
      {R"(running\u0000)", std::string("running\0", 8)},
      {R"(\u0070aused)", "paused"},
      {"en pause à l'été", "en pause à l'été"},
  }));
  const State state = parse(with("status", '"' + text + '"'));
  CHECK(state.status == ContainerState::other);
  CHECK(state.other_status == name);
  CHECK(parse<ContainerProcessState>(with("state", with("status", '"' + text + '"'))).state ==
        state);
}

TEST_CASE("A status must be a string that is not empty") {
  check_refused<State>("status", R"("")");
  check_refused<State>("status", "null");
  for (const auto& value : not_strings) check_refused<State>("status", value);
}

TEST_CASE("A pid must be a 32-bit integer or null") {
  CHECK_FALSE(parse(with("pid", "null")).pid.has_value());
  for (const auto& [text, number] : pids) {
    CAPTURE(text);
    CHECK(parse(with("pid", text)).pid == number);
  }
  for (const auto& text : not_pids) check_refused<State>("pid", text);
  for (const auto& text : not_numbers) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse(with("pid", text)), Error);
  }
}

TEST_CASE("Annotations must be an object of strings or null") {
  CHECK_FALSE(parse(with("annotations", "null")).annotations.has_value());
  CHECK(parse(with("annotations", "{}")).annotations == oci::Annotations{});
  CHECK(parse(with("annotations", R"({"":"","z":"{\"a\":1}","a":"1"})")).annotations ==
        oci::Annotations{{"", ""}, {"a", "1"}, {"z", R"({"a":1})"}});

  for (const std::string value :
       {"[]", R"(["a"])", R"([["a","b"]])", "true", "1", R"("a")", "0.5"}) {
    check_refused<State>("annotations", value);
  }
  for (const std::string value :
       {"null", "true", "false", "1", "-1", "1.5", "[]", "{}", R"(["a"])"}) {
    CHECK(parse_error(R"({"annotations":{"a":"1","b":)" + value + "}}").pointer() ==
          "/annotations/b");
  }
}

// ---- ContainerProcessState

TEST_CASE("An empty object is the default ContainerProcessState") {
  const auto process = parse<ContainerProcessState>("{}");
  CHECK(process.version.empty());
  CHECK(process.fds.empty());
  CHECK(process.pid == 0);
  CHECK_FALSE(process.metadata.has_value());
  CHECK(process.state == State{});
}

TEST_CASE("All members of a ContainerProcessState are read") {
  const auto process = parse<ContainerProcessState>(
      R"({"ociVersion":"1.2.0","fds":["b","seccompFd","b",""],"pid":42,"metadata":"m",)"
      R"("state":{"ociVersion":"1.1.0","id":"web","status":"creating","pid":7,"bundle":"/b",)"
      R"("annotations":{"k":"v"}}})");
  CHECK(process.version == "1.2.0");
  CHECK(process.fds == std::vector<std::string>{"b", "seccompFd", "b", ""});
  CHECK(process.pid == 42);
  CHECK(process.metadata == "m");
  CHECK(process.state.version == "1.1.0");
  CHECK(process.state.id == "web");
  CHECK(process.state.status == ContainerState::creating);
  CHECK(process.state.pid == 7);
  CHECK(process.state.bundle == "/b");
  CHECK(process.state.annotations == oci::Annotations{{"k", "v"}});
}

TEST_CASE("The ociVersion of a ContainerProcessState must be a string") {
  check_refused<ContainerProcessState>("ociVersion", "null");
  for (const auto& value : not_strings) check_refused<ContainerProcessState>("ociVersion", value);
}

TEST_CASE("The fds must be an array of strings or null, which is no elements") {
  CHECK(parse<ContainerProcessState>(with("fds", "null")).fds.empty());
  CHECK(parse<ContainerProcessState>(with("fds", "[]")).fds.empty());

  for (const std::string value : {"true", "0", "1.5", R"("seccompFd")", "{}", R"({"0":"a"})"}) {
    check_refused<ContainerProcessState>("fds", value);
  }
  for (const std::string value : {"null", "true", "0", "1.5", "[]", R"(["a"])", "{}"}) {
    CHECK(parse_error<ContainerProcessState>(R"({"fds":["a",)" + value + ",0]}").pointer() ==
          "/fds/1");
  }
}

TEST_CASE("The pid of a ContainerProcessState must be a 32-bit integer") {
  for (const auto& [text, number] : pids) {
    CAPTURE(text);
    CHECK(parse<ContainerProcessState>(with("pid", text)).pid == number);
  }
  check_refused<ContainerProcessState>("pid", "null");
  for (const auto& text : not_pids) check_refused<ContainerProcessState>("pid", text);
}

TEST_CASE("The metadata must be a string or null") {
  CHECK(parse<ContainerProcessState>(with("metadata", R"("")")).metadata == "");
  CHECK(parse<ContainerProcessState>(with("metadata", R"("{\"a\":1}")")).metadata == R"({"a":1})");
  CHECK_FALSE(parse<ContainerProcessState>(with("metadata", "null")).metadata.has_value());
  for (const auto& value : not_strings) check_refused<ContainerProcessState>("metadata", value);
}

TEST_CASE("The state of a ContainerProcessState is read as a State is") {
  CHECK(parse<ContainerProcessState>(with("state", R"({"pid":null,"x":[]})")).state == State{});
  for (const std::string value : {"null", "true", "0", R"("a")", "[]", "[{}]"}) {
    check_refused<ContainerProcessState>("state", value);
  }
  for (const auto& value : not_pids) {
    CHECK(parse_error<ContainerProcessState>(with("state", with("pid", value))).pointer() ==
          "/state/pid");
  }
}

// ---- Documents

TEST_CASE("A document must be an object") {
  const std::string text = GENERATE("null", "true", "42", "1.5", R"("{}")", "[]", "[{}]");
  CAPTURE(text);
  CHECK_THROWS_AS(parse(text), Error);
  CHECK_THROWS_AS(parse<ContainerProcessState>(text), Error);
}

TEST_CASE("White space is allowed around and in a document") {
  CHECK(parse(" \t\r\n{ \"id\" :\t\"web\"\r\n}\n\n ").id == "web");
}

TEST_CASE("Unknown members are ignored, whatever they hold") {
  const std::string members =
      R"("rootfs":"/r","created":"2024-01-01T00:00:00Z","owner":null,"a":1.5e300,"b":-0.0,"":true,)"
      R"("c":18446744073709551615,"d":[[],{},[{"pid":"x","id":null}]],"e":{"id":7,"status":"paused"},)"
      R"("ID":1,"Pid":"x","oci_version":0,"version":[],"STATUS":"x","id ":0,"pi":"d","annotation":0,)"
      R"("pid\u0000":"x")";
  CHECK(parse("{" + members + R"(,"id":"web"})") == State{"", "web"});
  CHECK(parse(R"({"fds":7,"metadata":7,"state":7})") == State{});
  CHECK(parse<ContainerProcessState>("{" + members + R"(,"pid":7,"id":1,"state":{)" + members +
                                     R"(,"id":"web"}})") ==
        ContainerProcessState{"", {}, 7, {}, State{"", "web"}});
}

TEST_CASE("An unknown member may be nested 100,000 deep") {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  CHECK(parse(R"({"x":)" + deep + R"(,"id":"web"})").id == "web");
}

TEST_CASE("Text that is not JSON is refused") {
  const std::string text = GENERATE(
      // Empty or truncated.
      "", " ", "\n", "{", "}", R"({"id")", R"({"id":)", R"({"id":"web")", R"({"id":"web)",
      R"({"id":"})", R"({"id":"web",)", "nul", "\xef\xbb\xbf",
      // Text after the document.
      "{} {}", "{}{}", "{}x", "{},", "{}]", "{}}", "{}\n0", R"({"id":"web"}garbage)", "{}//",
      "{}\v",
      // What other languages allow.
      R"({"id":"web",})", R"({,})", R"({"x":[1,]})", R"({"x":[,1]})", R"({id:"web"})",
      R"({'id':'web'})", R"({"id":'web'})", "{/**/}", "{}// end", "{}/* end */", "# x\n{}",
      R"({"id"="web"})", R"({"id" "web"})", R"({"id":"a" "b"})", R"({1:"a"})", R"({null:1})",
      // Invalid values.
      R"({"x":NaN})", R"({"x":nan})", R"({"x":Infinity})", R"({"x":undefined})", R"({"x":True})",
      R"({"x":NULL})", R"({"x":1e999})", R"({"x":-1e999})", R"({"x":tru})", R"({"pid":nul})",
      R"({"pid":nullnull})", R"({"pid":n42})", R"({"annotations":n{}})", R"({"metadata":n"a"})",
      R"({"fds":n["a"]})", R"({"pid":nulln})", R"({"x":1"y":2})", R"({"x":"a"1})", R"({"x":]})",
      R"({"x":[}})", R"({"x":{]})", R"({"x":})", R"({"id":"a","id":})", R"({"x":,"y":1})",
      R"({"x"::1})", R"({"x":1)", R"({"x":[1)", R"({"x":"\)", "{\"x\":1\v}",
      // A byte order mark that is not at the beginning.
      "{\"x\":\xEF\xBB\xBF"
      "1}",
      "{\"x\":\xEF\xBB\xBF\"a\"}", "{\"id\":\xEF\xBB\xBF\"a\"}", "{\xEF\xBB\xBF\"x\":1}",
      "{}\xEF\xBB\xBF", "\xEF\xBB\xBF\xEF\xBB\xBF{}",
      // Invalid strings.
      "{\"id\":\"a\nb\"}", "{\"id\":\"\t\"}", "{\"id\":\"\x1f\"}", R"({"id":"\x41"})",
      R"({"id":"\u12"})", R"({"id":"\u12g4"})", R"({"id":"\'"})", R"({"id":"\)", R"({"id":"\"})",
      R"({"id":"\ud800"})", R"({"id":"\ud800x"})", R"({"id":"\ud800\u0041"})", R"({"id":"\udc00"})",
      R"({"id":"\ude00\ud83d"})", R"({"\ud800":1})");
  CAPTURE(text);
  CHECK_THROWS_AS(parse(text), Error);
  CHECK_THROWS_AS(parse<ContainerProcessState>(text), Error);
  CHECK_THROWS_AS(parse<nlohmann::json>(text), Error);
}

TEST_CASE("Text that is not UTF-8 is refused, also in an unknown member") {
  const std::string bad = GENERATE(from_range(invalid_utf8));
  CAPTURE(bad);
  CHECK_THROWS_AS(parse("{\"id\":\"" + bad + "\"}"), Error);
  CHECK_THROWS_AS(parse("{\"" + bad + "\":1}"), Error);
  CHECK_THROWS_AS(parse("{\"x\":[\"" + bad + "\"]}"), Error);
  CHECK_THROWS_AS(parse("{\"annotations\":{\"" + bad + "\":\"\"}}"), Error);
  CHECK_THROWS_AS(parse("{\"annotations\":{\"a\":\"" + bad + "\"}}"), Error);
  CHECK_THROWS_AS(parse("{" + bad + "}"), Error);
  CHECK_THROWS_AS(parse("{}" + bad), Error);
  CHECK_THROWS_AS(parse(bad), Error);
}

TEST_CASE("A NUL byte is refused anywhere") {
  using namespace std::string_literals;
  const std::string text =
      GENERATE("\0"s, "{}\0"s, "{}\n\0"s, "{}\0\0\0\0"s, "{}\0garbage"s, "\0{}"s, "{\0}"s,
               "{\"id\0\":1}"s, "{\"id\":\"a\0b\"}"s, "{\"id\":\0\"a\"}"s,
               "{\"id\":\"a\"}\0{\"id\":\"b\"}"s, "{\"pid\":1\0}"s);
  CAPTURE(text);
  CHECK_THROWS_AS(parse(text), Error);
  CHECK_THROWS_AS(parse<ContainerProcessState>(text), Error);
  CHECK_THROWS_AS(parse<nlohmann::json>(text), Error);
}

TEST_CASE("A duplicate name in an object is refused, at any depth") {
  const auto [text, pointer] = GENERATE(table<std::string, std::string>({
      {R"({"id":"a","id":"b"})", "/id"},
      {R"({"id":"a","id":"a"})", "/id"},
      {R"({"id":"a","pid":1,"id":"a"})", "/id"},
      {R"({"pid":null,"pid":null})", "/pid"},
      {R"({"id":"a","\u0069d":"b"})", "/id"},
      {R"({"\u0069\u0064":"a","id":"b"})", "/id"},
      {R"({"é":1,"\u00e9":2})", "/é"},
      {R"({"😀":1,"\ud83d\ude00":2})", "/😀"},
      {R"({"":1,"":2})", "/"},
      {R"({"x":1,"x":{}})", "/x"},
      {R"({"x":1,"\u0078":1})", "/x"},
      {R"({"\u0078":1,"x":1})", "/x"},
      {R"({"\u0078":1,"\u0078":1})", "/x"},
      {R"({"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0,"k":0,"l":0,"m":0,"n":0,)"
       R"("o":0,"p":0,"q":0,"r":0,"q":0})",
       "/q"},
      {R"({"status":"running","status":"running"})", "/status"},
      {R"({"x":{"y":[1],"y":[2]}})", "/x/y"},
      {R"({"x":[0,[{"a":1},{"b":{"c/d":1,"e~":2,"c/d":3}}]]})", "/x/1/1/b/c~1d"},
      {R"({"x":{"a":1},"y":{"a":1,"a":1}})", "/y/a"},
      {R"({"annotations":{"k":"v","k":"v"}})", "/annotations/k"},
      {R"({"annotations":{"k":"v","l":"","\u006b":"w"}})", "/annotations/k"},
      {R"({"annotations":{},"annotations":{"k":"v"}})", "/annotations"},
      {R"({"state":{"id":"a","id":"b"}})", "/state/id"},
      {R"({"state":{"annotations":{"k":"","k":""}}})", "/state/annotations/k"},
  }));
  CHECK(parse_error<State>(text).pointer() == pointer);
  CHECK(parse_error<ContainerProcessState>(text).pointer() == pointer);
  CHECK(parse_error<nlohmann::json>(text).pointer() == pointer);
  CHECK(parse_error<nlohmann::ordered_json>(text).pointer() == pointer);
}

TEST_CASE("Different objects may have members of the same name") {
  CHECK(parse(R"({"id":"web","x":{"id":1,"x":{"id":2}},"y":[{"id":3},{"id":4}],"z":"id"})").id ==
        "web");
  CHECK(parse(R"({"a":1,"A":1,"a ":1,"a\u0000":1,"á":1,"a\u0301":1})") == State{});
}

// ---- from_json

namespace {

const State old_state{"1.0.0", "old",  ContainerState::other,       "paused",
                      7,       "/old", oci::Annotations{{"o", "l"}}};
const ContainerProcessState old_process{"1.0.0", {"old"}, 7, "old", old_state};

}  // namespace

TEST_CASE("from_json sets absent members to their defaults") {
  const auto json = nlohmann::json::object();
  State state = old_state;
  json.get_to(state);
  CHECK(state == State{});
  CHECK(state.other_status.empty());

  ContainerProcessState process = old_process;
  json.get_to(process);
  CHECK(process == ContainerProcessState{});

  process = old_process;
  nlohmann::json::parse(R"({"state":{"id":"new"},"fds":null})").get_to(process);
  CHECK(process == ContainerProcessState{"", {}, 0, {}, State{"", "new"}});
}

TEST_CASE("from_json changes nothing when it throws") {
  const auto good = nlohmann::ordered_json::parse(
      R"({"ociVersion":"1.2.0","id":"new","status":"created","pid":1,"bundle":"/new",)"
      R"("annotations":{"n":"w"}})");
  SECTION("a State, whichever member is wrong") {
    auto json = good;
    const std::string name = GENERATE("ociVersion", "id", "status", "pid", "bundle", "annotations");
    json[name] = 1.5;
    State state = old_state;
    CHECK_THROWS_AS(json.get_to(state), Error);
    CHECK(state == old_state);
  }
  SECTION("a State, at the last of the annotations") {
    auto json = good;
    json["annotations"]["z"] = nullptr;
    State state = old_state;
    CHECK_THROWS_AS(json.get_to(state), Error);
    CHECK(state == old_state);
  }
  SECTION("a ContainerProcessState, whichever member is wrong") {
    nlohmann::ordered_json json{{"ociVersion", "1.2.0"},
                                {"fds", {"new", "new"}},
                                {"pid", 1},
                                {"metadata", "new"},
                                {"state", good}};
    const std::string pointer = GENERATE("/ociVersion", "/fds", "/fds/1", "/pid", "/metadata",
                                         "/state", "/state/id", "/state/annotations/n");
    json.at(nlohmann::ordered_json::json_pointer(pointer)) = 1.5;
    ContainerProcessState process = old_process;
    CHECK_THROWS_AS(json.get_to(process), Error);
    CHECK(process == old_process);
  }
  SECTION("a ContainerState") {
    ContainerState status = ContainerState::running;
    CHECK_THROWS_AS(nlohmann::json("paused").get_to(status), Error);
    CHECK_THROWS_AS(nlohmann::json("other").get_to(status), Error);
    CHECK_THROWS_AS(nlohmann::json("").get_to(status), Error);
    CHECK_THROWS_AS(nlohmann::json(0).get_to(status), Error);
    CHECK_THROWS_AS(nlohmann::json().get_to(status), Error);
    CHECK(status == ContainerState::running);
  }
}

TEST_CASE("from_json does not change the json") {
  const std::string text =
      R"({"annotations":{"k":"a value that is too long for a string's own buffer"},"id":"web"})";
  auto json = nlohmann::json::parse(text);
  static_cast<void>(json.get<State>());
  CHECK(json.dump() == text);
}

TEST_CASE("A ContainerState converts on its own") {
  CHECK(nlohmann::json("creating").get<ContainerState>() == ContainerState::creating);
  CHECK(nlohmann::json("created").get<ContainerState>() == ContainerState::created);
  CHECK(nlohmann::ordered_json("running").get<ContainerState>() == ContainerState::running);
  CHECK(nlohmann::ordered_json("stopped").get<ContainerState>() == ContainerState::stopped);
  CHECK(parse<ContainerState>(R"("created")") == ContainerState::created);
  CHECK_THROWS_AS(parse<ContainerState>(R"("paused")"), Error);
}

TEST_CASE("from_json reads integers of a json that was built in C++") {
  CHECK(nlohmann::json{{"pid", 42U}}.get<State>().pid == 42);
  CHECK(nlohmann::json{{"pid", std::int64_t{-42}}}.get<State>().pid == -42);
  CHECK(nlohmann::json{{"pid", std::int64_t{2147483647}}}.get<State>().pid == 2147483647);
  const nlohmann::json json =
      GENERATE(nlohmann::json(std::uint64_t{2147483648}), nlohmann::json(std::int64_t{2147483648}),
               nlohmann::json(std::int64_t{-2147483649}), nlohmann::json(42.0),
               nlohmann::json(true), nlohmann::json(std::numeric_limits<std::uint64_t>::max()));
  CAPTURE(json);
  CHECK_THROWS_AS((nlohmann::json{{"pid", json}}.get<State>()), Error);
  CHECK_THROWS_AS((nlohmann::json{{"pid", json}}.get<ContainerProcessState>()), Error);
}

TEST_CASE("Statuses of a runtime's own are read from any kind of json") {
  const State paused{"", "", ContainerState::other, "paused"};
  CHECK(nlohmann::json{{"status", "paused"}}.get<State>() == paused);
  CHECK(nlohmann::ordered_json{{"status", "paused"}}.get<State>() == paused);
}

TEST_CASE("Of two errors in a document the first by name is reported") {
  CHECK(parse_error(R"({"status":1,"pid":"","ociVersion":1,"id":1,"annotations":{"b":1,"a":2}})")
            .pointer() == "/annotations/a");
  CHECK(parse_error(R"({"status":1,"pid":"","ociVersion":1,"id":1})").pointer() == "/id");
  CHECK(parse_error<ContainerProcessState>(R"({"state":{"pid":"","id":1},"pid":""})").pointer() ==
        "/pid");
  const auto ordered = nlohmann::ordered_json::parse(R"({"status":1,"pid":"","id":1})");
  CHECK(error_of([&] { static_cast<void>(ordered.get<State>()); }).pointer() == "/status");
}

TEST_CASE("parse and from_json agree") {
  const std::string text = GENERATE(
      "{}", "[]", "null", "7", R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42})",
      R"({"bundle":"/b","annotations":{"a":"b","":""},"x":[1]})",
      R"({"pid":null,"annotations":null})", R"({"fds":null,"state":{"pid":-1},"metadata":null})",
      R"({"fds":["a","b"],"pid":3})", R"({"fds":["a",1]})",
      R"({"state":{"annotations":{"a/b":1}}})", R"({"pid":1e2})", R"({"pid":2147483648})",
      R"({"id":null})", R"({"status":"paused"})", R"({"status":""})", R"({"annotations":{"a":1}})",
      R"({"pid":-0,"bundle":"/a//b/"})");
  CAPTURE(text);
  CHECK(reading_dispute<State>(text) == "");
  CHECK(reading_dispute<ContainerProcessState>(text) == "");
}
