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
#include <ios>
#include <istream>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef _WIN32
#include <fstream>
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
  std::size_t size = text.size();
  if (size > 64) {
    size = 64;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
  }
  std::string quoted =
      json(std::string(text.substr(0, size))).dump(-1, ' ', true, json::error_handler_t::replace);
  if (size < text.size()) quoted.insert(quoted.size() - 1, "...");
  return quoted;
}

/// The name of a file, whole: control characters and bytes that are not UTF-8 are escaped.
inline std::string printable_file(std::string_view name) {
  using nlohmann::json;
  std::string text;
  for (std::size_t size = 1; !name.empty(); name.remove_prefix(size), size = 1) {
    while (size < name.size() && (static_cast<unsigned char>(name[size]) & 0xC0U) == 0x80U) ++size;
    const std::string character(name.substr(0, size));
    const std::string escaped = json(character).dump(-1, ' ', true, json::error_handler_t::replace);
    const bool control = character < " " || character == "\x7F" ||
                         ("\xC2\x80" <= character && character <= "\xC2\x9F");
    const bool keep = !control && escaped.find("\\ufffd") == std::string::npos;
    text += keep ? character : escaped.substr(1, escaped.size() - 2);
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

  /// The JSON Pointer (RFC 6901) of the offending value, seen from the value that a from_json of
  /// this header was given: in parse<State>() and the like the document, which is "" as a whole.
  [[nodiscard]] const std::string& pointer() const noexcept { return parts_->pointer; }

  /// what() without the file and the pointer.
  [[nodiscard]] const std::string& message() const noexcept { return parts_->message; }

  /// The file that the document was read from or was to be written to; "" if there was none.
  [[nodiscard]] const std::string& file() const noexcept { return parts_->file; }

 private:
  struct Parts {
    std::string pointer;
    std::string message;
    std::string file;
  };

  static std::string text(const std::string& pointer, const std::string& message,
                          const std::string& file) {
    std::string where = detail::printable(pointer);
    where = where.substr(1, where.size() - 2);  // without the quotes
    return (file.empty() ? "" : detail::printable_file(file) + ": ") +
           (where.empty() ? "" : where + ": ") + message;
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

/// A member of a JSON object, and where its value lies in a struct.
template <class Class, class Value>
struct Member {
  std::string_view name;
  Value Class::*value;

  template <class T>
  [[nodiscard]] auto& of(T& object) const {
    return object.*value;
  }
};

template <class Class>
struct StatusMember {
  std::string_view name;
  ContainerState Class::*status;
  std::string Class::*other;

  template <class T>
  [[nodiscard]] auto of(T& object) const {
    return NamedStatus{object.*status, object.*other};
  }
};

struct NoMembers {};

}  // namespace detail

/// A member of a JSON object for a list of members: its name, in ASCII, and the C++ member.
template <class Class, class Value>
constexpr auto member(std::string_view name, Value Class::*value) {
  return detail::Member<Class, Value>{name, value};
}

/// The same for a status: the second C++ member has the name where the first is `other`.
template <class Class>
constexpr auto member(std::string_view name, ContainerState Class::*status,
                      std::string Class::*other) {
  return detail::StatusMember<Class>{name, status, other};
}

/// The JSON members of a type, in the order in which they are written. All conversions and
/// comparisons come from it. A type of your own that derives from State or ContainerProcessState
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

/// The members of Base, then more. Two of one name do not compile.
template <class Base, class... More>
constexpr auto extend(const More&... more) {
  const auto list = std::tuple_cat(members<Base>, std::tuple{more...});
  std::apply(
      [](const auto&... member) {
        const std::array names{member.name...};
        for (std::size_t i = 0; i < names.size(); ++i) {
          for (std::size_t j = 0; j < i; ++j) {
            if (names[i] == names[j]) throw "duplicate name in a list of members";
          }
        }
      },
      list);
  return list;
}

namespace detail {

/// Whether T itself, and not only a base class of it, has a list of members.
template <class T>
inline constexpr bool has_members =
    !std::is_same_v<std::remove_const_t<decltype(members<T>)>, NoMembers>;

template <class T>
using if_has_members = std::enable_if_t<has_members<T>, int>;

/// The kind of document that a T is converted to: ordered_json, which keeps the order of members,
/// or json where the conversions of T know that one alone.
template <class T>
using DocumentOf = std::conditional_t<!std::is_same_v<T, nlohmann::json> &&
                                          std::is_constructible_v<nlohmann::ordered_json, const T&>,
                                      nlohmann::ordered_json, nlohmann::json>;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Calls `call`. An exception of nlohmann's that a user's own conversion throws becomes an Error.
template <class Call>
decltype(auto) with_errors(Call call) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const nlohmann::json::exception& error) {
    throw Error({}, error.what());
  }
}

/// A step of a JSON Pointer, escaped as in RFC 6901.
inline std::string pointer_step(std::string_view name) {
  std::string step{"/"};
  for (const char c : name) {
    if (c == '~') {
      step += "~0";
    } else if (c == '/') {
      step += "~1";
    } else {
      step += c;
    }
  }
  return step;
}

/// Calls `call`, which works on the member or element `name` of a value: an Error that it throws
/// gets this step in front of its pointer.
template <class Call>
void within(std::string_view name, Call call) {
  try {
    call();
  } catch (const Error& error) {
    throw Error(pointer_step(name) + error.pointer(), error.message());
  }
}

template <class Json>
Error mismatch(const std::string& expected, const Json& found) {
  std::string text = "expected " + expected + ", found ";
  if (found.is_string()) {
    text += printable(found.template get_ref<const typename Json::string_t&>());
  } else if (found.is_structured()) {
    text += std::string("an ") + found.type_name();
  } else if (found.is_binary()) {
    text += "binary data";
  } else {
    text += found.dump();
  }
  return {{}, text};
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
    throw Error({}, "expected a status of the runtime's own, found " + printable(other));
  }
  if (!to_string(status).empty()) return to_string(status);
  throw Error({}, "expected a ContainerState, found " + std::to_string(static_cast<int>(status)));
}

