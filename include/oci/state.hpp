// oci/state.hpp: the state documents of the OCI runtime specification, for C++17.
// SPDX-License-Identifier: Apache-2.0
// Documentation: README.md beside include/. The specification:
// https://github.com/opencontainers/runtime-spec (runtime.md, section State; config-linux.md,
// section The Container Process State). Needs nlohmann/json 3.9.1 or later, and nothing else.

#ifndef OCI_STATE_HPP
#define OCI_STATE_HPP

#define OCI_STATE_VERSION_MAJOR 1
#define OCI_STATE_VERSION_MINOR 0
#define OCI_STATE_VERSION_PATCH 0

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#ifndef _WIN32
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#ifdef __linux__
#include <sys/xattr.h>
#endif

namespace oci {
inline namespace v1_0_0 {  // the full version: two of them can be used in one program

// ---- Types -------------------------------------------------------------------------------------

/// The runtime status of a container (runtime.md, State: `status`).
enum class ContainerState {
  stopped,   ///< the container process has exited; the default
  creating,  ///< the container is being created
  created,   ///< the create operation has finished; the user's program has not been started
  running,   ///< the container process has executed the user's program and has not exited
  other,     ///< a status that the runtime defines, such as "paused": see State::other_status
};

/// Key values associated with a container (runtime.md, State: `annotations`).
using Annotations = std::map<std::string, std::string>;

/// The state of a container (runtime.md, State; schema/state-schema.json).
struct State {
  /// "ociVersion": the version of the specification that the document complies with.
  std::string version{};
  /// "id": the container's ID.
  std::string id{};
  /// "status": the runtime status of the container.
  ContainerState status{};
  /// The name of the status where `status` is `other`. Ignored where it is not.
  std::string other_status{};
  /// "pid": the ID of the container process, as the reader sees it. Runtimes also write 0 and -1.
  std::optional<std::int32_t> pid{};
  /// "bundle": the absolute path to the container's bundle directory.
  std::filesystem::path bundle{};
  /// "annotations": none where the document has no such member.
  std::optional<Annotations> annotations{};
};

/// The name, in ContainerProcessState::fds, of the seccomp listener's file descriptor.
inline constexpr std::string_view seccomp_fd_name{"seccompFd"};

/// What a runtime sends to a seccomp agent, with file descriptors, over a UNIX socket
/// (config-linux.md, The Container Process State).
struct ContainerProcessState {
  /// "ociVersion": the version of the specification that the document complies with.
  std::string version{};
  /// "fds": the names of the file descriptors passed, in the order of the SCM_RIGHTS array.
  std::vector<std::string> fds{};
  /// "pid": the ID of the container process, as the runtime sees it.
  std::int32_t pid{};
  /// "metadata": opaque, as the container's configuration has it (`listenerMetadata`).
  std::optional<std::string> metadata{};
  /// "state": the state of the container.
  State state{};
};

/// The name of an enumerator: "stopped", "creating", "created", "running" or "other"; empty for a
/// value that is no enumerator.
[[nodiscard]] constexpr std::string_view to_string(ContainerState status) noexcept {
  switch (status) {
    case ContainerState::stopped: return "stopped";
    case ContainerState::creating: return "creating";
    case ContainerState::created: return "created";
    case ContainerState::running: return "running";
    case ContainerState::other: return "other";
  }
  return {};
}

/// The name of the status as in the document: `other_status` where the status is `other`. A runtime
/// chose it, so quote it before you log it.
[[nodiscard]] inline std::string status_name(const State& state) {
  if (state.status == ContainerState::other) return state.other_status;
  return std::string(to_string(state.status));
}

// ---- JSON --------------------------------------------------------------------------------------

namespace detail {

/// `text` as a JSON string in ASCII, cut to 64 bytes: fit for a log, whatever it holds.
inline std::string printable(std::string_view text) {
  using nlohmann::json;
  std::size_t size = std::min<std::size_t>(text.size(), 64);
  while (size > 61 && size < text.size() && (text[size] & 0xC0) == 0x80) --size;  // in a character
  std::string quoted =
      json(std::string(text.substr(0, size))).dump(-1, ' ', true, json::error_handler_t::replace);
  if (size < text.size()) quoted.insert(quoted.size() - 1, "...");
  return quoted;
}

/// `text`, whole: control characters are escaped, bytes that are not UTF-8 become "\ufffd".
inline std::string escaped(std::string_view text) {
  std::string line;
  for (std::size_t size = 0; !text.empty(); text.remove_prefix(size)) {
    const auto first = static_cast<unsigned char>(text[0]);
    size = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    const std::string_view character = text.substr(0, size);
    const std::string quoted = printable(character);
    const bool valid = quoted.find("\\ufffd") == std::string::npos || character == "\xEF\xBF\xBD";
    const bool control = character < " " || character == "\x7F" ||
                         ("\xC2\x80" <= character && character <= "\xC2\x9F");
    if (!valid) size = 1;
    line += !valid ? "\\ufffd" : control ? quoted.substr(1, quoted.size() - 2) : character;
  }
  return line;
}

}  // namespace detail

/// The content of a document is wrong: it is no JSON, or holds a wrong type, a number out of range,
/// a duplicate name, a string that is not UTF-8. what() says where, what was expected and what was
/// found: "/run/web/state.json: /state/pid: expected ..., found ...". What it quotes of the
/// document is cut and made printable. The inherited `id` is 0.
class Error : public nlohmann::json::exception {
 public:
  /// For conversions of your own: `pointer` is the JSON Pointer (RFC 6901) of the offending value,
  /// `message` what was expected and what was found, `file` the file that it was read from, if any.
  Error(const std::string& pointer, const std::string& message, const std::string& file = {})
      : exception(0, text(pointer, message, file).c_str()),
        parts_(std::make_shared<const Parts>(Parts{pointer, message, file})) {}

  /// The JSON Pointer (RFC 6901) of the offending value in the document; "" for the document.
  [[nodiscard]] const std::string& pointer() const noexcept { return parts_->pointer; }
  /// what() without the file and the pointer.
  [[nodiscard]] const std::string& message() const noexcept { return parts_->message; }
  /// The file that the document was read from or was to be written to; "" if there was none.
  [[nodiscard]] const std::string& file() const noexcept { return parts_->file; }

 private:
  struct Parts {
    std::string pointer, message, file;
  };

  static std::string text(const std::string& pointer, const std::string& message,
                          const std::string& file) {
    const std::string quoted = detail::printable(pointer);
    return (file.empty() ? "" : detail::escaped(file) + ": ") +
           (pointer.empty() ? "" : quoted.substr(1, quoted.size() - 2) + ": ") + message;
  }

  const std::shared_ptr<const Parts> parts_;  // shared, so that a copy can't throw; never moved
};

/// In a list of members, a status and the string that has its name where it is `other`.
template <class Status, class Name>
struct NamedStatus {
  Status& status;
  Name& other;

  bool operator==(const NamedStatus& right) const {
    return status == right.status && (status != ContainerState::other || other == right.other);
  }
};
template <class Status, class Name>
NamedStatus(Status&, Name&) -> NamedStatus<Status, Name>;

/// The list of a type's JSON members, each with a name of its own, in the order in which they are
/// written: a function that calls `member` with the name and the value of each. A type of your own
/// joins in with a list of its own: README, "Extending with your own members".
template <class T>
inline constexpr auto members = nullptr;

template <>
inline constexpr auto members<State> = [](auto& state, auto member) {
  member("ociVersion", state.version);
  member("id", state.id);
  member("status", NamedStatus{state.status, state.other_status});
  member("pid", state.pid);
  member("bundle", state.bundle);
  member("annotations", state.annotations);
};

template <>
inline constexpr auto members<ContainerProcessState> = [](auto& process, auto member) {
  member("ociVersion", process.version);
  member("fds", process.fds);
  member("pid", process.pid);
  member("metadata", process.metadata);
  member("state", process.state);
};

namespace detail {

/// Whether T itself, and not only a base class of it, has a list of members.
template <class T>
inline constexpr bool has_members = !std::is_null_pointer_v<decltype(members<T>)>;
template <class T>
using if_has_members = std::enable_if_t<has_members<T>, int>;
template <class T>
inline constexpr bool is_integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;

/// A step of a JSON Pointer.
inline std::string pointer_step(std::string_view name) {
  return (nlohmann::json::json_pointer() / std::string(name)).to_string();
}

/// Calls `call`, which may work on the member or element `name`: this goes into the pointer of an
/// Error. An exception of nlohmann's, from a user's own conversion, becomes an Error.
template <class Call>
decltype(auto) with_errors(std::optional<std::string_view> name, Call call) try {
  return call();
} catch (const Error& error) {
  if (!name || !error.file().empty()) throw;  // of a file that a user's own conversion loads
  throw Error(pointer_step(*name) + error.pointer(), error.message());
} catch (const nlohmann::json::exception& error) {
  throw Error(name ? pointer_step(*name) : "", escaped(error.what()));
}

inline Error mismatch(const std::string& expected, const std::string& found) {
  return {"", "expected " + expected + ", found " + found};
}

template <class Json>
std::string describe(const Json& document) {
  if (document.is_string()) return printable(document.template get_ref<const std::string&>());
  if (document.is_structured()) return std::string("an ") + document.type_name();
  return document.is_binary() ? "binary data" : document.dump();
}

/// The status of that name; `other` for a name that is none of the specification's.
inline ContainerState status_named(std::string_view name) {
  for (const auto status : {ContainerState::stopped, ContainerState::creating,
                            ContainerState::created, ContainerState::running}) {
    if (name == to_string(status)) return status;
  }
  return ContainerState::other;
}

/// The name that a document has for a status. Throws Error where it can have none.
inline std::string_view document_name(ContainerState status, std::string_view other) {
  if (status == ContainerState::other) {
    if (!other.empty() && status_named(other) == ContainerState::other) return other;
    throw mismatch("a status of the runtime's own", printable(other));
  }
  if (!to_string(status).empty()) return to_string(status);
  throw mismatch("a ContainerState", std::to_string(static_cast<int>(status)));
}

#ifdef _WIN32  // where paths are UTF-16
inline std::filesystem::path path_from_utf8(std::string_view utf8) try {
#ifdef __cpp_char8_t
  return std::u8string(utf8.begin(), utf8.end());
#else
  return std::filesystem::u8path(utf8);
#endif
} catch (const std::system_error&) {
  throw mismatch("UTF-8", printable(utf8));
}

inline std::string path_to_utf8(const std::filesystem::path& path) try {
  const auto text = path.u8string();  // a std::string in C++17, no longer in C++20
  return {text.begin(), text.end()};
} catch (const std::system_error&) {
  throw mismatch("a path in UTF-16", "half of a surrogate pair");
}
#else
inline std::filesystem::path path_from_utf8(std::string_view utf8) { return utf8; }
inline const std::string& path_to_utf8(const std::filesystem::path& path) { return path.native(); }
#endif

// How a value of each type is read: one rule for a type, and two kinds of source. A DocumentSource
// is a value in a document of nlohmann's; there, a broken rule is an Error. A TextSource is at a
// value in a text, and gives up at what it does not know, right or wrong: then read_value() returns
// false, and a document decides.

template <class Source>
bool read_value(Source& source, std::string& value) {
  std::string_view text;
  if (!source.string(text)) return source.refuse("a string");
  value = text;
  return true;
}

template <class Source>
bool read_value(Source& source, std::filesystem::path& value) {
  std::string_view text;
  if (!source.string(text)) return source.refuse("a string");
  value = path_from_utf8(text);
  return true;
}

template <class Source>
bool read_value(Source& source, NamedStatus<ContainerState, std::string> value) {
  std::string_view name;
  if (!source.string(name) || name.empty()) return source.refuse("a string that is not empty");
  value.status = status_named(name);
  if (value.status == ContainerState::other) value.other = name;
  return true;
}

/// Null is none.
template <class Source, class T>
bool read_value(Source& source, std::optional<T>& value) {
  value.reset();
  return source.null() || read_value(source, value.emplace());
}

/// Null is no elements: Go's encoder writes it for a nil slice.
template <class Source, class T>
bool read_value(Source& source, std::vector<T>& value) {
  value.clear();
  const auto read_element = [&](std::string_view, auto& element) {
    T item{};
    if (!read_value(element, item)) return false;
    value.push_back(std::move(item));
    return true;
  };
  const auto expected = std::is_same_v<T, std::string> ? "an array of strings" : "an array";
  return source.null() || source.array(read_element) || source.refuse(expected);
}

template <class Source, class T>
bool read_value(Source& source, std::map<std::string, T>& value) {
  value.clear();
  const auto read_member = [&](std::string_view name, auto& element) {
    const std::size_t size = value.size();
    const auto added = value.emplace_hint(value.end(), name, T{});
    return value.size() > size && read_value(element, added->second);
  };
  const auto expected = std::is_same_v<T, std::string> ? "an object of strings" : "an object";
  return source.object(read_member) || source.refuse(expected);
}

/// A struct with a list of members, an integer, or what nlohmann alone can convert. In a struct, an
/// absent member keeps its default, and one that is not in the list is ignored.
template <class Source, class T>
bool read_value(Source& source, T& value) {
  if constexpr (has_members<T>) {
    std::string seen;  // 'y' or 'n' for each member: up to 15, this allocates nothing
    std::set<std::string> ignored;
    const auto read_member = [&](std::string_view name, auto& element) {
      std::size_t index = 0;
      std::optional<bool> done;
      members<T>(value, [&](std::string_view member, auto&& item) {
        if (seen.size() == index) seen += 'n';
        if (!done && name == member) {
          done = std::exchange(seen[index], 'y') == 'n' && read_value(element, item);
        }
        ++index;
      });
      return done ? *done : element.ignore(name, ignored);
    };
    return source.object(read_member) || source.refuse("an object");
  } else if constexpr (is_integer<T>) {
    using Limits = std::numeric_limits<T>;
    return source.integer(value) ||
           source.refuse("an integer from " + std::to_string((Limits::min)()) + " to " +
                         std::to_string((Limits::max)()));
  } else {
    return source.convert(value);
  }
}

/// The size of the integer at the beginning of `text`; 0 where there is none that a T can hold.
template <class T>
std::size_t read_integer(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? static_cast<std::size_t>(end - text.data()) : 0;
}

/// A value in a document, to be read.
template <class Json>
class DocumentSource {
 public:
  explicit DocumentSource(const Json& document) : document_(document) {}

  [[noreturn]] bool refuse(const std::string& expected) {
    throw mismatch(expected, describe(document_));
  }
  static bool ignore(std::string_view, std::set<std::string>&) { return true; }
  bool null() { return document_.is_null(); }

  bool string(std::string_view& value) {
    if (document_.is_string()) value = document_.template get_ref<const std::string&>();
    return document_.is_string();
  }

  template <class T>
  bool integer(T& value) {
    const std::string digits = document_.is_number_integer() ? document_.dump() : "";
    return read_integer(digits, value) == digits.size() && !digits.empty();
  }

  template <class Read>
  bool array(Read read_element) {
    return document_.is_array() && items(read_element);
  }
  template <class Read>
  bool object(Read read_member) {
    return document_.is_object() && items(read_member);
  }

  template <class T>
  bool convert(T& value) {
    value = document_.template get<T>();
    return true;
  }

 private:
  template <class Read>
  bool items(Read read_item) {
    for (const auto& item : document_.items()) {  // the key() of an element is its index
      DocumentSource source(item.value());
      with_errors(item.key(), [&] { read_item(item.key(), source); });
    }
    return true;
  }

  const Json& document_;
};

// How a value of each type is written, to a document or to text: as what written_value() returns.

template <class T>
const T& written_value(const T& value) {
  return value;
}
inline decltype(auto) written_value(const std::filesystem::path& value) {
  return path_to_utf8(value);
}
inline std::string_view written_value(NamedStatus<const ContainerState, const std::string> value) {
  return document_name(value.status, value.other);
}

template <class T, class Write>
void write_member(std::string_view name, const T& value, Write write) {
  with_errors(name, [&] { write(name, written_value(value)); });
}

/// None is not written.
template <class T, class Write>
void write_member(std::string_view name, const std::optional<T>& value, Write write) {
  if (value) write_member(name, *value, write);
}

/// Calls `write` with the name and the value of each member.
template <class T, class Write>
void write_members(const T& object, Write write) {
  members<T>(object,
             [&](std::string_view name, const auto& value) { write_member(name, value, write); });
}

/// The kind of document that a T is converted to: ordered_json, which keeps the order of members,
/// or json where the conversions of T know that one alone.
template <class T>
using DocumentOf = std::conditional_t<std::is_constructible_v<nlohmann::ordered_json, const T&>,
                                      nlohmann::ordered_json, nlohmann::json>;

template <class Json, class T>
Json to_document(const T& value) {
  if constexpr (has_members<T>) {
    Json object = Json::object();
    write_members(value, [&](std::string_view name, const auto& item) {
      object[std::string(name)] = to_document<Json>(item);
    });
    return object;
  } else {
    return std::conditional_t<std::is_constructible_v<Json, const T&>, Json, DocumentOf<T>>(value);
  }
}

}  // namespace detail

/// Sets `document` to the name of `status`. Throws Error for `other`, whose name only a State
/// holds, and for a value that is no enumerator.
template <class Json>
void to_json(Json& document, ContainerState status) {
  document = std::string(detail::document_name(status, ""));
}

/// Sets `status` from its name. Throws Error, and leaves `status` as it was, for anything but the
/// names of the specification: a ContainerState has no place for another one, a State has.
template <class Json>
void from_json(const Json& document, ContainerState& status) {
  std::string_view name;
  detail::DocumentSource<Json> source(document);
  if (!source.string(name) || detail::status_named(name) == ContainerState::other) {
    source.refuse(R"("creating", "created", "running" or "stopped" (another needs a State))");
  }
  status = detail::status_named(name);
}

/// Sets `document` to the document for `value`, without the members that are none. Throws Error,
/// and leaves `document` as it was, for a status without a proper name.
template <class Json, class T, detail::if_has_members<T> = 0>
void to_json(Json& document, const T& value) {
  document = detail::to_document<Json>(value);
}

/// Sets `value` from its document, members that are absent to their defaults. Throws Error, and
/// leaves `value` as it was, where the document is not as the README's table has it.
template <class Json, class T, detail::if_has_members<T> = 0>
void from_json(const Json& document, T& value) {
  T fresh{};
  detail::DocumentSource<Json> source(document);
  detail::read_value(source, fresh);
  value = std::move(fresh);
}

/// Whether all members are equal; `bundle` as paths are, for which /a//b is /a/b.
template <class T, detail::if_has_members<T> = 0>
[[nodiscard]] bool operator==(const T& left, const T& right) {
  bool equal = true;
  members<T>(left, [&](std::string_view name, const auto& value) {
    members<T>(right, [&](std::string_view other_name, const auto& other) {
      if constexpr (std::is_same_v<decltype(value), decltype(other)>) {
        if (name == other_name) equal = equal && value == other;
      }
    });
  });
  return equal;
}
template <class T, detail::if_has_members<T> = 0>
[[nodiscard]] bool operator!=(const T& left, const T& right) {
  return !(left == right);
}

/// Prints the name of the enumerator.
inline std::ostream& operator<<(std::ostream& out, ContainerState status) {
  return out << to_string(status);
}

/// Prints the JSON text, or why there is none; what is not UTF-8 becomes U+FFFD. For a log or a
/// failed assertion.
template <class T, detail::if_has_members<T> = 0>
std::ostream& operator<<(std::ostream& out, const T& value) try {
  using Json = nlohmann::ordered_json;
  const Json document = detail::to_document<Json>(value);
  return out << document.dump(-1, ' ', false, Json::error_handler_t::replace);
} catch (const Error& error) {  // a status without a name, a path that is not UTF-16
  return out << error.what();
}

/// Checks what the specification asks of a state beyond the types (runtime.md, State), for a hook
/// before it acts and a runtime before it saves. Throws Error for the first of these: `version` or
/// `id` empty; `status` without a proper name; `pid` negative or, on Linux, none while created or
/// running; `bundle` not absolute. It can't tell an absent `status`, which reads as stopped.
inline void validate(const State& state) {
  if (state.version.empty()) throw Error("/ociVersion", R"(expected a version, found "")");
  if (state.id.empty()) throw Error("/id", R"(expected an ID, found "")");
  detail::with_errors("status", [&] { detail::document_name(state.status, state.other_status); });
  if (state.pid.value_or(0) < 0) {
    throw Error("/pid", "expected 0 or greater, found " + std::to_string(*state.pid));
  }
#ifdef __linux__
  const std::string status = status_name(state);
  if (!state.pid && (status == "created" || status == "running")) {
    throw Error("/pid", "expected a process ID, as the status is " + status + ", found none");
  }
#endif
  if (!state.bundle.is_absolute()) {
    const std::string bundle = detail::printable(detail::path_to_utf8(state.bundle));
    throw Error("/bundle", "expected an absolute path, found " + bundle);
  }
}

/// The same for a container process and its state: `version` empty; `pid` negative; `state` wrong.
inline void validate(const ContainerProcessState& process) {
  if (process.version.empty()) throw Error("/ociVersion", R"(expected a version, found "")");
  if (process.pid < 0) {
    throw Error("/pid", "expected 0 or greater, found " + std::to_string(process.pid));
  }
  detail::with_errors("state", [&] { validate(process.state); });
}

// ---- Text --------------------------------------------------------------------------------------

namespace detail {

/// Builds a document from a text, by the events of nlohmann's parser, as its own parse() does, but
/// refuses duplicate names and NUL bytes. It does not throw what is wrong, but keeps it in `error`.
template <class Json>
struct DocumentBuilder {
  explicit DocumentBuilder(std::string_view whole) : text(whole) {
    const std::size_t nul = text.find('\0');  // which nlohmann's parser takes for the end
    if (nul != std::string_view::npos) refuse(nul + 1, "expected JSON text, found a NUL byte");
    if (!error) Json::sax_parse(text.begin(), text.end(), this);
  }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(typename Json::number_integer_t value) { return add(value); }
  bool number_unsigned(typename Json::number_unsigned_t value) { return add(value); }
  bool number_float(typename Json::number_float_t value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(typename Json::binary_t&) { return false; }  // not reached: no text has any
  bool start_array(std::size_t) { return open(Json::value_t::array); }
  bool end_array() { return close(); }
  bool start_object(std::size_t) { return open(Json::value_t::object); }
  bool end_object() { return close(); }

  bool key(std::string& name) {
    const auto [member, added] = parents.back()->emplace(std::move(name), nullptr);
    named = &*member;
    if (added) return true;
    error.emplace(pointer(),
                  "expected one member named " + printable(member.key()) + ", found two");
    return false;
  }

  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::json::exception& reason) {
    // nlohmann's message without its number and position, and with the token cut.
    std::string message = reason.what();
    message.erase(0, message.find("] ") + 2);
    if (message.rfind("parse error", 0) == 0) message.erase(0, message.find(": ") + 2);
    const std::size_t quote = message.rfind('\'' + token + '\'');
    if (quote != std::string::npos) message.replace(quote, token.size() + 2, printable(token));
    return refuse(position, message);
  }

  /// `position` is the number of bytes read, the wrong one included.
  bool refuse(std::size_t position, const std::string& message) {
    const std::string_view before = text.substr(0, position - 1);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const auto column = position - (before.rfind('\n') + 1);  // npos + 1 is 0
    error.emplace(
        "", "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message);
    return false;
  }

  /// The place for the value that the parser is at.
  Json& place() {
    if (parents.empty()) return document;
    return parents.back()->is_array() ? parents.back()->emplace_back(nullptr) : *named;
  }

  bool add(Json value) {
    place() = std::move(value);
    return true;
  }

  bool open(typename Json::value_t type) {
    parents.push_back(&place());
    *parents.back() = type;
    return true;
  }

  bool close() {
    parents.pop_back();
    return true;
  }

  /// The JSON Pointer of the member that is being read.
  [[nodiscard]] std::string pointer() const {
    std::string pointer;
    for (auto parent = parents.begin(); parent != parents.end(); ++parent) {
      const Json* child = parent + 1 == parents.end() ? named : parent[1];
      for (const auto& item : (*parent)->items()) {
        if (&item.value() == child) pointer += pointer_step(item.key());
      }
    }
    return pointer;
  }

  std::string_view text;
  Json document;               // whole where there is no error
  std::optional<Error> error;  // the first
  std::vector<Json*> parents;  // the open arrays and objects, innermost last
  Json* named{};               // the value of the last name
};

constexpr std::size_t index_of(char c) { return static_cast<unsigned char>(c); }

/// The escapes of two characters in JSON strings: a letter, and the character that it stands for.
struct Escapes {
  std::array<char, 256> letter{};     // by character; 0 for none, 'u' where nlohmann decides
  std::array<char, 256> character{};  // by letter; 0 where there is no such escape

  constexpr Escapes() {
    for (std::size_t c = 0; c < letter.size(); ++c) letter[c] = c < ' ' || c > '~' ? 'u' : '\0';
    for (const char* pair : {"\"\"", "\\\\", "b\b", "f\f", "n\n", "r\r", "t\t"}) {
      letter[index_of(pair[1])] = pair[0];
      character[index_of(pair[0])] = pair[1];
    }
    character['/'] = '/';
  }
};
inline constexpr Escapes escapes{};

/// The end of the characters at `at` that stand for themselves in a JSON string.
inline const char* skip_plain(const char* at, const char* end) {
  // Eight at a time: a byte that is not plain sets a highest bit in one of the terms.
  constexpr std::uint64_t each = 0x0101010101010101;
  for (std::uint64_t bytes = 0; end - at >= 8; at += 8) {
    std::memcpy(&bytes, at, 8);
    const std::uint64_t quote = (bytes ^ each * '"') - each;
    const std::uint64_t backslash = (bytes ^ each * '\\') - each;
    if (((bytes | quote | backslash | (bytes - each * ' ')) & each * 0x80) != 0) break;
  }
  while (at != end && escapes.letter[index_of(*at)] == 0) ++at;
  return at;
}

/// A value in a text, to be read. It knows what runtimes write: objects, arrays, integers, strings
/// of ASCII and its escapes. Other strings, and the values that are ignored or that nlohmann
/// converts, go to nlohmann's parser, each as the text of one value. At all else it gives up.
template <class Json = nlohmann::json>
class TextSource {
 public:
  explicit TextSource(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  static bool refuse(const std::string&) { return false; }
  bool at_end() { return skip_space() == end_; }
  bool null() {
    if (skip_space() == end_ || rest().substr(0, 4) != "null") return false;
    at_ += 4;
    return true;
  }

  /// `value` is in the text or, where it has to be decoded, in decoded_.
  bool string(std::string_view& value) {
    if (!next('"')) return false;
    const char* const begin = at_;
    const auto plain = [&] {
      const char* const from = std::exchange(at_, skip_plain(at_, end_));
      return std::string_view(from, static_cast<std::size_t>(at_ - from));
    };
    const auto ends = [&] { return at_ != end_ && *at_ == '"' && ++at_ != nullptr; };
    value = plain();
    if (ends()) return true;
    decoded_ = value;
    while (decode_escape()) {
      value = decoded_ += plain();
      if (ends()) return true;
    }
    at_ = begin - 1;  // not all of it is ASCII
    const std::optional<Json> document = parse_value();
    if (document) value = decoded_ = document->template get_ref<const std::string&>();
    return document.has_value();
  }

  template <class T>
  bool integer(T& value) {
    skip_space();
    const std::size_t size = read_integer(rest(), value);
    const bool padded = size > 1 && (*at_ == '0' || (*at_ == '-' && at_[1] == '0'));
    at_ += size;
    return size > 0 && !padded;
  }

  template <class Read>
  bool array(Read read_element) {
    if (!next('[')) return false;
    if (next(']')) return true;
    do {
      if (!read_element({}, *this)) return false;
    } while (next(','));
    return next(']');
  }

  template <class Read>
  bool object(Read read_member) {
    if (!next('{')) return false;
    if (next('}')) return true;
    do {
      std::string_view name;
      if (!string(name) || !next(':') || !read_member(name, *this)) return false;
    } while (next(','));
    return next('}');
  }

  bool ignore(std::string_view name, std::set<std::string>& ignored) {
    return ignored.emplace(name).second && parse_value();
  }

  template <class T>
  bool convert(T& value) try {
    const std::optional<Json> document = parse_value();
    if (document) value = document->template get<T>();
    return document.has_value();
  } catch (...) {  // which the document throws again, if the rest of the text is right
    return false;
  }

 private:
  [[nodiscard]] std::string_view rest() const {
    return {at_, static_cast<std::size_t>(end_ - at_)};
  }

  const char* skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    return at_;
  }

  bool next(char c) {
    const bool found = skip_space() != end_ && *at_ == c;
    if (found) ++at_;
    return found;
  }

  /// Appends the character that an escape stands for to decoded_, if it is ASCII.
  bool decode_escape() {
    const std::string_view text = rest().substr(0, 6);
    if (text.size() < 2 || text[0] != '\\') return false;
    const char* const digits = at_ + 2;
    std::size_t code = index_of(escapes.character[index_of(text[1])]);
    const bool is_short = code != 0;
    if (!is_short) {
      if (text[1] != 'u' || text.size() < 6) return false;
      if (std::from_chars(digits, digits + 4, code, 16).ptr != digits + 4) return false;
      if (code >= 0x80) return false;
    }
    decoded_ += static_cast<char>(code);
    at_ += is_short ? 2 : 6;
    return true;
  }

  /// Gives the text of the value that begins here to nlohmann's parser, which decides whether it is
  /// one. (It would skip a byte order mark, with which only a whole text may begin: give up.)
  std::optional<Json> parse_value() {
    const char* const begin = skip_space();
    if (begin == end_ || *begin == '\xEF') return {};
    for (std::size_t depth = 0; at_ != end_; ++at_) {
      const char c = *at_;
      const bool closes = c == '}' || c == ']';
      if (depth == 0 && (closes || c == ',' || c == ':')) break;
      if (c == '{' || c == '[') ++depth;
      if (closes) --depth;
      if (c != '"') continue;
      for (++at_; at_ != end_ && *at_ != '"'; ++at_) {
        if (*at_ == '\\' && at_ + 1 != end_) ++at_;
      }
      if (at_ == end_) return {};
    }
    DocumentBuilder<Json> builder({begin, static_cast<std::size_t>(at_ - begin)});
    if (builder.error) return {};
    return std::move(builder.document);
  }

  const char* at_;
  const char* end_;
  std::string decoded_;
};

/// The text of a document. Throws Error for the first string in it that is not UTF-8.
template <class Json>
std::string dump_document(const Json& document) try {
  return document.dump();
} catch (const nlohmann::json::exception&) {
  if (document.is_string()) throw mismatch("UTF-8", describe(document));
  for (const auto& item : document.items()) {  // one of these is not UTF-8
    with_errors(item.key(), [&] {
      dump_document(Json(item.key()));
      dump_document(item.value());
    });
  }
  throw;  // not reached: dump() throws for nothing else
}

/// Writes text, as nlohmann's dump() of an ordered_json does. (This and TextSource are templates so
/// that nlohmann's parser and dump() are compiled only where they are used.)
template <class Json = nlohmann::json>
class TextWriter {
 public:
  std::string take() {
    text_.resize(size_);
    return std::move(text_);
  }

  template <class T>
  void write(const T& value) {
    if constexpr (has_members<T>) {
      put('{');
      write_members(value, [&](std::string_view name, const auto& item) { member(name, item); });
      put('}');
    } else if constexpr (is_integer<T>) {
      char* const to = room(20);  // -9223372036854775808
      size_ += static_cast<std::size_t>(std::to_chars(to, to + 20, value).ptr - to);
    } else {
      put(dump_document(to_document<DocumentOf<T>>(value)));
    }
  }

  template <class T>
  void write(const std::vector<T>& value) {
    put('[');
    for (std::size_t index = 0; index < value.size(); ++index) {
      if (index > 0) put(',');
      with_errors(std::to_string(index), [&] { write(written_value(value[index])); });
    }
    put(']');
  }

  template <class T>
  void write(const std::map<std::string, T>& value) {
    put('{');
    for (const auto& [name, item] : value) {
      with_errors(name, [&, &name = name, &item = item] { member(name, written_value(item)); });
    }
    put('}');
  }

  void write(const std::string& value) { write(std::string_view{value}); }

  void write(std::string_view value) {
    char* to = room(2 * value.size() + 2);  // each character may need an escape
    *to++ = '"';
    const char* const end = value.data() + value.size();
    for (const char* from = value.data();; ++from) {
      const char* const plain = std::exchange(from, skip_plain(from, end));
      to = std::copy(plain, from, to);
      if (from == end) break;
      const char letter = escapes.letter[index_of(*from)];
      if (letter == 'u') return put(dump_document(Json(std::string(value))));
      *to++ = '\\';
      *to++ = letter;
    }
    *to++ = '"';
    size_ = static_cast<std::size_t>(to - text_.data());
  }

 private:
  template <class T>
  void member(std::string_view name, const T& value) {
    if (text_[size_ - 1] != '{') put(',');
    write(name);
    put(':');
    write(value);
  }

  void put(char c) {
    *room(1) = c;
    ++size_;
  }

  void put(const std::string& text) {
    std::copy(text.begin(), text.end(), room(text.size()));
    size_ += text.size();
  }

  /// Where the next bytes go, with room for that many.
  char* room(std::size_t bytes) {
    if (text_.size() - size_ < bytes) text_.resize(2 * (size_ + bytes));
    return text_.data() + size_;
  }

  std::string text_ = std::string(512, '\0');
  std::size_t size_{};  // what is used of it
};

template <class T>
T parse_as_document(std::string_view text) {
  using Document = std::conditional_t<std::is_same_v<T, nlohmann::ordered_json>, T, nlohmann::json>;
  DocumentBuilder<Document> builder(text);
  if (builder.error) throw Error(*builder.error);
  if constexpr (std::is_same_v<T, Document>) {
    return std::move(builder.document);
  } else {
    return with_errors({}, [&] { return builder.document.template get<T>(); });
  }
}

}  // namespace detail

/// The T that `text` holds: a State, another type with a list of members, or any type that nlohmann
/// can convert from json. Throws Error for what from_json refuses, for what is not JSON in UTF-8,
/// for a duplicate name in an object (RFC 7493, section 2.3), and for text or a NUL byte after the
/// document. An exception of nlohmann's from a from_json of your own becomes an Error.
template <class T = State>
[[nodiscard]] T parse(std::string_view text) {
  if constexpr (detail::has_members<T>) {
    T value{};
    detail::TextSource source(text);
    const bool done = detail::read_value(source, value) && source.at_end();
    if (!done) value = detail::parse_as_document<T>(text);
    return value;
  } else {
    return detail::parse_as_document<T>(text);
  }
}

/// The JSON text of `value`, as parse() takes it: no white space, no final newline, non-ASCII
/// characters as themselves. Throws Error for a string that is not UTF-8 and for a status without a
/// proper name. An exception of nlohmann's from a to_json of your own becomes an Error.
template <class T>
[[nodiscard]] std::string dump(const T& value) {
  static_assert(std::is_constructible_v<detail::DocumentOf<T>, const T&>,
                "T needs a list of members (oci::members<T>) or a to_json of its own");
  detail::TextWriter writer;
  detail::with_errors({}, [&] { writer.write(value); });
  return writer.take();
}

// ---- Files -------------------------------------------------------------------------------------

#ifndef _WIN32

/// The T that the file holds: a regular file, a FIFO or a device, read to its end. Throws
/// std::filesystem::filesystem_error if it can't be opened or read (code() is the errno, path1() is
/// `path`; EINVAL for a NUL byte in it), and Error, which names the file, for its content.
template <class T = State>
[[nodiscard]] T load(const std::filesystem::path& path);

/// The T that the rest of an open file holds, which stays open: a pipe, a socket (packets of up to
/// 64 KiB), standard input. If the descriptor is non-blocking (O_NONBLOCK), this function waits for
/// what is still to come. The path in what it throws is /dev/fd/N; the time-out of a blocking
/// socket is EAGAIN. Not for a seccomp agent's socket (config-linux.md, The Container Process
/// State): it would lose the descriptors that come with the text.
template <class T = State>
[[nodiscard]] T load(int descriptor);

/// Writes the JSON text of `value` to the file, whole or not at all: to a temporary file beside it,
/// which is synced and renamed. Each load(), in any thread or process, sees one whole document.
///
/// A new file gets the permissions 0600 less the umask. An existing one keeps its permission bits,
/// the sticky bit, its group, its owner and, on Linux, its access control list, as far as the
/// process may set them. Nobody gains access by what can't be kept, but for the process itself,
/// which becomes the owner if the owner can't be kept: if the group can't be kept, the new group
/// gets no permissions, and others only those that the old group had too; if the list can't be
/// kept, group and others get none. In a directory that has the sticky bit, and that its group or
/// others may write to, somebody may have planted the file, and nothing of it is kept. What is not
/// a regular file is refused: a symbolic link with ELOOP, a directory with EISDIR, all else with
/// ENXIO.
///
/// Throws Error, which names the file, for what dump() refuses, and filesystem_error as load()
/// does. Then the file is as it was, and nothing is left beside it. But if only the last step
/// fails, the sync of the directory, the new file is in place, and might not outlive a power cut. A
/// process that is killed may leave a file ".oci-state-..." behind.
template <class T>
void save(const T& value, const std::filesystem::path& path);

/// Writes the JSON text of `value`, all of it, to an open file: a pipe, a socket, a terminal. It is
/// neither atomic nor synced. If the descriptor is non-blocking (O_NONBLOCK), this function waits
/// until there is room. The path in what it throws is /dev/fd/N; a part may have been written then.
/// The time-out of a blocking socket is EAGAIN. If the reader is gone: SIGPIPE or, if that is
/// ignored, EPIPE.
template <class T>
void save(const T& value, int descriptor);

/// Creates the file as save() does, but never replaces anything: if anything has that name, also a
/// dangling link or a directory, it throws filesystem_error with EEXIST and changes nothing. Of any
/// number of creates at one time one succeeds. So it is how a runtime makes sure that the ID of a
/// container is unique (runtime.md, Create).
///
/// The file gets the permissions 0600 less the umask and, if the directory has a default access
/// control list, a list of its own. The complete document appears at once: the temporary file gets
/// the name as a second link, which some file systems do not have (they give EPERM, for example).
/// Throws as save() does. A process that is killed may leave a file ".oci-state-..." behind, which
/// may be a second link to the new file.
template <class T>
void create(const T& value, const std::filesystem::path& path);

/// Loads the file, calls `change` with the T&, saves, and returns the value as it then is. Nothing
/// is saved if `change` returns false (it returns a bool or nothing) or throws, which goes through.
/// Throws as load() and save() do; for a file that is not there, ENOENT. It must be able to read
/// the directory, also if `change` returns false.
///
/// Updates exclude each other, in all threads and processes, as long as nobody replaces the file.
/// load() and save() do not wait. If the file was deleted or replaced during an update, by a save()
/// or by a rename, that update throws ENOENT or ESTALE instead of saving, and what is there stays.
/// Between the last look and the rename lie microseconds that no POSIX call closes, and more on a
/// network file system that answers from a cache. Nobody notices who writes into the file in place.
/// To delete a file under its lock, delete it in `change`, and return false.
///
/// An update of the same file in `change` would wait for itself. The lock is flock() on the file:
/// whoever may open it may delay an update, and so may a child that was forked in `change` and
/// outlives a killed parent. Network file systems may lock on one machine alone.
///
/// The file that is saved has the owner, the permissions and the list that the old one has when
/// `change` has returned. `path` is looked up once: what happens to the working directory meanwhile
/// does not matter.
template <class T = State, class Change>
T update(const std::filesystem::path& path, Change change);

// Three classes do the work: a Place is a name in an open directory, a Temporary is a file beside
// it that takes its name in the end or deletes itself, a LockedFile is the file that has the name,
// under a lock. A step that fails throws a Failure; only in_file() knows the path.

namespace detail {

/// A step that failed, and its errno.
struct Failure {
  const char* step;
  int error;
};

/// Calls `call`, which works for `function` on the file at `path`, and adds these two to what it
/// throws: a Failure becomes a filesystem_error, and an Error gets the file's name.
template <class Call>
decltype(auto) in_file(const char* function, const std::filesystem::path& path, Call call) try {
  const bool has_nul = path.native().find('\0') != std::string::npos;  // where the system stops
  if (has_nul) throw Failure{"NUL byte in the path", EINVAL};
  return call();
} catch (const Failure& failure) {
  const std::error_code code(failure.error, std::generic_category());
  throw std::filesystem::filesystem_error(std::string(function) + ": " + failure.step, path, code);
} catch (const Error& error) {
  if (!error.file().empty()) throw;  // of another file, which a user's own conversion loads
  throw Error(error.pointer(), error.message(), path.native());
}

using Errnos = std::initializer_list<int>;

inline bool is_one_of(int error, Errnos errnos) {
  return std::find(errnos.begin(), errnos.end(), error) != errnos.end();
}

/// What `call` returns if no signal interrupts it.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

/// The same for a step that must succeed.
template <class Call>
auto required(const char* step, Call call) {
  const auto result = detail::uninterrupted(call);
  if (result == -1) throw Failure{step, errno};
  return result;
}

/// Whether a step succeeds that may fail with one of `errnos`.
template <class Call>
bool succeeds(const char* step, Errnos errnos, Call call) {
  const auto result = detail::uninterrupted(call);
  if (result == -1 && !detail::is_one_of(errno, errnos)) throw Failure{step, errno};
  return result != -1;
}

/// An open file, closed at the end of its life.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  operator int() const { return number_; }

  /// Returns what close() returns. Whatever that is, the descriptor is gone.
  int close() {
    if (number_ == -1) return 0;
    const int result = ::close(number_);
    number_ = -1;
    return result;
  }

  /// Closes the file, and takes another.
  void reset(int number) {
    close();
    number_ = number;
  }

 private:
  int number_;
};

/// Waits until `file` is ready for one of `events`, if it is non-blocking. Any other EAGAIN, such
/// as the time-out of a socket, is a failure of that step.
inline void wait_until_ready(const char* step, int file, decltype(pollfd::events) events) {
  const int flags = detail::required("cannot wait", [&] { return ::fcntl(file, F_GETFL); });
  if ((flags & O_NONBLOCK) == 0) throw Failure{step, EAGAIN};
  pollfd awaited{file, events, 0};
  detail::required("cannot wait", [&] { return ::poll(&awaited, 1, -1); });
  if ((awaited.revents & POLLNVAL) != 0) throw Failure{"cannot wait", EBADF};
}

/// How many bytes `call` has read or written: it is called again as long as it only has to wait.
template <class Call>
std::size_t transferred(const char* step, int file, decltype(pollfd::events) events, Call call) {
  for (;;) {
    const ssize_t count = detail::uninterrupted(call);
    if (count != -1) return static_cast<std::size_t>(count);
    if (!detail::is_one_of(errno, {EAGAIN, EWOULDBLOCK})) throw Failure{step, errno};
    detail::wait_until_ready(step, file, events);
  }
}

inline std::string text_to_end(int file) {
  constexpr std::size_t size = 65536;                   // a packet is cut to it
  const std::unique_ptr<char[]> chunk(new char[size]);  // no std::string, which would touch it all
  std::string text;
  for (;;) {
    const std::size_t count = detail::transferred("cannot read", file, POLLIN,
                                                  [&] { return ::read(file, chunk.get(), size); });
    if (count == 0) return text;
    text.append(chunk.get(), count);
  }
}

inline void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    text.remove_prefix(detail::transferred(
        "cannot write", file, POLLOUT, [&] { return ::write(file, text.data(), text.size()); }));
  }
}

inline void require_regular(const struct stat& file) {
  if (S_ISREG(file.st_mode)) return;
  if (S_ISLNK(file.st_mode)) throw Failure{"not a regular file", ELOOP};
  if (S_ISDIR(file.st_mode)) throw Failure{"not a regular file", EISDIR};
  throw Failure{"not a regular file", ENXIO};
}

inline struct stat status_of(const char* step, int file) {
  struct stat status {};
  detail::required(step, [&] { return ::fstat(file, &status); });
  return status;
}

/// A name in a directory, which is looked up once: whatever is renamed or mounted meanwhile, all
/// that is done here is done in that directory.
class Place {
 public:
  explicit Place(const std::filesystem::path& path) : directory_(-1) {
    const std::string& whole = path.native();
    const std::size_t slash = whole.rfind('/') + 1;  // npos + 1 is 0
    name_ = slash == whole.size() ? "." : whole.substr(slash);
    const std::string parent = whole.empty() ? "" : whole.substr(0, slash) + ".";
    directory_.reset(detail::required("cannot open the directory", [&] {
      return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }));
  }

