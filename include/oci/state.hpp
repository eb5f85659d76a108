// oci/state.hpp: the state documents of the OCI runtime specification, for C++17.
// SPDX-License-Identifier: Apache-2.0
// Documentation: README.md beside include/, and
// https://github.com/opencontainers/runtime-spec (runtime.md, section State; config-linux.md,
// section The Container Process State). Needs nlohmann/json 3.9.1 or later, and nothing else.

#ifndef OCI_STATE_HPP
#define OCI_STATE_HPP

#define OCI_STATE_VERSION_MAJOR 1
#define OCI_STATE_VERSION_MINOR 0
#define OCI_STATE_VERSION_PATCH 0

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <ios>
#include <istream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef _WIN32
#include <fstream>
#include <random>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace oci {
inline namespace v1 {  // the major version: two of them can meet in one program

// ---- Types -------------------------------------------------------------------------------------

/// The runtime status of a container (runtime.md, State: `status`). A status that a runtime defines
/// for itself is not one of these: it needs a type of one's own (README, "A status of your own").
enum class ContainerState {
  creating = 1,  ///< the container is being created
  created = 2,   ///< create is done, and the user's program has not been started
  running = 3,   ///< the container process has executed the user's program and has not exited
  stopped = 0,   ///< the container process has exited; the default
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
  /// "pid": the ID of the container process, as the reader sees it; none where there is no process.
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

/// The name of a status in the documents: "creating", "created", "running" or "stopped"; empty for
/// a value that is none of the four.
[[nodiscard]] constexpr std::string_view to_string(ContainerState status) noexcept {
  switch (status) {
    case ContainerState::creating: return "creating";
    case ContainerState::created: return "created";
    case ContainerState::running: return "running";
    case ContainerState::stopped: return "stopped";
  }
  return {};
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

}  // namespace detail

/// The content of a document is wrong: it is no JSON, or holds a wrong type, a number out of range,
/// an unknown status, a name that stands twice, a string that is not UTF-8. what() says where, what
/// was expected and what was found: "/run/web/state.json: /state/pid: expected ..., found ...".
/// What it quotes of the input is cut and made printable. The inherited `id` is 0.
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
    std::string way = detail::printable(pointer);
    way = way.substr(1, way.size() - 2);  // without the quotes
    return (file.empty() ? "" : file + ": ") + (way.empty() ? "" : way + ": ") + message;
  }

  std::shared_ptr<const Parts> parts_;  // shared, so that a copy can't throw
};

