// Errors: where, what was expected and what was found, whatever the input holds.

#include <oci/state.hpp>

#include "catch.hpp"

#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::Error;
using oci::parse;
using oci::State;

static_assert(std::is_base_of_v<nlohmann::json::exception, Error>);
static_assert(std::is_base_of_v<std::exception, Error>);
static_assert(std::is_nothrow_copy_constructible_v<Error>);
static_assert(std::is_nothrow_move_constructible_v<Error>);

namespace {

// The Error that `call` throws.
template <class Call>
Error thrown_by(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no Error was thrown");
  return {"", ""};
}

template <class T = State>
Error refusal(const std::string& text) {
  CAPTURE(text);
  return thrown_by([&] { static_cast<void>(parse<T>(text)); });
}

template <class T>
Error writing_refusal(const T& value) {
  return thrown_by([&] { static_cast<void>(oci::dump(value)); });
}

const std::string statuses{R"("creating", "created", "running" or "stopped")"};
const std::string integer{"an integer from -2147483648 to 2147483647"};

}  // namespace

TEST_CASE("An error in a State says where, what was expected and what was found") {
  const auto [text, pointer, message] = GENERATE_REF(table<std::string, std::string, std::string>({
      {"[]", "", "expected an object, found an array"},
      {"null", "", "expected an object, found null"},
      {R"("web")", "", R"(expected an object, found "web")"},
      {R"({"ociVersion":1.5})", "/ociVersion", "expected a string, found 1.5"},
      {R"({"id":null})", "/id", "expected a string, found null"},
      {R"({"id":true})", "/id", "expected a string, found true"},
      {R"({"id":[1,2]})", "/id", "expected a string, found an array"},
      {R"({"status":"paused"})", "/status", "expected " + statuses + R"(, found "paused")"},
      {R"({"status":null})", "/status", "expected " + statuses + ", found null"},
      {R"({"status":["running"]})", "/status", "expected " + statuses + ", found an array"},
      {R"({"pid":4294967296})", "/pid", "expected " + integer + ", found 4294967296"},
      {R"({"pid":-2147483649})", "/pid", "expected " + integer + ", found -2147483649"},
      {R"({"pid":18446744073709551615})", "/pid",
       "expected " + integer + ", found 18446744073709551615"},
      {R"({"pid":1.5})", "/pid", "expected " + integer + ", found 1.5"},
      {R"({"pid":1.0})", "/pid", "expected " + integer + ", found 1.0"},
      {R"({"pid":false})", "/pid", "expected " + integer + ", found false"},
      {R"({"pid":"42"})", "/pid", "expected " + integer + R"(, found "42")"},
      {R"({"bundle":{}})", "/bundle", "expected a string, found an object"},
      {R"({"annotations":[]})", "/annotations",
       "expected an object whose values are strings, found an array"},
      {R"({"annotations":{"a":"","b":7}})", "/annotations/b", "expected a string, found 7"},
      {R"({"id":"a","id":"b"})", "/id", R"(expected one member named "id", found two)"},
      {R"({"x":{"y":[{},{"z":1,"z":2}]}})", "/x/y/1/z",
       R"(expected one member named "z", found two)"},
  }));
  const Error error = refusal(text);
  CHECK(error.pointer() == pointer);
  CHECK(error.message() == message);
  CHECK(error.what() == (pointer.empty() ? "" : pointer + ": ") + message);
}

TEST_CASE("An error in a ContainerProcessState says where, what was expected and what was found") {
  const auto [text, pointer, message] = GENERATE_REF(table<std::string, std::string, std::string>({
      {"7", "", "expected an object, found 7"},
      {R"({"ociVersion":{}})", "/ociVersion", "expected a string, found an object"},
      {R"({"fds":"seccompFd"})", "/fds", R"(expected an array of strings, found "seccompFd")"},
      {R"({"fds":{}})", "/fds", "expected an array of strings, found an object"},
      {R"({"fds":["a",null]})", "/fds/1", "expected a string, found null"},
      {R"({"fds":["","","","","","","","","","",[]]})", "/fds/10",
       "expected a string, found an array"},
      {R"({"pid":null})", "/pid", "expected " + integer + ", found null"},
      {R"({"pid":2147483648})", "/pid", "expected " + integer + ", found 2147483648"},
      {R"({"metadata":false})", "/metadata", "expected a string, found false"},
      {R"({"state":null})", "/state", "expected an object, found null"},
      {R"({"state":[]})", "/state", "expected an object, found an array"},
      {R"({"state":{"pid":4294967296}})", "/state/pid",
       "expected " + integer + ", found 4294967296"},
      {R"({"state":{"status":""}})", "/state/status", "expected " + statuses + R"(, found "")"},
      {R"({"state":{"annotations":{"k":{}}}})", "/state/annotations/k",
       "expected a string, found an object"},
      {R"({"state":{"id":"a","id":"a"}})", "/state/id",
       R"(expected one member named "id", found two)"},
  }));
  const Error error = refusal<ContainerProcessState>(text);
  CHECK(error.pointer() == pointer);
  CHECK(error.message() == message);
  CHECK(error.what() == (pointer.empty() ? "" : pointer + ": ") + message);
}

