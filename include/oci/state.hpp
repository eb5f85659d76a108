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
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef _WIN32
#include <fstream>
#include <iterator>
#include <random>
#else
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
  const auto continues = [&](std::size_t at) { return (text[at] & 0xC0) == 0x80; };
  std::size_t size = std::min<std::size_t>(text.size(), 64);
  while (size > 0 && size < text.size() && continues(size)) --size;
  std::string quoted =
      json(std::string(text.substr(0, size))).dump(-1, ' ', true, json::error_handler_t::replace);
  if (size < text.size()) quoted.insert(quoted.size() - 1, "...");
  return quoted;
}

/// The name of a file, whole: control characters and bytes that are not UTF-8 are escaped.
inline std::string printable_file(std::string_view name) {
  using nlohmann::json;
  std::string text;
  while (!name.empty()) {
    const auto first = static_cast<unsigned char>(name[0]);
    const std::size_t size = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    std::string character(name.substr(0, size));
    std::string escape = json(character).dump(-1, ' ', true, json::error_handler_t::replace);
    const bool valid = character == "\xEF\xBF\xBD" || escape.find("\\ufffd") == std::string::npos;
    if (!valid) {
      character.resize(1);
      escape = R"("\ufffd")";
    }
    name.remove_prefix(character.size());
    const bool control = character < " " || character == "\x7F" ||
                         ("\xC2\x80" <= character && character <= "\xC2\x9F");
    text += valid && !control ? character : escape.substr(1, escape.size() - 2);
  }
  return text;
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

  // Copied, never moved: a move would leave a pointer() behind that refers to nothing.
  Error(const Error&) noexcept = default;
  Error& operator=(const Error&) = delete;
  ~Error() override = default;

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
    return (file.empty() ? "" : detail::printable_file(file) + ": ") +
           (pointer.empty() ? "" : quoted.substr(1, quoted.size() - 2) + ": ") + message;
  }

  std::shared_ptr<const Parts> parts_;  // shared, so that a copy can't throw
};

namespace detail {

/// A status, with the name that it has where it is `other`.
template <class Status, class Name>
struct NamedStatus {
  Status& status;
  Name& other;

  friend bool operator==(const NamedStatus& left, const NamedStatus& right) {
    return left.status == right.status &&
           (left.status != ContainerState::other || left.other == right.other);
  }
};
template <class Status, class Name>
NamedStatus(Status&, Name&) -> NamedStatus<Status, Name>;

/// A member of a JSON object: its name, and a function from a struct to the value in it.
template <class Get>
struct Member {
  std::string_view name;
  Get of;

  /// As ==, but of a constant size, for which the compiler needs no call.
  [[nodiscard]] bool has_name(std::string_view other) const {
    return other.size() == name.size() && std::memcmp(other.data(), name.data(), name.size()) == 0;
  }
};
template <class Get>
Member(std::string_view, Get) -> Member<Get>;

struct NoMembers {};

}  // namespace detail

/// For a list of members: the name of a JSON member, and the C++ member that has its value.
template <class Class, class Value>
constexpr auto member(std::string_view name, Value Class::*value) {
  return detail::Member{name, [=](auto& object) -> decltype(auto) { return (object.*value); }};
}

/// The same for a status: the second C++ member has the name where the first is `other`.
template <class Class>
constexpr auto member(std::string_view name, ContainerState Class::*status,
                      std::string Class::*other) {
  return detail::Member{name, [=](auto& object) {
                          return detail::NamedStatus{object.*status, object.*other};
                        }};
}

/// The list of a type's JSON members, in the order in which they are written. Reading, writing and
/// comparing come from it. A type of your own that derives from State or ContainerProcessState
/// joins in with a list of its own (README, "Extending with your own members"):
///
///     template <>
///     inline constexpr auto oci::members<Container> =
///         oci::extend<oci::State>(oci::member("owner", &Container::owner));
template <class T>
inline constexpr auto members = detail::NoMembers{};

template <>
inline constexpr auto members<State> = std::tuple{
    member("ociVersion", &State::version),
    member("id", &State::id),
    member("status", &State::status, &State::other_status),
    member("pid", &State::pid),
    member("bundle", &State::bundle),
    member("annotations", &State::annotations),
};

template <>
inline constexpr auto members<ContainerProcessState> = std::tuple{
    member("ociVersion", &ContainerProcessState::version),
    member("fds", &ContainerProcessState::fds),
    member("pid", &ContainerProcessState::pid),
    member("metadata", &ContainerProcessState::metadata),
    member("state", &ContainerProcessState::state),
};

/// The list of Base, then more members.
template <class Base, class... More>
constexpr auto extend(const More&... more) {
  return std::tuple_cat(members<Base>, std::tuple{more...});
}

