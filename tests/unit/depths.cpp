// The same rules at every depth, and at the top: each value here is read and written as the whole
// document, as a member, as an element of a vector and of a map, and in an optional.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../support/container.hpp"
#include "../support/errors.hpp"
#include "../support/files.hpp"
#include "../support/ways.hpp"

using nlohmann::json;
using nlohmann::ordered_json;
using oci::Error;
using oci::parse;
using oci::State;

namespace depths {

using oci::operator==;  // for types that do not derive from oci's
using oci::operator!=;
using oci::operator<<;

template <class T>
struct Value {
  T value{};
};

template <class T>
using Map = std::map<std::string, T>;

// A comparator that is none of the standard library's: the longer name comes first.
struct Longer {
  bool operator()(const std::string& left, const std::string& right) const {
    return left.size() != right.size() ? left.size() > right.size() : left < right;
  }
};

// Conversions of its own, for any kind of json.
struct Load {
  double value{};
};
template <class Json>
void to_json(Json& document, const Load& load) {
  document = Json{{"loads", {0.5, load.value}}};
}

}  // namespace depths

template <class T>
inline constexpr auto oci::members<depths::Value<T>> =
    [](auto& value, auto member) { member("value", value.value); };

namespace {

using depths::Map;
using depths::Value;

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

/// `text` is read as a value that is written as `written`.
template <class T>
void check_document(const std::string& text, const std::string& written) {
  CAPTURE(text);
  CHECK(oci::dump(parse<T>(text)) == written);
}

/// The same in a file.
template <class T>
void check_file([[maybe_unused]] const std::string& text,
                [[maybe_unused]] const std::string& written) {
#ifndef _WIN32
  const TemporaryDirectory directory;
  const auto path = directory / "value.json";
  write_text(path, text);
  oci::save(oci::load<T>(path), path);
  CHECK(read_text(path) == written);
#endif
}

/// `text` is read as `value` at every depth, which is written as `written`.
template <class T>
void check_read(const std::string& text, const T& value, const std::string& written) {
  CAPTURE(text);
  CHECK((parse<T>(text) == value));
  CHECK(is_read_without_document<T>(text));
  check_document<T>(text, written);
  check_file<T>(text, written);
  CHECK((parse<Value<T>>(R"({"value":)" + text + "}").value == value));
  check_document<Value<T>>(R"({"value":)" + text + "}", R"({"value":)" + written + "}");
  CHECK(reading_dispute<Value<T>>(R"({"value":)" + text + "}") == "");
  CHECK(writing_dispute(Value<T>{value}) == "");
  check_document<std::vector<T>>("[" + text + " , " + text + "]",
                                 "[" + written + "," + written + "]");
  check_document<Map<T>>(R"({"b":)" + text + R"(,"a":)" + text + "}",
                         R"({"a":)" + written + R"(,"b":)" + written + "}");
  if constexpr (!is_optional<T>) {
    check_document<std::optional<T>>(text, text == "null" ? text : written);
    check_document<std::vector<std::optional<T>>>(
        "[null," + text + "]", "[null," + (text == "null" ? text : written) + "]");
  }
}

template <class T>
void check_read(const std::string& text, const T& value) {
  check_read(text, value, text);
}

/// `text` is refused at every depth, with this pointer in the value itself.
template <class T>
void check_refused(const std::string& text, const std::string& message,
                   const std::string& pointer = {}) {
  CAPTURE(text);
  check_error(parse_error<T>(text), pointer, message);
  check_error(parse_error<Value<T>>(R"({"value":)" + text + "}"), "/value" + pointer, message);
  CHECK(reading_dispute<Value<T>>(R"({"value":)" + text + "}") == "");
  check_error(parse_error<std::vector<T>>("[" + text + "]"), "/0" + pointer, message);
  check_error(parse_error<Map<T>>(R"({"a/b":)" + text + "}"), "/a~1b" + pointer, message);
  if (text == "null") return;
  check_error(parse_error<std::optional<T>>(text), pointer, message);
  check_error(parse_error<std::vector<std::optional<T>>>("[null," + text + "]"), "/1" + pointer,
              message);
#ifndef _WIN32
  const TemporaryDirectory directory;
  const auto path = directory / "value.json";
  write_text(path, text);
  check_error(error_of([&] { static_cast<void>(oci::load<T>(path)); }), pointer, message,
              path.string());
#endif
}

/// `value` is written as text at no depth, with this pointer in the value itself.
template <class T>
void check_has_no_text(const T& value, const std::string& message,
                       const std::string& pointer = {}) {
  check_error(dump_error(value), pointer, message);
  check_error(dump_error(std::optional<T>{value}), pointer, message);
  check_error(dump_error(std::vector<T>{value}), "/0" + pointer, message);
  check_error(dump_error(Map<T>{{"a/b", value}}), "/a~1b" + pointer, message);
  check_error(dump_error(Value<T>{value}), "/value" + pointer, message);
  std::vector<Value<Map<std::vector<std::optional<T>>>>> deep(1);
  deep[0].value["a"].resize(2);
  deep[0].value["a"][1].emplace(value);
  check_error(dump_error(deep), "/0/value/a/1" + pointer, message);
#ifndef _WIN32
  const TemporaryDirectory directory;
  const auto path = directory / "value.json";
  check_error(error_of([&] { oci::save(value, path); }), pointer, message, path.string());
  CHECK_FALSE(std::filesystem::exists(path));
  check_error(error_of([&] { oci::create(value, path); }), pointer, message, path.string());
  CHECK_FALSE(std::filesystem::exists(path));
#endif
}

/// Nor as a document.
template <class T>
void check_not_written(const T& value, const std::string& message,
                       const std::string& pointer = {}) {
  check_has_no_text(value, message, pointer);
  const Value<T> member{value};
  check_error(error_of([&] { static_cast<void>(json(member)); }), "/value" + pointer, message);
  check_error(error_of([&] { static_cast<void>(ordered_json(member)); }), "/value" + pointer,
              message);
  std::ostringstream out;
  out << member;
  CHECK(out.str() == "/value" + pointer + ": " + message);
}

}  // namespace

