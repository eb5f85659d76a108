// What strings are made of: each character of Unicode as itself and as an escape, and whatever is
// not UTF-8 or not an escape, at each place of a string, in names and in values, read and written.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../support/random.hpp"
#include "../support/ways.hpp"

using oci::State;

namespace {

bool is_surrogate(char32_t c) { return 0xD800 <= c && c <= 0xDFFF; }

/// A code unit of UTF-16 as an escape.
std::string unit(char32_t code, std::string_view digits = "0123456789abcdef") {
  std::string text{"\\u"};
  for (const unsigned shift : {12U, 8U, 4U, 0U}) text += digits[code >> shift & 0xFU];
  return text;
}

/// A character as one escape, or as two for a pair of surrogates.
std::string escape(char32_t c, std::string_view digits = "0123456789abcdef") {
  if (c < 0x10000) return unit(c, digits);
  return unit(0xD7C0U + (c >> 10U), digits) + unit(0xDC00U + (c & 0x3FFU), digits);
}

/// A character as it is written: as itself if JSON allows it.
std::string written(char32_t c) {
  static const std::map<char32_t, std::string> short_escapes{
      {U'"', R"(\")"},  {U'\\', R"(\\)"}, {U'\b', R"(\b)"}, {U'\f', R"(\f)"},
      {U'\n', R"(\n)"}, {U'\r', R"(\r)"}, {U'\t', R"(\t)"}};
  const auto found = short_escapes.find(c);
  if (found != short_escapes.end()) return found->second;
  return c < 0x20 ? escape(c) : utf8({c});
}

/// All characters of Unicode in strings of 4096, each of them spelled by `spell`.
template <class Spell>
std::vector<std::string> all_characters(Spell spell) {
  std::vector<std::string> strings;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c % 0x1000 == 0) strings.emplace_back();
    if (!is_surrogate(c)) strings.back() += spell(c);
  }
  return strings;
}

/// The document of a State whose annotations are these strings.
std::string document_of(const std::vector<std::string>& strings) {
  std::string annotations;
  for (std::size_t i = 0; i < strings.size(); ++i) {
    if (i != 0) annotations += ',';
    annotations += '"' + std::to_string(1000 + i) + "\":\"" + strings[i] + '"';
  }
  return R"({"ociVersion":"","id":"","status":"stopped","bundle":"","annotations":{)" +
         annotations + "}}";
}

/// What a text is read into without a document; nothing if it is not read so. The text is on the
/// heap and not terminated, so that a sanitiser sees a read behind its end.
std::optional<State> read_straight(std::string_view text) {
  const std::vector<char> bytes(text.begin(), text.end());
  State state;
  if (!oci::detail::read_text({bytes.data(), bytes.size()}, state)) return std::nullopt;
  return state;
}

std::string with_id(const std::string& spelled) { return R"({"id":")" + spelled + R"("})"; }

std::string with_name(const std::string& spelled) {
  return R"({"annotations":{")" + spelled + R"(":"b"}})";
}

/// How reading a string, as a value and as a name, differs from what nlohmann reads; "" if it does
/// not. What nlohmann accepts has to be read straight.
std::string string_dispute(const std::string& spelled) {
  const auto document = nlohmann::json::parse(with_id(spelled), nullptr, false);
  const auto value = read_straight(with_id(spelled));
  const auto name = read_straight(with_name(spelled));
  if (document.is_discarded()) return value || name ? "is read: " + spelled : "";
  if (!value || !name) return "is not read: " + spelled;
  const std::string expected = document.at("id");
  const bool is_right =
      value->id == expected && *name->annotations == oci::Annotations{{expected, "b"}};
  return is_right ? "" : "is read as another string: " + spelled;
}

/// How reading any text goes wrong; "" if it does not.
std::string text_dispute(const std::string& text) {
  const std::vector<char> bytes(text.begin(), text.end());
  const std::string dispute = reading_dispute<State>({bytes.data(), bytes.size()});
  if (!dispute.empty()) return dispute;
  const auto read = outcome_of<State>([&] { return oci::parse(text); });
  if (read.value.has_value() == read_straight(text).has_value()) return "";
  return read.value ? "is not read straight" : "is read straight, and refused";
}

