// A generator of JSON documents: it spells a value in one of the many ways that JSON has for it,
// and makes mistakes on request. It knows the list of a type's members, and nothing of how the
// header reads and writes.

#ifndef OCI_STATE_TESTS_DOCUMENTS_HPP
#define OCI_STATE_TESTS_DOCUMENTS_HPP

#include <oci/state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "random.hpp"

/// Spells documents. A type's members must have the defaults of their own types.
class Speller {
 public:
  explicit Speller(Random& random) : random_(random) {}

  /// A document for `value`, right in every respect.
  template <class T>
  std::string document(const T& value) {
    return mark() + text_of(tokens_of(value));
  }

  /// A document like that, with mistakes: most are such that it has to be refused.
  template <class T>
  std::string document_with_mistakes(const T& value) {
    confuses_members_ = random_.below(2) == 0;
    Tokens tokens = tokens_of(value);
    if (random_.below(4) < (confuses_members_ ? 1U : 3U)) spoil(tokens);
    confuses_members_ = false;
    std::string text = mark() + text_of(tokens);
    if (random_.below(16) == 0) text.resize(random_.below(text.size() + 1));
    if (random_.below(16) == 0) text += odd_token();
    return text;
  }

 private:
  using Tokens = std::vector<std::string>;

  // ---- Values

  template <class T>
  Tokens tokens_of(const T& value) {
    if constexpr (!std::is_null_pointer_v<decltype(oci::members<T>)>) {
      std::vector<Tokens> members;
      std::set<std::string> names;
      oci::members<T>(value, [&](std::string_view name, const auto& item) {
        names.emplace(name);
        const bool may_be_left_out = confuses_members_ || is_default(item);
        if (may_be_left_out && random_.below(3) == 0) return;
        members.push_back(member(name, tokens_of(item)));
      });
      for (std::size_t count = random_.below(3); count > 0; --count) {
        const std::string name = ignored_name();
        if (names.insert(name).second) members.push_back(member(name, anything(3)));
      }
      return object(std::move(members));
    } else if constexpr (std::is_same_v<T, bool>) {
      return {value ? "true" : "false"};
    } else if constexpr (std::is_integral_v<T>) {
      return {value == 0 && random_.below(2) == 0 ? "-0" : std::to_string(value)};
    } else {
      return tokens_of(nlohmann::json(value));
    }
  }

  Tokens tokens_of(const std::string& value) { return {string(value)}; }
  Tokens tokens_of(const std::filesystem::path& value) {
    const auto text = value.u8string();  // a std::string in C++17, no longer in C++20
    return {string(std::string(text.begin(), text.end()))};
  }

  Tokens tokens_of(const oci::NamedStatus<const oci::ContainerState, const std::string>& value) {
    const bool is_other = value.status == oci::ContainerState::other;
    return {string(is_other ? value.other : std::string(to_string(value.status)))};
  }

  template <class T>
  Tokens tokens_of(const std::optional<T>& value) {
    return value ? tokens_of(*value) : Tokens{"null"};
  }

  template <class T>
  Tokens tokens_of(const std::vector<T>& value) {
    if (value.empty() && random_.below(4) == 0) return {"null"};
    std::vector<Tokens> elements;
    for (const T& element : value) elements.push_back(tokens_of(element));
    return array(elements);
  }

  template <class T>
  Tokens tokens_of(const std::map<std::string, T>& value) {
    std::vector<Tokens> members;
    for (const auto& [name, item] : value) members.push_back(member(name, tokens_of(item)));
    return object(std::move(members));
  }

  Tokens tokens_of(const nlohmann::json& document) {
    if (document.is_string()) return {string(document.get<std::string>())};
    if (document.is_array()) return tokens_of(document.get<std::vector<nlohmann::json>>());
    if (!document.is_object()) return {document.dump()};
    return tokens_of(document.get<std::map<std::string, nlohmann::json>>());
  }

  template <class T>
  static bool is_default(const T& item) {
    return item == T{};
  }
  static bool is_default(
      const oci::NamedStatus<const oci::ContainerState, const std::string>& item) {
    return item.status == oci::ContainerState{};
  }

  // ---- What a type ignores

