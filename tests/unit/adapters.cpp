// Members in another form than nlohmann's or this header's, and structs of all kinds: adapters,
// conversions that return a value, move-only types, private members, class templates.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../support/errors.hpp"
#include "../support/files.hpp"
#include "../support/ways.hpp"

using nlohmann::json;
using nlohmann::ordered_json;
using oci::Error;
using oci::parse;

namespace adapted {

using oci::operator==;  // for types that do not derive from oci's
using oci::operator!=;
using oci::operator<<;

// Seconds since the epoch as hours, minutes and seconds of the first day: a time stamp that needs
// no calendar.
template <class Seconds>
struct Clock {
  Seconds& seconds;

  bool operator==(const Clock& right) const { return seconds == right.seconds; }
};
template <class Seconds>
Clock(Seconds&) -> Clock<Seconds>;

template <class Json>
void to_json(Json& document, const Clock<const std::int64_t>& clock) {
  const auto two_digits = [](std::int64_t number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
  };
  document = two_digits(clock.seconds / 3600) + ":" + two_digits(clock.seconds / 60 % 60) + ":" +
             two_digits(clock.seconds % 60);
}

template <class Json>
void from_json(const Json& document, Clock<std::int64_t>& clock) {
  const auto text = document.template get<std::string>();
  int hours = 0;
  int minutes = 0;
  int seconds = 0;
  char end = 0;
  if (std::sscanf(text.c_str(), "%2d:%2d:%2d%c", &hours, &minutes, &seconds, &end) != 3) {
    throw Error("", "expected a time of day, found " + json(text).dump());
  }
  clock.seconds = (hours * 60 + minutes) * 60 + seconds;
}

// A member behind an adapter, between others.
struct Container : oci::State {
  std::int64_t created{};
  std::string owner{};
};

// Made of its conversions alone: no default constructor, and from_json returns it.
class Id {
 public:
  explicit Id(std::uint32_t number) : number_(number) {}
  [[nodiscard]] std::uint32_t number() const { return number_; }
  bool operator==(const Id& right) const { return number_ == right.number_; }

 private:
  std::uint32_t number_;
};

struct Numbered {
  Id id{7};
  std::vector<Id> more{};
};

// Reads into what is there: the members that the document does not have stay.
struct Options {
  std::string shell{"sh"};
  bool is_interactive{true};
  bool operator==(const Options& right) const {
    return shell == right.shell && is_interactive == right.is_interactive;
  }
};
template <class Json>
void to_json(Json& document, const Options& options) {
  document = Json{{"shell", options.shell}, {"interactive", options.is_interactive}};
}
template <class Json>
void from_json(const Json& document, Options& options) {
  options.shell = document.value("shell", options.shell);
  options.is_interactive = document.value("interactive", options.is_interactive);
}
struct Session {
  Options options{"bash", false};
};

// A struct that can be moved and not copied.
struct Buffer {
  std::unique_ptr<std::string> text{};
};
template <class Json>
void to_json(Json& document, const Buffer& buffer) {
  document = buffer.text ? *buffer.text : "";
}
template <class Json>
void from_json(const Json& document, Buffer& buffer) {
  buffer.text = std::make_unique<std::string>(document.template get<std::string>());
}
struct Movable {
  std::string name{};
  Buffer buffer{};
};

// Private members, whose list is a friend.
class Hidden {
 public:
  explicit Hidden(std::string name = {}) : name_(std::move(name)) {}
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  friend struct HiddenList;
  std::string name_;
};

// A list that is a functor.
struct HiddenList {
  template <class Object, class Member>
  void operator()(Object& hidden, Member member) const {
    member("name", hidden.name_);
  }
};

template <class T>
struct Pair {
  T first{};
  T second{};
};

}  // namespace adapted

template <>
struct nlohmann::adl_serializer<adapted::Id> {
  template <class Json>
  static void to_json(Json& document, const adapted::Id& id) {
    document = id.number();
  }
  template <class Json>
  static adapted::Id from_json(const Json& document) {
    return adapted::Id(document.template get<std::uint32_t>());
  }
};

