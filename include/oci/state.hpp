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
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
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

// What a JSON string is made of: characters that stand for themselves, and escapes. Reader and
// writer share the first, and each has a table for the second. A text that is wrong ends the
// work here; then nlohmann's parser or dump() decides, and has the words.

constexpr std::uint32_t byte_of(char c) { return static_cast<unsigned char>(c); }

/// The size of the character that begins with these four bytes, of which the first is the highest;
/// 0 if they are not UTF-8. Comparing numbers instead of bytes takes three steps for any length:
/// the bytes that follow are 10xxxxxx, the code point is not too small for its length, and it is
/// one.
constexpr std::size_t character_size(std::uint32_t bytes) {
  if (bytes < 0x80000000) return 1;
  if (bytes < 0xE0000000) {
    const bool follows = (bytes & 0x00C00000) == 0x00800000;
    return follows && bytes >= 0xC2800000 ? 2 : 0;
  }
  if (bytes < 0xF0000000) {
    const bool follow = (bytes & 0x00C0C000) == 0x00808000;
    const bool surrogate = 0xEDA00000 <= bytes && bytes < 0xEE000000;
    return follow && bytes >= 0xE0A00000 && !surrogate ? 3 : 0;
  }
  const bool follow = (bytes & 0x00C0C0C0) == 0x00808080;
  return follow && 0xF0900000 <= bytes && bytes < 0xF4900000 ? 4 : 0;
}

/// The size of the character with which `text` begins; 0 if it is empty or not UTF-8.
inline std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? byte_of(text[i]) : 0; };
  const std::uint32_t bytes = byte(0) << 24U | byte(1) << 16U | byte(2) << 8U | byte(3);
  return text.empty() ? 0 : character_size(bytes);
}

/// Whether the ASCII character stands for itself in a JSON string.
constexpr bool is_plain(char c) { return c >= ' ' && c != '"' && c != '\\'; }

/// How many of the eight bytes at `at` are plain ASCII characters, up to the first that is none.
/// Without a branch for each byte: one that is not plain sets the highest bit in one of the terms.
inline std::size_t plain_size(const char* at) {
  const auto byte = [&](std::size_t i) { return std::uint64_t{byte_of(at[i])} << 8 * i; };
  const std::uint64_t bytes =  // one instruction, for either order of bytes
      byte(0) | byte(1) | byte(2) | byte(3) | byte(4) | byte(5) | byte(6) | byte(7);
  constexpr std::uint64_t each = 0x0101010101010101;
  const std::uint64_t quote = (bytes ^ each * '"') - each;
  const std::uint64_t backslash = (bytes ^ each * '\\') - each;
  const std::uint64_t marks = (bytes | quote | backslash | (bytes - each * ' ')) & each * 0x80;
  const std::uint64_t below = (marks & (0 - marks)) - 1;  // the bits below the first mark
  return ((below >> 7U & each) * each) >> 56U;            // the bytes among them
}

/// Copies characters that stand for themselves in a JSON string, up to the first byte of `text`
/// that begins none. Returns their size. `to` has room for the whole text: eight bytes are copied
/// before it is known how many of them count, which is faster than to copy what does.
inline std::size_t copy_characters(std::string_view text, char* to) {
  std::size_t index = 0;
  while (text.size() - index >= 8) {
    const char* const at = text.data() + index;
    std::memcpy(to + index, at, 8);
    const std::size_t size = byte_of(*at) < 0x80 ? plain_size(at) : character_size({at, 4});
    if (size == 0) return index;
    index += size;
  }
  while (index < text.size()) {
    const std::size_t size = character_size(text.substr(index));
    if (size == 0 || (size == 1 && !is_plain(text[index]))) break;
    std::memcpy(to + index, text.data() + index, size);
    index += size;
  }
  return index;
}

/// An escape of the writer's.
struct Escape {
  char text[7]{};
  unsigned char size{};  // 0: the character has none
};

