// Errors: pointer, message and file, for any input.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <cstdint>
#include <exception>
#include <list>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../support/errors.hpp"
#include "../support/files.hpp"

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

const std::string name{"a string that is not empty"};
const std::string integer{"an integer from -2147483648 to 2147483647"};

}  // namespace

TEST_CASE("An Error about a State has the pointer, what was expected and what was found") {
  const auto [text, pointer, message] = GENERATE_REF(table<std::string, std::string, std::string>({
      {"[]", "", "expected an object, found an array"},
      {"null", "", "expected an object, found null"},
      {R"("web")", "", R"(expected an object, found "web")"},
      {R"({"ociVersion":1.5})", "/ociVersion", "expected a string, found 1.5"},
      {R"({"id":null})", "/id", "expected a string, found null"},
      {R"({"id":true})", "/id", "expected a string, found true"},
      {R"({"id":[1,2]})", "/id", "expected a string, found an array"},
      {R"({"status":""})", "/status", "expected " + name + R"(, found "")"},
      {R"({"status":null})", "/status", "expected " + name + ", found null"},
      {R"({"status":7})", "/status", "expected " + name + ", found 7"},
      {R"({"status":["running"]})", "/status", "expected " + name + ", found an array"},
      {R"({"pid":4294967296})", "/pid", "expected " + integer + ", found 4294967296"},
      {R"({"pid":-2147483649})", "/pid", "expected " + integer + ", found -2147483649"},
      {R"({"pid":18446744073709551615})", "/pid",
       "expected " + integer + ", found 18446744073709551615"},
      {R"({"pid":1.5})", "/pid", "expected " + integer + ", found 1.5"},
      {R"({"pid":1.0})", "/pid", "expected " + integer + ", found 1.0"},
      {R"({"pid":false})", "/pid", "expected " + integer + ", found false"},
      {R"({"pid":"42"})", "/pid", "expected " + integer + R"(, found "42")"},
      {R"({"bundle":{}})", "/bundle", "expected a string, found an object"},
      {R"({"annotations":[]})", "/annotations", "expected an object of strings, found an array"},
      {R"({"annotations":{"a":"","b":7}})", "/annotations/b", "expected a string, found 7"},
      {R"({"id":"a","id":"b"})", "/id", R"(expected one member named "id", found two)"},
      {R"({"x":{"y":[{},{"z":1,"z":2}]}})", "/x/y/1/z",
       R"(expected one member named "z", found two)"},
  }));
  check_error(parse_error(text), pointer, message);
}

TEST_CASE("An Error about a bare ContainerState says that a State has other names") {
  const std::string expected =
      R"(expected "creating", "created", "running" or "stopped" (other names need a State), found )";
  check_error(parse_error<ContainerState>(R"("paused")"), "", expected + R"("paused")");
  check_error(parse_error<ContainerState>(R"("")"), "", expected + R"("")");
  check_error(parse_error<ContainerState>("null"), "", expected + "null");
  check_error(parse_error<std::vector<ContainerState>>(R"(["running","other"])"), "/1",
              expected + R"("other")");
}

TEST_CASE("An Error about a ContainerProcessState has the pointer of the member") {
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
      {R"({"state":{"status":""}})", "/state/status", "expected " + name + R"(, found "")"},
      {R"({"state":{"annotations":{"k":{}}}})", "/state/annotations/k",
       "expected a string, found an object"},
      {R"({"state":{"id":"a","id":"a"}})", "/state/id",
       R"(expected one member named "id", found two)"},
  }));
  check_error(parse_error<ContainerProcessState>(text), pointer, message);
}