namespace detail {

/// Whether T itself, and not only a base class of it, has a list of members.
template <class T>
inline constexpr bool has_members =
    !std::is_same_v<std::remove_const_t<decltype(members<T>)>, NoMembers>;
template <class T>
using if_has_members = std::enable_if_t<has_members<T>, int>;

template <class T>
inline constexpr bool is_integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;

/// A step of a JSON Pointer.
inline std::string pointer_step(std::string_view name) {
  return (nlohmann::json::json_pointer() / std::string(name)).to_string();
}

/// Calls `call`. An exception of nlohmann's that it throws, from a user's own conversion, becomes
/// an Error; where `call` works on the member or element `name` of a value, with that in the
/// pointer.
template <class Call>
decltype(auto) with_errors(std::optional<std::string_view> name, Call call) {
  try {
    return call();
  } catch (const Error& error) {
    if (!name) throw;
    throw Error(pointer_step(*name) + error.pointer(), error.message(), error.file());
  } catch (const nlohmann::json::exception& error) {
    throw Error(name ? pointer_step(*name) : "", error.what());
  }
}

inline Error mismatch(const std::string& expected, const std::string& found) {
  return {"", "expected " + expected + ", found " + found};
}

template <class Json>
std::string describe(const Json& document) {
  if (document.is_string()) return printable(document.template get_ref<const std::string&>());
  if (document.is_structured()) return std::string("an ") + document.type_name();
  if (document.is_binary()) return "binary data";
  return document.dump();
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
inline void set_path(std::filesystem::path& path, std::string&& utf8) {
  try {
#ifdef __cpp_char8_t
    path = std::u8string(utf8.begin(), utf8.end());
#else
    path = std::filesystem::u8path(utf8);
#endif
  } catch (const std::system_error&) {
    throw mismatch("UTF-8", printable(utf8));
  }
}

inline std::string path_to_utf8(const std::filesystem::path& path) {
  try {
    const auto text = path.u8string();  // a std::string in C++17, no longer in C++20
    return {text.begin(), text.end()};
  } catch (const std::system_error&) {
    throw mismatch("a path in UTF-16", "half of a surrogate pair");
  }
}
#else
inline void set_path(std::filesystem::path& path, std::string&& utf8) { path = std::move(utf8); }
inline const std::string& path_to_utf8(const std::filesystem::path& path) { return path.native(); }
#endif

// How a value of each type is read: one rule for a type, and two kinds of source. A DocumentSource
// is a value in a document of nlohmann's; there, a broken rule is an Error. A TextSource is at a
// value in a text, and gives up at what it does not know, right or wrong: then read() returns
// false, and a document decides. The C++ value has its default before.

template <class Source>
bool read(Source& source, std::string& value) {
  return source.string(value) || source.refuse("a string");
}

template <class Source>
bool read(Source& source, std::filesystem::path& value) {
  std::string text;
  if (!read(source, text)) return false;
  set_path(value, std::move(text));
  return true;
}

template <class Source>
bool read(Source& source, NamedStatus<ContainerState, std::string> value) {
  std::string name;
  if (!source.string(name) || name.empty()) return source.refuse("a string that is not empty");
  value.status = status_named(name);
  if (value.status == ContainerState::other) value.other = std::move(name);
  return true;
}

/// Null is none.
template <class Source, class T>
bool read(Source& source, std::optional<T>& value) {
  return source.null() || read(source, value.emplace());
}

/// Null is no elements: Go's encoder writes it for a nil slice.
template <class Source, class T>
bool read(Source& source, std::vector<T>& value) {
  const auto read_element = [&](auto& element) {
    T item{};
    if (!read(element, item)) return false;
    value.push_back(std::move(item));
    return true;
  };
  return source.null() || source.array(read_element) ||
         source.refuse(std::is_same_v<T, std::string> ? "an array of strings" : "an array");
}

template <class Source, class T>
bool read(Source& source, std::map<std::string, T>& value) {
  const auto read_member = [&](std::string_view name, auto& element) {
    const std::size_t size = value.size();
    const auto added = value.emplace_hint(value.end(), name, T{});
    return value.size() > size && read(element, added->second);
  };
  constexpr bool strings = std::is_same_v<T, std::string>;
  return source.object(read_member) ||
         source.refuse(strings ? "an object whose values are strings" : "an object");
}

/// Integers, structs with a list of members, and what nlohmann alone can convert.
template <class Source, class T>
bool read(Source& source, T& value) {
  if constexpr (has_members<T>) {
    return read_members(source, value);
  } else if constexpr (is_integer<T>) {
    return source.integer(value) ||
           source.refuse("an integer from " + std::to_string((std::numeric_limits<T>::min)()) +
                         " to " + std::to_string((std::numeric_limits<T>::max)()));
  } else {
    return source.convert(value);
  }
}

/// An absent member keeps its default, and one that is not in the list is ignored.
template <class Source, class T>
bool read_members(Source& source, T& value) {
  std::array<bool, std::tuple_size_v<decltype(members<T>)>> seen{};
  std::set<std::string> ignored;
  const auto read_member = [&](std::string_view name, auto& element) {
    std::size_t index = 0;
    bool done = false;
    const auto read_if_named = [&](const auto& member) {
      if (!member.has_name(name)) return ++index == 0;
      done = !std::exchange(seen[index], true) && read(element, member.of(value));
      return true;
    };
    const auto is_known = [&](const auto&... member) { return (read_if_named(member) || ...); };
    return std::apply(is_known, members<T>) ? done : element.ignore(name, ignored);
  };
  return source.object(read_member) || source.refuse("an object");
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

  bool string(std::string& value) {
    if (!document_.is_string()) return false;
    value = document_.template get_ref<const std::string&>();
    return true;
  }

  template <class T>
  bool integer(T& value) {
    if (!document_.is_number_integer()) return false;
    const std::string digits = document_.dump();
    return read_integer(digits, value) == digits.size();
  }

  template <class Read>
  bool array(Read read_element) {
    if (!document_.is_array()) return false;
    std::size_t index = 0;
    for (const Json& item : document_) {
      DocumentSource element(item);
      with_errors(std::to_string(index++), [&] { read_element(element); });
    }
    return true;
  }

  template <class Read>
  bool object(Read read_member) {
    if (!document_.is_object()) return false;
    for (const auto& [name, item] : document_.template get_ref<const typename Json::object_t&>()) {
      DocumentSource element(item);
      with_errors(name, [&, &name = name] { read_member(name, element); });
    }
    return true;
  }

  template <class T>
  bool convert(T& value) {
    value = document_.template get<T>();
    return true;
  }

 private:
  const Json& document_;
};

// How a value of each type is written, to a document or to text: as what written() returns.

template <class T>
const T& written(const T& value) {
  return value;
}

inline decltype(auto) written(const std::filesystem::path& value) { return path_to_utf8(value); }

inline std::string_view written(NamedStatus<const ContainerState, const std::string> value) {
  return document_name(value.status, value.other);
}

template <class T>
const T* find_value(const T& member) {
  return &member;
}

template <class T>
const T* find_value(const std::optional<T>& member) {
  return member ? &*member : nullptr;
}

/// Calls `write` with the name and the value of each member that has one.
template <class T, class Write>
void for_each_member(const T& object, Write write) {
  const auto write_member = [&](const auto& member) {
    const auto& item = member.of(object);
    const auto* value = find_value(item);
    if (value) with_errors(member.name, [&] { write(member.name, written(*value)); });
  };
  std::apply([&](const auto&... member) { (write_member(member), ...); }, members<T>);
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
    for_each_member(value, [&](std::string_view name, const auto& item) {
      object[std::string(name)] = to_document<Json>(item);
    });
    return object;
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    return std::string(value);
  } else {
    return std::conditional_t<std::is_constructible_v<Json, const T&>, Json, DocumentOf<T>>(value);
  }
}

}  // namespace detail

