// libFuzzer's target: reads any text, writes what was read, and checks what the README promises of
// both. A broken promise is a crash: an abort, a report of a sanitiser, or an exception that is not
// an oci::Error.

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

#include "../support/container.hpp"
#include "../support/ways.hpp"

namespace {

using nlohmann::json;

void require(bool holds, const std::string& promise) {
  if (holds) return;
  std::cerr << "BROKEN: " << promise << std::endl;
  std::abort();
}

void require_none(const std::string& dispute) { require(dispute.empty(), dispute); }

/// What nlohmann's own parser makes of a text.
struct Plain {
  json document{};        // discarded if the text is not JSON
  bool duplicate_name{};  // in any object
  std::size_t depth{};    // of nested arrays and objects
};

Plain read_plainly(std::string_view text) {
  Plain plain;
  plain.document = json::parse(text.begin(), text.end(), nullptr, false);
  std::vector<std::set<std::string>> names;
  const auto look = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      names.emplace_back();
      plain.depth = std::max(plain.depth, names.size());
    } else if (event == json::parse_event_t::key) {
      plain.duplicate_name |= !names.back().insert(value.get<std::string>()).second;
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

template <class T>
void check_written(const T& value) {
  const std::string text = oci::dump(value);
  const T again = oci::parse<T>(text);
  require(same(again, value), "what was written is read as an equal value");
  require(oci::dump(again) == text, "and that is written as the same bytes");
  require_none(writing_dispute(value));
  std::ostringstream printed;
  printed << value;
  require(printed.str() == text, "operator<< prints the document");
}

/// No member of `filled` has its default.
template <class T>
void check_reading(std::string_view text, const Plain& plain, const T& filled) {
  require_none(reading_dispute<T>(text));
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
      require(same(target, filled), "from_json changes nothing when it throws");
      expected_error.emplace(error);
    }
  }

  const bool refused_by_parse_alone =
      plain.duplicate_name || text.find('\0') != std::string_view::npos;
  std::optional<T> value;
  try {
    value = oci::parse<T>(text);
  } catch (const oci::Error& error) {
    check(error);
    if (refused_by_parse_alone) return;
    require(!expected.has_value(), "parse refuses nothing that from_json accepts");
    require(!expected_error || error.what() == std::string(expected_error->what()),
            "parse and from_json give the same error");
    return;
  }
  require(is_read_without_document<T>(text), "what parse accepts is read straight");
  require(!refused_by_parse_alone, "parse refuses duplicate names and NUL bytes");
  require(expected.has_value(), "parse accepts nothing that from_json refuses");
  require(same(*value, *expected), "parse and from_json give the same value");
  check_written(*value);
}

/// Where dump() refuses the value, the first string that it can't write is at `pointer`.
template <class T>
void check_written_or_refused(const T& value, const std::string& pointer) {
  const auto text = outcome_of<std::string>([&] { return oci::dump(value); });
  if (text.value) return check_written(value);
  check(*text.error);
  require(text.error->pointer() == pointer, "pointer() leads to the first string that is refused");
  std::ostringstream printed;
  printed << value;
  require(printed.str() == text.error->what(), "operator<< prints the error");
  require_none(writing_dispute(value));
}

/// Any bytes as the strings of a struct: written and read again, or refused with an Error.
void check_writing(const std::string& bytes) {
  const oci::ContainerProcessState process{
      "", {bytes}, 0, {}, oci::State{"", "", {}, {}, {}, bytes, oci::Annotations{{bytes, ""}}}};
  check_written_or_refused(process, "/fds/0");

  const oci::State state{"", "", oci::ContainerState::other, bytes};
  check_written_or_refused(state, "/status");

  runtime::Container container;
  container.owner = bytes;
  container.mounts = {{bytes, true}};
  container.groups = {{bytes, {bytes}}};
  require_none(writing_dispute(container));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const Plain plain = read_plainly(text);

  const oci::State state{"v", "i", oci::ContainerState::other, "s",
                         1,   "b", oci::Annotations{{"a", ""}}};
  const oci::ContainerProcessState process{"v", {"f"}, 1, "m", state};
  check_reading(text, plain, state);
  check_reading(text, plain, process);
  runtime::Container container;
  static_cast<oci::State&>(container) = state;
  container.owner = "o";
  container.exit_code = 1;
  container.terminal = true;
  container.mode = runtime::Mode::isolated;
  container.mounts = {{"s", true}};
  container.ports = {1};
  container.groups = {{"a", {"b"}}};
  container.log = "l";
  container.limits = runtime::Limits{1, std::int8_t{1}};
  check_reading(text, plain, container);
  // nlohmann compares, copies and writes nested values recursively: not if they are too deep.
  if (plain.depth < 1000) check_reading(text, plain, json(1));

  check_writing(text);
  return 0;
}