TEST_CASE("Pointers are escaped as in RFC 6901") {
  const auto [key, pointer] = GENERATE(table<std::string, std::string>({
      {"a/b", "/annotations/a~1b"},
      {"a~b", "/annotations/a~0b"},
      {"~1", "/annotations/~01"},
      {"/~/", "/annotations/~1~0~1"},
      {"", "/annotations/"},
      {"a b", "/annotations/a b"},
      {"é", "/annotations/é"},
      {"io.kubernetes.cri.sandbox-id", "/annotations/io.kubernetes.cri.sandbox-id"},
  }));
  CHECK(parse_error(R"({"annotations":{")" + key + R"(":1}})").pointer() == pointer);
  CHECK(parse_error(R"({"annotations":{")" + key + R"(":"","b":"",")" + key + R"(":""}})")
            .pointer() == pointer);
}

TEST_CASE("A syntax error has a line and a column") {
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
      {"{\"id\":\"a\nb\"}", "line 1, column 9: "},  // a newline belongs to the line that it ends
      {"{\"id\":\n\"a\nb\"}", "line 2, column 3: "},
      {"{\"id\":\"a\\\nb\"}", "line 1, column 10: "},
      {"{\"id\":\"é\x01\"}", "line 1, column 10: "},  // columns count bytes
      {"{\"id\":\"web\"", "line 1, column 12: "},     // at the end: one more
      {"{\"id\":\"web\"\n", "line 2, column 1: "},
      {"{\n\"id\":\"\xff\"}", "line 2, column 7: "},
  }));
  for (const Error& error : {parse_error(text), parse_error<ContainerProcessState>(text)}) {
    CHECK(error.pointer().empty());
    CHECK(error.message() == error.what());
    CHECK(error.message().substr(0, place.size()) == place);
    // Without nlohmann's own heading.
    CHECK(error.message().find("json.exception") == std::string::npos);
    CHECK(error.message().find("line ", place.size()) == std::string::npos);
  }
}

TEST_CASE("An Error about a NUL byte has a line and a column") {
  using namespace std::string_literals;
  CHECK(parse_error("\0"s).what() == "line 1, column 1: expected JSON text, found a NUL byte"s);
  CHECK(parse_error("{}\0"s).what() == "line 1, column 3: expected JSON text, found a NUL byte"s);
  CHECK(parse_error("{}\n\n \0{}"s).what() ==
        "line 3, column 2: expected JSON text, found a NUL byte"s);
}