  std::string ignored_name() {
    static const std::vector<std::string> names{
        "", "x", "i", "Id", "id ", "pid", "created", "created", "owner", "annotations"};
    return random_.below(2) == 0 ? random_.text() : random_.one_of(names);
  }

  Tokens anything(std::size_t depth) {
    static const std::vector<std::string> scalars{
        "null",  "true",    "false",   "0",     "-0",     "7",         "-1",
        "1.5",   "-0.0",    "1e2",     "1E+20", "2.5e-3", "0e0",       "4294967296",
        "1e-99", "-1.0E-9", "1e-9999", "1e300", "1e308",  "123456789", "99999999999999999999"};
    const std::size_t kind = random_.below(depth == 0 ? 4 : 8);
    if (kind < 2) return {random_.one_of(scalars)};
    if (kind < 4) return {string(random_.text())};
    const bool is_array = kind < 6;
    std::vector<Tokens> items;
    std::set<std::string> names;
    for (std::size_t count = random_.below(4); count > 0; --count) {
      const std::string name = ignored_name();
      if (is_array) {
        items.push_back(anything(depth - 1));
      } else if (names.insert(name).second) {
        items.push_back(member(name, anything(depth - 1)));
      }
    }
    return is_array ? array(items) : object(std::move(items));
  }

  // ---- Tokens

  Tokens member(std::string_view name, Tokens value) {
    value.insert(value.begin(), {string(name), ":"});
    return value;
  }

  Tokens array(const std::vector<Tokens>& elements) { return joined("[", elements, "]"); }

  /// The members in any order.
  Tokens object(std::vector<Tokens> members) {
    if (confuses_members_ && !members.empty() && random_.below(2) == 0) confuse(members);
    for (std::size_t left = members.size(); left > 1; --left) {
      std::swap(members[left - 1], members[random_.below(left)]);
    }
    return joined("{", members, "}");
  }

  static Tokens joined(const std::string& open, const std::vector<Tokens>& items,
                       const std::string& close) {
    Tokens tokens{open};
    for (const Tokens& item : items) {
      if (tokens.size() > 1) tokens.emplace_back(",");
      tokens.insert(tokens.end(), item.begin(), item.end());
    }
    tokens.push_back(close);
    return tokens;
  }

  /// `value`, which is UTF-8, as a JSON string: as few escapes as possible, or many.
  std::string string(std::string_view value) {
    const bool is_plain = random_.below(2) == 0;
    std::string text{"\""};
    while (!value.empty()) {
      const auto first = static_cast<unsigned char>(value[0]);
      const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
      const std::string_view character = value.substr(0, size);
      const bool needs_escape = first < 0x20 || first == '"' || first == '\\';
      const bool is_escaped = needs_escape || (!is_plain && random_.below(2) == 0);
      text += is_escaped ? escape(character) : std::string(character);
      value.remove_prefix(size);
    }
    return text + '"';
  }

  std::string escape(std::string_view character) {
    static const std::string characters{"\"\\/\b\f\n\r\t"};
    static const std::string letters{"\"\\/bfnrt"};
    const std::size_t index = characters.find(character[0]);
    if (index != std::string::npos && random_.below(2) == 0) return {'\\', letters[index]};
    static constexpr std::uint32_t masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    std::uint32_t code = static_cast<unsigned char>(character[0]) & masks[character.size()];
    for (const char c : character.substr(1))
      code = code << 6U | (static_cast<unsigned char>(c) & 0x3FU);
    if (code < 0x10000) return unit(code);
    return unit(0xD7C0U + (code >> 10U)) + unit(0xDC00U + (code & 0x3FFU));
  }

  /// A code unit of UTF-16 as an escape.
  std::string unit(std::uint32_t code) {
    const std::string digits = random_.below(2) == 0 ? "0123456789abcdef" : "0123456789ABCDEF";
    std::string text{"\\u"};
    for (const std::uint32_t shift : {12U, 8U, 4U, 0U}) text += digits[code >> shift & 0xFU];
    return text;
  }

  // ---- Text

  std::string mark() { return random_.below(16) == 0 ? "\xEF\xBB\xBF" : ""; }

  std::string text_of(const Tokens& tokens) {
    const bool is_spaced = random_.below(2) == 0;
    const auto space = [&] {
      std::string spaces;
      while (is_spaced && random_.below(4) == 0) spaces += random_.one_of(std::string{" \n\r\t"});
      return spaces;
    };
    std::string text = space();
    for (const std::string& token : tokens) text += token + space();
    return text;
  }