  [[nodiscard]] int directory() const { return directory_; }
  [[nodiscard]] const char* name() const { return name_.c_str(); }

  /// The status of what has the name, if anything has it.
  [[nodiscard]] std::optional<struct stat> look() const {
    struct stat status {};
    const bool exists = detail::succeeds("cannot look at the file", {ENOENT}, [&] {
      return ::fstatat(directory_, name(), &status, AT_SYMLINK_NOFOLLOW);
    });
    if (!exists) return {};
    return status;
  }

  /// openat() of the name: a descriptor or -1. It follows no link and waits for nobody.
  [[nodiscard]] int open(int access) const {
    const int flags = access | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    return ::openat(directory_, name(), flags);
  }

  /// Whether others may put a file here that then is theirs: in a shared directory with the sticky
  /// bit, nobody else may delete it.
  [[nodiscard]] bool is_shared_and_sticky() const {
    const struct stat status = detail::status_of("cannot look at the directory", directory_);
    return (status.st_mode & S_ISVTX) != 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  }

  /// Syncs the directory. Some file systems, over FUSE for example, have nothing to sync.
  void sync() const {
    detail::succeeds("cannot sync the directory", {EINVAL, ENOTSUP, ENOSYS},
                     [&] { return ::fsync(directory_); });
  }