/// How writing a string, as a value and as a name, differs from what nlohmann writes.
std::string string_writing_dispute(const std::string& value) {
  State state;
  state.id = value;
  state.annotations = oci::Annotations{{"a", value}};
  const std::string dispute = writing_dispute(state);
  if (!dispute.empty()) return dispute;
  state.id.clear();
  state.annotations = oci::Annotations{{value, "b"}};
  return writing_dispute(state);
}

/// Bytes that are not UTF-8, if what comes after them does not continue them.
const std::vector<std::string> not_utf8{
    "\x80",         "\xBF",         "\xC0\x80",         "\xC1\xBF",         "\xC2",
    "\xDF",         "\xE0\x9F\xBF", "\xE0\xA0",         "\xE2\x82",         "\xED\xA0\x80",
    "\xED\xBF\xBF", "\xEF\xBF",     "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98",     "\xF0\x90",
    "\xF4\x8F\xBF", "\xF4",         "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80",
    "\xFE",         "\xFF"};

/// Escapes that are wrong: most of them with any text after them.
const std::vector<std::string> wrong_escapes{
    R"(\x41)",         R"(\a)",           R"(\')",           R"(\0)",
    R"(\U0041)",       R"(\u)",           R"(\u0)",          R"(\u00)",
    R"(\u004)",        R"(\u00g0)",       R"(\u-041)",       R"(\u 041)",
    R"(\u0x41)",       R"(\u004G)",       R"(\u00:0)",       R"(\u00@0)",
    R"(\u00`0)",       R"(\u00/0)",       R"(\ud800)",       R"(\uDBFF)",
    R"(\udc00)",       R"(\uDFFF)",       R"(\uDECC)",       R"(\ud83d\ud83d)",
    R"(\ude00\ud83d)", R"(\udc00\udc00)", R"(\udfff\udc00)", R"(\ud83d\u0041)",
    R"(\ud83d\ue000)", R"(\ud83d\udbff)", R"(\ud83d\ude0)",  R"(\ud83d\u)",
    R"(\ud83d\n)",     R"(\ud83dude00)",  R"(\ud83d\xde00)", R"(\ud83d \ude00)",
    R"(\ud83d/ude00)"};

/// What a string is made of, in pieces, with the value of those that are right.
struct Spelled {
  std::string text{};
  std::string value{};
};

char32_t random_character(Random& random) {
  static const std::u32string special{
      U"\0\1\b\t\n\f\r\x1B\x1F \"/\\~\x7F\x80\xA0\u00E9\u07FF\u0800\u0FFF\u1000\u20AC\uCFFF\uD000"
      U"\uD7FF\uE000\uFEFF\uFFFD\uFFFF\U00010000\U0001F600\U0003FFFF\U00040000\U000FFFFF"
      U"\U00100000\U0010FFFF",
      37};
  if (random.below(4) != 0) return random.one_of(special);
  const auto c = static_cast<char32_t>(random.below(0x110000));
  return is_surrogate(c) ? U'\uFFFD' : c;
}

std::string random_spelling(Random& random, char32_t c) {
  const std::size_t kind = random.below(4);
  if (kind == 0) return escape(c);
  if (kind == 1) return escape(c, "0123456789ABCDEF");
  if (c == U'/') return R"(\/)";
  return written(c);
}

/// Nothing but right pieces: plain characters for some words of a processor, and others.
Spelled random_string(Random& random) {
  Spelled string;
  for (std::size_t count = random.below(6); count > 0; --count) {
    const std::string plain = std::string("of plain characters").substr(random.below(20));
    const char32_t c = random_character(random);
    for (std::size_t times = 1 + random.below(random.below(4) == 0 ? 12 : 2); times > 0; --times) {
      string.text += random_spelling(random, c);
      string.value += utf8({c});
    }
    string.text += plain;
    string.value += plain;
  }
  return string;
}

/// What a string must not have, or not everywhere.
std::string random_mistake(Random& random) {
  switch (random.below(5)) {
    case 0: return random.one_of(not_utf8);
    case 1: return random.one_of(wrong_escapes);
    case 2: return unit(static_cast<char32_t>(0xD800 + random.below(0x800)));
    case 3: return std::string(1, static_cast<char>(random.below(0x100)));
    default: {
      const std::string whole = random_spelling(random, random_character(random));
      return whole.substr(0, random.below(whole.size()));
    }
  }
}