/// The escapes of the writer, by character.
struct EscapeTable {
  Escape of[256]{};

  constexpr EscapeTable() {
    constexpr char digits[] = "0123456789abcdef";
    for (std::size_t c = 0; c < ' '; ++c) {
      of[c] = {{'\\', 'u', '0', '0', digits[c / 16], digits[c % 16]}, 6};
    }
    for (const char* pair : {"\"\"", "\\\\", "\bb", "\ff", "\nn", "\rr", "\tt"}) {
      of[byte_of(pair[0])] = {{'\\', pair[1]}, 2};
    }
  }
};
inline constexpr EscapeTable escapes{};

/// The escapes of the reader: the character for a letter behind the backslash, and the value of a
/// hexadecimal digit.
struct UnescapeTable {
  char character[256]{};       // 0: there is no such escape
  std::uint32_t digit[256]{};  // 0x10000: it is no digit

  constexpr UnescapeTable() {
    for (const char* pair : {"\"\"", "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"}) {
      character[byte_of(pair[0])] = pair[1];
    }
    for (std::uint32_t& value : digit) value = 0x10000;
    for (std::uint32_t i = 0; i < 10; ++i) digit['0' + i] = i;
    for (std::uint32_t i = 10; i < 16; ++i) digit['a' + i - 10] = digit['A' + i - 10] = i;
  }
};
inline constexpr UnescapeTable unescapes{};

/// How much of a text was read, and how much was written for it. Nothing read: the reader gave up.
struct Decoded {
  std::size_t read;
  std::size_t written;
};

/// The number in the `\uXXXX` with which `text` begins; 0x10000 or more if it does not.
inline std::uint32_t code_unit(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return 0x10000;
  const auto digit = [&](std::size_t i) { return unescapes.digit[byte_of(text[i])]; };
  return digit(2) << 12U | digit(3) << 8U | digit(4) << 4U | digit(5);
}

/// Writes the UTF-8 of a code point to `to`, and returns its size.
inline std::size_t put_character(std::uint32_t code, char* to) {
  const auto follow = [&](unsigned shift) {
    return static_cast<char>(0x80U | (code >> shift & 0x3FU));
  };
  if (code < 0x80) {
    to[0] = static_cast<char>(code);
    return 1;
  }
  if (code < 0x800) {
    to[0] = static_cast<char>(0xC0U | code >> 6U);
    to[1] = follow(0);
    return 2;
  }
  if (code < 0x10000) {
    to[0] = static_cast<char>(0xE0U | code >> 12U);
    to[1] = follow(6);
    to[2] = follow(0);
    return 3;
  }
  to[0] = static_cast<char>(0xF0U | code >> 18U);
  to[1] = follow(12);
  to[2] = follow(6);
  to[3] = follow(0);
  return 4;
}

/// Decodes the escape with which `text` begins.
inline Decoded decode_escape(std::string_view text, char* to) {
  if (text.size() < 2 || text[0] != '\\') return {0, 0};
  *to = unescapes.character[byte_of(text[1])];
  if (*to != '\0') return {2, 1};
  const std::uint32_t code = code_unit(text);
  if (code < 0xD800 || (0xE000 <= code && code < 0x10000)) return {6, put_character(code, to)};
  if (code >= 0xDC00) return {0, 0};
  const std::uint32_t low = code_unit(text.substr(6));
  if (low < 0xDC00 || 0xE000 <= low) return {0, 0};
  return {12, put_character(0x10000 + ((code - 0xD800) << 10U) + (low - 0xDC00), to)};
}

/// Decodes the JSON string in `text` whose opening quote has been read, up to and with its closing
/// quote, to `to`, which has room for the whole text.
inline Decoded decode_string(std::string_view text, char* to) {
  std::size_t read = 0;
  std::size_t written = 0;
  for (;;) {
    const std::size_t size = copy_characters(text.substr(read), to + written);
    read += size;
    written += size;
    if (read == text.size()) return {0, 0};
    if (text[read] == '"') return {read + 1, written};
    do {
      const Decoded escape = decode_escape(text.substr(read), to + written);
      if (escape.read == 0) return {0, 0};
      read += escape.read;
      written += escape.written;
    } while (read < text.size() && text[read] == '\\');
  }
}