 private:
  Descriptor directory_;
  std::string name_;
};

/// The errnos of a process that may not set an owner, a group or a list: it lacks the privilege,
/// its user namespace lacks the ID, or the file system has no such thing.
inline constexpr Errnos refusals{EPERM, EINVAL, ENOTSUP, ENOSYS, EACCES, EOVERFLOW};

/// Who may open a file.
struct Access {
  uid_t owner;
  gid_t group;
  unsigned mode;     // with the sticky bit, without set-user-ID and set-group-ID
  std::string list;  // the access control list in the system's form, empty if there is none

  explicit Access(const struct stat& status)
      : owner(status.st_uid), group(status.st_gid), mode(status.st_mode & 01777U) {}

  /// Whether the group or others have any permission. If not, a list has no effect either: the
  /// group's bits are its mask.
  [[nodiscard]] bool is_shared() const { return (mode & 0077U) != 0; }

  void take_from_group_and_others() { mode &= 01700U; }

  /// Members of the group become others, and must not gain by that. A list is gone with the group,
  /// and with it whom else it refused.
  void take_from_group() {
    mode = (mode & 01700U) | (mode & (mode >> 3U) & 0007U);
    if (!list.empty()) take_from_group_and_others();
  }

  /// The mode if the owner becomes a member of the group or one of the others, and must not gain by
  /// that.
  [[nodiscard]] unsigned mode_without_owner() const {
    return mode & (01700U | ((mode >> 3U) & 0070U) | ((mode >> 6U) & 0007U));
  }
};

#ifdef __linux__

inline constexpr Errnos no_list{ENODATA, ENOTSUP, ENOSYS};
inline constexpr const char* list_attribute = "system.posix_acl_access";

/// Adds the list of an open file. If that can't be read, nobody knows whom it refuses.
inline void add_list(Access& access, int file) {
  constexpr std::size_t size = 65536;  // XATTR_SIZE_MAX
  const std::unique_ptr<char[]> bytes(new char[size]);
  const ssize_t count =
      detail::uninterrupted([&] { return ::fgetxattr(file, list_attribute, bytes.get(), size); });
  if (count != -1) {
    access.list.assign(bytes.get(), static_cast<std::size_t>(count));
    return;
  }
  const int error = errno;
  if (detail::is_one_of(error, no_list)) return;
  if (!detail::is_one_of(error, refusals)) throw Failure{"cannot read the list", error};
  access.take_from_group_and_others();
}

/// Gives an open file that list, or none if it is empty: one that the file has from the default
/// list of its directory. Returns whether that could be done.
inline bool set_list(int file, const std::string& list) {
  if (!list.empty()) {
    return detail::succeeds("cannot set the list", refusals, [&] {
      return ::fsetxattr(file, list_attribute, list.data(), list.size(), 0);
    });
  }
  if (detail::uninterrupted([&] { return ::fremovexattr(file, list_attribute); }) == 0) return true;
  const int error = errno;
  if (detail::is_one_of(error, no_list)) return true;
  if (!detail::is_one_of(error, refusals)) throw Failure{"cannot remove the list", error};
  return false;
}

#else  // lists are left alone

inline void add_list(Access&, int) {}
inline bool set_list(int, const std::string&) { return true; }

#endif

inline Access access_of_open_file(int file) {
  const struct stat status = detail::status_of("cannot look at the file", file);
  detail::require_regular(status);
  Access access(status);
  if (access.is_shared()) detail::add_list(access, file);
  return access;
}

/// The access to the file at `place`, which had this status when it was looked at. If it can't be
/// opened, its list can't be read.
inline Access access_of(const Place& place, const struct stat& status) {
  Access access(status);
  if (!access.is_shared()) return access;
  Descriptor file(-1);
  detail::succeeds("cannot open the file", {EACCES, EPERM, ENOENT, ELOOP}, [&] {
    file.reset(place.open(O_RDONLY));
    return static_cast<int>(file);
  });
  if (file != -1) return detail::access_of_open_file(file);
  access.take_from_group_and_others();
  return access;
}

/// A new file beside the one that a place names. It takes that name in the end, or is deleted.
class Temporary {
 public:
  /// Nobody else can open the file. What a killed process left is passed over. The name is short,
  /// as that of the file to replace may be the longest.
  explicit Temporary(const Place& place) : place_(place), file_(-1) {
    static std::atomic<unsigned> count{0};
    const std::string prefix = ".oci-state-" + std::to_string(::getpid()) + "-";
    while (file_ == -1) {
      name_ = prefix + std::to_string(count++);
      detail::succeeds("cannot create a temporary", {EEXIST}, [&] {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
        file_.reset(::openat(place_.directory(), name_.c_str(), flags, 0600));
        return static_cast<int>(file_);
      });
    }
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() { remove(); }

  /// Gives the file the access that an old one had, as far as the process may, and at no time more.
  /// The owner comes last: the owner of a file may do the rest without further privileges.
  void take_over(Access old) {
    const struct stat now = detail::status_of("cannot look at the temporary", file_);
    const bool has_owner = now.st_uid == old.owner;
    const bool has_group = now.st_gid == old.group;
    if (!old.is_shared()) {  // so the group matters to nobody, and can go with the owner
      if (old.mode != (now.st_mode & 07777U)) set_mode(old.mode);
      const bool has_both = !has_owner && give_to(old.owner, old.group);
      if (!has_group && !has_both) give_to(same_owner, old.group);
      return;
    }
    if (!has_group && !give_to(same_owner, old.group)) old.take_from_group();
    if (old.is_shared() && !detail::set_list(file_, old.list)) old.take_from_group_and_others();
    const unsigned narrow = has_owner ? old.mode : old.mode_without_owner();
    set_mode(narrow);
    if (has_owner || !give_to(old.owner, same_group) || narrow == old.mode) return;
    detail::succeeds("cannot set the permissions", refusals, [&] { return change_mode(old.mode); });
  }

  void write(std::string_view text) {
    detail::write_all(file_, text);
    detail::required("cannot sync", [&] { return ::fsync(file_); });
    detail::required("cannot close", [&] { return file_.close(); });
  }

  /// Takes the place's name from whatever file has it.
  void rename() {
    detail::required("cannot rename", [&] {
      return ::renameat(place_.directory(), name_.c_str(), place_.directory(), place_.name());
    });
    name_.clear();
  }

  /// Takes the place's name if nothing has it.
  void link() {
    detail::required("cannot link", [&] {
      return ::linkat(place_.directory(), name_.c_str(), place_.directory(), place_.name(), 0);
    });
    remove();
  }

 private:
  static constexpr auto same_owner = static_cast<uid_t>(-1);
  static constexpr auto same_group = static_cast<gid_t>(-1);

  [[nodiscard]] int change_mode(unsigned mode) const {
    return ::fchmod(file_, static_cast<mode_t>(mode));
  }

  void set_mode(unsigned mode) {
    detail::required("cannot set the permissions", [&] { return change_mode(mode); });
  }

  /// Whether the file could be given to them.
  bool give_to(uid_t owner, gid_t group) {
    return detail::succeeds("cannot set the owner", refusals,
                            [&] { return ::fchown(file_, owner, group); });
  }

  /// Deletes the name that is left. If that fails, a later save passes over it.
  void remove() {
    if (name_.empty()) return;
    detail::uninterrupted([&] { return ::unlinkat(place_.directory(), name_.c_str(), 0); });
    name_.clear();
  }

  const Place& place_;
  std::string name_;  // empty when it is gone
  Descriptor file_;
};

/// The file that a place names, locked against other updates.
class LockedFile {
 public:
  explicit LockedFile(const std::filesystem::path& path) : place_(path) {
    lock();
    while (!is_file(place_.look())) {  // another update has replaced it during the wait
      ::flock(file_, LOCK_UN);
      lock();
    }
  }