/// Right pieces, in most cases with a mistake at the beginning, at the end or in the middle.
std::string random_string_with_mistakes(Random& random) {
  std::string text = random_string(random).text;
  for (std::size_t count = random.below(3); count > 0; --count) text += random_mistake(random);
  if (random.below(2) == 0) text += random_string(random).text;
  return text;
}

/// A document that has the string in one of the places for one.
std::string random_document(Random& random, const std::string& spelled) {
  const std::string string = '"' + spelled + '"';
  const std::vector<std::string> documents{
      R"({"id":)" + string + "}",
      R"({"id":"web","bundle":)" + string + R"(,"status":)" + string + "}",
      R"({"annotations":{"a":)" + string + R"(,"b":"c"}})",
      R"({"annotations":{)" + string + R"(:"b","c":)" + string + "}}",
      R"({"x":)" + string + R"(,"y":[)" + string + "]}",
      "{" + string + R"(:1,"id":"web"})",
  };
  return random.one_of(documents);
}

}  // namespace

TEST_CASE("Each character of Unicode is read and written as itself") {
  const std::string text = document_of(all_characters(written));
  const auto state = read_straight(text);
  REQUIRE(state.has_value());
  std::vector<std::string> values;
  for (const auto& [name, value] : *state->annotations) values.push_back(value);
  CHECK((values == all_characters([](char32_t c) { return utf8({c}); })));
  CHECK((oci::dump(*state) == text));
  CHECK(writing_dispute(*state) == "");
}

TEST_CASE("Each character of Unicode is read from its escape") {
  const std::string digits = GENERATE("0123456789abcdef", "0123456789ABCDEF");
  const auto spelled = all_characters([&](char32_t c) { return escape(c, digits); });
  const auto expected = all_characters([](char32_t c) { return utf8({c}); });
  for (std::size_t i = 0; i < spelled.size(); ++i) {
    const auto state = read_straight(with_id(spelled[i]));
    const bool is_right = state.has_value() && state->id == expected[i];
    if (!is_right) FAIL("the block of 4096 characters with the number " << i);
  }
}

TEST_CASE("Each escape of a code unit is read alone, unless it is half of a surrogate pair") {
  for (char32_t c = 0; c < 0x10000; ++c) {
    const auto state = read_straight(with_id(unit(c)));
    const bool is_right =
        is_surrogate(c) ? !state.has_value() : state.has_value() && state->id == utf8({c});
    if (!is_right) FAIL(unit(c));
  }
}

TEST_CASE("Half of a surrogate pair is refused, whatever is beside it") {
  const std::string half =
      GENERATE(R"(\ud800)", R"(\uDBFF)", R"(\udc00)", R"(\uDFFF)", R"(\uDECC)");
  for (const std::string before :
       {"", "a", "seven b", "eight by", "é", R"(\n)", R"(\u00e9)", R"(\ud83d\ude00)"}) {
    for (const std::string after :
         {"", "a", "eight by", "é", "\xDE", R"(\n)", R"(\")", R"(\\)", R"(\u)", R"(\ud)",
          R"(\udc0)", R"(\u0041)", R"(\ud83d\ude00)", R"(\ue000)", "u", "ude00", R"(\)"}) {
      CAPTURE(before, half, after);
      CHECK(string_dispute(before + half + after) == "");
      CHECK(text_dispute(with_id(before + half + after)) == "");
      CHECK_FALSE(read_straight(with_id(before + half + after)).has_value());
    }
  }
}

TEST_CASE("Each pair of bytes is read if nlohmann reads it") {
  for (unsigned bytes = 0; bytes < 0x10000; ++bytes) {
    const std::string spelled{static_cast<char>(bytes >> 8U), static_cast<char>(bytes & 0xFFU)};
    const std::string dispute = string_dispute(spelled);
    if (!dispute.empty()) FAIL(bytes << ' ' << dispute);
  }
}

