// The two ways between text and struct, held against each other: straight, and by a document of
// nlohmann's. For the tests and the fuzzer.

#ifndef OCI_STATE_TESTS_WAYS_HPP
#define OCI_STATE_TESTS_WAYS_HPP

#include <oci/state.hpp>

#include <optional>
#include <string>
#include <string_view>

/// A value, or the Error in its place.
template <class T>
struct Outcome {
  std::optional<T> value{};
  std::optional<oci::Error> error{};
};

template <class T, class Call>
Outcome<T> outcome_of(Call call) {
  Outcome<T> outcome;
  try {
    outcome.value = call();
  } catch (const oci::Error& error) {
    outcome.error.emplace(error);
  }
  return outcome;
}

/// The document for a value, or why there is none.
template <class T>
nlohmann::json document_or_reason(const T& value) {
  const auto document = outcome_of<nlohmann::json>([&] { return nlohmann::json(value); });
  return document.error ? nlohmann::json(document.error->what()) : *document.value;
}

/// Stricter than ==, for which the path a//b is a/b.
template <class T>
bool same(const T& left, const T& right) {
  return left == right && document_or_reason(left) == document_or_reason(right);
}

/// How parse<T>(text) differs from parse<nlohmann::json>(text).get<T>(); "" where it does not.
template <class T>
std::string reading_dispute(std::string_view text) {
  const auto straight = outcome_of<T>([&] { return oci::parse<T>(text); });
  const auto by_document =
      outcome_of<T>([&] { return oci::parse<nlohmann::json>(text).template get<T>(); });
  if (straight.value && by_document.value) {
    return same(*straight.value, *by_document.value) ? "" : "parse and from_json: other values";
  }
  if (straight.value) return std::string("only from_json throws: ") + by_document.error->what();
  if (by_document.value) return std::string("only parse throws: ") + straight.error->what();
  const bool equal = straight.error->pointer() == by_document.error->pointer() &&
                     straight.error->message() == by_document.error->message();
  if (equal) return "";
  return std::string("parse: ") + straight.error->what() +
         ", from_json: " + by_document.error->what();
}

/// Whether the text is read without a document, whatever parse<T>(text) then makes of it. A text
/// that is accepted has to be: so it keeps the order of an ordered_json, and takes no more time.
template <class T>
bool is_read_without_document(std::string_view text) {
  T value{};
  return oci::detail::read_text(text, value);
}

/// How dump(value) differs from the text of the document for it; "" where it does not. Where a
/// string is not UTF-8, neither must give a text.
template <class T>
std::string writing_dispute(const T& value) {
  const auto straight = outcome_of<std::string>([&] { return oci::dump(value); });
  const auto by_document = outcome_of<std::string>([&]() -> std::string {
    const nlohmann::ordered_json document = value;  // throws an Error, which has to be the same
    try {
      return document.dump();
    } catch (const nlohmann::json::type_error&) {  // not UTF-8: has no pointer
      return "";
    }
  });
  if (by_document.error) {
    const bool equal =
        straight.error && straight.error->what() == std::string(by_document.error->what());
    return equal ? "" : std::string("only to_json throws: ") + by_document.error->what();
  }
  const std::string text = straight.value.value_or("");
  return text == *by_document.value ? "" : "dump: " + text + ", to_json: " + *by_document.value;
}

#endif  // OCI_STATE_TESTS_WAYS_HPP