  [[nodiscard]] std::string text() const { return detail::text_to_end(file_); }

  /// Puts another file in its place, with the same access, unless something else is there by now.
  /// This one stays open, so that no other file can have its number.
  void replace(std::string_view text) const {
    std::optional<Access> access;
    if (!place_.is_shared_and_sticky()) access = detail::access_of_open_file(file_);
    Temporary temporary(place_);
    if (access) temporary.take_over(*access);
    temporary.write(text);
    const auto now = place_.look();
    if (!now) throw Failure{"the file was deleted during the update", ENOENT};
    if (!is_file(now)) throw Failure{"the file was replaced during the update", ESTALE};
    temporary.rename();
    place_.sync();
  }

 private:
  /// Unlocks before the file is closed: a child that was forked meanwhile also holds the lock.
  struct Unlock {
    const Descriptor& file;
    explicit Unlock(const Descriptor& locked) : file(locked) {}
    Unlock(const Unlock&) = delete;
    Unlock& operator=(const Unlock&) = delete;
    ~Unlock() { ::flock(file, LOCK_UN); }
  };

  void open(int access) {
    file_.reset(detail::required("cannot open", [&] { return place_.open(access); }));
    status_ = detail::status_of("cannot look at the file", file_);
    detail::require_regular(status_);
  }