inline void set_path(std::filesystem::path& path, std::string&& utf8) {
#ifdef _WIN32  // where paths are UTF-16
  try {
#ifdef __cpp_char8_t
    path = std::u8string(utf8.begin(), utf8.end());
#else
    path = std::filesystem::u8path(utf8);
#endif
  } catch (const std::system_error&) {
    throw Error({}, "expected UTF-8, found " + printable(utf8));
  }
#else
  path = std::move(utf8);
#endif
}

#ifdef _WIN32
inline std::string path_to_utf8(const std::filesystem::path& path) {
  try {
    const auto text = path.u8string();  // a std::string in C++17, no longer in C++20
    return {text.begin(), text.end()};
  } catch (const std::system_error&) {
    throw Error({}, "expected a path in UTF-16, found half of a surrogate pair");
  }
}
#else
inline const std::string& path_to_utf8(const std::filesystem::path& path) { return path.native(); }
#endif

// How a value of each type is read: the rules, once, for two kinds of source. A DocumentSource is a
// value in a document of nlohmann's; there, what breaks a rule is an Error. A TextSource stands at
// a value in a text; it gives up at what it does not know, right or wrong: read_value() then
// returns false, and the document decides. The C++ value has its default before.

template <class Source>
bool read_value(Source& source, std::string& value) {
  return source.string(value) || source.refuse("a string");
}

template <class Source>
bool read_value(Source& source, std::filesystem::path& value) {
  std::string text;
  if (!read_value(source, text)) return false;
  set_path(value, std::move(text));
  return true;
}

template <class Source>
bool read_value(Source& source, NamedStatus<ContainerState, std::string> value) {
  std::string name;
  if (!source.string(name) || name.empty()) return source.refuse("a string that is not empty");
  value.status = status_named(name);
  if (value.status == ContainerState::other) value.other = std::move(name);
  return true;
}

/// Null is none.
template <class Source, class T>
bool read_value(Source& source, std::optional<T>& value) {
  return source.null() || read_value(source, value.emplace());
}

/// Null is no elements: Go's encoder writes it for a nil slice.
template <class Source, class T>
bool read_value(Source& source, std::vector<T>& value) {
  const auto read_element = [&](auto& element) {
    T item{};
    if (!read_value(element, item)) return false;
    value.push_back(std::move(item));
    return true;
  };
  return source.null() || source.array(read_element) ||
         source.refuse(std::is_same_v<T, std::string> ? "an array of strings" : "an array");
}

template <class Source, class T>
bool read_value(Source& source, std::map<std::string, T>& value) {
  const auto read_member = [&](std::string_view name, auto& element) {
    const std::size_t size = value.size();
    const auto added = value.emplace_hint(value.end(), name, T{});
    return value.size() > size && read_value(element, added->second);
  };
  return source.object(read_member) ||
         source.refuse(std::is_same_v<T, std::string> ? "an object whose values are strings"
                                                      : "an object");
}

/// A struct: an absent member keeps its default, and one that is not in the list is ignored.
template <class Source, class T>
bool read_members(Source& source, T& value) {
  std::array<bool, std::tuple_size_v<decltype(members<T>)>> seen{};
  std::vector<std::string_view> ignored;
  const auto read_member = [&](std::string_view name, auto& element) {
    std::size_t index = 0;
    bool done = false;
    const auto read_if_named = [&](const auto& member) {
      if (name != member.name) return ++index == 0;
      done = !std::exchange(seen[index], true) && read_value(element, member.of(value));
      return true;
    };
    const bool known = std::apply(
        [&](const auto&... member) { return (read_if_named(member) || ...); }, members<T>);
    return known ? done : element.ignore(name, ignored);
  };
  return source.object(read_member) || source.refuse("an object");
}

/// All other types: integers, structs with a list, and what nlohmann alone can convert.
template <class Source, class T>
bool read_value(Source& source, T& value) {
  if constexpr (has_members<T>) {
    return read_members(source, value);
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    using Limits = std::numeric_limits<T>;
    return source.integer(value) ||
           source.refuse("an integer from " + std::to_string((Limits::min)()) + " to " +
                         std::to_string((Limits::max)()));
  } else {
    return source.convert(value);
  }
}