/// Sets `document` to the name of `status`. Throws Error for `other`, whose name it does not have,
/// and for a value that is no enumerator.
template <class Json>
void to_json(Json& document, ContainerState status) {
  document = detail::to_document<Json>(detail::document_name(status, ""));
}

/// Sets `status` from its name. Throws Error, and leaves `status` as it was, for anything but the
/// names of the specification: a ContainerState has no place for another one, a State has.
template <class Json>
void from_json(const Json& document, ContainerState& status) {
  const auto found = document.is_string()
                         ? detail::status_named(document.template get_ref<const std::string&>())
                         : ContainerState::other;
  if (found == ContainerState::other) {
    throw detail::mismatch(
        R"("creating", "created", "running" or "stopped" (another needs a State))",
        detail::describe(document));
  }
  status = found;
}

/// Sets `document` to the document for `value`, of a type with a list of members. Members that are
/// none are left out. Throws Error, and leaves `document` as it was, for a status without a proper
/// name.
template <class Json, class T, detail::if_has_members<T> = 0>
void to_json(Json& document, const T& value) {
  document = detail::to_document<Json>(value);
}

/// Sets `value` from its document: every member in its list, those that are absent to their
/// defaults. Throws Error, and leaves `value` as it was, where the document is not as the
/// specification has it (the README has the table).
template <class Json, class T, detail::if_has_members<T> = 0>
void from_json(const Json& document, T& value) {
  T fresh{};
  detail::DocumentSource<Json> source(document);
  detail::read(source, fresh);
  value = std::move(fresh);
}

/// Whether all members are equal; `bundle` as paths are, for which /a//b is /a/b.
template <class T, detail::if_has_members<T> = 0>
[[nodiscard]] bool operator==(const T& left, const T& right) {
  return std::apply(
      [&](const auto&... member) { return ((member.of(left) == member.of(right)) && ...); },
      members<T>);
}

template <class T, detail::if_has_members<T> = 0>
[[nodiscard]] bool operator!=(const T& left, const T& right) {
  return !(left == right);
}

/// Prints the name of the enumerator.
inline std::ostream& operator<<(std::ostream& out, ContainerState status) {
  return out << to_string(status);
}

/// Prints the JSON text. For a log or a failed assertion: it never throws for what `value` holds;
/// bytes that are not UTF-8 become U+FFFD.
template <class T, detail::if_has_members<T> = 0>
std::ostream& operator<<(std::ostream& out, const T& value) {
  using Json = nlohmann::ordered_json;
  std::string text;
  try {
    text = detail::to_document<Json>(value).dump(-1, ' ', false, Json::error_handler_t::replace);
  } catch (const Error& error) {  // a status without a name, a path that is not UTF-16
    text = error.what();
  }
  return out << text;
}