  void lock() {
    const auto wait = [&] { return ::flock(file_, LOCK_EX); };
    open(O_RDONLY);
    if (detail::succeeds("cannot lock", {EBADF}, wait)) return;
    open(O_RDWR);  // NFS locks only what is open for writing
    detail::required("cannot lock", wait);
  }

  /// Whether the locked file is the one that has this status.
  [[nodiscard]] bool is_file(const std::optional<struct stat>& found) const {
    return found && found->st_dev == status_.st_dev && found->st_ino == status_.st_ino;
  }

  Place place_;
  Descriptor file_{-1};
  Unlock unlock_{file_};
  struct stat status_ {};
};

/// The access that a file at `place` leaves to the one that replaces it, if there is a file, and if
/// nobody else may have put it there.
inline std::optional<Access> access_to_keep(const Place& place) {
  const auto old = place.look();
  if (!old) return {};
  detail::require_regular(*old);
  if (place.is_shared_and_sticky()) return {};
  return detail::access_of(place, *old);
}

/// The name that an open descriptor has in what load() and save() throw.
inline std::filesystem::path name_of(int descriptor) {
  return "/dev/fd/" + std::to_string(descriptor);
}

}  // namespace detail

template <class T>
T load(const std::filesystem::path& path) {
  return detail::in_file("oci::load", path, [&] {
    const detail::Descriptor file(detail::required(
        "cannot open", [&] { return ::open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC); }));
    return oci::parse<T>(detail::text_to_end(file));
  });
}