/// Text that grows at its end. No std::string, which would fill it with zeros first.
class Buffer {
 public:
  [[nodiscard]] std::string_view text() const { return {data_.get(), size_}; }

  /// Where the next bytes go, with room for that many.
  char* room(std::size_t bytes) {
    if (capacity_ - size_ < bytes) grow(bytes);
    return data_.get() + size_;
  }
  void added(std::size_t bytes) { size_ += bytes; }

  void put(char c) {
    *room(1) = c;
    ++size_;
  }
  void put(std::string_view text) {
    std::memcpy(room(text.size()), text.data(), text.size());
    size_ += text.size();
  }

 private:
  void grow(std::size_t bytes) {
    capacity_ = 2 * (size_ + bytes);
    std::unique_ptr<char[]> data(new char[capacity_]);
    std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
  }

  std::size_t capacity_{512};
  std::size_t size_{};
  std::unique_ptr<char[]> data_{new char[capacity_]};
};

/// Adds `text` as a JSON string to `to`. Returns whether it is UTF-8; if it is not, a part is
/// added.
inline bool encode_string(std::string_view text, Buffer& to) {
  to.put('"');
  for (;;) {
    const std::size_t size = copy_characters(text, to.room(text.size()));
    to.added(size);
    text.remove_prefix(size);
    if (text.empty()) break;
    do {
      const Escape& escape = escapes.of[byte_of(text[0])];
      if (escape.size == 0) return false;
      std::memcpy(to.room(sizeof escape.text), escape.text, sizeof escape.text);
      to.added(escape.size);
      text.remove_prefix(1);
    } while (!text.empty() && escapes.of[byte_of(text[0])].size != 0);
  }
  to.put('"');
  return true;
}

/// A value in a text, to be read. It knows what runtimes write: objects, arrays, integers, strings
/// of ASCII and its escapes. Other strings, and the values that are ignored or that nlohmann
/// converts, go to nlohmann's parser, each as the text of one value. At all else it gives up.
template <class Json = nlohmann::json>
class TextSource {
 public:
  explicit TextSource(std::string_view text)
      : at_(text.data()), end_(at_ + text.size()), decoded_(new char[text.size()]) {}

  static bool refuse(const std::string&) { return false; }
  bool at_end() { return skip_space() == end_; }
  bool null() {
    if (skip_space() == end_ || rest().substr(0, 4) != "null") return false;
    at_ += 4;
    return true;
  }