// ---- Reading

TEST_CASE("Strings, paths and integers are the same at every depth") {
  check_read<std::string>(R"("a\"é")", "a\"é");
  check_read<std::filesystem::path>(R"("/a//b")", "/a//b");
  check_read<std::int32_t>("-2147483648", std::numeric_limits<std::int32_t>::min());
  check_read<std::uint64_t>("18446744073709551615", std::numeric_limits<std::uint64_t>::max());
  check_read<std::uint32_t>("-0", 0, "0");
  check_read<char>("65", 'A');
}

TEST_CASE("A wrong string, path or integer is the same Error at every depth") {
  check_refused<std::string>("7", "expected a string, found 7");
  check_refused<std::string>("null", "expected a string, found null");
  check_refused<std::filesystem::path>("[]", "expected a string, found an array");
  check_refused<std::int32_t>(
      "4294967296", "expected an integer from -2147483648 to 2147483647, found 4294967296");
  check_refused<std::int32_t>("1.0",
                              "expected an integer from -2147483648 to 2147483647, found 1.0");
  check_refused<std::uint64_t>("-1",
                               "expected an integer from 0 to 18446744073709551615, found -1");
}

TEST_CASE("The limits of an integer are those of its type") {
  check_error(parse_error<std::uint8_t>("-1"), "", "expected an integer from 0 to 255, found -1");
  check_error(parse_error<std::int64_t>("9223372036854775808"), "",
              "expected an integer from -9223372036854775808 to "
              "9223372036854775807, found 9223372036854775808");
  check_error(parse_error<std::int8_t>("null"), "",
              "expected an integer from -128 to 127, found null");
  check_error(parse_error<std::uint16_t>("true"), "",
              "expected an integer from 0 to 65535, found true");
}

TEST_CASE("A bool is true or false, at every depth") {
  check_read<bool>("true", true);
  check_read<bool>("false", false);
  check_refused<bool>("1", "expected true or false, found 1");
  check_refused<bool>("0", "expected true or false, found 0");
  check_refused<bool>(R"("true")", R"(expected true or false, found "true")");
  check_refused<bool>("null", "expected true or false, found null");
  check_refused<bool>("{}", "expected true or false, found an object");
}

TEST_CASE("A bool that is cut off or misspelt is no bool") {
  for (const std::string text : {"tru", "truex", "fals", "falsey", "True", "t", "f", "nul"}) {
    CAPTURE(text);
    CHECK(parse_error<Value<bool>>(R"({"value":)" + text + "}").pointer().empty());
    CHECK(reading_dispute<Value<bool>>(R"({"value":)" + text + "}") == "");
    CHECK(parse_error<bool>(text).pointer().empty());
  }
}

