// libFuzzer's target: whatever a text holds, reading it keeps what the README promises, and so does
// writing what was read. What breaks a promise is a crash: an abort, a sanitiser's report, or an
// exception that is no oci::Error.

#include <oci/state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using nlohmann::json;

void require(bool holds, const char* promise) {
  if (holds) return;
  std::cerr << "BROKEN: " << promise << std::endl;
  std::abort();
}

/// What nlohmann's own parser makes of a text.
struct Plain {
  json document{};            // discarded where the text is no JSON
  bool doubled_name{};        // a name stands twice in one object
  std::size_t most_nested{};  // how many arrays and objects are within each other
};

Plain read_plainly(std::string_view text) {
  Plain plain;
  plain.document = json::parse(text.begin(), text.end(), nullptr, false);
  std::vector<std::set<std::string>> names;
  const auto look = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      names.emplace_back();
      plain.most_nested = std::max(plain.most_nested, names.size());
    } else if (event == json::parse_event_t::key) {
      plain.doubled_name |= !names.back().insert(value.get<std::string>()).second;
    } else if (event != json::parse_event_t::value) {
      names.pop_back();
    }
    return true;
  };
  static_cast<void>(json::parse(text.begin(), text.end(), look, false));
  return plain;
}

void check(const oci::Error& error) {
  const std::string what = error.what();
  require(what.size() < 1000, "what() is short");
  for (const char c : what) require(' ' <= c && c <= '~', "what() is printable ASCII");
  require(what.size() >= error.message().size(), "what() has the message");
  static_cast<void>(json::json_pointer(error.pointer()));  // which throws for one that is invalid
}

/// Equal members may still differ: "a//b" is equal to "a/b" as a path.
bool same(const json& left, const json& right) { return left == right; }
bool same(const oci::State& left, const oci::State& right) {
  return left == right && left.bundle.native() == right.bundle.native();
}
bool same(const oci::ContainerProcessState& left, const oci::ContainerProcessState& right) {
  return left == right && same(left.state, right.state);
}

template <class T>
void check_written(const T& value) {
  const std::string text = oci::dump(value);
  const T again = oci::parse<T>(text);
  require(same(again, value), "what was written is read as what it was");
  require(oci::dump(again) == text, "and is written as the same bytes");
  std::ostringstream printed;
  printed << value;
  require(printed.str() == text, "operator<< prints the document");
}

/// `filled` has no member that is as an absent one would leave it.
template <class T>
void check_reading(std::string_view text, const Plain& plain, const T& filled) {
  std::optional<T> expected;
  std::optional<oci::Error> expected_error;
  if (!plain.document.is_discarded()) {
    T target = filled;
    try {
      plain.document.get_to(target);
      expected = target;
    } catch (const oci::Error& error) {
      check(error);
      require(plain.document.contains(json::json_pointer(error.pointer())),
              "pointer() leads to a value");
      require(same(target, filled), "from_json that throws leaves its target as it was");
      expected_error.emplace(error);
    }
  }

  const bool refused_by_parse_alone =
      plain.doubled_name || text.find('\0') != std::string_view::npos;
  std::optional<T> value;
  try {
    value = oci::parse<T>(text);
  } catch (const oci::Error& error) {
    check(error);
    if (refused_by_parse_alone) return;
    require(!expected.has_value(), "parse refuses nothing that from_json accepts");
    require(!expected_error || (error.pointer() == expected_error->pointer() &&
                                error.message() == expected_error->message()),
            "parse and from_json give the same error");
    return;
  }
  require(!refused_by_parse_alone, "parse refuses doubled names and NUL bytes");
  require(expected.has_value(), "parse accepts nothing that from_json refuses");
  require(same(*value, *expected), "parse and from_json give the same value");
  check_written(*value);
}

/// Any bytes as the strings of a struct: written and read again, or refused with an Error.
void check_writing(const std::string& bytes) {
  const oci::ContainerProcessState value{
      "", {bytes}, 0, {}, oci::State{"", "", {}, {}, bytes, oci::Annotations{{bytes, ""}}}};
  std::ostringstream printed;
  printed << value;
  require(json::accept(printed.str()), "operator<< prints JSON, whatever the strings hold");
  try {
    static_cast<void>(oci::dump(value));
  } catch (const oci::Error& error) {
    check(error);
    require(error.pointer() == "/fds/0", "pointer() leads to the first string that is not UTF-8");
    return;
  }
  check_written(value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const Plain plain = read_plainly(text);

  const oci::State state{"v", "i", oci::ContainerState::created,
                         1,   "b", oci::Annotations{{"a", ""}}};
  const oci::ContainerProcessState process{"v", {"f"}, 1, "m", state};
  check_reading(text, plain, state);
  check_reading(text, plain, process);
  // nlohmann compares, copies and writes nested values recursively: not those that are too deep.
  if (plain.most_nested < 1000) check_reading(text, plain, json(1));

  check_writing(text);
  return 0;
}