  /// `value` is valid until the next string is read.
  bool string(std::string_view& value) {
    if (!next('"')) return false;
    const Decoded decoded = decode_string(rest(), decoded_.get());
    at_ += decoded.read;
    value = {decoded_.get(), decoded.written};
    return decoded.read > 0;
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
  // The last string. As long as the text, but not filled: only what is used of it takes memory.
  std::unique_ptr<char[]> decoded_;
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
  std::string take() { return std::string(text_.text()); }

  template <class T>
  void write(const T& value) {
    if constexpr (has_members<T>) {
      text_.put('{');
      write_members(value, [&](std::string_view name, const auto& item) { member(name, item); });
      text_.put('}');
    } else if constexpr (is_integer<T>) {
      char* const to = text_.room(20);  // -9223372036854775808
      text_.added(static_cast<std::size_t>(std::to_chars(to, to + 20, value).ptr - to));
    } else {
      text_.put(dump_document(to_document<DocumentOf<T>>(value)));
    }
  }

  template <class T>
  void write(const std::vector<T>& value) {
    text_.put('[');
    for (std::size_t index = 0; index < value.size(); ++index) {
      if (index > 0) text_.put(',');
      with_errors(std::to_string(index), [&] { write(written_value(value[index])); });
    }
    text_.put(']');
  }

  template <class T>
  void write(const std::map<std::string, T>& value) {
    text_.put('{');
    for (const auto& [name, item] : value) {
      with_errors(name, [&, &name = name, &item = item] { member(name, written_value(item)); });
    }
    text_.put('}');
  }

  void write(const std::string& value) { write(std::string_view{value}); }

  void write(std::string_view value) {
    if (!encode_string(value, text_)) dump_document(Json(std::string(value)));  // throws
  }

 private:
  template <class T>
  void member(std::string_view name, const T& value) {
    if (text_.text().back() != '{') text_.put(',');
    write(name);
    text_.put(':');
    write(value);
  }

  Buffer text_;
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

namespace detail {

[[noreturn]] inline void throw_errno(int error, const char* what,
                                     const std::filesystem::path& path) {
  throw std::filesystem::filesystem_error(what, path, {error, std::generic_category()});
}

/// Calls `call`, which works on the file at `path`: an Error that it throws gets the file's name.
template <class Call>
decltype(auto) in_file(const std::filesystem::path& path, Call call) {
  const bool nul = path.native().find('\0') != std::string::npos;  // where the system ends a path
  if (nul) throw_errno(EINVAL, "oci: NUL byte in a path", path);
  try {
    return call();
  } catch (const Error& error) {
    if (!error.file().empty()) throw;  // of another file
    throw Error(error.pointer(), error.message(), path.native());
  }
}

/// Calls `call` until no signal interrupts it. Where it returns -1, errno becomes an exception.
template <class Call>
auto checked(const char* what, const std::filesystem::path& path, Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  if (result == -1) throw_errno(errno, what, path);
  return result;
}

/// An open file, closed at the end of its life.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(-1); }

  operator int() const { return number_; }

  /// Takes another. Returns what close() returned for the old one, which is closed in any case.
  int reset(int number) {
    const int old = std::exchange(number_, number);
    return old == -1 ? 0 : ::close(old);
  }

 private:
  int number_;
};

inline std::string read_to_end(int file, const std::filesystem::path& path) {
  constexpr std::size_t size = 65536;                   // a packet is cut to it
  const std::unique_ptr<char[]> chunk(new char[size]);  // no std::string, which would touch it all
  std::string text;
  for (;;) {
    const auto count =
        checked("oci::load: cannot read", path, [&] { return ::read(file, chunk.get(), size); });
    if (count == 0) return text;
    text.append(chunk.get(), static_cast<std::size_t>(count));
  }
}

inline void write_all(int file, std::string_view text, const std::filesystem::path& path) {
  const auto write = [&] { return ::write(file, text.data(), text.size()); };
  while (!text.empty()) {
    text.remove_prefix(static_cast<std::size_t>(checked("oci::save: cannot write", path, write)));
  }
}

inline void require_regular(const struct stat& file, const std::filesystem::path& path) {
  if (S_ISREG(file.st_mode)) return;
  const int error = S_ISLNK(file.st_mode) ? ELOOP : S_ISDIR(file.st_mode) ? EISDIR : ENXIO;
  throw_errno(error, "oci: not a regular file", path);
}

/// Gives `file` the permission bits of `old` and, where the process may set them, owner and group.
inline void keep_owner_and_mode(int file, const struct stat& old,
                                const std::filesystem::path& path) {
  struct stat now {};
  checked("oci::save: cannot look at the temporary", path, [&] { return ::fstat(file, &now); });
  // Root may give a file to anybody, others only to a group of theirs, and nobody to an ID that the
  // user namespace lacks.
  const auto give_to = [&](uid_t owner) {
    return 1 == checked("oci::save: cannot set the owner", path, [&] {
             if (::fchown(file, owner, old.st_gid) == 0) return 1;
             return errno == EPERM || errno == EINVAL ? 0 : -1;
           });
  };
  bool same_group = now.st_gid == old.st_gid;
  if (!same_group || now.st_uid != old.st_uid) {
    same_group = give_to(old.st_uid) || give_to(static_cast<uid_t>(-1)) || same_group;
  }
  const mode_t mode = old.st_mode & (same_group ? 0777U : 0707U);  // nothing for another group
  if (mode != (now.st_mode & 0777U)) {
    checked("oci::save: cannot set the permissions", path, [&] { return ::fchmod(file, mode); });
  }
}

inline void replace_file(const std::filesystem::path& path, std::string_view text) {
  const std::string& whole = path.native();
  const std::size_t slash = whole.rfind('/') + 1;  // npos + 1 is 0
  const std::string parent = whole.empty() ? "" : whole.substr(0, slash) + ".";
  const std::string name = slash == whole.size() ? "." : whole.substr(slash);
  const auto open = [&] { return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); };
  const Descriptor directory(checked("oci::save: cannot open the directory", path, open));

  struct stat old {};
  struct stat around {};  // the directory: if it is sticky, the old file may be anybody's
  const auto look = [&] {
    if (::fstat(directory, &around) == -1) return -1;
    if (::fstatat(directory, name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0) return 1;
    return errno == ENOENT ? 0 : -1;
  };
  const bool exists = checked("oci::save: cannot look at the file", path, look) == 1;
  if (exists) require_regular(old, path);

  // A file that no other user can open. One of a killed process is passed over. The name is short,
  // as that of the file to replace may be the longest.
  static std::atomic<unsigned> count{0};
  std::string temporary;
  Descriptor file(checked("oci::save: cannot create a temporary", path, [&] {
    temporary = ".oci-state-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const int number = ::openat(directory, temporary.c_str(), flags, 0600);
    if (number == -1 && errno == EEXIST) errno = EINTR;  // checked() tries again, with another name
    return number;
  }));
  try {
    if (exists && (around.st_mode & S_ISVTX) == 0) keep_owner_and_mode(file, old, path);
    write_all(file, text, path);
    checked("oci::save: cannot sync", path, [&] { return ::fsync(file); });
    checked("oci::save: cannot close", path, [&] { return file.reset(-1); });
    checked("oci::save: cannot rename", path,
            [&] { return ::renameat(directory, temporary.c_str(), directory, name.c_str()); });
  } catch (...) {
    ::unlinkat(directory, temporary.c_str(), 0);
    throw;
  }
  checked("oci::save: cannot sync the directory", path,  // EINVAL: there is nothing to sync
          [&] { return ::fsync(directory) == 0 || errno == EINVAL ? 0 : -1; });
}

/// Unlocks a file before it is closed: a child that was forked meanwhile also holds the lock.
struct Unlock {
  void operator()(const Descriptor* file) const { ::flock(*file, LOCK_UN); }
};

/// Opens the file at `path`, and locks it against other updates.
inline void lock(Descriptor& file, const std::filesystem::path& path) {
  struct stat status {};
  const auto open = [&](int access) {
    file.reset(checked("oci::update: cannot open", path, [&] {
      return ::open(path.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }));
    checked("oci::update: cannot look at the file", path, [&] { return ::fstat(file, &status); });
    require_regular(status, path);
  };
  for (;;) {
    open(O_RDONLY);
    checked("oci::update: cannot lock", path, [&] {
      const int result = ::flock(file, LOCK_EX);
      if (result == 0 || errno != EBADF) return result;
      open(O_RDWR);  // NFS locks only what is open for writing
      return ::flock(file, LOCK_EX);
    });
    struct stat now {};
    checked("oci::update: cannot look at the file", path,
            [&] { return ::lstat(path.c_str(), &now) == 0 || errno == ENOENT ? 0 : -1; });
    if (now.st_dev == status.st_dev && now.st_ino == status.st_ino) return;
    ::flock(file, LOCK_UN);  // another update has replaced the file during the wait
  }
}

}  // namespace detail

/// The T that the file holds: a regular file, a FIFO or a device, read to its end. Throws
/// std::filesystem::filesystem_error where it can't be opened or read (code() is the errno, path1()
/// is `path`; EINVAL for a NUL byte in it), and Error, which names the file, for its content.
template <class T = State>
[[nodiscard]] T load(const std::filesystem::path& path) {
  return detail::in_file(path, [&] {
    const auto open = [&] { return ::open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC); };
    const detail::Descriptor file(detail::checked("oci::load: cannot open", path, open));
    return parse<T>(detail::read_to_end(file, path));
  });
}

/// Writes the JSON text of `value` to the file, whole or not at all: to a temporary file beside it,
/// which is synced and renamed. Each load(), in any thread or process, sees one whole document.
///
/// A new file gets the permissions 0600 less the umask. An existing one keeps its permission bits
/// and, where the process may set them, its owner and group; where the group can't be kept, the
/// file's group gets no permissions. In a directory with the sticky bit, where others may have
/// planted the file, nothing of it is kept. What is no regular file is refused: a symbolic link
/// with ELOOP, a directory with EISDIR, all else with ENXIO.
///
/// Throws Error, which names the file, for what dump() refuses, and filesystem_error as load()
/// does. Then the file is as it was, and nothing is left beside it. But where only the last step
/// fails, the sync of the directory, the new file is in place, and might not outlive a power cut. A
/// process that is killed may leave a file ".oci-state-..." behind.
template <class T>
void save(const T& value, const std::filesystem::path& path) {
  detail::replace_file(path, detail::in_file(path, [&] { return dump(value); }));
}

/// The T that the rest of an open file holds, which stays open: a pipe, a socket (packets of up to
/// 64 KiB), standard input. The path in what it throws is /dev/fd/N; EAGAIN is an error. Not for a
/// seccomp agent's socket: it would lose the descriptors that come with the text.
template <class T = State>
[[nodiscard]] T load(int descriptor) {
  const std::filesystem::path path = "/dev/fd/" + std::to_string(descriptor);
  return detail::in_file(path, [&] { return parse<T>(detail::read_to_end(descriptor, path)); });
}

/// Writes the JSON text of `value`, all of it, to an open file: a pipe, a socket, a terminal. It is
/// neither atomic nor synced. The path in what it throws is /dev/fd/N; a part may have been written
/// then. EAGAIN is an error. Where the reader is gone: SIGPIPE or, if that is ignored, EPIPE.
template <class T>
void save(const T& value, int descriptor) {
  const std::filesystem::path path = "/dev/fd/" + std::to_string(descriptor);
  detail::write_all(descriptor, detail::in_file(path, [&] { return dump(value); }), path);
}

/// Loads the file, calls `change` with the T&, saves, and returns the value as it then is. Nothing
/// is saved where `change` returns false (it returns a bool or nothing) or throws, which goes
/// through. Throws as load() and save() do; for a file that is not there, ENOENT.
///
/// Updates exclude each other, in all threads and processes, and nothing else: load() and save() do
/// not wait. An update of the same file in `change` would wait for itself. The lock is flock() on
/// the file: whoever may open it may delay an update, and so may a child that was forked in
/// `change` and outlives a killed parent. Network file systems may lock on one machine alone.
template <class T = State, class Change>
T update(const std::filesystem::path& path, Change change) {
  using Result = std::invoke_result_t<Change&, T&>;
  static_assert(std::is_void_v<Result> || std::is_same_v<Result, bool>,
                "change must return nothing, or a bool: false for nothing to save");
  detail::Descriptor file(-1);
  const std::unique_ptr<detail::Descriptor, detail::Unlock> unlock(&file);
  T value = detail::in_file(path, [&] {
    detail::lock(file, path);
    return parse<T>(detail::read_to_end(file, path));
  });
  if constexpr (std::is_void_v<Result>) {
    change(value);
    save(value, path);
  } else {
    if (change(value)) save(value, path);
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