  // ---- Mistakes

  /// What JSON does not have, or not everywhere.
  std::string odd_token() {
    using namespace std::string_literals;
    static const std::vector<std::string> tokens{
        // Punctuation, literals, comments, white space.
        "{", "}", "[", "]", ",", ":", "null", "true", "false", "nul", "nullx", "True", "'id'", "id",
        "NaN", "Infinity", "/**/", "//\n", "\v", "\f", "\0"s, "\xEF\xBB\xBF", "\xEF\xBB",
        "\xC2\xA0",
        // Numbers of all shapes.
        "0", "-0", "1", "-1", "127", "128", "-128", "-129", "65535", "65536", "2147483647",
        "2147483648", "-2147483648", "-2147483649", "4294967296", "9223372036854775808",
        "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1.0", "-0.0",
        "1e2", "1E-2", "1e999", "-1e999", "01", "-01", "00", "-", "+1", ".5", "1.", "1.e2", "1e",
        "1e+", "0x1", "1_000", "--1", "1-", "1 2",
        // Strings: empty, open, with wrong escapes, surrogates, control characters, bytes.
        R"("")", R"("id")", R"("\u0069d")", R"("stopped")", "\"", R"("\")", R"("\x")", R"("\u00")",
        R"("\u00g0")", R"("\u-001")", R"("\uD800")", R"("\uDC00")", R"("\uD800\u0041")",
        R"("\uD800x")", R"("\uD83D\uDE00")", R"("\uDE00\uD83D")", "\"\n\"", "\"\x1F\"", "\"\0\""s,
        "\"\x7F\"", "\"\x80\"", "\"\xC0\x80\"", "\"\xC3\"", "\"\xE2\x82\"", "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"", "\"\xFF\"",
        // Values within values.
        "{}", "[]", R"({"x":1,"\u0078":2})", R"(["a",null])", R"({"a":null})", R"({"source":"/"})"};
    return random_.one_of(tokens);
  }

  /// A member comes twice, or has the name of another for its value, alone or before its own value.
  void confuse(std::vector<Tokens>& members) {
    const Tokens changed = taken_from(members);
    const Tokens value{changed.begin() + 2, changed.end()};
    const std::size_t kind = random_.below(4);
    members.push_back(changed);
    if (kind == 0) members.push_back(member(name_of(changed), value));
    if (kind == 1) members.push_back(member(name_of(changed), anything(1)));
    if (kind < 2 || members.size() == 1) return;
    members.pop_back();
    const Tokens other = taken_from(members);
    if (random_.below(2) == 0) members.push_back(other);
    members.push_back(member(name_of(changed), {string(name_of(other))}));
    if (kind == 3) members.back().insert(members.back().end(), value.begin(), value.end());
  }

  Tokens taken_from(std::vector<Tokens>& members) {
    std::swap(members.back(), members[random_.below(members.size())]);
    Tokens taken = members.back();
    members.pop_back();
    return taken;
  }

  static std::string name_of(const Tokens& member) {
    return nlohmann::json::parse(member[0]).get<std::string>();
  }

  void spoil(Tokens& tokens) {
    if (tokens.empty()) return;
    const auto place = tokens.begin() + static_cast<std::ptrdiff_t>(random_.below(tokens.size()));
    const std::string other = random_.one_of(tokens);
    switch (random_.below(8)) {
      case 0: tokens.erase(place); break;
      case 1: tokens.insert(place, other); break;
      case 2: *place = other; break;
      case 3: tokens.insert(place, odd_token()); break;
      case 4: *place = odd_token(); break;
      case 5: std::iter_swap(place, tokens.begin()); break;
      case 6: tokens.insert(place, string(random_.text())); break;
      default: spoil(*place); break;
    }
  }

  /// Puts a part of an odd token into another.
  void spoil(std::string& token) {
    static const std::string bytes{"\0\x1F\\\"u0eE+-.\x80\xC3\xED\xFF", 15};
    token.insert(random_.below(token.size() + 1), 1, random_.one_of(bytes));
  }

  Random& random_;
  bool confuses_members_{};
};

#endif  // OCI_STATE_TESTS_DOCUMENTS_HPP
