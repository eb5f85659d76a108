// Which Error was thrown: for all tests that look at one.

#ifndef OCI_STATE_TESTS_ERRORS_HPP
#define OCI_STATE_TESTS_ERRORS_HPP

#include <oci/state.hpp>

#include "catch.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

/// The Error that `call` throws. The test ends where it throws none.
template <class Call>
oci::Error error_of(Call call) {
  try {
    call();
  } catch (const oci::Error& error) {
    return error;
  }
  FAIL("no Error was thrown");
  return {"", ""};
}

/// The Error that parse() throws for `text`.
template <class T = oci::State>
oci::Error parse_error(const std::string& text) {
  CAPTURE(text.substr(0, 200));
  return error_of([&] { static_cast<void>(oci::parse<T>(text)); });
}

/// The Error that dump() throws for `value`.
template <class T>
oci::Error dump_error(const T& value) {
  return error_of([&] { static_cast<void>(oci::dump(value)); });
}

inline void check_error(const oci::Error& error, const std::string& pointer,
                        const std::string& message, const std::string& file = {}) {
  CHECK(error.pointer() == pointer);
  CHECK(error.message() == message);
  CHECK(error.file() == file);
  CHECK(error.what() ==
        (file.empty() ? "" : file + ": ") + (pointer.empty() ? "" : pointer + ": ") + message);
}

/// Whether a message is the expected one, in which "[...]" stands for words of nlohmann's: those
/// differ from version to version.
inline bool says(std::string_view message, std::string_view expected) {
  constexpr std::string_view any = "[...]";
  const auto end = expected.find(any);
  if (end == std::string_view::npos) return message == expected;
  const std::string_view words = expected.substr(0, end);
  if (message.substr(0, words.size()) != words) return false;
  message.remove_prefix(words.size());
  expected.remove_prefix(end + any.size());
  while (!says(message, expected) && !message.empty()) message.remove_prefix(1);
  return says(message, expected);
}

/// Whether what() is short and printable ASCII: fit for a line of a log.
inline bool is_fit_for_a_log(const oci::Error& error) {
  const std::string what = error.what();
  return what.size() < 1000 &&
         std::all_of(what.begin(), what.end(), [](char c) { return ' ' <= c && c <= '~'; });
}

/// Strings that are not UTF-8: lone and missing continuation bytes, overlong forms, surrogates,
/// code points beyond the last, bytes that UTF-8 never has.
inline const std::vector<std::string> invalid_utf8{"\x80",
                                                   "\xBF",
                                                   "\xC3",
                                                   "\xC3(",
                                                   "\xC0\x80",
                                                   "\xC0\xAF",
                                                   "\xC1\xBF",
                                                   "\xE2\x82",
                                                   "\xE0\x80\xAF",
                                                   "\xE0\x9F\xBF",
                                                   "\xED\xA0\x80",
                                                   "\xED\xBF\xBF",
                                                   "\xF0\x9F\x98",
                                                   "\xF0\x80\x80\xAF",
                                                   "\xF0\x8F\xBF\xBF",
                                                   "\xF4\x90\x80\x80",
                                                   "\xF5\x80\x80\x80",
                                                   "\xFE",
                                                   "\xFF",
                                                   "\xE9t\xE9"};

#endif  // OCI_STATE_TESTS_ERRORS_HPP