template <>
inline constexpr auto oci::members<adapted::Container> = [](auto& container, auto member) {
  oci::members<oci::State>(container, member);
  member("created", adapted::Clock{container.created});
  member("owner", container.owner);
};

template <>
inline constexpr auto oci::members<adapted::Numbered> = [](auto& numbered, auto member) {
  member("id", numbered.id);
  member("more", numbered.more);
};

template <>
inline constexpr auto oci::members<adapted::Session> =
    [](auto& session, auto member) { member("options", session.options); };

template <>
inline constexpr auto oci::members<adapted::Movable> = [](auto& movable, auto member) {
  member("name", movable.name);
  member("buffer", movable.buffer);
};

template <>
inline constexpr auto oci::members<adapted::Hidden> = adapted::HiddenList{};

template <class T>
inline constexpr auto oci::members<adapted::Pair<T>> = [](auto& pair, auto member) {
  member("first", pair.first);
  member("second", pair.second);
};

namespace {

template <class T>
void check_round_trip(const std::string& text) {
  CAPTURE(text);
  CHECK(oci::dump(parse<T>(text)) == text);
  CHECK(json(parse<T>(text)) == json::parse(text));
  CHECK(ordered_json(parse<T>(text)).dump() == text);
  CHECK(oci::dump(json::parse(text).get<T>()) == text);
  CHECK(oci::dump(ordered_json::parse(text).get<T>()) == text);
}

}  // namespace

// ---- Adapters

TEST_CASE("An adapter reads and writes a member in another form") {
  const std::string text =
      R"({"ociVersion":"","id":"a","status":"stopped","bundle":"","created":"10:02:03","owner":"me"})";
  CHECK(parse<adapted::Container>(text).created == 36123);
  CHECK(parse<adapted::Container>(text).owner == "me");
  check_round_trip<adapted::Container>(text);
  CHECK(reading_dispute<adapted::Container>(text) == "");
  CHECK(writing_dispute(parse<adapted::Container>(text)) == "");
  std::ostringstream out;
  out << parse<adapted::Container>(text);
  CHECK(out.str() == text);
}

TEST_CASE("A member behind an adapter has its default if it is absent") {
  CHECK(parse<adapted::Container>("{}").created == 0);
}

TEST_CASE("Members behind an adapter are compared") {
  adapted::Container one;
  adapted::Container other;
  CHECK(one == other);
  other.created = 1;
  CHECK(one != other);
}

TEST_CASE("What an adapter throws has the pointer of its member") {
  const std::string message = R"(expected a time of day, found "noon")";
  check_error(parse_error<adapted::Container>(R"({"created":"noon"})"), "/created", message);
  check_error(parse_error<std::vector<adapted::Container>>(R"([{},{"created":"noon"}])"),
              "/1/created", message);
  CHECK(reading_dispute<adapted::Container>(R"({"created":"noon"})") == "");
  CHECK(parse_error<adapted::Container>(R"({"created":7})").pointer() == "/created");
}

#ifndef _WIN32  // where the header has no load and save
TEST_CASE("An adapter works in files") {
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  adapted::Container container;
  container.created = 3661;
  oci::save(container, path);
  CHECK(oci::load<adapted::Container>(path) == container);
  const auto wait = [](adapted::Container& waiting) { waiting.created += 60; };
  CHECK(oci::update<adapted::Container>(path, wait).created == 3721);
  CHECK(read_text(path).find(R"("created":"01:02:01")") != std::string::npos);
}
#endif

// ---- Conversions of nlohmann's

TEST_CASE("A member whose conversions return a value is assigned") {
  check_round_trip<adapted::Numbered>(R"({"id":5,"more":[6,7]})");
  CHECK(parse<adapted::Numbered>("{}").id.number() == 7);
  CHECK(parse_error<adapted::Numbered>(R"({"id":"a"})").pointer() == "/id");
}