TEST_CASE("A std::vector<bool> is a vector, at every depth") {
  check_read("[true,false]", std::vector<bool>{true, false});
  check_read("[ ]", std::vector<bool>{}, "[]");
  check_read("null", std::vector<bool>{}, "[]");
  check_refused<std::vector<bool>>("[true,0]", "expected true or false, found 0", "/1");
  check_refused<std::vector<bool>>("true", "expected an array, found true");
}

TEST_CASE("Vectors are the same at every depth") {
  check_read("[1,-2]", std::vector<std::int8_t>{1, -2});
  check_read("null", std::vector<std::string>{}, "[]");
  check_read(R"([["a"],[]])", std::vector<std::vector<std::string>>{{"a"}, {}});
  check_refused<std::vector<std::int8_t>>("[1,128]",
                                          "expected an integer from -128 to 127, found 128", "/1");
  check_refused<std::vector<std::string>>("{}", "expected an array of strings, found an object");
  check_refused<std::vector<std::string>>("[null]", "expected a string, found null", "/0");
}

TEST_CASE("Maps are the same at every depth, with any comparator") {
  check_read(R"({"a":"1","b":""})", oci::Annotations{{"a", "1"}, {"b", ""}});
  using Greater = std::map<std::string, std::int32_t, std::greater<>>;
  check_read(R"({"a":1,"b":2})", Greater{{"a", 1}, {"b", 2}}, R"({"b":2,"a":1})");
  using Longer = std::map<std::string, std::vector<bool>, depths::Longer>;
  check_read(R"({"a":[],"":[true],"bb":[]})", Longer{{"bb", {}}, {"a", {}}, {"", {true}}},
             R"({"bb":[],"a":[],"":[true]})");
  check_refused<oci::Annotations>("null", "expected an object of strings, found null");
  check_refused<Greater>("[]", "expected an object, found an array");
  check_refused<Greater>(R"({"b":1,"a/b":true})",
                         "expected an integer from -2147483648 to 2147483647, found true", "/a~1b");
  check_refused<Greater>(R"({"b":1,"a":2,"b":3})", R"(expected one member named "b", found two)",
                         "/b");
  check_refused<Longer>(R"({"b":[],"aa":[],"b":[]})", R"(expected one member named "b", found two)",
                        "/b");
}

TEST_CASE("Structs with a list are the same at every depth") {
  const std::string state = R"({"ociVersion":"","id":"a","status":"paused","pid":1,"bundle":""})";
  check_read(state, parse(state));
  check_refused<State>(R"({"id":5})", "expected a string, found 5", "/id");
  check_refused<State>("null", "expected an object, found null");
  check_refused<State>(R"({"annotations":{"a":1}})", "expected a string, found 1",
                       "/annotations/a");
  check_refused<runtime::Container>(R"({"limits":{"nice":128}})",
                                    "expected an integer from -128 to 127, found 128",
                                    "/limits/nice");
  check_error(parse_error<std::vector<State>>(R"([{"id":"a"},{"id":5}])"), "/1/id",
              "expected a string, found 5");
}

TEST_CASE("All of them may be nested in any way") {
  using Deep = std::vector<Value<Map<std::vector<std::optional<runtime::Container>>>>>;
  const std::string container = oci::dump(runtime::Container{});
  const std::string text = R"([{"value":{"a":[null,)" + container + "]}}]";
  check_document<Deep>(text, text);
  CHECK(is_read_without_document<Deep>(text));
  check_error(parse_error<Deep>(R"([{"value":{"a":[null,{"limits":{"nice":128}}]}}])"),
              "/0/value/a/1/limits/nice", "expected an integer from -128 to 127, found 128");
}

TEST_CASE("An optional that is none is null as an element and at the top") {
  check_read<std::optional<bool>>("true", true);
  CHECK(parse<std::optional<State>>("null") == std::nullopt);
  CHECK(oci::dump(std::optional<State>{}) == "null");
  check_document<std::vector<std::optional<std::int32_t>>>("[null,1,null]", "[null,1,null]");
  check_document<Map<std::optional<std::string>>>(R"({"b":null,"a":"x"})", R"({"a":"x","b":null})");
  using Values = std::vector<std::optional<std::string>>;
  CHECK(parse<Values>(R"([null,""])") == Values{std::nullopt, ""});
}