/// The number of bytes of the integer that `text` begins with, or 0 where it is none that T holds.
template <class T>
std::size_t read_integer(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? static_cast<std::size_t>(end - text.data()) : 0;
}

/// A value in a document, to read from.
template <class Json>
class DocumentSource {
 public:
  explicit DocumentSource(const Json& json) : json_(json) {}

  [[noreturn]] bool refuse(const std::string& expected) { throw mismatch(expected, json_); }

  bool null() { return json_.is_null(); }

  bool string(std::string& value) {
    if (!json_.is_string()) return false;
    const auto& text = json_.template get_ref<const typename Json::string_t&>();
    value.assign(text.data(), text.size());
    return true;
  }

  template <class T>
  bool integer(T& value) {
    if (!json_.is_number_integer()) return false;
    const auto digits = json_.dump();
    return read_integer({digits.data(), digits.size()}, value) == digits.size();
  }

  template <class Read>
  bool array(Read read_element) {
    if (!json_.is_array()) return false;
    std::size_t index = 0;
    for (const Json& json : json_) {
      DocumentSource element(json);
      within(std::to_string(index++), [&] { read_element(element); });
    }
    return true;
  }

  template <class Read>
  bool object(Read read_member) {
    if (!json_.is_object()) return false;
    for (const auto& item : json_.template get_ref<const typename Json::object_t&>()) {
      const std::string_view name(item.first.data(), item.first.size());
      DocumentSource element(item.second);
      within(name, [&] { read_member(name, element); });
    }
    return true;
  }

  bool ignore(std::string_view, std::vector<std::string_view>&) { return true; }

  template <class T>
  bool convert(T& value) {
    value = with_errors([&] { return json_.template get<T>(); });
    return true;
  }

 private:
  const Json& json_;
};

// How a value is written: text and documents are made of what these give for each type.

template <class T>
const T& written(const T& value) {
  return value;
}
inline decltype(auto) written(const std::filesystem::path& value) { return path_to_utf8(value); }
inline std::string_view written(NamedStatus<const ContainerState, const std::string> value) {
  return document_name(value.status, value.other);
}
template <class T>
decltype(auto) written(const std::optional<T>& value) {
  return written(*value);
}

/// Calls `write` with the name and the value of each member that `value` has, in the list's order.
template <class T, class Write>
void for_each_member(const T& value, Write write) {
  const auto write_member = [&](const auto& member) {
    const auto& item = member.of(value);
    bool present = true;
    if constexpr (is_optional<std::decay_t<decltype(item)>>) present = item.has_value();
    if (present) write(member.name, item);
  };
  std::apply([&](const auto&... member) { (write_member(member), ...); }, members<T>);
}

/// The document for a value of any type.
template <class Json, class T>
Json to_document(const T& value) {
  if constexpr (has_members<T>) {
    Json object = Json::object();
    for_each_member(value, [&](std::string_view name, const auto& item) {
      within(name, [&] {
        object[typename Json::object_t::key_type(name)] = to_document<Json>(written(item));
      });
    });
    return object;
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    return typename Json::string_t(value.data(), value.size());
  } else if constexpr (std::is_constructible_v<Json, const T&>) {
    return with_errors([&] { return Json(value); });
  } else {
    return with_errors([&] { return DocumentOf<T>(value); });
  }
}

}  // namespace detail

/// Sets `json` to the name of `status`. Throws Error for `other`, whose name it does not have, and
/// for a value that is no enumerator.
template <class Json>
void to_json(Json& json, ContainerState status) {
  json = detail::to_document<Json>(detail::document_name(status, {}));
}

/// Sets `status` from its name. Throws Error, and leaves `status` as it was, for anything but the
/// names of the specification: a ContainerState has no place for another one, a State has.
template <class Json>
void from_json(const Json& json, ContainerState& status) {
  std::string name;
  detail::DocumentSource<Json> source(json);
  const auto found = source.string(name) ? detail::status_named(name) : ContainerState::other;
  if (found == ContainerState::other) {
    source.refuse(R"("creating", "created", "running" or "stopped" (another needs a State))");
  }
  status = found;
}

/// Sets `json` to the document for `value`, of a type with a list of members. Members that are none
/// are left out. Throws Error, and leaves `json` as it was, for a status without a proper name.
template <class Json, class T, detail::if_has_members<T> = 0>
void to_json(Json& json, const T& value) {
  json = detail::to_document<Json>(value);
}

/// Sets `value` from its document: every member in its list, those that are absent to their
/// defaults. Throws Error, and leaves `value` as it was, where the document is not as the
/// specification has it (the README has the table).
template <class Json, class T, detail::if_has_members<T> = 0>
void from_json(const Json& json, T& value) {
  T fresh{};
  detail::DocumentSource<Json> source(json);
  detail::read_value(source, fresh);
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
    text = Json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
  } catch (
      const Error& error) {  // a status without a name or, on Windows, a path that is no UTF-16
    text = error.what();
  }
  return out << text;
}

namespace detail {

[[noreturn]] inline void refuse(const std::string& pointer, const std::string& expected,
                                const std::string& found) {
  throw Error(pointer, "expected " + expected + ", found " + found);
}

}  // namespace detail