/// Checks what the specification asks of a state beyond the types (runtime.md, State): for a hook
/// before it acts on what it was told, and for a runtime before it saves. Throws Error for the
/// first of these: `version` or `id` empty; `status` without a proper name; `pid` negative or, on
/// Linux, none while created or running; `bundle` not absolute. It can't tell that a document had
/// no `status`, which reads as stopped.
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
    throw Error("/bundle", "expected an absolute path, found " +
                               detail::printable(detail::path_to_utf8(state.bundle)));
  }
}

/// The same for a container process: `version` empty or `pid` negative, and what is wrong with its
/// `state`.
inline void validate(const ContainerProcessState& process) {
  if (process.version.empty()) throw Error("/ociVersion", R"(expected a version, found "")");
  if (process.pid < 0) {
    throw Error("/pid", "expected 0 or greater, found " + std::to_string(process.pid));
  }
  detail::with_errors("state", [&] { validate(process.state); });
}

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

namespace oci {
inline namespace v1_0_0 {

// ---- Text --------------------------------------------------------------------------------------

namespace detail {

/// Builds a document from the events of nlohmann's parser, as its own parse() does, but refuses
/// duplicate names. It throws nothing: the first error is kept.
template <class Json>
class DocumentBuilder final : public nlohmann::json_sax<Json> {
 public:
  DocumentBuilder(std::string_view text, Json& document, std::optional<Error>& error)
      : text_(text), document_(document), error_(error) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(typename Json::number_integer_t value) override { return add(value); }
  bool number_unsigned(typename Json::number_unsigned_t value) override { return add(value); }
  bool number_float(typename Json::number_float_t value, const typename Json::string_t&) override {
    return add(value);
  }
  bool string(typename Json::string_t& value) override { return add(std::move(value)); }
  bool binary(typename Json::binary_t&) override { return false; }  // not reached: no text has any
  bool start_array(std::size_t) override { return open(Json::value_t::array); }
  bool end_array() override { return close(); }
  bool start_object(std::size_t) override { return open(Json::value_t::object); }
  bool end_object() override { return close(); }

  bool key(typename Json::string_t& name) override {
    const auto [member, added] = open_.back()->emplace(std::move(name), nullptr);
    member_ = &*member;
    const std::string expected = added ? "" : "one member named " + printable(member.key());
    if (!added) error_.emplace(pointer(), mismatch(expected, "two").message());
    return added;
  }

  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::json::exception& error) override {
    // The message is nlohmann's without its number and position, and with the token cut.
    std::string message = error.what();
    message.erase(0, message.find("] ") + 2);
    if (message.rfind("parse error", 0) == 0) message.erase(0, message.find(": ") + 2);
    const std::size_t quote = message.rfind('\'' + token + '\'');
    if (quote != std::string::npos) message.replace(quote, token.size() + 2, printable(token));
    return refuse(position, message);
  }

  /// `position` is the number of bytes read, the wrong one included.
  bool refuse(std::size_t position, const std::string& message) {
    const std::string_view before = text_.substr(0, position - 1);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const auto column = position - (before.rfind('\n') + 1);  // npos + 1 is 0
    error_.emplace(
        "", "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message);
    return false;
  }

 private:
  /// Puts `value` where the parser is: into the innermost open array or object, if any.
  Json& place(Json&& value) {
    if (open_.empty()) return document_ = std::move(value);
    if (open_.back()->is_object()) return *member_ = std::move(value);
    open_.back()->push_back(std::move(value));
    return open_.back()->back();
  }

  bool add(Json value) {
    place(std::move(value));
    return true;
  }

  bool open(typename Json::value_t type) {
    open_.push_back(&place(type));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  /// The JSON Pointer of the member that is being read.
  [[nodiscard]] std::string pointer() const {
    std::string pointer;
    for (auto parent = open_.begin(); parent != open_.end(); ++parent) {
      const Json* child = parent + 1 == open_.end() ? member_ : parent[1];
      for (const auto& item : (*parent)->items()) {
        if (&item.value() == child) pointer += pointer_step(item.key());
      }
    }
    return pointer;
  }

  std::string_view text_;
  Json& document_;
  std::optional<Error>& error_;
  std::vector<Json*> open_;  // the open arrays and objects, innermost last
  Json* member_{};           // the value of the last name
};

/// Whether `text` is one JSON value without duplicate names: sets either the document or the error.
template <class Json>
bool parse_document(std::string_view text, Json& document, std::optional<Error>& error) {
  DocumentBuilder<Json> builder(text, document, error);
  const std::size_t nul = text.find('\0');  // which nlohmann's parser takes for the end
  return nul == std::string_view::npos
             ? Json::sax_parse(text.begin(), text.end(), &builder)
             : builder.refuse(nul + 1, "expected JSON text, found a NUL byte");
}

constexpr std::size_t index_of(char c) { return static_cast<unsigned char>(c); }

/// The escapes of two characters in JSON strings: a letter, and the character that it stands for.
struct Escapes {
  std::array<char, 256> letter{};  // by character; 'u' where it needs a longer escape, 0 for none
  std::array<char, 256> character{};  // by letter; 0 where there is no such escape

  constexpr Escapes() {
    for (std::size_t c = 0; c < letter.size(); ++c) letter[c] = c < 0x20 || c > 0x7E ? 'u' : '\0';
    for (const char* pair : {"\"\"", "\\\\", "b\b", "f\f", "n\n", "r\r", "t\t"}) {
      letter[index_of(pair[1])] = pair[0];
      character[index_of(pair[0])] = pair[1];
    }
    character['/'] = '/';
  }
};
inline constexpr Escapes escapes{};

/// Whether eight bytes stand for themselves in a JSON string: printable ASCII, no quote or
/// backslash.
inline bool are_plain(const char* eight) {
  constexpr std::uint64_t each = 0x0101010101010101;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, eight, 8);
  // Each of these terms has the highest bit set in the first byte that is not plain.
  const std::uint64_t quote = (bytes ^ each * '"') - each;
  const std::uint64_t backslash = (bytes ^ each * '\\') - each;
  const std::uint64_t control = bytes - each * ' ';
  return ((bytes | quote | backslash | control) & each * 0x80) == 0;
}

inline const char* skip_plain(const char* at, const char* end) {
  while (end - at >= 8 && are_plain(at)) at += 8;
  while (at != end && escapes.letter[index_of(*at)] == 0) ++at;
  return at;
}

/// A value in a text, to be read. It knows what runtimes write: objects, arrays, integers, and
/// strings of ASCII with or without escapes. To nlohmann's parser go other strings, and the values
/// that are ignored or that nlohmann converts: each as the text of one value. At all else it gives
/// up.
template <class Json = nlohmann::json>
class TextSource {
 public:
  explicit TextSource(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  static bool refuse(const std::string&) { return false; }
  bool at_end() { return skip_space() == end_; }
  bool null() {
    skip_space();
    const bool found = rest().substr(0, 4) == "null";
    if (found) at_ += 4;
    return found;
  }
  bool string(std::string& value) { return next('"') && decode(value); }

  template <class T>
  bool integer(T& value) {
    skip_space();
    const std::size_t size = read_integer(rest(), value);
    const char* const digits = at_ + (size > 0 && *at_ == '-' ? 1 : 0);
    const bool padded = size > 0 && *digits == '0' && digits + 1 != at_ + size;
    at_ += size;
    return size > 0 && !padded;
  }

  template <class Read>
  bool array(Read read_element) {
    if (!next('[')) return false;
    if (next(']')) return true;
    do {
      if (!read_element(*this)) return false;
    } while (next(','));
    return next(']');
  }

  template <class Read>
  bool object(Read read_member) {
    if (!next('{')) return false;
    if (next('}')) return true;
    do {
      std::string_view name;
      if (!next('"') || !find_name(name) || !next(':') || !read_member(name, *this)) return false;
    } while (next(','));
    return next('}');
  }

  bool ignore(std::string_view name, std::set<std::string>& ignored) {
    Json document;
    return ignored.emplace(name).second && parse_value(document);
  }

  template <class T>
  bool convert(T& value) {
    Json document;
    if (!parse_value(document)) return false;
    try {
      value = document.template get<T>();
      return true;
    } catch (...) {  // which the document throws again, if the rest of the text is right
      return false;
    }
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
    if (skip_space() == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  /// The name behind a quote: in the text or, where it has to be decoded, in name_.
  bool find_name(std::string_view& name) {
    const char* const end = skip_plain(at_, end_);
    const bool plain = end != end_ && *end == '"';
    if (!plain && !decode(name_)) return false;
    name = plain ? std::string_view(at_, static_cast<std::size_t>(end - at_)) : name_;
    if (plain) at_ = end + 1;
    return true;
  }

  /// The string behind a quote.
  bool decode(std::string& value) {
    const char* const quote = at_ - 1;
    value.clear();
    do {
      const char* const plain = at_;
      at_ = skip_plain(at_, end_);
      value.append(plain, static_cast<std::size_t>(at_ - plain));
      if (at_ != end_ && *at_ == '"') return ++at_ != nullptr;
    } while (decode_escape(value));
    at_ = quote;
    Json document;
    if (!parse_value(document)) return false;
    value = document.template get_ref<const std::string&>();
    return true;
  }

  /// An escape for an ASCII character.
  bool decode_escape(std::string& value) {
    const std::string_view text = rest().substr(0, 6);
    if (text.size() < 2 || text[0] != '\\') return false;
    const char character = escapes.character[index_of(text[1])];
    const char* const digits = text.data() + 2;
    unsigned code = 0;
    if (character != 0) {
      value += character;
      at_ += 2;
    } else if (text[1] == 'u' && text.size() == 6 &&
               std::from_chars(digits, digits + 4, code, 16).ptr == digits + 4 && code < 0x80) {
      value += static_cast<char>(code);
      at_ += 6;
    } else {
      return false;
    }
    return true;
  }

  /// Finds the end of the value that begins here, and gives its text to nlohmann's parser, which
  /// decides whether it is one. (At a text's beginning it skips a byte order mark: give up.)
  bool parse_value(Json& document) {
    const char* const begin = skip_space();
    std::size_t depth = 0;
    do {
      if (at_ == end_ || *begin == '\xEF') return false;
      const char c = *at_++;
      if (c == '"') {
        while (at_ != end_ && *at_ != '"') at_ += *at_ == '\\' && end_ - at_ > 1 ? 2 : 1;
        if (at_ != end_) ++at_;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (depth == 0) {
        constexpr std::string_view ends{",]} \n\r\t"};
        at_ = std::find_first_of(at_, end_, ends.begin(), ends.end());
      } else if (c == '}' || c == ']') {
        --depth;
      }
    } while (depth > 0);
    std::optional<Error> error;
    return parse_document({begin, static_cast<std::size_t>(at_ - begin)}, document, error);
  }

  const char* at_;
  const char* end_;
  std::string name_;
};

/// The text of a document. Throws Error for the first string in it that is not UTF-8.
template <class Json>
std::string dump_document(const Json& document) {
  try {
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
}

/// Writes text: the same as nlohmann's dump() of an ordered_json. (This and TextSource are
/// templates so that a program pays for compiling nlohmann's parser and dump() only where it uses
/// them.)
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
      for_each_member(value, [&](std::string_view name, const auto& item) { member(name, item); });
      put('}');
    } else if constexpr (is_integer<T>) {
      constexpr std::size_t most = 20;  // -9223372036854775808
      char* const to = room(most);
      size_ += static_cast<std::size_t>(std::to_chars(to, to + most, value).ptr - to);
    } else {
      append(dump_document(to_document<DocumentOf<T>>(value)));
    }
  }

  template <class T>
  void write(const std::vector<T>& value) {
    put('[');
    std::size_t index = 0;
    for (const T& element : value) {
      if (index > 0) put(',');
      with_errors(std::to_string(index++), [&] { write(written(element)); });
    }
    put(']');
  }

  template <class T>
  void write(const std::map<std::string, T>& value) {
    put('{');
    for (const auto& [name, item] : value) {
      with_errors(name, [&, &name = name, &item = item] { member(name, written(item)); });
    }
    put('}');
  }

  void write(const std::string& value) { write(std::string_view{value}); }

  void write(std::string_view value) {
    char* const begin = room(2 * value.size() + 2);  // each character may need an escape
    char* to = begin;
    *to++ = '"';
    const char* const end = value.data() + value.size();
    for (const char* from = value.data();; ++from) {
      const char* const plain = skip_plain(from, end);
      to = std::copy(from, plain, to);
      from = plain;
      if (from == end) break;
      const char letter = escapes.letter[index_of(*from)];
      if (letter == 'u') return append(dump_document(Json(std::string(value))));
      *to++ = '\\';
      *to++ = letter;
    }
    *to++ = '"';
    size_ += static_cast<std::size_t>(to - begin);
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

  void append(std::string_view text) {
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
  Document document;
  std::optional<Error> error;
  if (!parse_document(text, document, error)) throw Error(*error);
  if constexpr (std::is_same_v<T, Document>) {
    return document;
  } else {
    return with_errors({}, [&] { return document.template get<T>(); });
  }
}

}  // namespace detail

/// The T that `text` holds: a State unless said otherwise, a type with a list of members, or any
/// type that nlohmann can convert from json. Refuses with an Error, beside what from_json refuses:
/// what is no JSON, a duplicate name in an object (RFC 7493, section 2.3), text after the document,
/// a NUL byte, and text that is not UTF-8. An exception of nlohmann's that a from_json of your own
/// throws becomes an Error; any other goes through.
template <class T = State>
[[nodiscard]] T parse(std::string_view text) {
  if constexpr (detail::has_members<T>) {
    T value{};
    detail::TextSource source(text);
    const bool done = detail::read(source, value) && source.at_end();
    if (!done) value = detail::parse_as_document<T>(text);
    return value;
  } else {
    return detail::parse_as_document<T>(text);
  }
}

/// The JSON text of `value`, of a type with a list of members or that nlohmann can convert to json:
/// no white space, no final newline, non-ASCII characters as themselves. Throws Error for a string
/// that is not UTF-8 and for a status without a proper name. An exception of nlohmann's that a
/// to_json of your own throws becomes an Error; any other goes through.
template <class T>
[[nodiscard]] std::string dump(const T& value) {
  static_assert(std::is_constructible_v<detail::DocumentOf<T>, const T&>,
                "T needs a list of members (oci::members<T>) or a to_json of its own");
  if constexpr (std::is_same_v<T, nlohmann::json> || std::is_same_v<T, nlohmann::ordered_json>) {
    return detail::dump_document(value);
  } else {
    detail::TextWriter writer;
    detail::with_errors({}, [&] { writer.write(value); });
    return writer.take();
  }
}

// ---- Files -------------------------------------------------------------------------------------

namespace detail {

[[noreturn]] inline void throw_errno(int error, const char* what,
                                     const std::filesystem::path& path) {
  throw std::filesystem::filesystem_error(what, path, {error, std::generic_category()});
}

/// Calls `call`, which works on the file at `path`: an Error that it throws gets the file's name.
template <class Call>
decltype(auto) in_file(const std::filesystem::path& path, Call call) {
  // To the system, a path ends at a NUL byte: it would name another file.
  if (path.native().find(std::filesystem::path::value_type{}) != std::string::npos) {
    throw_errno(EINVAL, "oci: NUL byte in a path", path);
  }
  try {
    return call();
  } catch (const Error& error) {
    if (!error.file().empty()) throw;  // of a file that a user's own conversion loads
    throw Error(error.pointer(), error.message(), path_to_utf8(path));
  }
}

#ifndef _WIN32

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
  constexpr std::size_t size = 65536;  // of a longer packet, a socket drops the rest
  const std::unique_ptr<char[]> chunk(new char[size]);  // no std::string, which would touch it all
  std::string text;
  for (;;) {
    const auto count =
        checked("oci::load: cannot read", path, [&] { return ::read(file, chunk.get(), size); });
    if (count == 0) return text;
    text.append(chunk.get(), static_cast<std::size_t>(count));
  }
}

inline std::string read_file(const std::filesystem::path& path) {
  const Descriptor file(checked("oci::load: cannot open", path,
                                [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  return read_to_end(file, path);
}

inline void write_all(int file, std::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const auto count = checked("oci::save: cannot write", path,
                               [&] { return ::write(file, text.data(), text.size()); });
    text.remove_prefix(static_cast<std::size_t>(count));
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

/// Opens a new file in `directory` that this user alone can open. One that a killed process left
/// behind is passed over. The name is short, as the name of the file to replace may be the longest.
inline int create_temporary(int directory, std::string& name, const std::filesystem::path& path) {
  static std::atomic<unsigned> count{0};
  return checked("oci::save: cannot create a temporary", path, [&] {
    int file = -1;
    do {
      name = ".oci-state-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
      file = ::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    } while (file == -1 && errno == EEXIST);
    return file;
  });
}

inline void replace_file(const std::filesystem::path& path, std::string_view text) {
  const std::string& whole = path.native();
  const std::size_t slash = whole.rfind('/') + 1;  // npos + 1 is 0
  const std::string parent = whole.empty() ? "" : whole.substr(0, slash) + ".";
  const std::string name = slash == whole.size() ? "." : whole.substr(slash);
  const Descriptor directory(checked("oci::save: cannot open the directory", path, [&] {
    return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }));

  struct stat old {};
  struct stat around {};
  const auto look = [&] {
    if (::fstat(directory, &around) == -1) return -1;
    if (::fstatat(directory, name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0) return 1;
    return errno == ENOENT ? 0 : -1;
  };
  const bool exists = checked("oci::save: cannot look at the file", path, look) == 1;
  if (exists) require_regular(old, path);

  std::string temporary;
  Descriptor file(create_temporary(directory, temporary, path));
  try {
    const bool sticky = (around.st_mode & S_ISVTX) != 0;  // then the old file may be anybody's
    if (exists && !sticky) keep_owner_and_mode(file, old, path);
    write_all(file, text, path);
    checked("oci::save: cannot sync", path, [&] { return ::fsync(file); });
    checked("oci::save: cannot close", path, [&] { return file.reset(-1); });
    checked("oci::save: cannot rename", path,
            [&] { return ::renameat(directory, temporary.c_str(), directory, name.c_str()); });
  } catch (...) {
    ::unlinkat(directory, temporary.c_str(), 0);
    throw;
  }
  checked("oci::save: cannot sync the directory", path, [&] {
    const int result = ::fsync(directory);
    return result == -1 && errno == EINVAL ? 0 : result;  // some file systems have nothing to sync
  });
}

/// The file at a path, locked against other updates until the end of its life.
class LockedFile {
 public:
  explicit LockedFile(const std::filesystem::path& path) : path_(path) {
    open(O_RDONLY);
    checked("oci::update: cannot lock", path, [&] {
      const int result = ::flock(file_, LOCK_EX);
      if (result == 0 || errno != EBADF) return result;
      open(O_RDWR);  // NFS locks only what is open for writing
      return ::flock(file_, LOCK_EX);
    });
  }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;
  /// Unlocks before it closes: a child that was forked meanwhile has a copy of the descriptor.
  ~LockedFile() { ::flock(file_, LOCK_UN); }

  /// Whether it is still the file at the path: another update may have replaced it during the wait.
  [[nodiscard]] bool is_current() const {
    struct stat now {};
    checked("oci::update: cannot look at the file", path_, [&] {
      const int result = ::lstat(path_.c_str(), &now);
      return result == -1 && errno == ENOENT ? 0 : result;
    });
    return now.st_dev == status_.st_dev && now.st_ino == status_.st_ino;
  }

  [[nodiscard]] std::string read() const { return read_to_end(file_, path_); }

 private:
  void open(int access) {
    file_.reset(checked("oci::update: cannot open", path_, [&] {
      return ::open(path_.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }));
    checked("oci::update: cannot look at the file", path_,
            [&] { return ::fstat(file_, &status_); });
    require_regular(status_, path_);
  }

  const std::filesystem::path& path_;
  Descriptor file_{-1};
  struct stat status_ {};
};

#else  // Windows: the standard library alone

inline std::string read_file(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in) throw_errno(errno, "oci::load: cannot read", path);
  return text;
}

inline void replace_file(const std::filesystem::path& path, std::string_view text) {
  static std::atomic<unsigned> count{std::random_device{}()};
  auto temporary = path;
  temporary.replace_filename(".oci-state-" + std::to_string(count++));
  errno = 0;
  std::ofstream out(temporary, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  std::error_code error(errno == 0 ? EIO : errno, std::generic_category());
  if (out) std::filesystem::rename(temporary, path, error);
  if (!error) return;
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  throw std::filesystem::filesystem_error("oci::save: cannot write", path, error);
}

#endif

}  // namespace detail

/// The T that the file holds: a State unless said otherwise. Reads regular files, FIFOs and devices
/// to their end. Throws std::filesystem::filesystem_error where the file can't be opened or read
/// (code() is the errno, path1() is `path`), and Error, which names the file, for its content: see
/// parse().
template <class T = State>
[[nodiscard]] T load(const std::filesystem::path& path) {
  return detail::in_file(path, [&] { return parse<T>(detail::read_file(path)); });
}

/// Writes the JSON text of `value` to the file, whole or not at all: to a temporary beside it,
/// which is synced and renamed. Threads and processes may load and save one path at the same time:
/// each load sees one whole document.
///
/// A new file gets the permissions 0600 less the umask. An existing one keeps its permission bits
/// and, where the process may set them, its owner and group; where the group can't be kept, the new
/// one gets no permissions. In a directory with the sticky bit, where others may have planted the
/// file, it is replaced by one that is made as a new one. Only regular files are replaced: a
/// symbolic link is refused with ELOOP, a directory with EISDIR, all else with ENXIO.
///
/// Throws Error, which names the file, for what dump() refuses, before any file is touched. Throws
/// std::filesystem::filesystem_error (code() is the errno, path1() is `path`) where the operating
/// system refuses: then the old file is as it was, and nothing is left beside it. But where only
/// the last step fails, the sync of the directory, the new file is in place, and might not outlive
/// a power cut. A process that is killed may leave a file ".oci-state-..." behind. Windows promises
/// less (README, "Limitations").
template <class T>
void save(const T& value, const std::filesystem::path& path) {
  detail::replace_file(path, detail::in_file(path, [&] { return dump(value); }));
}

#ifndef _WIN32

/// The T that the rest of an open file holds, up to its end: a pipe, a socket, standard input. The
/// descriptor stays open. Packets of a packet socket may have up to 64 KiB. Throws as load() of a
/// path does, with /dev/fd/N as the path; EAGAIN is an error. Not for a seccomp agent's socket: it
/// would lose the descriptors that come with the text.
template <class T = State>
[[nodiscard]] T load(int descriptor) {
  const std::filesystem::path path = "/dev/fd/" + std::to_string(descriptor);
  return detail::in_file(path, [&] { return parse<T>(detail::read_to_end(descriptor, path)); });
}

/// Writes the JSON text of `value`, all of it, to an open file: a pipe, a socket, a terminal. It is
/// neither atomic nor synced. Throws as save() to a path does, with /dev/fd/N as the path; a part
/// may have been written then. EAGAIN is an error. A reader that is gone raises SIGPIPE, as write()
/// does, or EPIPE where that is ignored.
template <class T>
void save(const T& value, int descriptor) {
  const std::filesystem::path path = "/dev/fd/" + std::to_string(descriptor);
  detail::write_all(descriptor, detail::in_file(path, [&] { return dump(value); }), path);
}

/// Loads the file, calls `change` with the T&, saves, and returns the value as it then is. `change`
/// returns nothing or a bool: where that is false, nothing is saved. Where it throws, the file is
/// as it was, and the exception goes through. Throws as load() and save() do; for a file that is
/// not there, ENOENT.
///
/// Updates exclude each other, among threads and processes, and nothing else: load() and save() do
/// not wait. An update of the same file in `change` would wait for itself. The lock is flock() on
/// the file: whoever may open the file may delay an update, and so may a child that was forked in
/// `change` and outlives a killed parent. Network file systems may lock on one machine alone.
template <class T = State, class Change>
T update(const std::filesystem::path& path, Change change) {
  using Result = std::invoke_result_t<Change&, T&>;
  static_assert(std::is_void_v<Result> || std::is_same_v<Result, bool>,
                "change must return nothing, or a bool: false for nothing to save");
  std::optional<detail::LockedFile> file;
  T value = detail::in_file(path, [&] {
    do {
      file.emplace(path);
    } while (!file->is_current());
    return parse<T>(file->read());
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

#endif  // OCI_STATE_HPP