TEST_CASE("An optional that is none is left out as a member") {
  check_document<Value<std::optional<bool>>>("{}", "{}");
  check_document<Value<std::optional<bool>>>(R"({"value":null})", "{}");
  check_document<std::vector<Value<std::optional<State>>>>(R"([{"value":null},{}])", "[{},{}]");
}

TEST_CASE("Whatever the type of the whole document, its text is read as strictly") {
  for (const std::string text : {"", " ", "1 2", "1,", "01", "1.", "[1", "{}}", "\"a"}) {
    CAPTURE(text);
    CHECK(parse_error<std::int32_t>(text).pointer().empty());
    CHECK(parse_error<std::string>(text).pointer().empty());
    CHECK(parse_error<bool>(text).pointer().empty());
    CHECK(parse_error<std::vector<std::int32_t>>(text).pointer().empty());
    CHECK(parse_error<std::optional<Map<bool>>>(text).pointer().empty());
  }
  CHECK(parse<std::int32_t>("\xEF\xBB\xBF 1\n") == 1);
  CHECK(parse<std::vector<bool>>(" [ true ]\r\n") == std::vector<bool>{true});
}

TEST_CASE("nlohmann's own containers keep nlohmann's rules") {
  const auto document = json::parse(R"([{"id":"a"},{"id":5}])");
  const Error error = error_of([&] { static_cast<void>(document.get<std::vector<State>>()); });
  check_error(error, "/id", "expected a string, found 5");
}

// ---- Writing

TEST_CASE("A string that is not UTF-8 is the same Error at every depth") {
  const std::string message = R"(expected UTF-8, found "a\ufffd")";
  check_has_no_text<std::string>("a\xff", message);
  check_has_no_text(std::vector<std::string>{"", "a\xff"}, message, "/1");
  check_has_no_text(json{{"b/c", {"a\xff"}}}, message, "/b~1c/0");
#ifndef _WIN32  // where a path is UTF-16
  check_has_no_text<std::filesystem::path>("a\xff", message);
#endif
}

TEST_CASE("A number that JSON does not have is an Error when written, at any depth") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  check_not_written(nan, "expected a number that JSON has, found nan");
  check_not_written(-nan, "expected a number that JSON has, found nan");
  check_not_written(infinity, "expected a number that JSON has, found inf");
  check_not_written(-infinity, "expected a number that JSON has, found -inf");
  check_not_written(std::numeric_limits<float>::infinity(),
                    "expected a number that JSON has, found inf");
}

TEST_CASE("That number is found inside a json, and in what a type's own conversion makes") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string message = "expected a number that JSON has, found nan";
  check_not_written(json(nan), message);
  check_not_written(json{{"a/b", {1, {{"c", nan}}}}}, message, "/a~1b/1/c");
  check_not_written(ordered_json{{"b", 1.5}, {"a", {0.5, nan}}}, message, "/a/1");
  check_not_written(depths::Load{nan}, message, "/loads/1");
}

TEST_CASE("Numbers that JSON has are written, and read back as they were") {
  for (const double number :
       {0.0, -0.0, 0.1, -1.5, 1e300, 5e-324, std::numeric_limits<double>::max()}) {
    CAPTURE(number);
    const std::string text = oci::dump(number);
    CHECK(text == json(number).dump());
    CHECK(parse<double>(text) == number);
    CHECK(std::signbit(parse<double>(text)) == std::signbit(number));
    CHECK(oci::dump(Value<double>{number}) == R"({"value":)" + text + "}");
    CHECK(parse<std::vector<double>>("[" + text + "]") == std::vector<double>{number});
    CHECK(writing_dispute(Value<double>{number}) == "");
  }
}

TEST_CASE("dump, nlohmann's conversions and operator<< name the same pointer") {
  State wrong;
  wrong.status = static_cast<oci::ContainerState>(7);
  const std::string message = "expected a ContainerState, found 7";
  check_not_written(wrong, message, "/status");
  const Value<std::vector<State>> states{{State{}, wrong}};
  const std::string pointer = "/value/1/status";
  check_error(dump_error(states), pointer, message);
  check_error(error_of([&] { static_cast<void>(json(states)); }), pointer, message);
  check_error(error_of([&] { static_cast<void>(ordered_json(states)); }), pointer, message);
  std::ostringstream out;
  out << states;
  CHECK(out.str() == pointer + ": " + message);
}

