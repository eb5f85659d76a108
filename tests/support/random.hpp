// Random values of the structs and of a runtime's own type, the same for a seed on every platform.

#ifndef OCI_STATE_TESTS_RANDOM_HPP
#define OCI_STATE_TESTS_RANDOM_HPP

#include <oci/state.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>

#include "container.hpp"

inline std::string utf8(const std::u32string& code_points) {
  std::string text;
  for (const char32_t c : code_points) {
    const int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    text += static_cast<char>(more == 0 ? c : 0xFF80U >> more | c >> 6 * more);
    for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80U | (c >> 6 * i & 0x3FU));
  }
  return text;
}

/// The same values for a seed on every platform, unlike the standard library's distributions.
class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}

  std::size_t below(std::size_t limit) { return engine_() % limit; }

  template <class Values>
  auto one_of(const Values& values) {
    return values[below(std::size(values))];
  }

  std::u32string code_points() {
    // What JSON escapes, the first and the last of each length in UTF-8, and the neighbours of the
    // surrogates.
    static const std::u32string special{
        U"\0\1\b\t\n\f\r\x1B\x1F \"'/\\a~\x7F\x80\u07FF\u0800\uD7FF"
        U"\uE000\uFEFF\uFFFD\uFFFE\uFFFF\U00010000\U0010FFFF",
        29};
    // A string that is the name of a member, for a reader that takes one for the other.
    static const std::u32string names[] = {U"id",       U"pid",       U"fds",    U"log",
                                           U"state",    U"status",    U"bundle", U"nice",
                                           U"metadata", U"ociVersion"};
    if (below(8) == 0) return one_of(names);
    std::u32string text(below(9), U'\0');
    for (char32_t& c : text) {
      c = below(2) == 0 ? one_of(special) : static_cast<char32_t>(below(0x110000));
      if (0xD800 <= c && c <= 0xDFFF) c = U'"';
    }
    return text;
  }

  std::string text() { return utf8(code_points()); }

  std::int32_t pid() {
    constexpr std::int32_t special[] = {std::numeric_limits<std::int32_t>::min(), -1, 0, 1, 4242,
                                        std::numeric_limits<std::int32_t>::max()};
    return below(2) == 0 ? one_of(special) : static_cast<std::int32_t>(engine_());
  }

  template <class T>
  T unsigned_number() {
    if (below(4) == 0) return 0;
    const std::uint64_t high = engine_();
    const std::uint64_t low = engine_();
    return static_cast<T>(high << 32U | low);
  }

  oci::State state() {
    oci::State state;
    state.version = text();
    state.id = text();
    state.status = static_cast<oci::ContainerState>(below(5));
    state.other_status = text();  // left over, unless the status is other
    if (state.status == oci::ContainerState::other && state.other_status.empty()) {
      state.other_status = "paused";
    }
    if (below(2) == 0) state.pid = pid();
    state.bundle = std::filesystem::path(code_points());
    if (below(4) != 0) {
      state.annotations.emplace();
      for (std::size_t count = below(below(8) == 0 ? 50 : 4); count > 0; --count) {
        (*state.annotations)[text()] = text();
      }
    }
    return state;
  }

  oci::ContainerProcessState process() {
    oci::ContainerProcessState process;
    process.version = text();
    for (std::size_t count = below(4); count > 0; --count) process.fds.push_back(text());
    process.pid = pid();
    if (below(2) == 0) process.metadata = text();
    process.state = state();
    return process;
  }

  runtime::Container container() {
    runtime::Container container;
    static_cast<oci::State&>(container) = state();
    container.owner = text();
    if (below(2) == 0) container.exit_code = pid();
    container.terminal = below(2) == 0;
    container.mode = static_cast<runtime::Mode>(below(2));
    for (std::size_t count = below(3); count > 0; --count) {
      container.mounts.push_back({text(), below(2) == 0});
      container.ports.push_back(unsigned_number<std::uint16_t>());
      container.groups[text()].push_back(text());
    }
    if (below(2) == 0) container.log = std::filesystem::path(code_points());
    if (below(2) == 0) {
      container.limits.emplace();
      container.limits->memory = unsigned_number<std::uint64_t>();
      if (below(2) == 0) container.limits->nice = static_cast<std::int8_t>(engine_());
    }
    return container;
  }
  template <class T>
  T value() {
    if constexpr (std::is_same_v<T, oci::State>) return state();
    if constexpr (std::is_same_v<T, oci::ContainerProcessState>) return process();
    if constexpr (std::is_same_v<T, runtime::Container>) return container();
  }

 private:
  std::mt19937 engine_;
};

/// How many documents are generated, and the seed of the first: each has a seed of its own, which a
/// failure shows. More documents, or a failed one alone, by variables of the environment.
struct GeneratedDocuments {
  unsigned first = number("OCI_STATE_FIRST_DOCUMENT", 0);
  unsigned count = number("OCI_STATE_DOCUMENTS", 2000);

  static unsigned number(const char* variable, unsigned otherwise) {
    const char* const text = std::getenv(variable);
    return text == nullptr ? otherwise : static_cast<unsigned>(std::stoul(text));
  }
};

#endif  // OCI_STATE_TESTS_RANDOM_HPP