TEST_CASE("Pointers are escaped as RFC 6901 asks") {
  const auto [name, pointer] = GENERATE(table<std::string, std::string>({
      {"a/b", "/annotations/a~1b"},
      {"a~b", "/annotations/a~0b"},
      {"~1", "/annotations/~01"},
      {"/~/", "/annotations/~1~0~1"},
      {"", "/annotations/"},
      {"a b", "/annotations/a b"},
      {"é", "/annotations/é"},
      {"io.kubernetes.cri.sandbox-id", "/annotations/io.kubernetes.cri.sandbox-id"},
  }));
  CHECK(refusal(R"({"annotations":{")" + name + R"(":1}})").pointer() == pointer);
  CHECK(
      refusal(R"({"annotations":{")" + name + R"(":"","b":"",")" + name + R"(":""}})").pointer() ==
      pointer);
}

TEST_CASE("What is no JSON is told with its line and column") {
  const auto [text, place] = GENERATE(table<std::string, std::string>({
      {"", "line 1, column 1: "},
      {" ", "line 1, column 2: "},
      {"\n", "line 2, column 1: "},
      {"x", "line 1, column 1: "},
      {"{]", "line 1, column 2: "},
      {"{", "line 1, column 2: "},
      {"{\n", "line 2, column 1: "},
      {"{\n}\n}", "line 3, column 1: "},
      {"{}\n\n  {}", "line 3, column 3: "},
      {"{\n  \"id\": \"web\",\n  \"pid\": ?\n}\n", "line 3, column 10: "},
      {"{\r\n\t\"id\":;}", "line 2, column 7: "},
      {"{\"id\":\"a\nb\"}", "line 1, column 9: "},  // at a newline: the line that it ends
      {"{\"id\":\n\"a\nb\"}", "line 2, column 3: "},
      {"{\"id\":\"a\\\nb\"}", "line 1, column 10: "},
      {"{\"id\":\"é\x01\"}", "line 1, column 10: "},  // in bytes
      {"{\"id\":\"web\"", "line 1, column 12: "},     // at the end: behind it
      {"{\"id\":\"web\"\n", "line 2, column 1: "},
      {"{\"id\":1e999}", "line 1, column 11: "},
      {"{\n\"id\":\"\xff\"}", "line 2, column 7: "},
  }));
  for (const Error& error : {refusal(text), refusal<ContainerProcessState>(text)}) {
    CHECK(error.pointer().empty());
    CHECK(error.message() == error.what());
    CHECK(error.message().substr(0, place.size()) == place);
    // Nothing of nlohmann's own heading is left behind it.
    CHECK(error.message().find("json.exception") == std::string::npos);
    CHECK(error.message().find("line ", place.size()) == std::string::npos);
  }
}

TEST_CASE("A NUL byte is told with its line and column") {
  using namespace std::string_literals;
  CHECK(refusal("\0"s).what() == "line 1, column 1: expected JSON text, found a NUL byte"s);
  CHECK(refusal("{}\0"s).what() == "line 1, column 3: expected JSON text, found a NUL byte"s);
  CHECK(refusal("{}\n\n \0{}"s).what() ==
        "line 3, column 2: expected JSON text, found a NUL byte"s);
}