// ---- The order of an ordered_json

TEST_CASE("A member of type ordered_json keeps its order in text and in ordered_json") {
  using Ordered = Value<ordered_json>;
  const std::string document = R"({"value":{"b":{"d":1,"c":[{"f":0,"e":null}]},"a":1.5}})";
  CHECK(oci::dump(parse<Ordered>(document)) == document);
  CHECK(ordered_json(parse<Ordered>(document)).dump() == document);
  CHECK(ordered_json::parse(document).get<Ordered>().value.dump() ==
        document.substr(9, document.size() - 10));
  CHECK(writing_dispute(parse<Ordered>(document)) == "");
}

TEST_CASE("An ordered_json keeps its order in every text that is accepted") {
  using Ordered = Value<ordered_json>;
  const std::string kept = R"({"value":{"b":-0.0,"a":""}})";
  for (const std::string& text : {
           "\xEF\xBB\xBF" + kept,
           std::string(R"({"x":-0,"value":{"b":-0.0,"a":""}})"),
           std::string(R"({"\u00e9":"\ud83d\ude00","value":{"b":-0.0,"a":""}})"),
           std::string(R"({"é":1e-999,"value":{"b":-0.0,"a":""}})"),
           std::string(" { \"value\" : {\"b\":-0.0, \"a\":\"\"} , \"x\":{\"y\":[{}]} } \n"),
       }) {
    CAPTURE(text);
    CHECK(oci::dump(parse<Ordered>(text)) == kept);
  }
  CHECK(oci::dump(parse<ordered_json>("\xEF\xBB\xBF"
                                      R"({"b":-0,"a":""})")) == R"({"b":0,"a":""})");
}

TEST_CASE("An ordered_json keeps its order inside of vectors, maps and optionals") {
  const std::string text = R"({"b":1,"a":{"d":2,"c":3}})";
  check_document<std::optional<ordered_json>>(text, text);
  check_document<std::vector<ordered_json>>("[" + text + "]", "[" + text + "]");
  check_document<Map<ordered_json>>(R"({"m":)" + text + "}", R"({"m":)" + text + "}");
  check_document<Value<std::vector<std::optional<ordered_json>>>>(R"({"value":[)" + text + "]}",
                                                                  R"({"value":[)" + text + "]}");
}

TEST_CASE("A json that holds what JSON does not have is refused, at any depth") {
  const std::string message = "expected a value that JSON has, found ";
  const json binary = json::binary({1, 2});
  const json discarded(json::value_t::discarded);
  check_not_written(binary, message + "binary");
  check_not_written(discarded, message + "discarded");
  json nested = json::object();
  nested["a/b"] = json::array({1, discarded});
  check_not_written(nested, message + "discarded", "/a~1b/1");
}

// ---- Duplicate names

namespace {

/// For which "a" and "A" are one name.
struct IgnoringCase {
  bool operator()(const std::string& left, const std::string& right) const {
    return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end(),
                                        [](char l, char r) {
                                          return std::tolower(static_cast<unsigned char>(l)) <
                                                 std::tolower(static_cast<unsigned char>(r));
                                        });
  }
};

}  // namespace

TEST_CASE("Names that a map takes for one are duplicates") {
  using Caseless = std::map<std::string, int, IgnoringCase>;
  CHECK(parse<Caseless>(R"({"b":1,"A":2})") == Caseless{{"A", 2}, {"b", 1}});
  const std::string pointer = GENERATE(as<std::string>{}, "/a", "/b");
  const std::string text = pointer == "/a" ? R"({"a":1,"A":2})" : R"({"B":1,"c":2,"b":3})";
  const std::string message = "expected one member named \"" + pointer.substr(1) + "\", found two";
  check_error(parse_error<Caseless>(text), pointer, message);
}

TEST_CASE("Duplicate names in a document that was made by hand are refused") {
  const std::string name = GENERATE(as<std::string>{}, "id", "unknown");
  ordered_json document{{name, "a"}};
  document.get_ref<ordered_json::object_t&>().push_back({name, "b"});
  check_error(error_of([&] { static_cast<void>(document.get<State>()); }), "/" + name,
              "expected one member named \"" + name + "\", found two");
}