template <class T>
T load(int descriptor) {
  return detail::in_file("oci::load", detail::name_of(descriptor),
                         [&] { return oci::parse<T>(detail::text_to_end(descriptor)); });
}

template <class T>
void save(const T& value, const std::filesystem::path& path) {
  detail::in_file("oci::save", path, [&] {
    const std::string text = oci::dump(value);
    const detail::Place place(path);
    const auto access = detail::access_to_keep(place);
    detail::Temporary temporary(place);
    if (access) temporary.take_over(*access);
    temporary.write(text);
    temporary.rename();
    place.sync();
  });
}

template <class T>
void save(const T& value, int descriptor) {
  detail::in_file("oci::save", detail::name_of(descriptor),
                  [&] { detail::write_all(descriptor, oci::dump(value)); });
}

template <class T>
void create(const T& value, const std::filesystem::path& path) {
  detail::in_file("oci::create", path, [&] {
    const std::string text = oci::dump(value);
    const detail::Place place(path);
    if (place.look()) throw detail::Failure{"there is such a file", EEXIST};
    detail::Temporary temporary(place);
    temporary.write(text);
    temporary.link();
    place.sync();
  });
}

template <class T, class Change>
T update(const std::filesystem::path& path, Change change) {
  using Result = std::invoke_result_t<Change&, T&>;
  static_assert(std::is_void_v<Result> || std::is_same_v<Result, bool>,
                "change must return nothing, or a bool: false for nothing to save");
  const auto file = detail::in_file("oci::update", path, [&] { return detail::LockedFile(path); });
  T value = detail::in_file("oci::update", path, [&] { return oci::parse<T>(file.text()); });
  bool is_changed = true;
  if constexpr (std::is_void_v<Result>) {
    change(value);
  } else {
    is_changed = change(value);
  }
  if (is_changed) {
    detail::in_file("oci::update", path, [&] { file.replace(oci::dump(value)); });
  }
  return value;
}

#endif

}  // namespace v1_0_0
}  // namespace oci

/// Where nlohmann/json looks for the conversions of T, and of no type that derives from it. (The
/// functions alone would do, but for version 3.10.5: in C++20 it takes State for a string.)
template <class T>
struct nlohmann::adl_serializer<T, std::enable_if_t<oci::detail::has_members<T>>> {
  template <class Json>
  static void to_json(Json& document, const T& value) {
    oci::to_json(document, value);
  }
  template <class Json>
  static void from_json(const Json& document, T& value) {
    oci::from_json(document, value);
  }
};

#endif  // OCI_STATE_HPP