TEST_CASE("What is no JSON is told in nlohmann's words") {
  CHECK(refusal("{\n  \"id\": ?\n}").what() ==
        std::string("line 2, column 9: syntax error while parsing value - invalid literal; "
                    R"(last read: "\"id\": ?")"));
  CHECK(refusal(R"({"id":"a\x"})").what() ==
        std::string("line 1, column 10: syntax error while parsing value - invalid string: "
                    R"(forbidden character after backslash; last read: "\"a\\x")"));
  CHECK(refusal("{\"id\":\"\xff\"}").what() ==
        std::string("line 1, column 8: syntax error while parsing value - invalid string: "
                    R"(ill-formed UTF-8 byte; last read: "\"\ufffd")"));
  CHECK(refusal("-").what() ==
        std::string("line 1, column 2: syntax error while parsing value - invalid number; "
                    R"(expected digit after '-'; last read: "-")"));
  CHECK(refusal(R"({"id":-1e999})").what() ==
        std::string(R"(line 1, column 12: number overflow parsing "-1e999")"));
  CHECK(refusal("{} {}").what() ==
        std::string("line 1, column 4: syntax error while parsing value - unexpected '{'; "
                    "expected end of input"));
}

// ---- Writing
// -------------------------------------------------------------------------------------

TEST_CASE("A string that is not UTF-8 isn't written, and the error says which it is") {
  const std::string bad{"a\xff"};
  std::string message{R"(expected UTF-8, found "a\ufffd")"};
  State state{"1.2.0", "é", ContainerState::running, 42, "/b", oci::Annotations{{"k", "v"}}};
  std::string pointer;
  SECTION("version") {
    state.version = bad;
    pointer = "/ociVersion";
  }
  SECTION("id") {
    state.id = bad;
    pointer = "/id";
  }
  SECTION("bundle") {
#ifdef _WIN32
    state.bundle = std::wstring{'a', wchar_t{0xD800}};
    message = "expected a path in UTF-16, found half of a surrogate pair";
#else
    state.bundle = bad;
#endif
    pointer = "/bundle";
  }
  SECTION("an annotation's value") {
    state.annotations->emplace("a/b", bad);
    pointer = "/annotations/a~1b";
  }
  SECTION("an annotation's name") {
    state.annotations->emplace(bad, "v");
    pointer = "/annotations/" + bad;
  }
  const Error error = writing_refusal(state);
  CHECK(error.pointer() == pointer);
  CHECK(error.message() == message);
  std::ostringstream printed;
  CHECK_NOTHROW(printed << state);

  ContainerProcessState process;
  process.state = state;
  const Error nested = writing_refusal(process);
  CHECK(nested.pointer() == "/state" + pointer);
  CHECK(nested.message() == message);
}

TEST_CASE("What can't be written is an Error in an array or an object, too") {
  State bad;
  bad.status = static_cast<ContainerState>(7);
  const std::string message = "expected a ContainerState, found 7";
  CHECK(writing_refusal(std::vector<State>{{}, bad}).message() == message);
  CHECK(writing_refusal(std::vector<ContainerState>{bad.status}).message() == message);
  CHECK(writing_refusal(std::map<std::string, State>{{"web", bad}}).message() == message);
}

#ifdef _WIN32
TEST_CASE("A bundle in a json that is not UTF-8 is no path of UTF-16") {
  const nlohmann::json document{{"bundle", "a\xff"}};
  const Error error = thrown_by([&] { static_cast<void>(document.get<State>()); });
  CHECK(error.pointer() == "/bundle");
  CHECK(error.message() == R"(expected UTF-8, found "a\ufffd")");
}
#endif

TEST_CASE("A string of a ContainerProcessState that is not UTF-8 isn't written") {
  ContainerProcessState process{"1.2.0", {"a", "b", "c"}, 42, "m", State{}};
  std::string pointer;
  SECTION("version") {
    process.version = "\x80";
    pointer = "/ociVersion";
  }
  SECTION("fds") {
    process.fds[1] = "\x80";
    pointer = "/fds/1";
  }
  SECTION("metadata") {
    process.metadata = "\x80";
    pointer = "/metadata";
  }
  CHECK(writing_refusal(process).what() == pointer + R"(: expected UTF-8, found "\ufffd")");
}

TEST_CASE("Nothing that is not UTF-8 is written, however it is broken") {
  const std::string bad = GENERATE("\x80", "\xc3", "\xc3(", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80",
                                   "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xff");
  CAPTURE(bad);
  State state;
  state.id = bad;
  CHECK(writing_refusal(state).pointer() == "/id");
}

TEST_CASE("A status that is none of the four isn't written") {
  const auto none = static_cast<ContainerState>(7);
  State state;
  state.status = none;
  ContainerProcessState process;
  process.state = state;
  const std::string message = "expected a ContainerState, found 7";
  CHECK(writing_refusal(none).what() == message);
  CHECK(writing_refusal(state).what() == "/status: " + message);
  CHECK(writing_refusal(process).what() == "/state/status: " + message);
  CHECK(writing_refusal(process).pointer() == "/state/status");
}

// ---- Hostile input
// -------------------------------------------------------------------------------

namespace {

// Fit for a line of a log.
void check_fit(const Error& error) {
  const std::string what = error.what();
  CAPTURE(what.substr(0, 100));
  CHECK(what.size() < 1000);
  CHECK(what.find_first_not_of(" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
                               "abcdefghijklmnopqrstuvwxyz{|}~") == std::string::npos);
}

}  // namespace

TEST_CASE("What is quoted is cut after 64 bytes, never within a character") {
  const std::string a63(63, 'a');
  const auto found = [&](const std::string& status) {
    return refusal(R"({"status":")" + status + R"("})").message();
  };
  const std::string expected = "expected " + statuses + ", found ";
  CHECK(found(a63 + "b") == expected + '"' + a63 + "b\"");
  CHECK(found(a63 + "bc") == expected + '"' + a63 + "b...\"");
  CHECK(found(a63 + "é") == expected + '"' + a63 + "...\"");
  CHECK(found(a63 + "😀") == expected + '"' + a63 + "...\"");
  CHECK(found(a63.substr(2) + "😀") == expected + '"' + a63.substr(2) + "...\"");
  CHECK(found(a63.substr(1) + "éb") == expected + '"' + a63.substr(1) + "\\u00e9...\"");
}

TEST_CASE("What is quoted is printable") {
  CHECK(
      refusal(R"({"status":"\u0000\u0007\n\u001b[31m\"\\\u007f\u0085é\u202e漢😀\ufeff"})")
          .message() ==
      "expected " + statuses +
          R"(, found "\u0000\u0007\n\u001b[31m\"\\\u007f\u0085\u00e9\u202e\u6f22\ud83d\ude00\ufeff")");
  const Error error = refusal("{\"annotations\":{\"a\\\"\\n\\u202e\\u001b\":1}}");
  CHECK(error.pointer() == "/annotations/a\"\n\u202e\x1b");
  CHECK(error.what() ==
        std::string(R"(/annotations/a\"\n\u202e\u001b: expected a string, found 1)"));
}

TEST_CASE("An error about a huge or hostile value is short and printable, its pointer whole") {
  // As JSON has it, as it is, and in a JSON Pointer.
  const auto [json, bytes, escape] = GENERATE(table<std::string, std::string, std::string>({
      {"a", "a", "a"},
      {R"(\u0000)", std::string(1, '\0'), std::string(1, '\0')},
      {R"(\n)", "\n", "\n"},
      {R"(\")", "\"", "\""},
      {R"(\u001b[2J)", "\x1b[2J", "\x1b[2J"},
      {"\x7f", "\x7f", "\x7f"},
      {R"(\u202e)", "\u202e", "\u202e"},
      {"é", "é", "é"},
      {"😀", "😀", "😀"},
      {"~", "~", "~0"},
      {"/", "/", "~1"},
      {"%s", "%s", "%s"},
  }));
  CAPTURE(json);
  std::string huge;
  std::string name;
  std::string step;
  for (int count = 0; count < 100000; ++count) {
    huge += json;
    name += bytes;
    step += escape;
  }

  check_fit(refusal(R"({"status":")" + huge + R"("})"));
  check_fit(refusal(R"({"pid":")" + huge + R"("})"));
  check_fit(refusal<ContainerProcessState>(R"({"fds":")" + huge + R"("})"));
  check_fit(refusal('"' + huge + '"'));

  const Error wrong = refusal(R"({"annotations":{")" + huge + R"(":1}})");
  check_fit(wrong);
  CHECK((wrong.pointer() == "/annotations/" + step));  // no megabytes on the screen

  const Error doubled = refusal(R"({")" + huge + R"(":1,")" + huge + R"(":2})");
  check_fit(doubled);
  CHECK((doubled.pointer() == "/" + step));

  // No JSON: the token that can't be read is the whole string.
  check_fit(refusal(R"({"id":")" + huge + "\n\"}"));
  check_fit(refusal(R"({"id":")" + huge));
  check_fit(refusal(R"({"id":")" + huge + "\xff\"}"));
  check_fit(refusal("{\"id\":\"\xff" + huge));
  check_fit(refusal("{\"id\":" + huge));

  State state;
  state.id = name + "\xff";
  check_fit(writing_refusal(state));
  state.id.clear();
  state.annotations = oci::Annotations{{"\xff" + name, ""}};
  check_fit(writing_refusal(state));
  CHECK((writing_refusal(state).pointer() == "/annotations/\xff" + step));
}

TEST_CASE("An error about a number of 10,000 digits is short") {
  const std::string digits(10000, '7');
  check_fit(refusal(R"({"pid":)" + digits + "}"));
  check_fit(refusal(R"({"pid":-)" + digits + "}"));
  check_fit(refusal(R"({"pid":0.)" + digits + "}"));
  check_fit(refusal(R"({"id":1.5e-)" + digits + "}"));
  check_fit(refusal(R"({"id":)" + digits.substr(0, 300) + "}"));
  check_fit(refusal(R"({"x":)" + digits + "x}"));
}

TEST_CASE("An error about many bytes that are no UTF-8 is short") {
  const std::string bytes = GENERATE("\x80", "\xff", "\xf0\x9f", "\x9b");
  std::string huge;
  while (huge.size() < 100000) huge += bytes;
  check_fit(refusal(huge));
  check_fit(refusal("{\"id\":\"" + huge + "\"}"));
  check_fit(refusal("{" + huge));
  State state;
  state.id = huge;
  check_fit(writing_refusal(state));
  CHECK(writing_refusal(state).pointer() == "/id");
  // In a json that was built, not read.
  check_fit(thrown_by([&] { static_cast<void>(nlohmann::json{{"status", huge}}.get<State>()); }));
}

TEST_CASE("An error deep within a document is short, its pointer whole") {
  std::string text;
  std::string pointer;
  for (int level = 0; level < 10000; ++level) {
    text += R"({"x":[)";
    pointer += "/x/0";
  }
  const Error error = refusal(text + R"({"y":1,"y":2})");
  check_fit(error);
  CHECK((error.pointer() == pointer + "/y"));
}

TEST_CASE("An error about binary data, which a json from CBOR may hold, is short") {
  const nlohmann::json binary = nlohmann::json::binary(std::vector<std::uint8_t>(100000, 7));
  const Error error = thrown_by([&] {
    static_cast<void>(nlohmann::json{{"id", binary}}.get<State>());
  });
  CHECK(error.pointer() == "/id");
  check_fit(error);
}

// ---- The class
// -----------------------------------------------------------------------------------

TEST_CASE("An Error is caught as nlohmann's exception and as the standard library's") {
  CHECK_THROWS_AS(parse(R"({"id":1})"), nlohmann::json::exception);
  CHECK_THROWS_AS(parse("?"), nlohmann::json::exception);
  CHECK_THROWS_AS(parse("?"), std::exception);
  try {
    static_cast<void>(parse(R"({"id":1})"));
    FAIL_CHECK("accepted");
  } catch (const nlohmann::json::exception& error) {
    CHECK(error.id == 0);
    CHECK(error.what() == std::string("/id: expected a string, found 1"));
  }
}

TEST_CASE("An Error of one's own says the file, the pointer and the message") {
  const Error whole{"/a~1b/0", "expected x, found y", "/run/web/state.json"};
  CHECK(whole.what() == std::string("/run/web/state.json: /a~1b/0: expected x, found y"));
  CHECK(whole.pointer() == "/a~1b/0");
  CHECK(whole.message() == "expected x, found y");

  CHECK(Error("/a", "m").what() == std::string("/a: m"));
  CHECK(Error("", "m").what() == std::string("m"));
  CHECK(Error("", "m", "f").what() == std::string("f: m"));
}

TEST_CASE("A copy of an Error says the same, and outlives the original") {
  auto original = std::make_unique<Error>("/a", "m", "f");
  const Error copy = *original;
  original.reset();
  CHECK(copy.what() == std::string("f: /a: m"));
  CHECK(copy.pointer() == "/a");
  CHECK(copy.message() == "m");
  CHECK(copy.id == 0);

  std::exception_ptr held;
  try {
    static_cast<void>(parse(R"({"id":1})"));
  } catch (...) {
    held = std::current_exception();
  }
  CHECK_THROWS_AS(std::rethrow_exception(held), Error);
}

TEST_CASE("An Error that was moved from is as good as before") {
  Error original{"/a", "m", "f"};
  const Error moved = std::move(original);
  CHECK(moved.what() == std::string("f: /a: m"));
  CHECK(moved.pointer() == "/a");
  CHECK(original.what() == std::string("f: /a: m"));
  CHECK(original.pointer() == "/a");
  CHECK(original.message() == "m");
}