/// Checks what the specification asks of a state beyond the types (runtime.md, State): for a hook
/// before it acts on what it was told, and for a runtime before it saves. Throws Error for the
/// first of these: `version` or `id` empty; `status` without a proper name; `pid` negative or, on
/// Linux, none while created or running; `bundle` not absolute. It can't tell that a document had
/// no `status`, which reads as stopped.
inline void validate(const State& state) {
  if (state.version.empty()) detail::refuse("/ociVersion", "a version", R"("")");
  if (state.id.empty()) detail::refuse("/id", "an ID", R"("")");
  detail::within("status", [&] { detail::document_name(state.status, state.other_status); });
  if (state.pid && *state.pid < 0) {
    detail::refuse("/pid", "0 or greater", std::to_string(*state.pid));
  }
#ifdef __linux__
  if (!state.pid &&
      (state.status == ContainerState::created || state.status == ContainerState::running)) {
    detail::refuse("/pid", "a process ID, as the status is " + status_name(state), "none");
  }
#endif
  if (!state.bundle.is_absolute()) {
    detail::within("bundle", [&] {
      detail::refuse("", "an absolute path", detail::printable(detail::path_to_utf8(state.bundle)));
    });
  }
}

/// The same for a container process: `version` empty or `pid` negative, and what is wrong with its
/// `state`.
inline void validate(const ContainerProcessState& process) {
  if (process.version.empty()) detail::refuse("/ociVersion", "a version", R"("")");
  if (process.pid < 0) detail::refuse("/pid", "0 or greater", std::to_string(process.pid));
  detail::within("state", [&] { validate(process.state); });
}

}  // namespace v1_0_0
}  // namespace oci

/// Where nlohmann/json looks for the conversions of T, and of no type that derives from it. (The
/// functions alone would do, but for version 3.10.5: in C++20 it takes State for a string.)
template <class T>
struct nlohmann::adl_serializer<T, std::enable_if_t<oci::detail::has_members<T>>> {
  template <class Json>
  static void to_json(Json& json, const T& value) {
    oci::to_json(json, value);
  }
  template <class Json>
  static void from_json(const Json& json, T& value) {
    oci::from_json(json, value);
  }
};