namespace detail {

/// The members of each document, in the order in which they are written. What an absent one and a
/// null mean, and what is accepted, follows from the type of the C++ member: see read() and
/// write().
template <class Visit>
void for_each_member(const State*, Visit visit) {
  visit("ociVersion", &State::version);
  visit("id", &State::id);
  visit("status", &State::status);
  visit("pid", &State::pid);
  visit("bundle", &State::bundle);
  visit("annotations", &State::annotations);
}

template <class Visit>
void for_each_member(const ContainerProcessState*, Visit visit) {
  visit("ociVersion", &ContainerProcessState::version);
  visit("fds", &ContainerProcessState::fds);
  visit("pid", &ContainerProcessState::pid);
  visit("metadata", &ContainerProcessState::metadata);
  visit("state", &ContainerProcessState::state);
}

/// Lets a template take the two structs and no type derived from them, which would be sliced.
template <class T>
using if_struct =
    std::enable_if_t<std::is_same_v<T, State> || std::is_same_v<T, ContainerProcessState>, int>;

/// For the types that are derived from them.
template <class T, class Plain = std::remove_reference_t<T>>
using if_derived =
    std::enable_if_t<(std::is_base_of_v<State, Plain> && !std::is_same_v<State, Plain>) ||
                         (std::is_base_of_v<ContainerProcessState, Plain> &&
                          !std::is_same_v<ContainerProcessState, Plain>),
                     int>;

/// `token` as a step of a JSON Pointer, escaped as RFC 6901 asks.
inline std::string pointer_step(std::string_view token) {
  std::string step{"/"};
  for (const char c : token) {
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

/// Calls `call`, and puts `token` in front of the pointer of an Error that leaves it: whoever
/// descends into a value does so within its token, and an Error arrives with the whole way.
template <class Call>
void within(std::string_view token, Call call) {
  try {
    call();
  } catch (const Error& error) {
    throw Error(pointer_step(token) + error.pointer(), error.message());
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

inline std::filesystem::path path_from_utf8(std::string&& text) {
#ifdef _WIN32  // where paths are UTF-16
  try {
#ifdef __cpp_char8_t
    return std::u8string(text.begin(), text.end());
#else
    return std::filesystem::u8path(text);
#endif
  } catch (const std::system_error&) {
    throw Error({}, "expected UTF-8, found " + printable(text));
  }
#else
  return std::move(text);
#endif
}

inline std::string path_to_utf8(const std::filesystem::path& path) {
#ifdef _WIN32
  try {
    const auto text = path.u8string();  // a std::string in C++17, no longer in C++20
    return {text.begin(), text.end()};
  } catch (const std::system_error&) {
    throw Error({}, "expected a path in UTF-16, found half of a surrogate pair");
  }
#else
  return path.native();
#endif
}

// read() takes a C++ value, which has its default before, out of a JSON value. There is one for
// each type that a member can have, and it holds that type's rules. It moves the strings out of a
// `json` that is not const.

/// The string, array or object that `json` holds, const where `json` is.
template <class T, class Json>
auto& get_ref(Json& json) {
  return json.template get_ref<std::conditional_t<std::is_const_v<Json>, const T, T>&>();
}

template <class Json>
void read(Json& json, std::string& value) {
  if (!json.is_string()) throw mismatch("a string", json);
  value = std::move(get_ref<typename Json::string_t>(json));
}

template <class Json>
void read(Json& json, std::filesystem::path& value) {
  std::string text;
  read(json, text);
  value = path_from_utf8(std::move(text));
}

template <class Json>
void read(Json& json, ContainerState& value) {
  for (const auto status : {ContainerState::creating, ContainerState::created,
                            ContainerState::running, ContainerState::stopped}) {
    if (json.is_string() && get_ref<typename Json::string_t>(json) == to_string(status)) {
      value = status;
      return;
    }
  }
  throw mismatch(R"("creating", "created", "running" or "stopped")", json);
}

template <class Json>
void read(Json& json, std::int32_t& value) {
  bool fits = false;
  if (json.is_number_unsigned()) {
    fits = json.template get<std::uint64_t>() <= std::uint64_t{INT32_MAX};
  } else if (json.is_number_integer()) {
    const auto number = json.template get<std::int64_t>();
    fits = INT32_MIN <= number && number <= INT32_MAX;
  }
  if (!fits) throw mismatch("an integer from -2147483648 to 2147483647", json);
  value = json.template get<std::int32_t>();
}

/// Null reads as no elements: Go's encoder writes it for a nil slice.
template <class Json>
void read(Json& json, std::vector<std::string>& value) {
  if (json.is_null()) return;
  if (!json.is_array()) throw mismatch("an array of strings", json);
  for (auto& element : get_ref<typename Json::array_t>(json)) {
    within(std::to_string(value.size()), [&] {
      std::string text;
      read(element, text);
      value.push_back(std::move(text));
    });
  }
}

template <class Json>
void read(Json& json, Annotations& value) {
  if (!json.is_object()) throw mismatch("an object whose values are strings", json);
  const auto add = [&](auto&& name, auto& element) {
    const auto added =
        value.emplace_hint(value.end(), std::forward<decltype(name)>(name), std::string{});
    within(added->first, [&] { read(element, added->second); });
  };
  auto& members = get_ref<typename Json::object_t>(json);
  if constexpr (std::is_same_v<Json, nlohmann::json>) {  // not const: the names are moved out, too
    while (!members.empty()) {
      auto member = members.extract(members.begin());
      add(std::move(member.key()), member.mapped());
    }
  } else {
    for (auto& [name, element] : members) add(name, element);
  }
}

/// Null reads as none.
template <class Json, class T>
void read(Json& json, std::optional<T>& value) {
  if (!json.is_null()) read(json, value.emplace());
}

/// A member that is absent gets its default, and one that has no place in the struct is ignored.
template <class Json, class T, if_struct<T> = 0>
void read(Json& json, T& value) {
  if (!json.is_object()) throw mismatch("an object", json);
  T fresh;  // `value` stays as it is until nothing can throw any more
  for_each_member(&fresh, [&](const char* name, auto member) {
    const auto found = json.find(name);
    if (found != json.end()) within(name, [&] { read(*found, fresh.*member); });
  });
  value = std::move(fresh);
}

// write() sets the member `name` of a JSON object.

template <class Json, class T>
void write(Json& json, const char* name, const T& value) {
  json[name] = value;
}

template <class Json>
void write(Json& json, const char* name, const std::filesystem::path& value) {
  json[name] = path_to_utf8(value);
}

template <class Json, class T>
void write(Json& json, const char* name, const std::optional<T>& value) {
  if (value) write(json, name, *value);
}

}  // namespace detail

/// Sets `json` to the name of `status`. Throws Error for a value that is none of the four.
template <class Json>
void to_json(Json& json, ContainerState status) {
  if (to_string(status).empty()) {
    throw detail::mismatch("a ContainerState", Json(static_cast<int>(status)));
  }
  json = std::string(to_string(status));
}

/// Sets `status` from its name. Throws Error, and leaves `status` as it was, for anything else.
template <class Json>
void from_json(const Json& json, ContainerState& status) {
  detail::read(json, status);
}

/// Sets `json` to the document for `value`, a State or a ContainerProcessState. Members that are
/// none are left out. Throws Error, and leaves `json` as it was, for a status that is none of the
/// four. A derived type needs a to_json of its own (README, "Members of your own").
template <class Json, class T, detail::if_struct<T> = 0>
void to_json(Json& json, const T& value) {
  Json object = Json::object();
  if constexpr (std::is_same_v<Json, nlohmann::ordered_json>) {
    // Its objects are vectors of const names: to grow, they copy what they hold.
    object.template get_ref<typename Json::object_t&>().reserve(6);
  }
  detail::for_each_member(&value, [&](const char* name, auto member) {
    detail::within(name, [&] { detail::write(object, name, value.*member); });
  });
  json = std::move(object);
}

/// Sets `value` from its document: every member of it, those that are absent to their defaults.
/// Throws Error, and leaves `value` as it was, where the document is not as the specification has
/// it (the README has the table).
template <class Json>
void from_json(const Json& json, State& value) {
  detail::read(json, value);
}

template <class Json>
void from_json(const Json& json, ContainerProcessState& value) {
  detail::read(json, value);
}

/// These catch a derived type without conversions of its own, which would be sliced; any that it
/// has is the better match. (That is also why from_json is no template over the two structs:
/// nlohmann/json 3.10.5 has a template of its own that fits them in C++20, and neither would be the
/// better match.)
template <class Json, class T, class... None, detail::if_derived<T> = 0>
void to_json(Json& json, const T& value, None...) = delete;

template <class Json, class T, detail::if_derived<T> = 0>
void from_json(const Json& json, T&& value) = delete;

/// Whether all members are equal; `bundle` as paths are, for which /a//b is /a/b.
template <class T, detail::if_struct<T> = 0>
[[nodiscard]] bool operator==(const T& left, const T& right) {
  bool equal = true;
  detail::for_each_member(
      &left, [&](const char*, auto member) { equal = equal && left.*member == right.*member; });
  return equal;
}

template <class T, detail::if_struct<T> = 0>
[[nodiscard]] bool operator!=(const T& left, const T& right) {
  return !(left == right);
}

/// Prints the name.
inline std::ostream& operator<<(std::ostream& out, ContainerState status) {
  return out << to_string(status);
}

/// Prints the JSON of a State or a ContainerProcessState. For a log or a failed assertion: it never
/// throws for what `value` holds; bytes that are not UTF-8 become U+FFFD.
template <class T, detail::if_struct<T> = 0>
std::ostream& operator<<(std::ostream& out, const T& value) {
  using Json = nlohmann::ordered_json;
  std::string text;
  try {
    text = Json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
  } catch (const Error& error) {  // no such status or, on Windows, no such path
    text = error.what();
  }
  return out << text;
}

namespace detail {

/// Says at which line and column, in bytes, the byte stands after which nlohmann's parser stopped:
/// `position` is the number of those that it has read.
inline Error syntax_error(std::string_view text, std::size_t position, const std::string& message) {
  const std::string_view before = text.substr(0, position - 1);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto column = position - (before.rfind('\n') + 1);  // npos + 1 is 0
  return {{},
          "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message};
}

/// Builds a document from the events of nlohmann's parser, as nlohmann's own parser does, but
/// refuses a name that stands twice in one object.
template <class Json>
class DocumentBuilder final : public nlohmann::json_sax<Json> {
 public:
  explicit DocumentBuilder(std::string_view text) : text_(text) {}

  Json& document() { return document_; }

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
      throw Error(pointer(),
                  "expected one member named " + printable(member.key()) + ", found two");
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::json::exception& error) override {
    // The message is nlohmann's without its number and position, and with the token cut.
    std::string message = error.what();
    message.erase(0, message.find("] ") + 2);
    if (message.rfind("parse error", 0) == 0) message.erase(0, message.find(": ") + 2);
    const std::size_t quote = message.rfind('\'' + token + '\'');
    if (quote != std::string::npos) message.replace(quote, token.size() + 2, printable(token));
    throw syntax_error(text_, position, message);
  }

 private:
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
  std::vector<Json*> open_;  // the arrays and objects around the value to come, innermost last
  Json* member_{};           // the value of the name that was read last
};

/// The document that `text` holds, and nothing but it.
template <class Json>
Json parse_document(std::string_view text) {
  const std::size_t nul = text.find('\0');  // which nlohmann's parser takes for the end
  if (nul != std::string_view::npos) {
    throw syntax_error(text, nul + 1, "expected JSON text, found a NUL byte");
  }
  DocumentBuilder<Json> builder(text);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder.document());
}

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

/// Whether T is a nlohmann::basic_json.
template <class T, class = void>
inline constexpr bool is_json = false;
template <class T>
inline constexpr bool is_json<T, std::enable_if_t<std::is_same_v<decltype(T::meta()), T>>> = true;

/// The kind of document that a T is written as: ordered_json, which keeps the order of its to_json,
/// or json where T's conversions know that one alone.
template <class T>
using written_as =
    std::conditional_t<is_json<T>, T,
                       std::conditional_t<std::is_constructible_v<nlohmann::ordered_json, const T&>,
                                          nlohmann::ordered_json, nlohmann::json>>;

/// Throws Error for the first string in `json` that is not UTF-8.
template <class Json>
void require_utf8(const Json& json) {
  if (json.is_structured()) {
    for (const auto& item : json.items()) {
      within(item.key(), [&] {
        require_utf8(Json(item.key()));
        require_utf8(item.value());
      });
    }
  } else if (json.is_string()) {
    try {
      static_cast<void>(json.dump());
    } catch (const nlohmann::json::exception&) {
      throw mismatch("UTF-8", json);
    }
  }
}

}  // namespace detail

/// The T that `text` holds: a State unless said otherwise, or any type that nlohmann can convert
/// from json. Refuses with an Error, beside what from_json refuses: what is no JSON, a name that
/// stands twice in one object (RFC 7493, section 2.3), text after the document, a NUL byte, and
/// text that is not UTF-8. What a from_json of your own throws goes through.
template <class T = State>
[[nodiscard]] T parse(std::string_view text) {
  using Json = std::conditional_t<detail::is_json<T>, T, nlohmann::json>;
  auto document = detail::parse_document<Json>(text);
  if constexpr (detail::is_json<T>) {
    return document;
  } else if constexpr (std::is_same_v<T, State> || std::is_same_v<T, ContainerProcessState>) {
    T value;
    detail::read(document, value);
    return value;
  } else {
    return document.template get<T>();
  }
}

/// The T that the rest of `in` holds, up to its end. Throws as parse(std::string_view) does, and
/// std::ios_base::failure for a stream that breaks or that had failed before.
template <class T = State>
[[nodiscard]] T parse(std::istream& in) {
  return parse<T>(detail::read_to_end(in));
}

/// The JSON text of `value`, of a type that nlohmann can convert to json: no white space, no final
/// newline, non-ASCII characters as themselves. Throws Error for a string that is not UTF-8 and for
/// a status that is none of the four.
template <class T>
[[nodiscard]] std::string dump(const T& value) {
  using Json = detail::written_as<T>;
  static_assert(std::is_constructible_v<Json, const T&>,
                "T needs a to_json of its own: that of a base class would lose T's members");
  const Json& document = value;
  try {
    return document.dump();
  } catch (const nlohmann::json::exception&) {
    detail::require_utf8(document);
    throw;  // not reached: dump() throws for nothing else
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
  ~Descriptor() {
    if (number_ != -1) ::close(number_);
  }

  operator int() const { return number_; }

  /// Closes it before, to learn whether that went well. It is closed in any case: no second try.
  void close(const std::filesystem::path& path) {
    const int result = ::close(std::exchange(number_, -1));
    if (result == -1 && errno != EINTR) throw_errno("oci::save: cannot close", path);
  }

 private:
  int number_;
};

inline std::string read_file(const std::filesystem::path& path) {
  const Descriptor file(checked("oci::load: cannot open", path,
                                [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  // The size is but a hint, with room to see the end without growing: FIFOs have none, files
  // change, and one that says it has a GiB or more has to prove it.
  struct stat status {};
  const bool hint =
      ::fstat(file, &status) == 0 && status.st_size > 4095 && status.st_size < 1 << 30;
  std::string text(hint ? static_cast<std::size_t>(status.st_size) + 1 : 4096, '\0');
  std::size_t size = 0;
  for (;;) {
    const auto count = checked("oci::load: cannot read", path, [&] {
      return ::read(file, text.data() + size, text.size() - size);
    });
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
    if (size == text.size()) text.resize(2 * size);
  }
  text.resize(size);
  return text;
}

inline void write_all(int file, std::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const auto count = checked("oci::save: cannot write", path,
                               [&] { return ::write(file, text.data(), text.size()); });
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

/// Whether `path` is a descriptor of this process, as /dev/stdout leads to one.
inline bool is_descriptor(const std::filesystem::path& path) {
  std::error_code not_there;
  return std::filesystem::equivalent(path.parent_path(), "/dev/fd", not_there);
}

/// Gives `file` the owner, group and permission bits of the one that it is to replace.
inline void copy_owner_and_mode(const struct stat& old, int file,
                                const std::filesystem::path& path) {
  // Root may give a file to anybody, others only to a group of theirs, and nobody to an ID that
  // the user namespace lacks. What is not allowed stays as it is.
  const auto give_to = [&](uid_t owner) {
    return checked("oci::save: cannot set the owner", path, [&] {
      if (::fchown(file, owner, old.st_gid) == 0) return 1;
      return errno == EPERM || errno == EINVAL ? 0 : -1;
    });
  };
  struct stat now {};
  checked("oci::save: cannot look at the temporary", path, [&] { return ::fstat(file, &now); });
  if (now.st_uid != old.st_uid || now.st_gid != old.st_gid) {
    if (give_to(old.st_uid) == 0) give_to(static_cast<uid_t>(-1));  // the group alone
  }
  if ((now.st_mode & 0777) != (old.st_mode & 0777)) {
    checked("oci::save: cannot set the permissions", path,
            [&] { return ::fchmod(file, old.st_mode & 0777); });
  }
}

inline void write_file(const std::filesystem::path& path, std::string_view text) {
  // Follow links by hand: rename() replaces a link, not what it leads to. What is a link still
  // after that is a descriptor (/dev/stdout), which no path leads to.
  std::string target = path.native();
  struct stat old {};
  bool exists = ::lstat(target.c_str(), &old) == 0;
  for (int links = 0; exists && S_ISLNK(old.st_mode) && !is_descriptor(target); ++links) {
    std::error_code error;
    const auto link = std::filesystem::read_symlink(target, error);
    if (links == 40) error = std::make_error_code(std::errc::too_many_symbolic_link_levels);
    if (!error) {
      target = std::filesystem::path(target).replace_filename(link).native();
    } else if (error != std::errc::invalid_argument &&
               error != std::errc::no_such_file_or_directory) {  // no link any more: look again
      throw std::filesystem::filesystem_error("oci::save: cannot follow the link", path, error);
    }
    exists = ::lstat(target.c_str(), &old) == 0;
  }
  if (!exists && errno != ENOENT) throw_errno("oci::save: cannot open", path);
  if (exists && !S_ISREG(old.st_mode)) {  // a FIFO, a device, /dev/stdout: nothing to replace
    Descriptor file(checked("oci::save: cannot open", path, [&] {
      return S_ISLNK(old.st_mode)
                 ? ::fcntl(std::stoi(target.substr(target.rfind('/') + 1)), F_DUPFD_CLOEXEC, 0)
                 : ::open(target.c_str(), O_WRONLY | O_CLOEXEC);
    }));
    write_all(file, text, path);
    file.close(path);
    return;
  }

  const std::size_t slash = target.rfind('/') + 1;  // npos + 1 is 0
  const std::string parent = slash == 0 ? "." : target.substr(0, slash);
  const Descriptor directory(checked("oci::save: cannot open the directory", path, [&] {
    return ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }));

  // The temporary's name is short, as the target's may be the longest; one that a killed process
  // left behind is passed over. Until its owner and group are right, group and others have only
  // those of the old file's permissions that both had.
  const mode_t both = old.st_mode & (old.st_mode >> 3) & 07;
  const mode_t mode = exists ? (old.st_mode & 0700) | both << 3 | both : 0666;
  static std::atomic<unsigned> count{0};
  std::string name;
  Descriptor file(checked("oci::save: cannot create a temporary", path, [&] {
    int number = -1;
    do {
      name = ".oci-state-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
      number = ::openat(directory, name.c_str(),
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    } while (number == -1 && errno == EEXIST);
    return number;
  }));
  try {
    if (exists) copy_owner_and_mode(old, file, path);
    write_all(file, text, path);
    checked("oci::save: cannot sync", path, [&] { return ::fsync(file); });
    file.close(path);
    checked("oci::save: cannot rename", path,
            [&] { return ::renameat(directory, name.c_str(), directory, target.c_str() + slash); });
  } catch (...) {
    ::unlinkat(directory, name.c_str(), 0);
    throw;
  }
  checked("oci::save: cannot sync the directory", path, [&] {
    const int result = ::fsync(directory);
    return result == -1 && errno == EINVAL ? 0 : result;  // some file systems have nothing to sync
  });
}

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

inline void write_file(const std::filesystem::path& path, std::string_view text) {
  static std::atomic<unsigned> count{std::random_device{}()};
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  const bool straight =
      type != std::filesystem::file_type::regular && type != std::filesystem::file_type::not_found;
  if (straight && error) throw std::filesystem::filesystem_error("oci::save", path, error);
  error.clear();
  std::filesystem::path written = path;
  while (!straight && (written == path || std::filesystem::exists(written, error))) {
    written.replace_filename(".oci-state-" + std::to_string(count++));
  }
  errno = 0;
  std::ofstream out(written, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  if (!out) {
    error.assign(errno == 0 ? EIO : errno, std::generic_category());
  } else if (!straight) {
    std::filesystem::rename(written, path, error);
  }
  if (!straight && error) {
    std::error_code ignored;
    std::filesystem::remove(written, ignored);
  }
  if (error) throw std::filesystem::filesystem_error("oci::save: cannot write", path, error);
}

#endif

/// Calls `call`, and gives an Error that leaves it the name of the file, and so an exception of
/// nlohmann's that comes from a user's own conversion.
template <class Call>
auto in_file(const std::filesystem::path& path, Call call) {
  try {
    return call();
  } catch (const Error& error) {
    if (!error.file().empty()) throw;  // of a file that a user's own conversion loads
    throw Error(error.pointer(), error.message(), path_to_utf8(path));
  } catch (const nlohmann::json::exception& error) {
    throw Error({}, error.what(), path_to_utf8(path));
  }
}

}  // namespace detail

/// The T that the file holds: a State unless said otherwise. Reads regular files, FIFOs and devices
/// to their end. Throws std::filesystem::filesystem_error where the file can't be opened or read
/// (code() is the errno, path1() is `path`), and Error, which names the file, for its content: see
/// parse().
template <class T = State>
[[nodiscard]] T load(const std::filesystem::path& path) {
  detail::refuse_nul("oci::load: cannot open", path);
  const std::string text = detail::read_file(path);
  return detail::in_file(path, [&] { return parse<T>(text); });
}

/// Writes the JSON text of `value` to the file, whole or not at all: another file is written beside
/// it, synced and renamed over it. Threads and processes may load and save one path at the same
/// time: each load sees one whole state. Readers with the old file open keep the old one.
///
/// A new file gets the permissions 0666 less the umask. One that exists keeps its permission bits
/// and, where the process may set them, its owner and group. A symbolic link stays, and what it
/// leads to is replaced. What is no regular file (a FIFO, /dev/stdout) is written straight.
///
/// Throws Error, which names the file, for what dump() refuses: before any file is touched. Throws
/// std::filesystem::filesystem_error (code() is the errno, path1() is `path`) where the operating
/// system refuses; then the old file is as it was, and nothing is left beside it. One exception:
/// where the directory can't be synced at the very end, the new file is in place, but might not
/// outlive a power cut. A process that is killed may leave a file named ".oci-state-..." in the
/// directory. Windows promises less (README, "Limits").
template <class T>
void save(const T& value, const std::filesystem::path& path) {
  const std::string text = detail::in_file(path, [&] { return dump(value); });
  detail::refuse_nul("oci::save: cannot open", path);
  detail::write_file(path, text);
}

}  // namespace v1
}  // namespace oci

#endif  // OCI_STATE_HPP
