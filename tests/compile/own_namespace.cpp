// The header calls its own functions. The namespace of the types here has, for each name in the
// header's text, functions that would win or make the call ambiguous if an unqualified call found
// them by argument-dependent lookup: see names.cmake and tests/CMakeLists.txt, which make
// names.inc.

#include <oci/state.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// GCC and clang warn of functions that nobody calls, which is what these are for.
#if defined __GNUC__
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

namespace user {

struct Part {
  std::uint16_t number{};
  std::optional<std::string> name{};
};

enum class Kind { small, large };
NLOHMANN_JSON_SERIALIZE_ENUM(Kind, {{Kind::small, "small"}, {Kind::large, "large"}})

struct Longer {
  bool operator()(const std::string& left, const std::string& right) const {
    return left.size() != right.size() ? left.size() > right.size() : left < right;
  }
};

struct Whole : oci::State {
  Part part{};
  std::vector<Part> parts{};
  std::optional<Part> last{};
  std::map<std::string, Part> named{};
  std::map<std::string, std::optional<std::vector<Part>>, Longer> nested{};
  Kind kind{};
  bool is_new{};
  std::int64_t created{};
};

// An adapter, with conversions of its own.
template <class Seconds>
struct Clock {
  Seconds& seconds;
  bool operator==(const Clock& right) const { return seconds == right.seconds; }
};
template <class Seconds>
Clock(Seconds&) -> Clock<Seconds>;

using oci::operator==;
using oci::operator!=;
using oci::operator<<;

// Lists and a change whose types are the user's own, too.
struct PartList {
  template <class Object, class Member>
  void operator()(Object& part, Member member) const {
    member("number", part.number);
    member("name", part.name);
  }
};
struct WholeList {
  template <class Object, class Member>
  void operator()(Object& whole, Member member) const {
    oci::members<oci::State>(whole, member);
    member("part", whole.part);
    member("parts", whole.parts);
    member("last", whole.last);
    member("named", whole.named);
    member("nested", whole.nested);
    member("kind", whole.kind);
    member("new", whole.is_new);
    member("created", Clock{whole.created});
  }
};
struct Change {
  void operator()(Whole& whole) const { whole.part.number += 1; }
};

// ---- The user's functions

std::set<std::string> called;

// What they return, whatever is expected of them.
struct Anything {
  template <class T>
  operator T() const {
    throw std::logic_error("a function of the user's was called");
  }
};

Anything call(const char* name) {
  called.insert(name);
  return {};
}

using Parts = std::vector<Part>;
using MaybePart = std::optional<Part>;
using NamedParts = std::map<std::string, Part>;
using Wholes = std::vector<Whole>;

// For one argument a function of exactly that type. Among more, it is the first, second or third.
#define FUNCTION_OF(name, ...)                              \
  inline Anything name(__VA_ARGS__) { return call(#name); } \
  template <class B, class... Rest>                         \
  Anything name(__VA_ARGS__, B&, Rest&&...) {               \
    return call(#name);                                     \
  }                                                         \
  template <class B, class... Rest>                         \
  Anything name(__VA_ARGS__, B&&, Rest&&...) {              \
    return call(#name);                                     \
  }                                                         \
  template <class A, class... Rest>                         \
  Anything name(A&, __VA_ARGS__, Rest&&...) {               \
    return call(#name);                                     \
  }                                                         \
  template <class A, class... Rest>                         \
  Anything name(A&&, __VA_ARGS__, Rest&&...) {              \
    return call(#name);                                     \
  }                                                         \
  template <class A, class B, class... Rest>                \
  Anything name(A&&, B&&, __VA_ARGS__, Rest&&...) {         \
    return call(#name);                                     \
  }

#define FUNCTIONS_OF(name, type)                       \
  inline Anything name(type&&) { return call(#name); } \
  FUNCTION_OF(name, type&)                             \
  FUNCTION_OF(name, const type&)

#define FUNCTION(name)           \
  FUNCTIONS_OF(name, Part)       \
  FUNCTIONS_OF(name, Parts)      \
  FUNCTIONS_OF(name, MaybePart)  \
  FUNCTIONS_OF(name, NamedParts) \
  FUNCTIONS_OF(name, Whole)      \
  FUNCTION_OF(name, Kind)        \
  FUNCTION_OF(name, const Change&)

// A to_json or from_json of a vector would take it from nlohmann/json, which asks for that. Of
// types with a list, it asks the header.
#define CONVERSION_OF(name, type)  \
  template <class A>               \
  Anything name(A&, type&) {       \
    return call(#name);            \
  }                                \
  template <class A>               \
  Anything name(A&, const type&) { \
    return call(#name);            \
  }

#define CONVERSION(name)    \
  CONVERSION_OF(name, Part) \
  CONVERSION_OF(name, Whole)

#include "names.inc"

// The conversions that nlohmann has to find: exactly of these types.
template <class Json>
void to_json(Json& document, const Clock<const std::int64_t>& clock) {
  document = std::to_string(clock.seconds) + " s";
}
template <class Json>
void from_json(const Json& document, Clock<std::int64_t>& clock) {
  clock.seconds = std::stoll(document.template get_ref<const std::string&>());
}

}  // namespace user

template <>
inline constexpr auto oci::members<user::Part> = user::PartList{};
template <>
inline constexpr auto oci::members<user::Whole> = user::WholeList{};

template <>
inline constexpr auto oci::required<user::Part> = std::array<std::string_view, 1>{"number"};

namespace {

void check(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("wrong: " + what);
}

template <class Call>
void check_refused(const std::string& what, Call call) {
  try {
    call();
  } catch (const oci::Error& error) {
    check(error.what() == what, error.what());
    return;
  }
  check(false, what);
}

template <class T>
void check_text(const std::string& text) {
  check(oci::dump(oci::parse<T>(text)) == text, text);
#ifndef _WIN32
  const auto file = std::filesystem::temp_directory_path() /
                    ("oci-state-own-namespace-" + std::to_string(std::random_device{}()));
  oci::create(oci::parse<T>(text), file);
  oci::save(oci::load<T>(file), file);
  check(oci::dump(oci::load<T>(file)) == text, text + " in a file");
  oci::update<T>(file, [](T&) { return false; });
  std::filesystem::remove(file);
#endif
}

template <class Json, class T>
void check_document(const std::string& text) {
  const auto value = Json::parse(text).template get<T>();
  check(Json(value) == Json::parse(text), text);
  T other{};
  Json::parse(text).get_to(other);
  check(value == other && !(value != other), text);
  std::ostringstream out;
  out << value;
  check(out.str() == text, out.str());
}

}  // namespace

int main() try {
  const std::string part = R"({"number":1,"name":"a"})";
  const std::string whole =
      R"({"ociVersion":"1","id":"é","status":"running","pid":1,"bundle":"/b","part":)" + part +
      R"(,"parts":[)" + part + R"(],"last":)" + part + R"(,"named":{"a":)" + part +
      R"(},"nested":{"bb":[)" + part + R"(],"a":[]},"kind":"large","new":true,"created":"7 s"})";
  check_text<user::Part>(part);
  check_text<user::Whole>(whole);
  check_text<user::Parts>("[" + part + "]");
  check_text<user::MaybePart>(part);
  check_text<user::NamedParts>(R"({"a":)" + part + "}");
  check_text<user::Wholes>("[" + whole + "," + whole + "]");
  check_document<nlohmann::json, user::Part>(part);
  check_document<nlohmann::ordered_json, user::Part>(part);
  check_document<nlohmann::json, user::Whole>(whole);
  check_document<nlohmann::ordered_json, user::Whole>(whole);

  // What is refused, when reading and when writing.
  check_refused("/parts/0/number: expected an integer from 0 to 65535, found 65536", [] {
    static_cast<void>(oci::parse<user::Whole>(R"({"parts":[{"number":65536}]})"));
  });
  check_refused("/1/name: expected UTF-8, found \"\\ufffd\"", [] {
    static_cast<void>(oci::dump(user::Parts{{}, {1, "\xff"}}));
  });

  user::Whole value = oci::parse<user::Whole>(whole);
  oci::validate(value);
  check(oci::status_name(value) == "running", "status_name");
#ifndef _WIN32
  const auto file = std::filesystem::temp_directory_path() /
                    ("oci-state-own-namespace-" + std::to_string(std::random_device{}()));
  oci::save(value, file);
  check(oci::update<user::Whole>(file, user::Change{}).part.number == 2, "update");
  std::filesystem::remove(file);
#endif

  for (const std::string& name : user::called)
    std::cerr << "The user's " << name << "() was called\n";
  return user::called.empty() ? 0 : 1;
} catch (const std::exception& error) {
  for (const std::string& name : user::called)
    std::cerr << "The user's " << name << "() was called\n";
  std::cerr << error.what() << '\n';
  return 1;
}