namespace oci {
inline namespace v1_0_0 {

// ---- Text --------------------------------------------------------------------------------------

namespace detail {

/// Builds a document from the events of nlohmann's parser, as its own parse() does, but refuses
/// duplicate names and NUL bytes. It throws nothing: the first error is kept.
template <class Json>
class DocumentBuilder final : public nlohmann::json_sax<Json> {
 public:
  explicit DocumentBuilder(std::string_view text) : text_(text) {}

  /// Whether the text is one JSON value: then it is in document(), else the reason is in error().
  bool build() {
    const std::size_t nul = text_.find('\0');  // which nlohmann's parser takes for the end
    if (nul == std::string_view::npos) return Json::sax_parse(text_.begin(), text_.end(), this);
    return fail(nul + 1, "expected JSON text, found a NUL byte");
  }

  Json& document() { return document_; }
  const Error& error() const { return *error_; }

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
    if (!added) {
      error_.emplace(pointer(),
                     "expected one member named " + printable(member.key()) + ", found two");
    }
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
    return fail(position, message);
  }

 private:
  /// An error in the grammar. `position` is the number of bytes read, the wrong one included.
  bool fail(std::size_t position, const std::string& message) {
    const std::string_view before = text_.substr(0, position - 1);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const auto column = position - (before.rfind('\n') + 1);  // npos + 1 is 0
    error_.emplace(
        "", "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message);
    return false;
  }

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
    std::string way;
    for (auto parent = open_.begin(); parent != open_.end(); ++parent) {
      const Json* child = parent + 1 == open_.end() ? member_ : parent[1];
      for (const auto& item : (*parent)->items()) {
        if (&item.value() == child) way += pointer_step(item.key());
      }
    }
    return way;
  }

  std::string_view text_;
  Json document_;
  std::optional<Error> error_;
  std::vector<Json*> open_;  // the open arrays and objects, innermost last
  Json* member_{};           // the value of the last name
};

template <class Json>
Json parse_document(std::string_view text) {
  DocumentBuilder<Json> builder(text);
  if (!builder.build()) throw Error(builder.error());
  return std::move(builder.document());
}

/// Skips bytes that are themselves in a JSON string: printable ASCII but for '"' and '\\'.
inline const char* skip_plain(const char* at, const char* end) {
  // Eight at once: the sums and differences set the highest bit of a byte that is not plain.
  constexpr std::uint64_t each = 0x0101010101010101;
  for (std::uint64_t bytes = 0; end - at >= 8; at += 8) {
    std::memcpy(&bytes, at, 8);
    const std::uint64_t quote = (bytes ^ each * '"') - each;
    const std::uint64_t backslash = (bytes ^ each * '\\') - each;
    if (((bytes | quote | backslash | (bytes - each * 0x20)) & each * 0x80) != 0) break;
  }
  while (at != end && ' ' <= *at && *at <= '~' && *at != '"' && *at != '\\') ++at;
  return at;
}

/// The two-character escapes: what stands behind the backslash, and for which character.
inline constexpr std::string_view escapes{"\"\\bfnrt/"};
inline constexpr std::string_view escaped{"\"\\\b\f\n\r\t/"};

/// A value in a text, to read from. It knows what runtimes write: objects, arrays, integers, and
/// strings of printable ASCII and of escapes for ASCII. Strings with more than that go to
/// nlohmann's parser as one token, and so do values that are ignored and those that nlohmann
/// converts. At all else it gives up.
class TextSource {
 public:
  explicit TextSource(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  bool at_end() { return skip_space() == end_; }

  static bool refuse(const std::string&) { return false; }

  bool null() {
    skip_space();
    if (rest().substr(0, 4) != "null") return false;
    at_ += 4;
    return true;
  }

  bool string(std::string& value) { return next('"') && decode(value); }

  template <class T>
  bool integer(T& value) {
    skip_space();
    const std::size_t size = read_integer(rest(), value);
    if (size == 0 || rest().substr(0, 2) == "-0" || (size > 1 && *at_ == '0')) return false;
    at_ += size;
    return true;
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
    std::string_view name;
    do {
      if (!next('"') || !decode_name(name) || !next(':') || !read_member(name, *this)) return false;
    } while (next(','));
    return next('}');
  }

  /// Not for a name that had to be decoded, nor for more than a few.
  bool ignore(std::string_view name, std::vector<std::string_view>& ignored) {
    const bool again = std::find(ignored.begin(), ignored.end(), name) != ignored.end();
    if (again || name.data() == name_.data() || ignored.size() == 16) return false;
    ignored.push_back(name);
    return DocumentBuilder<nlohmann::json>(token()).build();
  }

  template <class T>
  bool convert(T& value) {
    DocumentBuilder<nlohmann::json> builder(token());
    if (!builder.build()) return false;
    try {
      value = builder.document().template get<T>();
    } catch (const nlohmann::json::exception&) {
      return false;
    }
    return true;
  }

 private:
  std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }

  const char* skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    return at_;
  }

  bool next(char c) {
    if (skip_space() == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  /// A name, behind its first quote: where it stands, if it is plain.
  bool decode_name(std::string_view& name) {
    const char* const end = skip_plain(at_, end_);
    if (end != end_ && *end == '"') {
      name = {at_, static_cast<std::size_t>(end - at_)};
      at_ = end + 1;
      return true;
    }
    if (!decode(name_)) return false;
    name = name_;
    return true;
  }

  /// A string, behind its first quote.
  bool decode(std::string& value) {
    const char* const begin = at_ - 1;
    value.clear();
    for (;;) {
      const char* const plain = at_;
      at_ = skip_plain(at_, end_);
      value.append(plain, at_);
      if (at_ == end_) return false;
      if (*at_ == '"') return ++at_ != nullptr;
      unsigned code = 0x80;
      if (*at_ == '\\' && end_ - at_ > 6) {
        const std::size_t escape = escapes.find(at_[1]);
        if (escape != std::string_view::npos) {
          value += escaped[escape];
          at_ += 2;
          continue;
        }
        const bool hex =
            at_[1] == 'u' && std::from_chars(at_ + 2, at_ + 6, code, 16).ptr == at_ + 6;
        if (hex && code < 0x80) {
          value += static_cast<char>(code);
          at_ += 6;
          continue;
        }
      }
      break;
    }
    at_ = begin;
    DocumentBuilder<nlohmann::json> builder(token());
    if (!builder.build()) return false;
    value = builder.document().get_ref<const std::string&>();
    return true;
  }

  /// The text of the value that begins here; nlohmann's parser decides whether it is one.
  std::string_view token() {
    const char* const begin = skip_space();
    std::size_t depth = 0;
    bool quoted = false;
    do {
      if (at_ == end_) break;
      const char c = *at_++;
      if (quoted) {
        if (c == '\\' && at_ != end_) ++at_;
        if (c == '"') quoted = false;
      } else if (c == '"') {
        quoted = true;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']') {
        --depth;
      } else if (depth == 0) {
        at_ = std::find_first_of(at_, end_, scalar_ends.begin(), scalar_ends.end());
      }
    } while (quoted || depth > 0);
    return {begin, static_cast<std::size_t>(at_ - begin)};
  }

  static constexpr std::string_view scalar_ends{",]} \n\r\t"};

  const char* at_;
  const char* end_;
  std::string name_;  // the last name that had to be decoded
};

/// Writes the same text as nlohmann's dump() of an ordered_json.
class TextWriter {
 public:
  std::string& text() { return text_; }

  template <class T>
  void write(const T& value) {
    if constexpr (has_members<T>) {
      text_ += '{';
      for_each_member(
          value, [&](std::string_view name, const auto& item) { member(name, written(item)); });
      text_ += '}';
    } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      text_ += std::to_string(value);
    } else {
      text_ += to_document<DocumentOf<T>>(value).dump();
    }
  }

  template <class T>
  void write(const std::vector<T>& value) {
    text_ += '[';
    for (const T& element : value) {
      if (text_.back() != '[') text_ += ',';
      write(written(element));
    }
    text_ += ']';
  }

  template <class T>
  void write(const std::map<std::string, T>& value) {
    text_ += '{';
    for (const auto& [name, element] : value) member(name, written(element));
    text_ += '}';
  }

  void write(const std::string& value) { write(std::string_view(value)); }

  void write(std::string_view value) {
    const std::size_t before = text_.size();
    text_.resize(before + 2 * value.size() + 2);  // room for an escape in place of each character
    char* to = &text_[before];
    *to++ = '"';
    const char* from = value.data();
    const char* const end = from + value.size();
    for (;;) {
      const char* const plain = skip_plain(from, end);
      to = std::copy(from, plain, to);
      if (plain == end) break;
      const std::size_t escape = escaped.substr(0, 7).find(*plain);
      if (escape == std::string_view::npos) {
        text_.resize(before);
        text_ += nlohmann::json(std::string(value)).dump();
        return;
      }
      *to++ = '\\';
      *to++ = escapes[escape];
      from = plain + 1;
    }
    *to++ = '"';
    text_.resize(static_cast<std::size_t>(to - text_.data()));
  }

 private:
  template <class T>
  void member(std::string_view name, const T& value) {
    if (text_.back() != '{') text_ += ',';
    write(name);
    text_ += ':';
    write(value);
  }

  std::string text_;
};

/// All that is left of a stream, read with a stream of its own: the state and the exception mask of
/// `in` stay out of it.
inline std::string read_to_end(std::istream& in) {
  const auto broken = [] {
    return std::ios_base::failure("oci: cannot read the stream",
                                  std::make_error_code(std::io_errc::stream));
  };
  if (in.fail()) throw broken();
  std::istream reader(in.rdbuf());
  std::string text;
  char chunk[4096];
  while (reader) {
    reader.read(chunk, sizeof chunk);
    text.append(chunk, static_cast<std::size_t>(reader.gcount()));
  }
  if (reader.bad()) throw broken();
  return text;
}

template <class T>
inline constexpr bool is_document =
    std::is_same_v<T, nlohmann::json> || std::is_same_v<T, nlohmann::ordered_json>;

/// The text of a document. Throws Error for the first string in it that is not UTF-8.
template <class Json>
std::string dump_document(const Json& document) {
  try {
    return document.dump();
  } catch (const nlohmann::json::exception&) {
    if (document.is_string()) throw mismatch("UTF-8", document);
    for (const auto& item : document.items()) {  // one of these is not UTF-8
      within(item.key(), [&] {
        dump_document(Json(item.key()));
        dump_document(item.value());
      });
    }
    throw;  // not reached: dump() throws for nothing else
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
    if (detail::read_value(source, value) && source.at_end()) return value;
  }
  if constexpr (detail::is_document<T>) {
    return detail::parse_document<T>(text);
  } else {
    const auto document = detail::parse_document<nlohmann::json>(text);
    return detail::with_errors([&] { return document.template get<T>(); });
  }
}

/// The T that the rest of `in` holds, up to its end. Throws as parse(std::string_view) does, and
/// std::ios_base::failure for a stream that breaks or that had failed before.
template <class T = State>
[[nodiscard]] T parse(std::istream& in) {
  return parse<T>(detail::read_to_end(in));
}

/// The JSON text of `value`, of a type with a list of members or that nlohmann can convert to json:
/// no white space, no final newline, non-ASCII characters as themselves. Throws Error for a string
/// that is not UTF-8 and for a status without a proper name. An exception of nlohmann's that a
/// to_json of your own throws becomes an Error; any other goes through.
template <class T>
[[nodiscard]] std::string dump(const T& value) {
  static_assert(std::is_constructible_v<detail::DocumentOf<T>, const T&>,
                "T needs a list of members (oci::members<T>) or a to_json of its own");
  if constexpr (detail::has_members<T>) {
    try {
      detail::TextWriter writer;
      writer.write(value);
      return std::move(writer.text());
    } catch (const nlohmann::json::exception&) {
    }  // what is wrong, and where, is for the document to say
  }
  if constexpr (detail::is_document<T>) {
    return detail::dump_document(value);
  } else {
    return detail::dump_document(detail::to_document<detail::DocumentOf<T>>(value));
  }
}

// ---- Files -------------------------------------------------------------------------------------

namespace detail {

[[noreturn]] inline void throw_errno(const char* what, const std::filesystem::path& path) {
  throw std::filesystem::filesystem_error(what, path,
                                          std::error_code(errno, std::generic_category()));
}

/// To the system, a path ends at a NUL byte: it would name another file.
inline void refuse_nul(const char* what, const std::filesystem::path& path) {
  if (path.native().find(std::filesystem::path::value_type{}) == std::string::npos) return;
  errno = EINVAL;
  throw_errno(what, path);
}

/// Calls `call`, and gives an Error that it throws the name of the file.
template <class Call>
decltype(auto) in_file(const std::filesystem::path& path, Call call) {
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
  if (result == -1) throw_errno(what, path);
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

  void reset(int number) {
    if (number_ != -1) ::close(number_);
    number_ = number;
  }

  /// Closes it before, to learn whether that went well. It is closed in any case: no second try.
  void close(const std::filesystem::path& path) {
    const int result = ::close(std::exchange(number_, -1));
    if (result == -1 && errno != EINTR) throw_errno("oci::save: cannot close", path);
  }

 private:
  int number_;
};

/// What a descriptor is called in an error.
inline std::filesystem::path descriptor_path(int descriptor) {
  return "/dev/fd/" + std::to_string(descriptor);
}

/// The bytes of a file. Not a std::string, which would set all of a buffer to zero first.
class Bytes {
 public:
  /// Reads `file` to its end.
  Bytes(int file, const std::filesystem::path& path) {
    constexpr std::size_t packet = 65536;  // so much is read whole from a packet socket
    std::size_t capacity = 0;
    for (std::size_t count = 1; count > 0; size_ += count) {
      if (capacity - size_ < packet) {
        capacity = 2 * (size_ + packet);
        auto larger = std::unique_ptr<char[]>(new char[capacity]);
        std::copy_n(bytes_.get(), size_, larger.get());
        bytes_ = std::move(larger);
      }
      count = static_cast<std::size_t>(checked("oci::load: cannot read", path, [&] {
        return ::read(file, bytes_.get() + size_, capacity - size_);
      }));
    }
  }

  operator std::string_view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_{};
};

inline Bytes read_file(const std::filesystem::path& path) {
  const Descriptor file(checked("oci::load: cannot open", path,
                                [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  return {file, path};
}

inline void write_all(int file, std::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const auto count = checked("oci::save: cannot write", path,
                               [&] { return ::write(file, text.data(), text.size()); });
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

inline void require_regular_file(const struct stat& status, const char* what,
                                 const std::filesystem::path& path) {
  if (S_ISREG(status.st_mode)) return;
  errno = S_ISLNK(status.st_mode) ? ELOOP : S_ISDIR(status.st_mode) ? EISDIR : ENXIO;
  throw_errno(what, path);
}

/// A new file that is to replace another: it is removed at the end of its life, unless renamed.
class Temporary {
 public:
  Temporary(int directory, const std::filesystem::path& path)
      : path_(path), directory_(directory), file_(create()) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (!name_.empty()) ::unlinkat(directory_, name_.c_str(), 0);
  }

  /// Gives it the permission bits of `old` and, where the process may set them, owner and group.
  void keep_owner_and_mode(const struct stat& old) const {
    struct stat now {};
    checked("oci::save: cannot look at the temporary", path_, [&] { return ::fstat(file_, &now); });
    // Root may give a file to anybody, others only to a group of theirs, and nobody to an ID that
    // the user namespace lacks.
    const auto give_to = [&](uid_t owner) {
      return checked("oci::save: cannot set the owner", path_, [&] {
               if (::fchown(file_, owner, old.st_gid) == 0) return 1;
               return errno == EPERM || errno == EINVAL ? 0 : -1;
             }) == 1;
    };
    const bool kept = (now.st_uid == old.st_uid && now.st_gid == old.st_gid) ||
                      give_to(old.st_uid) || give_to(static_cast<uid_t>(-1)) ||
                      now.st_gid == old.st_gid;
    const mode_t mode = old.st_mode & (kept ? 0777U : 0707U);  // another group gets nothing
    if (mode != (now.st_mode & 0777U)) {
      checked("oci::save: cannot set the permissions", path_,
              [&] { return ::fchmod(file_, mode); });
    }
  }

  void write(std::string_view text) { write_all(file_, text, path_); }

  /// Syncs it, and renames it.
  void rename_to(const std::string& name) {
    checked("oci::save: cannot sync", path_, [&] { return ::fsync(file_); });
    file_.close(path_);
    checked("oci::save: cannot rename", path_,
            [&] { return ::renameat(directory_, name_.c_str(), directory_, name.c_str()); });
    name_.clear();
  }

 private:
  /// The name is short, as the file's own may be the longest. One that a killed process left behind
  /// is passed over.
  int create() {
    static std::atomic<unsigned> count{0};
    return checked("oci::save: cannot create a temporary", path_, [&] {
      int number = -1;
      do {
        name_ = ".oci-state-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
        number = ::openat(directory_, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      } while (number == -1 && errno == EEXIST);
      return number;
    });
  }

  const std::filesystem::path& path_;
  int directory_;
  std::string name_;
  Descriptor file_;
};

inline void replace_file(const std::filesystem::path& path, std::string_view text) {
  const std::string& whole = path.native();
  const std::size_t slash = whole.rfind('/') + 1;  // npos + 1 is 0
  const std::string parent = whole.empty() ? "" : whole.substr(0, slash) + ".";
  const std::string name = slash == whole.size() ? "." : whole.substr(slash);

  const Descriptor directory(checked("oci::save: cannot open the directory", path, [&] {
    return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }));
  struct stat old {};
  const bool exists = ::fstatat(directory, name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (!exists && errno != ENOENT) throw_errno("oci::save: cannot look at the file", path);
  if (exists) require_regular_file(old, "oci::save: not a regular file", path);
  // In a directory with the sticky bit the old file may be anybody's.
  struct stat around {};
  checked("oci::save: cannot look at the directory", path,
          [&] { return ::fstat(directory, &around); });

  Temporary file(directory, path);
  if (exists && (around.st_mode & S_ISVTX) == 0) file.keep_owner_and_mode(old);
  file.write(text);
  file.rename_to(name);
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
    checked("oci::update: cannot lock", path_, [&] {
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

  /// Whether it is still the file at the path, and no update has replaced it during the wait.
  [[nodiscard]] bool is_current() const {
    struct stat now {};
    checked("oci::update: cannot look at the file", path_, [&] {
      const int result = ::lstat(path_.c_str(), &now);
      return result == -1 && errno == ENOENT ? 0 : result;
    });
    return now.st_dev == status_.st_dev && now.st_ino == status_.st_ino;
  }

  [[nodiscard]] Bytes read() const { return {file_, path_}; }

 private:
  void open(int access) {
    file_.reset(checked("oci::update: cannot open", path_, [&] {
      return ::open(path_.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }));
    checked("oci::update: cannot look at the file", path_,
            [&] { return ::fstat(file_, &status_); });
    require_regular_file(status_, "oci::update: not a regular file", path_);
  }

  const std::filesystem::path& path_;
  Descriptor file_{-1};
  struct stat status_ {};
};

#else  // Windows: the standard library alone

inline std::string read_file(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw_errno("oci::load: cannot open", path);
  try {
    return read_to_end(in);
  } catch (const std::ios_base::failure&) {
    errno = EIO;
    throw_errno("oci::load: cannot read", path);
  }
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
  detail::refuse_nul("oci::load: cannot open", path);
  return detail::in_file(path, [&] { return parse<T>(detail::read_file(path)); });
}

/// Writes the JSON text of `value` to the file, whole or not at all: another file is written beside
/// it, synced and renamed over it. Threads and processes may load and save one path at the same
/// time: each load sees one whole state. Readers with the old file open keep the old one.
///
/// A new file gets the permissions 0600 less the umask. One that exists keeps its permission bits
/// and, where the process may set them, its owner and group; where the group can't be kept, the new
/// one gets no permissions. In a directory with the sticky bit, where others may have planted the
/// file, a new one is made as if there were none. Only regular files are made or replaced: a
/// symbolic link is refused with ELOOP, a directory with EISDIR, all else with ENXIO.
///
/// Throws Error, which names the file, for what dump() refuses: before any file is touched. Throws
/// std::filesystem::filesystem_error (code() is the errno, path1() is `path`) where the operating
/// system refuses; then the old file is as it was, and nothing is left beside it. One exception:
/// where the directory can't be synced at the very end, the new file is in place, but might not
/// outlive a power cut. A process that is killed may leave a file named ".oci-state-..." in the
/// directory. Windows promises less (README, "Limitations").
template <class T>
void save(const T& value, const std::filesystem::path& path) {
  const std::string text = detail::in_file(path, [&] { return dump(value); });
  detail::refuse_nul("oci::save: cannot open", path);
  detail::replace_file(path, text);
}

#ifndef _WIN32

/// The T that the rest of an open file holds, up to its end: a pipe, a socket, standard input. The
/// descriptor stays open. Packets of a packet socket may have up to 64 KiB. Throws as load() of a
/// path does, with /dev/fd/N as the path; EAGAIN is an error. Not for a seccomp agent's socket: it
/// would lose the descriptors that come with the text.
template <class T = State>
[[nodiscard]] T load(int descriptor) {
  const auto path = detail::descriptor_path(descriptor);
  return detail::in_file(path, [&] { return parse<T>(detail::Bytes(descriptor, path)); });
}

/// Writes the JSON text of `value`, all of it, to an open file: a pipe, a socket, a terminal. It is
/// neither atomic nor synced. Throws as save() to a path does, with /dev/fd/N as the path; a part
/// may have been written then. EAGAIN is an error. A reader that is gone raises SIGPIPE, as write()
/// does, or EPIPE where that is ignored.
template <class T>
void save(const T& value, int descriptor) {
  const auto path = detail::descriptor_path(descriptor);
  detail::write_all(descriptor, detail::in_file(path, [&] { return dump(value); }), path);
}

/// Loads the file, calls `change` with the T&, saves, and returns the value as it then is. `change`
/// returns nothing or a bool: where that is false, nothing is saved. Where it throws, the file is
/// as it was, and the exception goes through. Throws as load() and save() do; a file that is not
/// there is ENOENT.
///
/// Updates of a file exclude each other, among threads and processes, and nothing else: load() and
/// save() do not wait. Do not update the same file in `change`: it would wait for itself. The lock
/// is flock() on the file: whoever may open the file may delay an update, and so does a child that
/// was forked in `change` and outlives a killed parent. Network file systems may lock among the
/// processes of one machine alone.
template <class T = State, class Change>
T update(const std::filesystem::path& path, Change change) {
  using Result = std::invoke_result_t<Change&, T&>;
  static_assert(std::is_void_v<Result> || std::is_same_v<Result, bool>,
                "change must return nothing or a bool: false for nothing to save");
  detail::refuse_nul("oci::update: cannot open", path);
  std::optional<detail::LockedFile> file;
  do {
    file.emplace(path);
  } while (!file->is_current());
  T value = detail::in_file(path, [&] { return parse<T>(file->read()); });
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