TEST_CASE("A text that begins with no value is quoted, and one that is empty is called so") {
  const auto [text, what] = GENERATE(table<std::string, std::string>({
      {"", "line 1, column 1: expected JSON text, found nothing"},
      {" \n\t", "line 2, column 2: expected JSON text, found nothing"},
      {"\xEF\xBB\xBF", "line 1, column 4: expected JSON text, found nothing"},
      {"\xEF\xBB\xBF \r", "line 1, column 6: expected JSON text, found nothing"},
      {"\xEF\xBB\xBF x", R"(line 1, column 5: expected JSON text, found "x")"},
      {"\xEF\xBB{}", R"(line 1, column 1: expected JSON text, found "\ufffd{}")"},
      {"-", R"(line 1, column 1: expected JSON text, found "-")"},
      {"# x\n{}", R"(line 1, column 1: expected JSON text, found "# x\n{}")"},
      {R"("a)", R"(line 1, column 1: expected JSON text, found "\"a")"},
      {"\n nvidia-container-cli: initialised\n{}",
       R"(line 2, column 2: expected JSON text, found "nvidia-container-cli: initialised\n{}")"},
      {std::string(100, 'x'),
       "line 1, column 1: expected JSON text, found \"" + std::string(64, 'x') + "...\""},
  }));
  CHECK(parse_error(text).what() == what);
  CHECK(parse_error<ContainerProcessState>(text).what() == what);
}

TEST_CASE("A syntax error behind the beginning has nlohmann's words, without their heading") {
  const auto [text, place, token] = GENERATE(table<std::string, std::string, std::string>({
      {"{\n  \"id\": ?\n}", "line 2, column 9: ", R"("\"id\": ?")"},
      {R"({"id":"a\x"})", "line 1, column 10: ", R"("\"a\\x")"},
      {"{\"id\":\"\xff\"}", "line 1, column 8: ", R"("\"\ufffd")"},
      {"{} {}", "line 1, column 4: ", ""},
      {"[1,", "line 1, column 4: ", ""},
  }));
  const std::string what = parse_error(text).what();
  const std::string begin = place + "syntax error ";
  CHECK(what.substr(0, begin.size()) == begin);
  CHECK(what.size() > begin.size() + token.size());
  CHECK(what.find("exception") == std::string::npos);
  CHECK(what.substr(what.size() - token.size()) == token);
}

TEST_CASE("A number that no double can hold is quoted") {
  CHECK(parse_error(R"({"id":-1e999})").what() ==
        std::string(R"(number overflow parsing "-1e999")"));
}

TEST_CASE("Of a wrong token, 64 bytes are quoted, whatever it says") {
  const std::string words = "'; expected '}'";
  const std::string many(100, 'x');
  const std::string what = parse_error("{\"id\":\"" + words + many + "\x01\"}").what();
  const std::string quoted = R"(last read: "\")" + words + std::string(48, 'x') + "...\"";
  CHECK(what.find(quoted) == what.size() - quoted.size());
  CHECK(is_fit_for_a_log(parse_error("{\"id\":\"" + many + words + "\x01\"}")));
  CHECK(is_fit_for_a_log(parse_error("{\"id\":\"" + many + words + many + "\x01\"}")));
}

TEST_CASE("What the parser expected stands behind the wrong token") {
  const std::string what = parse_error(R"({"id":"web" ?})").what();
  CHECK(what.find(R"(; last read: "\"web\" ?"; expected '}')") != std::string::npos);
}

// ---- Writing

TEST_CASE("dump refuses a string that is not UTF-8, with its pointer") {
  const std::string bad{"a\xff"};
  std::string message{R"(expected UTF-8, found "a\ufffd")"};
  State state{"1.2.0", "é", ContainerState::running, {}, 42, "/b", oci::Annotations{{"k", "v"}}};
  std::string pointer;
  SECTION("version") {
    state.version = bad;
    pointer = "/ociVersion";
  }
  SECTION("id") {
    state.id = bad;
    pointer = "/id";
  }
  SECTION("other_status") {
    state.status = ContainerState::other;
    state.other_status = bad;
    pointer = "/status";
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
  const Error error = dump_error(state);
  CHECK(error.pointer() == pointer);
  CHECK(error.message() == message);
  std::ostringstream printed;
  CHECK_NOTHROW(printed << state);

  ContainerProcessState process;
  process.state = state;
  const Error nested = dump_error(process);
  CHECK(nested.pointer() == "/state" + pointer);
  CHECK(nested.message() == message);
}

TEST_CASE("dump refuses a bad status in an array and in an object") {
  State bad;
  bad.status = static_cast<ContainerState>(7);
  const std::string message = "expected a ContainerState, found 7";
  check_error(dump_error(std::vector<State>{{}, bad}), "/1/status", message);
  check_error(dump_error(std::vector<ContainerState>{bad.status}), "/0", message);
  check_error(dump_error(std::map<std::string, State>{{"web", bad}}), "/web/status", message);
}

#ifdef _WIN32
TEST_CASE("A bundle in a json that is not UTF-8 is refused") {
  const nlohmann::json document{{"bundle", "a\xff"}};
  const Error error = error_of([&] { static_cast<void>(document.get<State>()); });
  CHECK(error.pointer() == "/bundle");
  CHECK(error.message() == R"(expected UTF-8, found "a\ufffd")");
}
#endif

TEST_CASE("dump refuses a string of a ContainerProcessState that is not UTF-8") {
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
  CHECK(dump_error(process).what() == pointer + R"(: expected UTF-8, found "\ufffd")");
}

TEST_CASE("dump refuses each kind of invalid UTF-8") {
  const std::string bad = GENERATE(from_range(invalid_utf8));
  CAPTURE(bad);
  State state;
  state.id = bad;
  CHECK(dump_error(state).pointer() == "/id");
}

TEST_CASE("dump of a bare ContainerState has no pointer") {
  check_error(dump_error(static_cast<ContainerState>(7)), "", "expected a ContainerState, found 7");
  check_error(dump_error(ContainerState::other), "",
              R"(expected a status of the runtime's own, found "")");
}

// ---- File names

TEST_CASE("what() escapes control characters and invalid UTF-8 in a file name, and cuts nothing") {
  const auto [file, printed] = GENERATE(table<std::string, std::string>({
      {"/run/a b/\"c\"\\d/été/漢字/😀~", "/run/a b/\"c\"\\d/été/漢字/😀~"},
      {"a\nb\r\t\x1b[2J", R"(a\nb\r\t\u001b[2J)"},
      {"a\x7f", R"(a\u007f)"},
      {"a\xc2\x80\xc2\x9f\xc2\xa0", "a\\u0080\\u009f\xc2\xa0"},
      // The first and last characters of two, three and four bytes, a control character behind
      // each.
      {"\xdf\xbf\n\xe0\xa0\x80\n\xef\xbf\xbf\n\xf0\x90\x80\x80\n",
       "\xdf\xbf\\n\xe0\xa0\x80\\n\xef\xbf\xbf\\n\xf0\x90\x80\x80\\n"},
      {"a\xff"
       "b\xc3",
       R"(a\ufffdb\ufffd)"},
      {std::string("a\0b", 3), R"(a\u0000b)"},
      {std::string(4000, 'x'), std::string(4000, 'x')},
  }));
  const Error error{"/id", "expected x, found y", file};
  CHECK(error.what() == printed + ": /id: expected x, found y");
  CHECK(error.file() == file);
}

#ifndef _WIN32  // where the header has no load and save
TEST_CASE("An Error of load and save names the file, one of parse and dump does not") {
  const TemporaryDirectory directory;
  const auto path = directory / "a\nb.json";
  write_text(path, R"({"id":7})");
  State state;
  state.id = "\xff";
  const Error reading = error_of([&] { static_cast<void>(oci::load(path)); });
  const Error writing = error_of([&] { oci::save(state, path); });
  const std::string printed = (directory / R"(a\nb.json)").string();
  CHECK(reading.file() == path.string());
  CHECK(reading.what() == printed + ": /id: expected a string, found 7");
  CHECK(writing.file() == path.string());
  CHECK(writing.what() == printed + R"(: /id: expected UTF-8, found "\ufffd")");
  CHECK(read_text(path) == R"({"id":7})");
  CHECK(parse_error(R"({"id":7})").file().empty());
  CHECK(dump_error(state).file().empty());
}
#endif

// ---- Hostile input

TEST_CASE("A quoted value is cut after 64 bytes, never within a character") {
  const std::string a63(63, 'a');
  const auto found = [&](const std::string& pid) {
    return parse_error(R"({"pid":")" + pid + R"("})").message();
  };
  const std::string expected = "expected " + integer + ", found ";
  CHECK(found(a63 + "b") == expected + '"' + a63 + "b\"");
  CHECK(found(a63 + "bc") == expected + '"' + a63 + "b...\"");
  CHECK(found(a63 + "é") == expected + '"' + a63 + "...\"");
  CHECK(found(a63 + "😀") == expected + '"' + a63 + "...\"");
  CHECK(found(a63.substr(2) + "😀") == expected + '"' + a63.substr(2) + "...\"");
  CHECK(found(a63.substr(1) + "éb") == expected + '"' + a63.substr(1) + "\\u00e9...\"");
}

TEST_CASE("A quoted value is printable") {
  CHECK(
      parse_error(R"({"pid":"\u0000\u0007\n\u001b[31m\"\\\u007f\u0085é\u202e漢😀\ufeff"})")
          .message() ==
      "expected " + integer +
          R"(, found "\u0000\u0007\n\u001b[31m\"\\\u007f\u0085\u00e9\u202e\u6f22\ud83d\ude00\ufeff")");
  const Error error = parse_error("{\"annotations\":{\"a\\\"\\n\\u202e\\u001b\":1}}");
  CHECK(error.pointer() == "/annotations/a\"\n\u202e\x1b");
  CHECK(error.what() ==
        std::string(R"(/annotations/a\"\n\u202e\u001b: expected a string, found 1)"));
}

TEST_CASE("what() is short and printable for a huge or hostile value; pointer() is not cut") {
  // In JSON, unescaped, and in a JSON Pointer.
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
  std::string bytes_repeated;
  std::string step;
  for (int count = 0; count < 100000; ++count) {
    huge += json;
    bytes_repeated += bytes;
    step += escape;
  }

  CHECK(is_fit_for_a_log(parse_error<ContainerState>('"' + huge + '"')));
  CHECK(is_fit_for_a_log(parse_error(R"({"pid":")" + huge + R"("})")));
  CHECK(is_fit_for_a_log(parse_error<ContainerProcessState>(R"({"fds":")" + huge + R"("})")));
  CHECK(is_fit_for_a_log(parse_error('"' + huge + '"')));

  const Error wrong = parse_error(R"({"annotations":{")" + huge + R"(":1}})");
  CHECK(is_fit_for_a_log(wrong));
  CHECK((wrong.pointer() == "/annotations/" + step));  // a failure prints no megabytes

  const Error duplicate = parse_error(R"({")" + huge + R"(":1,")" + huge + R"(":2})");
  CHECK(is_fit_for_a_log(duplicate));
  CHECK((duplicate.pointer() == "/" + step));

  // Syntax errors: the token that can't be read is the whole string.
  CHECK(is_fit_for_a_log(parse_error(R"({"id":")" + huge + "\n\"}")));
  CHECK(is_fit_for_a_log(parse_error(R"({"id":")" + huge)));
  CHECK(is_fit_for_a_log(parse_error(R"({"id":")" + huge + "\xff\"}")));
  CHECK(is_fit_for_a_log(parse_error("{\"id\":\"\xff" + huge)));
  CHECK(is_fit_for_a_log(parse_error("{\"id\":" + huge)));

  State state;
  state.id = bytes_repeated + "\xff";
  CHECK(is_fit_for_a_log(dump_error(state)));
  state.id.clear();
  state.annotations = oci::Annotations{{"\xff" + bytes_repeated, ""}};
  CHECK(is_fit_for_a_log(dump_error(state)));
  CHECK((dump_error(state).pointer() == "/annotations/\xff" + step));
}

TEST_CASE("what() is short for a number of 10,000 digits") {
  const std::string digits(10000, '7');
  CHECK(is_fit_for_a_log(parse_error(R"({"pid":)" + digits + "}")));
  CHECK(is_fit_for_a_log(parse_error(R"({"pid":-)" + digits + "}")));
  CHECK(is_fit_for_a_log(parse_error(R"({"pid":0.)" + digits + "}")));
  CHECK(is_fit_for_a_log(parse_error(R"({"id":1.5e-)" + digits + "}")));
  CHECK(is_fit_for_a_log(parse_error(R"({"id":)" + digits.substr(0, 300) + "}")));
  CHECK(is_fit_for_a_log(parse_error(R"({"x":)" + digits + "x}")));
}

TEST_CASE("what() is short for many bytes that are not UTF-8") {
  const std::string bytes = GENERATE("\x80", "\xff", "\xf0\x9f", "\x9b");
  std::string huge;
  while (huge.size() < 100000) huge += bytes;
  CHECK(is_fit_for_a_log(parse_error(huge)));
  CHECK(is_fit_for_a_log(parse_error("{\"id\":\"" + huge + "\"}")));
  CHECK(is_fit_for_a_log(parse_error("{" + huge)));
  State state;
  state.id = huge;
  CHECK(is_fit_for_a_log(dump_error(state)));
  CHECK(dump_error(state).pointer() == "/id");
  // In a json that was built in C++.
  CHECK(is_fit_for_a_log(error_of([&] {
    static_cast<void>(nlohmann::json{{"pid", huge}}.get<State>());
  })));
}

TEST_CASE("what() is short for an error deep in a document; pointer() is not cut") {
  std::string text;
  std::string pointer;
  for (int level = 0; level < 10000; ++level) {
    text += R"({"x":[)";
    pointer += "/x/0";
  }
  text += R"({"y":1,"y":2})";
  for (int level = 0; level < 10000; ++level) text += "]}";
  const Error error = parse_error(text);
  CHECK(is_fit_for_a_log(error));
  CHECK((error.pointer() == pointer + "/y"));
}

TEST_CASE("what() is short for binary data, which a json from CBOR may hold") {
  const nlohmann::json binary = nlohmann::json::binary(std::vector<std::uint8_t>(100000, 7));
  const Error error = error_of([&] {
    static_cast<void>(nlohmann::json{{"id", binary}}.get<State>());
  });
  check_error(error, "/id", "expected a string, found binary data");
  CHECK(is_fit_for_a_log(error));
}

// ---- The class

TEST_CASE("An Error is an nlohmann::json::exception and a std::exception") {
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

TEST_CASE("An Error can be constructed from pointer, message and file") {
  const Error whole{"/a~1b/0", "expected x, found y", "/run/web/state.json"};
  CHECK(whole.what() == std::string("/run/web/state.json: /a~1b/0: expected x, found y"));
  CHECK(whole.pointer() == "/a~1b/0");
  CHECK(whole.message() == "expected x, found y");
  CHECK(whole.file() == "/run/web/state.json");

  CHECK(Error("/a", "m").what() == std::string("/a: m"));
  CHECK(Error("", "m").what() == std::string("m"));
  CHECK(Error("", "m", "f").what() == std::string("f: m"));
}

TEST_CASE("A copy of an Error is equal to it and outlives it") {
  auto original = std::make_unique<Error>("/a", "m", "f");
  const Error copy = *original;
  original.reset();
  CHECK(copy.what() == std::string("f: /a: m"));
  CHECK(copy.pointer() == "/a");
  CHECK(copy.message() == "m");
  CHECK(copy.file() == "f");
  CHECK(copy.id == 0);

  std::exception_ptr held;
  try {
    static_cast<void>(parse(R"({"id":1})"));
  } catch (...) {
    held = std::current_exception();
  }
  CHECK_THROWS_AS(std::rethrow_exception(held), Error);
}

TEST_CASE("An Error that was moved from still has its parts") {
  Error original{"/a", "m", "f"};
  const Error moved = std::move(original);
  CHECK(moved.what() == std::string("f: /a: m"));
  CHECK(moved.pointer() == "/a");
  CHECK(original.pointer() == "/a");
  CHECK(original.message() == "m");
}

TEST_CASE("An Error about an incomplete text has no pointer, whatever is wrong before its end") {
  const auto wrong =
      GENERATE(as<std::string>{}, R"({"fds":["seccompFd",7],"pid":"1","state":{"id":"a"}})",
               R"({"pid":4422,"pid":4423,"state":{"id":"a","id":"b"}})",
               R"({"state":{"status":""},"metadata":{"a":[1,{"a":2,"a":3}]}})");
  for (std::size_t size = 0; size < wrong.size(); ++size) {
    CHECK(parse_error<ContainerProcessState>(wrong.substr(0, size)).pointer().empty());
  }
  CHECK_FALSE(parse_error<ContainerProcessState>(wrong).pointer().empty());
}

TEST_CASE("In a container that nlohmann converts, a pointer has no index of the element") {
  CHECK(parse_error<std::list<State>>(R"([{"id":"a"},{"id":5}])").pointer() == "/id");
  CHECK(parse_error<std::vector<State>>(R"([{"id":"a"},{"id":5}])").pointer() == "/1/id");
}