TEST_CASE("Three and four bytes at the edges of UTF-8 are read if nlohmann reads them") {
  const std::string first{"\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5\xFF"};
  const std::string second{"a\"\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xFF"};
  const std::string more{"a\x7F\x80\xBF\xC0"};
  for (const char a : first) {
    for (const char b : second) {
      for (const char c : more) {
        for (const char d : more) {
          const std::string spelled = {a, b, c, d};
          CHECK(string_dispute(spelled) == "");
          CHECK(string_dispute("bytes" + spelled + "behind it") == "");
          CHECK(string_writing_dispute(spelled) == "");
        }
        CHECK(string_dispute({a, b, c}) == "");
        CHECK(string_writing_dispute({a, b, c}) == "");
      }
    }
  }
}

TEST_CASE("A character is read and written at each place of a string of each length") {
  std::vector<std::string> pieces{R"(\n)",     R"(\")", R"(\\)", R"(\/)", R"(\u0000)",
                                  R"(\u00e9)", "é",     "€",     "😀",     "\x7F",
                                  "\x1F",      "\n",    R"(\)",  R"(")",  R"(\ud83d\ude00)"};
  pieces.insert(pieces.end(), not_utf8.begin(), not_utf8.end());
  for (std::size_t size = 0; size < 20; ++size) {
    for (std::size_t place = 0; place <= size; ++place) {
      for (const std::string& piece : pieces) {
        const std::string spelled = std::string(size, 'x').insert(place, piece);
        const std::string dispute = string_dispute(spelled) + string_writing_dispute(spelled);
        if (!dispute.empty()) FAIL(size << ' ' << place << ' ' << dispute);
      }
    }
  }
}

TEST_CASE("A mistake in a string is refused as nlohmann refuses it, wherever it is") {
  std::vector<std::string> mistakes = not_utf8;
  mistakes.insert(mistakes.end(), wrong_escapes.begin(), wrong_escapes.end());
  for (const std::string& mistake : mistakes) {
    CAPTURE(mistake);
    for (const std::string before : {"", "a", "eight by", R"(eight by\n)", "é"}) {
      for (const std::string after : {"", "a", "and some more behind it", "\\", "é"}) {
        CHECK(text_dispute(with_id(before + mistake + after)) == "");
        CHECK(text_dispute(with_name(before + mistake + after)) == "");
      }
      CHECK(text_dispute(R"({"id":")" + before + mistake) == "");
    }
  }
}

TEST_CASE("A text with all kinds of characters may be cut off anywhere") {
  const std::string whole =
      R"({"annotations":{"é\u00e9€😀\ud83d\ude00\n":"\ud83d\ude00😀€\u20acé\"\\"},"x":"😀\u0000"})";
  REQUIRE(read_straight(whole).has_value());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(read_straight(whole.substr(0, size)).has_value());
    CHECK(text_dispute(whole.substr(0, size)) == "");
  }
}

TEST_CASE("Random strings are read as the value that they spell, and written as nlohmann does") {
  const GeneratedDocuments generated;
  for (unsigned seed = generated.first; seed - generated.first < generated.count; ++seed) {
    Random random(seed);
    const Spelled string = random_string(random);
    const auto value = read_straight(with_id(string.text));
    const auto name = read_straight(with_name(string.text));
    const bool is_value = value.has_value() && value->id == string.value;
    const bool is_name = name.has_value() && name->annotations->count(string.value) == 1;
    const std::string dispute = string_writing_dispute(string.value);
    if (is_value && is_name && dispute.empty()) continue;
    CAPTURE(seed, string.text, is_value, is_name);
    FAIL(dispute);
  }
}

TEST_CASE("Random strings with mistakes give the same value or Error in both ways of reading") {
  const GeneratedDocuments generated;
  unsigned refused = 0;
  for (unsigned seed = generated.first; seed - generated.first < generated.count; ++seed) {
    Random random(seed);
    const std::string spelled = random_string_with_mistakes(random);
    std::string text = random_document(random, spelled);
    if (random.below(16) == 0) text.resize(random.below(text.size()));
    if (!read_straight(text)) ++refused;
    const std::string dispute = text_dispute(text) + string_writing_dispute(spelled);
    if (dispute.empty()) continue;
    CAPTURE(seed, text);
    FAIL(dispute);
  }
  // A generator that makes no mistakes, or makes them everywhere, would find nothing.
  CHECK(refused >= generated.count / 4);
  CHECK(refused <= generated.count - generated.count / 8);
}