TEST_CASE("A member is read into: what its conversions leave alone keeps the struct's default") {
  CHECK(parse<adapted::Session>("{}").options == adapted::Options{"bash", false});
  CHECK(parse<adapted::Session>(R"({"options":{}})").options == adapted::Options{"bash", false});
  CHECK(parse<adapted::Session>(R"({"options":{"interactive":true}})").options ==
        adapted::Options{"bash", true});
  CHECK(reading_dispute<adapted::Session>(R"({"options":{"shell":"zsh"}})") == "");
}

TEST_CASE("Containers that this header has no rule for are nlohmann's") {
  check_round_trip<adapted::Pair<std::array<std::int32_t, 2>>>(R"({"first":[1,2],"second":[3,4]})");
  check_round_trip<adapted::Pair<std::set<std::string>>>(R"({"first":["a","b"],"second":[]})");
  check_round_trip<adapted::Pair<std::pair<std::string, bool>>>(
      R"({"first":["a",true],"second":["b",false]})");
  check_round_trip<adapted::Pair<std::unordered_map<std::string, double>>>(
      R"({"first":{"a":0.5},"second":{}})");
  check_round_trip<adapted::Pair<std::map<std::int32_t, bool>>>(
      R"({"first":[[1,true]],"second":[]})");
}

TEST_CASE("A member that does not own its text is written, though it can't be read") {
  CHECK(oci::dump(adapted::Pair<std::string_view>{"a\n", "é"}) ==
        R"({"first":"a\n","second":"é"})");
  CHECK(oci::dump(adapted::Pair<const char*>{"a", "b"}) == R"({"first":"a","second":"b"})");
}

// ---- Structs of all kinds

TEST_CASE("A struct that can't be copied is read, written and updated") {
  static_assert(!std::is_copy_constructible_v<adapted::Movable>);
  const std::string text = R"({"name":"a","buffer":"b"})";
  const auto value = parse<adapted::Movable>(text);
  CHECK(*value.buffer.text == "b");
  CHECK(oci::dump(value) == text);
  CHECK(ordered_json(value).dump() == text);
  CHECK(oci::dump(json::parse(text).get<adapted::Movable>()) == text);
  CHECK(oci::dump(parse<std::vector<adapted::Movable>>("[" + text + "]")) == "[" + text + "]");
  CHECK(oci::dump(parse<std::map<std::string, adapted::Movable>>(R"({"a":)" + text + "}")) ==
        R"({"a":)" + text + "}");
  CHECK(oci::dump(parse<std::optional<adapted::Movable>>(text)) == text);
#ifndef _WIN32
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  oci::save(value, path);
  CHECK(oci::load<adapted::Movable>(path).name == "a");
  const auto rename = [](adapted::Movable& movable) { movable.name = "c"; };
  CHECK(*oci::update<adapted::Movable>(path, rename).buffer.text == "b");
  CHECK(read_text(path) == R"({"name":"c","buffer":"b"})");
#endif
}

TEST_CASE("A list may be a functor, and a friend of the struct") {
  check_round_trip<adapted::Hidden>(R"({"name":"a"})");
  CHECK(parse<adapted::Hidden>(R"({"name":"a"})").name() == "a");
  CHECK(parse<adapted::Hidden>(R"({"name":"a"})") == adapted::Hidden("a"));
  CHECK(parse<adapted::Hidden>(R"({"name":"a"})") != adapted::Hidden("b"));
}

TEST_CASE("One list may stand for all structs of a class template") {
  check_round_trip<adapted::Pair<bool>>(R"({"first":true,"second":false})");
  check_round_trip<adapted::Pair<adapted::Pair<std::string>>>(
      R"({"first":{"first":"a","second":"b"},"second":{"first":"","second":""}})");
  check_error(parse_error<adapted::Pair<adapted::Pair<std::uint8_t>>>(
                  R"({"second":{"first":1,"second":256}})"),
              "/second/second", "expected an integer from 0 to 255, found 256");
}
