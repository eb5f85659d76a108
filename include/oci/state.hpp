// oci/state.hpp: the state documents of the OCI runtime specification, for C++17.
// SPDX-License-Identifier: Apache-2.0
//
// The specification: https://github.com/opencontainers/runtime-spec (runtime.md, section State;
// config-linux.md, section The Container Process State). Needs nlohmann/json 3.9.1 or later.
//
// How to read this file: the sections Types, Error, Functions and Your own types, up to the line
// "Machinery", are all that a user may call, specialise or catch, with every rule. The sections
// after that line implement them, each with the help of those before it: Text, Messages, Mistakes,
// Members, Reading, Writing, Files, Definitions.

#ifndef OCI_STATE_HPP
#define OCI_STATE_HPP

#if defined _MSVC_LANG ? _MSVC_LANG < 201703L : __cplusplus < 201703L
#error "oci/state.hpp needs C++17 or later: compile with -std=c++17"
#else

#define OCI_STATE_VERSION_MAJOR 1
#define OCI_STATE_VERSION_MINOR 0
#define OCI_STATE_VERSION_PATCH 0

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
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

// The version is part of each symbol's name, so that two libraries which bring different versions
// of this header can be linked into one program. Users write oci::State, without it.
inline namespace v1_0_0 {

// ==== Types =====================================================================================

/// The runtime status of a container (runtime.md, State: `status`).
enum class ContainerState {
  stopped,   ///< "stopped": the container process has exited. The default.
  creating,  ///< "creating": the container is being created.
  created,  ///< "created": the create operation has finished, and neither has the container process
            ///< exited nor has it executed the user's program.
  running,  ///< "running": the container process has executed the user's program and has not
            ///< exited.
  other,  ///< A status that the runtime defines, such as "paused". State::other_status is its name.
};

/// Arbitrary metadata of a container: names and values (runtime.md, State: `annotations`).
using Annotations = std::map<std::string, std::string>;

/// The state of a container (runtime.md, State; schema/state-schema.json).
///
/// In a document, members may have any order. Members with other names are ignored when it is read,
/// and so they are gone after a save or an update. To keep them, declare them in a type of your own
/// (see below), or update an nlohmann::ordered_json, which has all members in their order.
struct State {
  /// "ociVersion": the version of the specification that the state complies with.
  /// Absent: "". Null: an Error. Always written.
  std::string version{};

  /// "id": the container's ID.
  /// Absent: "". Null: an Error. Always written.
  std::string id{};

  /// "status": the runtime status of the container. An empty string is an Error, and any name that
  /// is not the specification's is `other`.
  /// Absent: `stopped`. Null: an Error. Always written.
  ContainerState status{};

  /// The name of the status if `status` is `other`; ignored if it is not.
  std::string other_status{};

  /// "pid": the ID of the container process, an integer of 32 bits. Runtimes also write 0 and -1
  /// for no process: look before you pass it to kill(). Inside the container's PID namespace the
  /// number differs. Absent or null: none. Not written if it is none.
  std::optional<std::int32_t> pid{};

  /// "bundle": the absolute path to the container's bundle directory.
  /// Absent: "". Null: an Error. Always written.
  std::filesystem::path bundle{};

  /// "annotations": the annotations of the container, an object whose values are strings.
  /// Absent or null: none. Not written if it is none; written as {} if it is empty.
  std::optional<Annotations> annotations{};
};

/// The name of the seccomp listener's file descriptor in ContainerProcessState::fds
/// (config-linux.md, The Container Process State).
inline constexpr std::string_view seccomp_fd_name{"seccompFd"};

/// What a runtime sends to a seccomp agent over a UNIX socket, together with file descriptors
/// (config-linux.md, The Container Process State).
///
/// Receive both with recvmsg(), and call parse() with all text so far after each message: some
/// runtimes keep the connection open, and the text may come in parts. A connection brings one
/// document. On an Error without a pointer, the text may be incomplete: keep receiving, up to a
/// limit of size and time. With a pointer, it is about a complete text. Descriptors come with any
/// of the messages; `fds` may have more or fewer names than descriptors came, and need not have the
/// listener's.
struct ContainerProcessState {
  /// "ociVersion": the version of the specification that the document complies with.
  /// Absent: "". Null: an Error. Always written.
  std::string version{};

  /// "fds": the names of the file descriptors, in the order of the SCM_RIGHTS array.
  /// Absent or null: empty. Always written.
  std::vector<std::string> fds{};

  /// "pid": the ID of the container process, as the runtime sees it, an integer of 32 bits.
  /// Absent: 0, so look before you pass it to kill(). Null: an Error. Always written.
  std::int32_t pid{};

  /// "metadata": the text that the container's configuration has for the agent
  /// (`listenerMetadata`). Absent or null: none. Not written if it is none.
  std::optional<std::string> metadata{};

  /// "state": the state of the container.
  /// Absent: a State of defaults. Null: an Error. Always written.
  State state{};
};

/// The name of an enumerator: "stopped", "creating", "created", "running" or "other". Empty for a
/// value that is no enumerator.
[[nodiscard]] constexpr std::string_view to_string(ContainerState status) noexcept {
  switch (status) {
    case ContainerState::stopped: return "stopped";
    case ContainerState::creating: return "creating";
    case ContainerState::created: return "created";
    case ContainerState::running: return "running";
    case ContainerState::other: return "other";
    default: return {};
  }
}

/// The name of the state's status as a document has it: `other_status` if the status is `other`. A
/// runtime chose that name, so escape it for a log: nlohmann::json(name).dump(-1, ' ', true) quotes
/// it in ASCII.
[[nodiscard]] inline std::string status_name(const State& state) {
  if (state.status == ContainerState::other) return state.other_status;
  return std::string(oci::to_string(state.status));
}

// ==== Error =====================================================================================

/// The content of a document is wrong: it is not JSON in UTF-8, or it has a wrong type, a number
/// out of range, a duplicate name, or no member of a required name.
///
/// what() says where, what was expected, and what was found, in one line that is fit for a log:
/// "/run/web/state.json: /state/pid: expected an integer from ..., found 1.5". Control characters
/// are escaped, and what this header quotes of a document is cut to 64 bytes, a pointer too. The
/// inherited `id` is 0.
///
/// Failures of the operating system are std::filesystem::filesystem_error instead: code() is the
/// errno, and path1() is the path as it was given, or /dev/fd/N for a descriptor N. Its what() has
/// the path unescaped.
class Error : public nlohmann::json::exception {
 public:
  /// For conversions of your own: `pointer` is the JSON Pointer of the wrong value, relative to the
  /// value that is converted; `message` is what was expected and what was found.
  Error(const std::string& pointer, const std::string& message, const std::string& file = {});

  // The parts of what(). Unlike there, they are not escaped for a log.

  /// The JSON Pointer (RFC 6901) of the wrong value in the document; "" for the whole document.
  [[nodiscard]] const std::string& pointer() const noexcept { return parts_->pointer; }
  /// What was expected and what was found: what() without the file and the pointer.
  [[nodiscard]] const std::string& message() const noexcept { return parts_->message; }
  /// The file that the document was read from or was to be written to; "" if there was none.
  [[nodiscard]] const std::string& file() const noexcept { return parts_->file; }

 private:
  struct Parts {
    std::string pointer, message, file;
  };
  const std::shared_ptr<const Parts> parts_;  // shared, so that copying an Error cannot throw
};

// ==== Functions =================================================================================
//
// T is State, ContainerProcessState, a type of your own (see below), a std::optional, std::vector
// or std::map of these, nlohmann::json, nlohmann::ordered_json, or any other type with conversions
// of nlohmann's. Types that this header knows are read and written by the same rules at any depth
// of these, but not in containers that it leaves to nlohmann.
//
// Any number of threads may call the functions at one time. A thread inside one of them must not be
// cancelled (pthread_cancel).

/// The T that the JSON text `text` holds.
///
/// Throws Error if the text is not one JSON document in UTF-8, without a NUL byte and with no more
/// than white space behind it (a byte order mark may begin it); for a duplicate name in any object
/// (RFC 7493, section 2.3); for a wrong type, an empty status, an integer out of range or written
/// as 42.0 or 1e2; and for a required member that is absent. Of several errors in the types, the
/// one whose name sorts first is reported. An exception of nlohmann's from a from_json of yours
/// becomes an Error; other exceptions go through. A document of thousands of levels can exhaust the
/// stack if T has a nlohmann::json or itself as a member; members that are ignored cannot.
template <class T = State>
[[nodiscard]] T parse(std::string_view text);

/// The JSON text of `value`, which parse() accepts: members in the order of the struct, no white
/// space, no final newline, non-ASCII characters as themselves.
///
/// Throws Error for a string that is not UTF-8, a status without a proper name (no enumerator; or
/// `other` with an empty name or one of the specification's), a floating-point number that JSON
/// does not have, and a required member that is none. An exception of nlohmann's from a to_json of
/// yours becomes an Error; other exceptions go through. A value of thousands of levels can exhaust
/// the stack.
template <class T>
[[nodiscard]] std::string dump(const T& value);

/// Checks what the specification asks of a state beyond the types (runtime.md, State). Call it in a
/// hook before it acts, and in a runtime before it saves.
///
/// Throws Error for the first of these: `version` or `id` is empty; `status` has no proper name;
/// `pid` is negative or, on Linux, none although the status is created or running; `bundle` is not
/// absolute or has a NUL byte. A `pid` of 0 passes, as crun writes it to its hooks. An absent
/// "status" passes, as it reads as stopped: see required<T>.
inline void validate(const State& state);

/// The same for a container process: `version` is empty, `pid` is negative, or `state` is not
/// valid.
inline void validate(const ContainerProcessState& process);

#ifndef _WIN32  // Windows has none of the functions for files.

/// The T that the file holds: a regular file, a FIFO or a device, read to its end. It follows
/// symbolic links, and waits for the writer of a FIFO. There is no limit of size.
///
/// Throws filesystem_error if it cannot be opened or read (EINVAL if the path has a NUL byte), and
/// Error, with the name of the file, for what parse() refuses.
template <class T = State>
[[nodiscard]] T load(const std::filesystem::path& path);

/// Creates or replaces the file, whole or not at all: writes the JSON text of `value` to a
/// temporary file beside it, syncs that, renames it, and syncs the directory. Each load(), in any
/// thread or process, sees one whole document, also after a crash or a power cut.
///
/// Who may open the file afterwards:
/// - A new file gets the mode 0600 less the umask. It gets an access control list if its directory
///   gives one to new files.
/// - An existing file keeps its group, mode (with the sticky bit, but never set-user-ID and
///   set-group-ID) and owner, as far as the process may set them. On Linux it also keeps its access
///   control list if its mode gives its group or others anything.
/// - Nobody gains access but the process itself, which becomes the owner if the old one cannot be
///   kept. If the group cannot be kept, the new group gets nothing, and others keep only what the
///   group had too. If an access control list cannot be read or kept, group and others get nothing.
/// - In a directory that has the sticky bit and that its group or others may write to, nothing is
///   kept, because somebody may have planted the file. In a directory without the sticky bit,
///   whoever may write to it may replace any file: keep no state there.
/// - Extended attributes, hard links and other access control lists than POSIX's on Linux are never
///   kept.
/// - In a user namespace, an owner or a group that has no ID there looks like the overflow ID,
///   65534, and is taken for that.
///
/// The directory must be readable and writable, and is looked up once: it does not matter what is
/// renamed or mounted above it during the call.
///
/// Throws Error, with the name of the file, for what dump() refuses, and filesystem_error if a step
/// fails: with ELOOP, EISDIR or ENXIO if the path is a symbolic link, a directory, or anything else
/// that is not a regular file; EBUSY if it is a mount point; EINVAL if it has a NUL byte. Then the
/// file is as it was and nothing is left beside it. If only the last step fails, the sync of the
/// directory, the new file is in place, but may not outlive a power cut. The temporary file is
/// called ".oci-state-...", and a process that is killed may leave it behind: skip such names in
/// the directory.
template <class T>
void save(const T& value, const std::filesystem::path& path);

/// Creates the file as save() does, if nothing has its name. Of any number of creates at one time,
/// one succeeds: use it for the state of a new container, whose ID must be unique (runtime.md,
/// Create).
///
/// Throws as save() does, and filesystem_error with EEXIST, having changed nothing, if anything has
/// the name, also a directory or a dangling link. The complete file appears at once, by link(): a
/// file system without hard links fails with an errno of its own.
template <class T>
void create(const T& value, const std::filesystem::path& path);

/// Loads the file, calls `change` with the T&, saves the value and returns it. Nothing is saved if
/// `change` returns false (it returns a bool or nothing) or throws, which goes through. To delete a
/// container, delete its file in `change` and return false.
///
/// Updates of a file exclude each other, in all threads and processes, for as long as only updates
/// replace the file: they lock it with flock(). Before it saves, an update looks at the name again.
/// If the name is gone when it is about to save, it throws ENOENT, as it does before `change` if
/// there is no file; if the name means another file, because of a save() or a rename in between, it
/// throws ESTALE. Then what is there stays, and you may call it again, if `change` has no side
/// effects. A race of microseconds remains between that last look and the rename, as no call of
/// POSIX does both, and a writer that changes the file in place is not noticed. To hold a lock over
/// several saves, lock a file of your own that is never deleted.
///
/// Throws as load() and save() do; the directory must be readable even if nothing is saved. An
/// update of the same file inside `change` would wait for itself. Whoever may open the file may
/// hold up an update without limit, and signals do not end the wait; so may a child that was forked
/// in `change` and outlives a killed parent. On a network file system, updates may exclude each
/// other on one machine only.
template <class T = State, class Change>
T update(const std::filesystem::path& path, Change change);

/// The T that the rest of an open file holds, which stays open: standard input, a pipe, a socket.
///
/// Throws as load() of a path does; the path is /dev/fd/N. It waits for data without limit, also if
/// the descriptor is non-blocking. Not for the socket of a seccomp agent: that would lose the
/// descriptors which come with the text. A packet is cut to 64 KiB.
template <class T = State>
[[nodiscard]] T load(int descriptor);

/// Writes the JSON text of `value` to an open file: a pipe, a socket, a terminal. It is neither
/// atomic nor synced. A regular file is written from its offset on, and not made shorter.
///
/// Throws Error for what dump() refuses, and filesystem_error if it cannot write; the path is
/// /dev/fd/N, and a part may have been written. If the descriptor is non-blocking, it waits until
/// it can write. If the reader is gone, the process gets SIGPIPE or, if that is ignored, this
/// throws EPIPE.
template <class T>
void save(const T& value, int descriptor);

#endif

// ==== Your own types ============================================================================
//
// To use a struct of your own, list its members. Everything in this file works for it then, as
// strictly and as fast as for a State:
//
//   struct Container : oci::State {
//     std::string owner;
//     std::optional<std::int32_t> exit_code;
//   };
//   template <>
//   inline constexpr auto oci::members<Container> = [](auto& container, auto member) {
//     oci::members<oci::State>(container, member);
//     member("owner", container.owner);
//     member("exitCode", container.exit_code);
//   };
//
// A member that is absent keeps the value that the struct's constructor gives to it. What null is
// read as depends on the type of the member:
//
//   std::optional<T>                        none
//   std::vector<T>                          no elements
//   std::map<std::string, T, Compare>       an Error
//   std::string, std::filesystem::path      an Error
//   bool, integers of up to 64 bits         an Error
//   ContainerState, NamedStatus             an Error
//   a struct with a list                    an Error
//   all other types                         what nlohmann's conversions make of it
//
// An optional that is none is not written as a member; as an element, as a value in a map, and at
// the top, it is written as null. Other types are enums, floating-point numbers, nlohmann::json and
// ordered_json, other containers, and types with a to_json and a from_json. nlohmann converts them,
// less strictly: in a std::list<int>, 1.5 reads as 1. It may call a from_json twice for one text,
// and the pointer of an Error has no index or name of an element of such a container.
//
// To read a type in another form, give the list an adapter: an object, made in the list, that
// refers to the member and has conversions, here member("created", Text{container.created}). A list
// is also called with const objects, hence the template:
//
//   template <class Time>
//   struct Text {
//     Time& time;
//
//     template <class Json>
//     friend void to_json(Json& document, const Text& text) {
//       document = format(text.time);
//     }
//     template <class Json>
//     friend void from_json(const Json& document, Text& text) {
//       text.time = time_of(document.template get<std::string>());
//     }
//     bool operator==(const Text& right) const { return time == right.time; }
//   };
//   template <class Time>
//   Text(Time&) -> Text<Time>;
//
// What does not compile: a list that takes its object by value; a member that does not own its
// text, such as std::string_view, if it is read; a type with neither a list nor conversions, also
// if its base has one; integers of more than 64 bits; characters of other types than char.

/// The list of the JSON members of T: a function that calls `member` with the name and the value of
/// each, in the order in which they are written. Names must differ, and be the same for every
/// object. Specialise it outside of any namespace, after the struct and before its first use; it
/// takes its object by `auto&`, which may be const. A list can begin with that of another type, as
/// above.
///
/// It is nullptr for a type without a list, and so also for a type that derives from one with a
/// list: if it were read and written by that, it would lose its own members.
template <class T>
inline constexpr auto members = nullptr;

/// The names of the members that a document for T must have: none, unless you specialise it for a
/// type of your own, which may derive from State and have its list. (About State itself, all source
/// files of a program would have to agree.)
///
///   template <>
///   inline constexpr auto oci::required<Container> =
///       std::array<std::string_view, 2>{"id", "status"};
///
/// If one is absent, reading throws Error with the pointer of the object: `expected a member named
/// "status", found none`; and so does writing if it is none. A null counts as present, and is
/// judged by the type of the member: a required std::optional may still be none when it was read. A
/// derived type does not inherit the names of its base. A name that is not in the list makes every
/// document refused.
template <class T>
inline constexpr auto required = std::array<std::string_view, 0>{};

/// A member of a list for a status: an enumerator, and the string that has its name if it is
/// `other`. As in: member("status", oci::NamedStatus{state.status, state.other_status}).
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

/// Whether T itself, and not only a base class of it, has a list of members.
template <class T>
inline constexpr bool has_members = !std::is_null_pointer_v<decltype(members<T>)>;

/// As a template's parameter: the template is for types with a list.
template <class T>
using if_has_members = std::enable_if_t<has_members<T>, int>;

/// Sets `document` to the document for `value`, without the members that are none: what
/// nlohmann::json(value) calls. Throws Error as dump() does, except for strings that are not UTF-8,
/// and then leaves `document` as it was.
template <class Json, class T, if_has_members<T> = 0>
void to_json(Json& document, const T& value);

/// Sets `value` from its document: what document.get<T>() calls. Throws Error as parse() does, and
/// then leaves `value` as it was.
template <class Json, class T, if_has_members<T> = 0>
void from_json(const Json& document, T& value);

/// The same for a status alone. It has no place for the name of a status that the specification
/// does not define, so these throw Error for `other` and for such a name.
template <class Json>
void to_json(Json& document, ContainerState status);
template <class Json>
void from_json(const Json& document, ContainerState& status);

/// Whether all members are equal; a `bundle` as paths are, for which /a//b is /a/b. (A type outside
/// of namespace oci that derives from none of its types needs `using oci::operator==;` beside it,
/// and so for != and <<.)
template <class T, if_has_members<T> = 0>
[[nodiscard]] bool operator==(const T& left, const T& right);
template <class T, if_has_members<T> = 0>
[[nodiscard]] bool operator!=(const T& left, const T& right) {
  return !(left == right);
}

/// Prints the JSON text, or what() of the Error that dump() throws. For a failed assertion and the
/// like: the text may have characters that move a terminal's cursor.
template <class T, if_has_members<T> = 0>
std::ostream& operator<<(std::ostream& out, const T& value);

/// Prints the name of the enumerator.
inline std::ostream& operator<<(std::ostream& out, ContainerState status) {
  return out << oci::to_string(status);
}

// ======== Machinery: a user can stop reading here ===============================================

// ==== Text ======================================================================================
//
// What a JSON string is made of, for both directions: characters that stand for themselves, and
// escapes. For what is wrong, the functions here return a value that says so; the callers have the
// messages. Used by Messages, Reading and Writing.

namespace detail {

constexpr std::uint32_t byte_of(char c) { return static_cast<unsigned char>(c); }

// ---- Which characters are escaped, and how

/// How a character is written in a string: the first `size` bytes of `text`; 0 for as itself.
struct Escape {
  char text[7];
  unsigned char size;
};

/// All escapes, ready to be looked up: a byte of a text is the index.
struct Escapes {
  Escape of_character[256]{};
  bool is_plain[256]{};           // ASCII that is written as itself
  char of_letter[256]{};          // what the letter behind a backslash stands for, or 0
  std::uint32_t of_digit[256]{};  // the value of a hexadecimal digit, or 0x10000

  constexpr Escapes() {
    constexpr char digits[] = "0123456789abcdef";
    for (std::size_t c = 0; c < ' '; ++c) {
      of_character[c] = {{'\\', 'u', '0', '0', digits[c / 16], digits[c % 16]}, 6};
    }
    for (const char* pair : {"\"\"", "\\\\", "b\b", "f\f", "n\n", "r\r", "t\t"}) {
      of_character[detail::byte_of(pair[1])] = {{'\\', pair[0]}, 2};
      of_letter[detail::byte_of(pair[0])] = pair[1];
    }
    for (std::size_t c = 0; c < 0x80; ++c) is_plain[c] = of_character[c].size == 0;
    of_letter[detail::byte_of('/')] = '/';
    for (std::uint32_t& value : of_digit) value = 0x10000;
    for (std::uint32_t value = 0; value < 16; ++value) {
      of_digit[detail::byte_of("0123456789ABCDEF"[value])] = value;
      of_digit[detail::byte_of(digits[value])] = value;
    }
  }
};
inline constexpr Escapes escapes{};

// ---- Characters that stand for themselves
//
// They are looked at eight bytes at a time, in a number of which the first byte is the lowest. So
// eight characters of ASCII take no more steps than one would, and a character of UTF-8 is compared
// at once, not byte by byte.

/// A number that has this byte eight times.
constexpr std::uint64_t eight_of(unsigned char byte) {
  return std::uint64_t{0x0101010101010101} * byte;
}

/// Whether the lowest byte of a number is its first in memory, as on most machines.
inline bool is_little_endian() {
  const std::uint16_t number = 1;
  char first = 0;
  std::memcpy(&first, &number, 1);
  return first == 1;
}

/// The bytes of `text`, which are at most eight. If they are fewer, zeros follow.
inline std::uint64_t joined_bytes(std::string_view text) {
  std::uint64_t bytes = 0;
  for (std::size_t i = text.size(); i > 0; --i) bytes = bytes << 8U | detail::byte_of(text[i - 1]);
  return bytes;
}

/// The eight bytes from there on.
inline std::uint64_t load_eight(const char* from) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, from, 8);
  return detail::is_little_endian() ? bytes : detail::joined_bytes({from, 8});
}

/// How many of the eight bytes, up to the first other one, are ASCII that stands for itself: no
/// quote, backslash or control character. Each other one sets its highest bit in one of the terms.
/// (So may a plain one above it, by what the subtraction borrows; only the lowest mark counts.)
constexpr std::size_t plain_ascii_size(std::uint64_t bytes) {
  const std::uint64_t quotes = (bytes ^ detail::eight_of('"')) - detail::eight_of(1);
  const std::uint64_t backslashes = (bytes ^ detail::eight_of('\\')) - detail::eight_of(1);
  const std::uint64_t controls = bytes - detail::eight_of(' ');
  const std::uint64_t marks = (quotes | backslashes | controls) & detail::eight_of(0x80);
  if (marks != 0) {
#ifdef __GNUC__  // one instruction
    return static_cast<std::size_t>(__builtin_ctzll(marks)) / 8;
#else
    std::size_t size = 0;
    while ((marks >> 8 * size & 0x80U) == 0) ++size;
    return size;
#endif
  }
  return 8;
}

/// The size of the character of two, three or four bytes with which these begin; 0 if that is not
/// UTF-8. Each size has a pattern; the highest bits of the code point tell whether it would have
/// fitted in less bytes, or is none.
constexpr std::size_t multibyte_size(std::uint64_t bytes) {
  const auto match = [&](std::uint64_t mask, std::uint64_t pattern) {
    return (bytes & mask) == pattern;
  };
  if (match(0xC0E0, 0x80C0)) {  // 110xxxxx 10xxxxxx
    const bool is_too_small = match(0x1E, 0);
    return is_too_small ? 0 : 2;
  }
  if (match(0xC0C0F0, 0x8080E0)) {  // 1110xxxx 10xxxxxx 10xxxxxx
    const bool is_too_small = match(0x200F, 0);
    const bool is_surrogate = match(0x200F, 0x200D);
    return is_too_small || is_surrogate ? 0 : 3;
  }
  if (match(0xC0C0C0F8, 0x808080F0)) {  // 11110xxx 10xxxxxx 10xxxxxx 10xxxxxx
    const bool is_too_small = match(0x3007, 0);
    const bool is_too_large = !match(0x04, 0) && !match(0x3007, 0x04);
    return is_too_small || is_too_large ? 0 : 4;
  }
  return 0;
}

/// The size of the character with which `text` begins, which is not empty; 0 if that is not UTF-8.
inline std::size_t character_size(std::string_view text) {
  if (detail::byte_of(text[0]) < 0x80) return 1;
  return detail::multibyte_size(detail::joined_bytes(text.substr(0, 4)));
}

/// As visit_plain() does, from `index` on, one character after the other.
template <class Copy>
std::size_t visit_plain_rest(std::string_view text, std::size_t index, Copy copy) {
  for (;;) {
    while (index < text.size() && escapes.is_plain[detail::byte_of(text[index])]) {
      copy.one(text, index);
      ++index;
    }
    if (index == text.size()) return index;
    const std::size_t size = detail::multibyte_size(detail::joined_bytes(text.substr(index, 4)));
    if (size == 0) return index;
    for (const std::size_t end = index + size; index < end; ++index) copy.one(text, index);
  }
}

/// The size of the characters at the beginning of `text` that stand for themselves. On the way
/// `copy` copies them: all eight bytes, before it is known how many of them count, as that is
/// faster.
template <class Copy>
std::size_t visit_plain(std::string_view text, Copy copy) {
  if (text.size() < 8) return detail::visit_plain_rest(text, 0, copy);
  const std::size_t last = text.size() - 8;
  std::size_t index = 0;
  while (index <= last) {
    const std::uint64_t bytes = detail::load_eight(text.data() + index);
    copy.eight(text, index);
    if ((bytes & 0x80U) == 0) {
      const std::size_t size = detail::plain_ascii_size(bytes);
      index += size;
      if (size == 8) continue;
      if ((bytes >> 8 * size & 0x80U) == 0) return index;
    } else {
      const std::size_t size = detail::multibyte_size(bytes);
      if (size == 0) return index;
      index += size;
    }
  }
  // Less than eight bytes are left. With some that were looked at before they are eight again.
  if (detail::plain_ascii_size(detail::load_eight(text.data() + last)) == 8) {
    copy.eight(text, last);
    return text.size();
  }
  return detail::visit_plain_rest(text, index, copy);
}

struct CopyNothing {
  static void eight(std::string_view, std::size_t) {}
  static void one(std::string_view, std::size_t) {}
};

struct CopyBytes {
  char* to;
  void eight(std::string_view text, std::size_t index) const {
    std::memcpy(to + index, text.data() + index, 8);
  }
  void one(std::string_view text, std::size_t index) const { to[index] = text[index]; }
};

inline std::size_t plain_size(std::string_view text) {
  return detail::visit_plain(text, CopyNothing{});
}

/// Copies these characters to `to`, which has room for the whole text.
inline std::size_t copy_plain(std::string_view text, char* to) {
  return detail::visit_plain(text, CopyBytes{to});
}

// ---- Escapes, to be read

/// The number in the `\uXXXX` with which `text` begins; 0x10000 or more if it does not.
inline std::uint32_t code_unit(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return 0x10000;
  const auto digit = [&](std::size_t i) { return escapes.of_digit[detail::byte_of(text[i])]; };
  return digit(2) << 12U | digit(3) << 8U | digit(4) << 4U | digit(5);
}

/// Writes a code point in UTF-8. Returns its size.
inline std::size_t put_code_point(std::uint32_t code, char* to) {
  const auto put = [&](std::size_t i, std::uint32_t byte) { to[i] = static_cast<char>(byte); };
  const auto six_bits = [&](unsigned shift) { return 0x80U | (code >> shift & 0x3FU); };
  if (code < 0x80) {
    put(0, code);
    return 1;
  }
  if (code < 0x800) {
    put(0, 0xC0U | code >> 6U);
    put(1, six_bits(0));
    return 2;
  }
  if (code < 0x10000) {
    put(0, 0xE0U | code >> 12U);
    put(1, six_bits(6));
    put(2, six_bits(0));
    return 3;
  }
  put(0, 0xF0U | code >> 18U);
  put(1, six_bits(12));
  put(2, six_bits(6));
  put(3, six_bits(0));
  return 4;
}

/// How many bytes of JSON were read, and how many were written for them. None if it is wrong.
struct Decoded {
  std::size_t read{};
  std::size_t written{};
};

/// Decodes the escape with which `text` begins; or two of them, if they are a pair of surrogates.
inline Decoded decode_escape(std::string_view text, char* to) {
  if (text.size() < 2) return {};
  *to = escapes.of_letter[detail::byte_of(text[1])];
  if (*to != '\0') return {2, 1};
  const std::uint32_t code = detail::code_unit(text);
  if (code < 0xD800) return {6, detail::put_code_point(code, to)};
  if (0xE000 <= code && code < 0x10000) return {6, detail::put_code_point(code, to)};
  if (0xDC00 <= code) return {};
  text.remove_prefix(6);
  const std::uint32_t low = detail::code_unit(text);
  if (low < 0xDC00 || 0xE000 <= low) return {};
  return {12, detail::put_code_point(0x10000 + ((code - 0xD800) << 10U) + (low - 0xDC00), to)};
}

// ---- Strings

/// A string that was read.
struct DecodedString {
  std::size_t size{};        // of its JSON, with the closing quote; 0 if it is wrong
  std::string_view value{};  // in the text or, if that has escapes, in the buffer
};

/// Decodes the JSON string whose opening quote is before `text`. The buffer is made when the first
/// string needs it: as long as the text, so that it has room for all strings behind that, too. Only
/// what is used of it takes memory.
inline DecodedString decode_string(std::string_view text, std::unique_ptr<char[]>& buffer) {
  const std::size_t size = detail::plain_size(text);
  std::string_view rest = text;
  rest.remove_prefix(size);
  if (!rest.empty() && rest[0] == '"') return {size + 1, {text.data(), size}};
  if (!buffer) buffer = std::unique_ptr<char[]>(new char[text.size()]);
  char* end = std::copy_n(text.data(), size, buffer.get());
  while (!rest.empty() && rest[0] != '"') {
    Decoded step;
    if (rest[0] == '\\') {
      step = detail::decode_escape(rest, end);
    } else {
      step.read = detail::copy_plain(rest, end);
      step.written = step.read;
    }
    if (step.read == 0) return {};
    rest.remove_prefix(step.read);
    end += step.written;
  }
  if (rest.empty()) return {};
  const auto written = static_cast<std::size_t>(end - buffer.get());
  return {text.size() - rest.size() + 1, {buffer.get(), written}};
}

/// Text that grows at its end, where bytes are first written and then counted. So room is made once
/// for a string, not for each of its characters.
class Buffer {
 public:
  [[nodiscard]] std::string_view text() const { return {bytes_.data(), size_}; }

  /// The text. After that, the buffer is of no use.
  [[nodiscard]] std::string take() {
    bytes_.resize(size_);
    return std::move(bytes_);
  }

  /// Where the next bytes go, with room for that many.
  char* room(std::size_t bytes) {
    if (bytes_.size() - size_ < bytes) bytes_.resize(size_ + bytes + 1024);
    return bytes_.data() + size_;
  }
  void added(std::size_t bytes) { size_ += bytes; }

  /// The text ends there now, in the room that was given.
  void end_at(const char* end) { size_ = static_cast<std::size_t>(end - bytes_.data()); }
  char* room_from(const char* end, std::size_t bytes) {
    end_at(end);
    return room(bytes);
  }

  void put(char c) {
    *room(1) = c;
    added(1);
  }
  void put(std::string_view text) {
    std::copy(text.begin(), text.end(), room(text.size()));
    added(text.size());
  }

 private:
  std::string bytes_ = std::string(512, '\0');
  std::size_t size_{};
};

/// Adds `text` as a JSON string to `to`. Returns false, with a part added, if it is not UTF-8.
inline bool encode_string(std::string_view text, Buffer& to) {
  char* end = to.room(text.size() + 2);
  *end = '"';
  ++end;
  while (!text.empty()) {
    const Escape& escape = escapes.of_character[detail::byte_of(text[0])];
    if (escape.size > 0) {
      end = to.room_from(end, text.size() + 8);
      std::memcpy(end, escape.text, sizeof escape.text);
      end += escape.size;
      text.remove_prefix(1);
    } else {
      const std::size_t size = detail::copy_plain(text, end);
      if (size == 0) return false;
      end += size;
      text.remove_prefix(size);
    }
  }
  *end = '"';
  to.end_at(end + 1);
  return true;
}

}  // namespace detail

// ==== Messages ==================================================================================
//
// How a text of somebody else's is made fit for a log, and how an Error learns where it happened:
// who finds it says what was expected and what was found, and who called adds the name of the
// member, the index of the element or the name of the file, on the way out. Uses Text.

namespace detail {

/// The characters of `text` as in a JSON string in ASCII, cut to 64 bytes, never within a
/// character. A byte that is not UTF-8 becomes "\ufffd".
inline std::string escaped(std::string_view text) {
  const auto continues = [&](std::size_t at) { return (text[at] & 0xC0) == 0x80; };
  std::size_t size = std::min<std::size_t>(text.size(), 64);
  while (size > 61 && size < text.size() && continues(size)) --size;
  using nlohmann::json;
  const json document = std::string(text.substr(0, size));
  const std::string quoted = document.dump(-1, ' ', true, json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2) + (size < text.size() ? "..." : "");
}

/// The same, in quotes.
inline std::string quoted(std::string_view text) { return '"' + detail::escaped(text) + '"'; }

/// Whether `character`, in UTF-8, is one that moves a terminal's cursor and the like.
inline bool is_control(std::string_view character) {
  if (character.size() == 1) return character < " " || character == "\x7F";
  return "\xC2\x80" <= character && character <= "\xC2\x9F";
}

/// `text`, whole, in one line: control characters and bytes that are not UTF-8 are escaped. The
/// letters of any language stay, as file names have them.
inline std::string one_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const std::size_t size = detail::character_size(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(size, 1));
    const bool is_printable = size > 0 && !detail::is_control(character);
    if (is_printable) {
      line += character;
    } else {
      line += detail::escaped(character);
    }
    text.remove_prefix(character.size());
  }
  return line;
}

inline Error mismatch(const std::string& expected, const std::string& found,
                      const std::string& pointer = {}) {
  return {pointer, "expected " + expected + ", found " + found};
}

inline Error absent_member(std::string_view name) {
  return detail::mismatch("a member named " + detail::quoted(name), "none");
}

inline Error duplicate_member(std::string_view name, const std::string& pointer = {}) {
  return detail::mismatch("one member named " + detail::quoted(name), "two", pointer);
}

/// A step of a JSON Pointer: "/" and the name, in which "~" is "~0" and "/" is "~1".
inline std::string pointer_step(std::string_view name) {
  return (nlohmann::json::json_pointer() / std::string(name)).to_string();
}

/// Calls `call`, which reads or writes the member or the element of that name. An Error that it
/// throws gets the name in front of its pointer.
template <class Call>
decltype(auto) at_member(std::string_view name, Call call) try {
  return call();
} catch (const Error& error) {
  if (!error.file().empty()) throw;  // It is about a file that a conversion of the user's loads.
  throw Error(detail::pointer_step(name) + error.pointer(), error.message());
}

/// Calls `convert`, a conversion of nlohmann's or of the user's. An exception of nlohmann's becomes
/// an Error.
template <class Convert>
decltype(auto) converted(Convert convert) try {
  return convert();
} catch (const Error&) {
  throw;
} catch (const nlohmann::json::exception& error) {
  throw Error("", error.what());
}

}  // namespace detail

inline Error::Error(const std::string& pointer, const std::string& message, const std::string& file)
    : exception(
          0, ((file.empty() ? "" : detail::one_line(file) + ": ") +
              (pointer.empty() ? "" : detail::escaped(pointer) + ": ") + detail::one_line(message))
                 .c_str()),
      parts_(std::make_shared<const Parts>(Parts{pointer, message, file})) {}

// ==== Mistakes =================================================================================
//
// Mistakes in a user's types and functions that must not compile: each has one sentence, which is
// the compiler's first error. Used by Reading, Writing and update().

namespace detail {

template <class T, class = void>
inline constexpr bool has_get_to = false;
template <class T>
inline constexpr bool has_get_to<
    T, std::void_t<decltype(std::declval<const nlohmann::json&>().get_to(std::declval<T&>()))>> =
    true;

template <class T, class = void>
inline constexpr bool has_get = false;
template <class T>
inline constexpr bool
    has_get<T, std::void_t<decltype(std::declval<const nlohmann::json&>().template get<T>())>> =
        true;

/// The kind of document that nlohmann converts a T to: ordered_json, which keeps the order of
/// members, or json if the conversions of T know that alone.
template <class T>
using WrittenDocument =
    std::conditional_t<std::is_constructible_v<nlohmann::ordered_json, const T&>,
                       nlohmann::ordered_json, nlohmann::json>;

template <class T>
inline constexpr bool is_string_view = false;
template <class Character, class Traits>
inline constexpr bool is_string_view<std::basic_string_view<Character, Traits>> = true;

/// Whether T is an integer such as __int128, of which std::is_integral knows nothing in strict C++.
template <class T>
inline constexpr bool is_wide_integer = std::is_convertible_v<T, int> && !std::is_class_v<T> &&
                                        !std::is_union_v<T> && !std::is_enum_v<T> &&
                                        !std::is_floating_point_v<T> &&
                                        sizeof(T) > sizeof(std::int64_t);

template <class T>
inline constexpr bool is_other_character =
#ifdef __cpp_char8_t
    std::is_same_v<T, char8_t> ||
#endif
    std::is_same_v<T, wchar_t> || std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>;

/// Whether T is an integer that this header reads and writes.
template <class T>
inline constexpr bool is_integer = std::is_integral_v<T> && !std::is_same_v<T, bool> &&
                                   !is_wide_integer<T> && !is_other_character<T>;

/// True; does not compile if nlohmann can't convert T, for which this header has no rule.
template <class T, bool has_conversion>
constexpr bool assert_converted() {
  if constexpr (is_wide_integer<T>) {
    static_assert(!is_wide_integer<T>, "oci/state.hpp: T is an integer of more than 64 bits");
    return false;
  } else if constexpr (is_other_character<T>) {
    static_assert(!is_other_character<T>, "oci/state.hpp: T is a character type other than char");
    return false;
  } else {
    static_assert(has_conversion,
                  "oci/state.hpp: T needs a list of members (oci::members<T>) or conversions of "
                  "its own (to_json and from_json)");
    return has_conversion;
  }
}

/// The same for a T that is read.
template <class T>
constexpr bool assert_readable() {
  constexpr bool owns_text = !is_string_view<T> && !std::is_pointer_v<T>;
  static_assert(owns_text,
                "oci/state.hpp: what is read must own its text: use std::string, not "
                "std::string_view or a pointer");
  if constexpr (owns_text) {
    constexpr bool has_conversion = has_get_to<T> || has_get<T>;
    return detail::assert_converted<T, has_conversion>();
  } else {
    return false;
  }
}

/// The same for a T that is written.
template <class T>
constexpr bool assert_writable() {
  return detail::assert_converted<T, std::is_constructible_v<WrittenDocument<T>, const T&>>();
}

/// The first parameter of a function. Only declared: its type is what counts.
template <class Object, class... Others, class Result, class Class>
Object first_parameter(Result (Class::*)(Object, Others...));
template <class Object, class... Others, class Result, class Class>
Object first_parameter(Result (Class::*)(Object, Others...) const);
template <class Object, class... Others, class Result, class Class>
Object first_parameter(Result (Class::*)(Object, Others...) &);
template <class Object, class... Others, class Result, class Class>
Object first_parameter(Result (Class::*)(Object, Others...) const&);
template <class Object, class... Others, class Result>
Object first_parameter(Result (*)(Object, Others...));

template <class Function>
using FirstParameter = decltype(detail::first_parameter(std::declval<Function>()));

template <class Callable, class = void>
inline constexpr bool has_call_operator = false;
template <class Callable>
inline constexpr bool has_call_operator<Callable, std::void_t<decltype(&Callable::operator())>> =
    true;

template <class, class Callable, class... Arguments>
inline constexpr bool has_call_template = false;
template <class Callable, class... Arguments>
inline constexpr bool has_call_template<
    std::void_t<decltype(detail::first_parameter(&Callable::template operator()<Arguments...>))>,
    Callable, Arguments...> = true;

template <class Callable>
inline constexpr bool is_reference_wrapper = false;
template <class Function>
inline constexpr bool is_reference_wrapper<std::reference_wrapper<Function>> = true;

/// Stands for a type.
template <class T>
struct TypeOf {
  using Type = T;
};

/// The type of the parameter that gets the Object, if a function object is called with an Object&
/// and with `Others`. Object& also if that can't be told, as of overloads.
template <class Callable, class Object, class... Others>
constexpr auto parameter_of() {
  if constexpr (is_reference_wrapper<Callable>) {  // as of std::ref()
    using Function = std::decay_t<typename Callable::type>;
    return detail::parameter_of<Function, Object, Others...>();
  } else if constexpr (std::is_pointer_v<Callable>) {
    return TypeOf<FirstParameter<Callable>>{};
  } else if constexpr (has_call_operator<Callable>) {
    return TypeOf<FirstParameter<decltype(&Callable::operator())>>{};
  } else if constexpr (has_call_template<void, Callable, Object, Others...>) {
    return TypeOf<decltype(detail::first_parameter(
        &Callable::template operator()<Object, Others...>))>{};
  } else if constexpr (has_call_template<void, Callable, Others...>) {
    return TypeOf<decltype(detail::first_parameter(&Callable::template operator()<Others...>))>{};
  } else {
    return TypeOf<Object&>{};
  }
}
template <class Callable, class Object, class... Others>
using ParameterOf = typename decltype(detail::parameter_of<Callable, Object, Others...>())::Type;

/// Whether a parameter of that type is a reference by which the argument can be changed.
template <class Parameter>
inline constexpr bool can_change =
    std::is_reference_v<Parameter> && !std::is_const_v<std::remove_reference_t<Parameter>>;

/// Stands for what a list calls with the name and the value of each member.
struct AnyMember {
  template <class T>
  void operator()(std::string_view, T&&) const;
};

/// True; does not compile if the list of T does not take its object by reference. (A function,
/// which is compiled once: so the compiler says it once.)
template <class T>
constexpr bool assert_list_by_reference() {
  using List = std::remove_const_t<decltype(members<T>)>;
  constexpr bool is_reference = can_change<ParameterOf<List, T, AnyMember>>;
  static_assert(is_reference,
                "oci/state.hpp: the list oci::members<T> must take its object by reference, as in "
                "[](auto& object, auto member)");
  return is_reference;
}

}  // namespace detail

// ==== Members ===================================================================================
//
// How the lists of members are called. Used by Reading, Writing and operator==.

namespace detail {

/// Calls `visit` with the name and the value of each member of the object's list.
template <class T, class Visit>
void visit_members(T& object, Visit visit) {
  using Object = std::remove_const_t<T>;
  if constexpr (detail::assert_list_by_reference<Object>()) members<Object>(object, visit);
}

/// The first name in required<T> for which `is_there`, called with the place in the list and the
/// value of the member of that name, is false.
template <class T, class IsThere>
std::optional<std::string_view> first_absent(const T& object, IsThere is_there) {
  for (const std::string_view name : oci::required<T>) {
    std::size_t place = 0;
    bool is_found = false;
    detail::visit_members(object, [&](std::string_view listed, const auto& value) {
      if (name == listed && is_there(place, value)) is_found = true;
      ++place;
    });
    if (!is_found) return name;
  }
  return {};
}

}  // namespace detail

// ==== Reading ===================================================================================
//
// There is one rule for each type, in the class Reader. A rule reads from a source, and there are
// two sources:
//
// - TextSource is a place in a JSON text. It is fast: no document is made on the way from the text
//   to the struct. It knows the JSON that people and programs write. At anything that it does not
//   accept, it gives up by returning false, and never throws for what the text says.
// - DocumentSource is a value in a document, a nlohmann::json. nlohmann's parser knows everything
//   about JSON and has the words for what is wrong with it. This source throws the Error.
//
// parse() reads the text source. If that gives up, parse_by_document() makes the document, and what
// the document says counts. What a source offers to the rules:
//
//   refuse(expected), refuse_absent(name), refuse_duplicate(name)
//                         the value is not what the rule expected, or does not have the member, or
//                         has two of that name: throws, or returns false
//   null(), boolean(b), integer(i), string(s)
//                         whether the value is one, which is then read
//   array(read_element), object(read_member)
//                         the same; calls the function with each element or member, and its source
//   skip()                passes over a value that no rule wants
//   convert(value)        has nlohmann convert the value
//
// Uses Text, Messages, Mistakes and Members.

namespace detail {

inline constexpr std::string_view byte_order_mark{"\xEF\xBB\xBF"};
inline constexpr std::string_view white_space{" \n\r\t"};

/// The status of that name; `other` for a name that is not the specification's.
inline ContainerState to_status(std::string_view name) {
  for (const auto status : {ContainerState::stopped, ContainerState::creating,
                            ContainerState::created, ContainerState::running}) {
    if (name == oci::to_string(status)) return status;
  }
  return ContainerState::other;
}

#ifdef _WIN32  // Paths are UTF-16 there.
inline std::filesystem::path path_from_utf8(std::string_view utf8) try {
#ifdef __cpp_char8_t
  return std::u8string(utf8.begin(), utf8.end());
#else
  return std::filesystem::u8path(utf8);
#endif
} catch (const std::system_error&) {
  throw detail::mismatch("UTF-8", detail::quoted(utf8));
}
#else
inline std::filesystem::path path_from_utf8(std::string_view utf8) { return utf8; }
#endif

/// Which members of an object have been read, by their place in the list.
class SeenMembers {
 public:
  /// Adds a member. Returns false if it had been added before.
  bool insert(std::size_t place) {
    if (place >= first_.size()) return others_.insert(place).second;
    const bool is_new = !first_[place];
    first_.set(place);
    return is_new;
  }

  [[nodiscard]] bool contains(std::size_t place) const {
    return place < first_.size() ? first_[place] : others_.count(place) > 0;
  }

 private:
  std::bitset<64> first_;  // All of most lists: a set would allocate.
  std::set<std::size_t> others_;
};

/// The kind of document that a T is read from.
template <class T>
using ReadDocument = std::conditional_t<std::is_same_v<T, nlohmann::ordered_json>,
                                        nlohmann::ordered_json, nlohmann::json>;

/// Whether a T can be made first and read into then.
template <class T>
inline constexpr bool is_fillable =
    std::conjunction_v<std::is_default_constructible<T>, std::is_move_assignable<T>>;
template <class T>
using if_fillable = std::enable_if_t<is_fillable<T>, int>;

class Reader {
 public:
  /// Whether `value` was read. From a document: true, or an Error is thrown.
  template <class Source>
  static bool read(Source& source, std::string& value) {
    std::string_view text;
    if (!source.string(text)) return source.refuse("a string");
    value = text;
    return true;
  }

  template <class Source>
  static bool read(Source& source, std::filesystem::path& value) {
    std::string_view text;
    if (!source.string(text)) return source.refuse("a string");
    value = detail::path_from_utf8(text);
    return true;
  }

  template <class Source>
  static bool read(Source& source, NamedStatus<ContainerState, std::string>& value) {
    std::string_view name;
    if (!source.string(name) || name.empty()) return source.refuse("a string that is not empty");
    value.status = detail::to_status(name);
    if (value.status == ContainerState::other) value.other = name;
    return true;
  }

  template <class Source>
  static bool read(Source& source, ContainerState& value) {
    std::string_view name;
    if (!source.string(name) || detail::to_status(name) == ContainerState::other) {
      return source.refuse(
          R"("creating", "created", "running" or "stopped" (other names need a State))");
    }
    value = detail::to_status(name);
    return true;
  }

  template <class Source>
  static bool read(Source& source, bool& value) {
    return source.boolean(value) || source.refuse("true or false");
  }

  /// Null is none. (This rule and the next two are for a T that can be made first and read into
  /// then. If it can't, nlohmann converts the whole.)
  template <class Source, class T, if_fillable<T> = 0>
  static bool read(Source& source, std::optional<T>& value) {
    if (source.null()) {
      value.reset();
      return true;
    }
    return read(source, value.emplace());
  }

  /// Null is no elements: Go's encoder writes it for a nil slice.
  template <class Source, class T, if_fillable<T> = 0>
  static bool read(Source& source, std::vector<T>& value) {
    value.clear();
    if (source.null()) return true;
    const auto read_element = [&](auto& element) {
      T item{};
      if (!read(element, item)) return false;
      value.push_back(std::move(item));
      return true;
    };
    const auto expected = std::is_same_v<T, std::string> ? "an array of strings" : "an array";
    return source.array(read_element) || source.refuse(expected);
  }

  template <class Source, class T, class Compare, if_fillable<T> = 0>
  static bool read(Source& source, std::map<std::string, T, Compare>& value) {
    value.clear();
    const auto read_member = [&](std::string_view name, auto& member) {
      std::string key(name);
      const auto is_less = value.key_comp();
      // Most documents are sorted: then it takes no search.
      const bool is_last = value.empty() || is_less(value.rbegin()->first, key);
      const auto place = is_last ? value.end() : value.lower_bound(key);
      const bool is_duplicate = place != value.end() && !is_less(key, place->first);
      if (is_duplicate) return source.refuse_duplicate(name);
      return read(member, value.try_emplace(place, std::move(key))->second);
    };
    const auto expected = std::is_same_v<T, std::string> ? "an object of strings" : "an object";
    return source.object(read_member) || source.refuse(expected);
  }

  /// A struct with a list of members, an integer, or what nlohmann alone can convert.
  template <class Source, class T>
  static bool read(Source& source, T& value) {
    if constexpr (has_members<T>) {
      return read_struct(source, value);
    } else if constexpr (is_integer<T>) {
      return read_integer(source, value);
    } else if constexpr (detail::assert_readable<T>()) {
      return source.convert(value);
    } else {
      return false;
    }
  }

 private:
  template <class Source, class T>
  static bool read_integer(Source& source, T& value) {
    if (source.integer(value)) return true;
    using Limits = std::numeric_limits<T>;
    return source.refuse("an integer from " + std::to_string((Limits::min)()) + " to " +
                         std::to_string((Limits::max)()));
  }

  /// An absent member keeps its default, and one that is not in the list is ignored.
  template <class Source, class T>
  static bool read_struct(Source& source, T& object) {
    SeenMembers seen;
    std::set<std::string> ignored;
    const auto read_member = [&](std::string_view name, auto& member) {
      std::size_t place = 0;
      bool is_known = false;
      bool is_read = false;
      detail::visit_members(object, [&](std::string_view listed, auto&& value) {
        // The name lasts until the value is read: it is not looked at again after that.
        if (!is_known && name == listed) {
          is_known = true;
          is_read = seen.insert(place) ? read(member, value) : source.refuse_duplicate(name);
        }
        ++place;
      });
      if (is_known) return is_read;
      const bool is_new = ignored.emplace(name).second;
      return is_new ? member.skip() : source.refuse_duplicate(name);
    };
    if (!source.object(read_member)) return source.refuse("an object");
    const auto absent = detail::first_absent(
        object, [&](std::size_t place, const auto&) { return seen.contains(place); });
    return !absent || source.refuse_absent(*absent);
  }
};

// ---- Reading a document

/// What a message says of a value that was not expected.
template <class Json>
std::string description(const Json& document) {
  if (document.is_string()) return detail::quoted(document.template get_ref<const std::string&>());
  if (document.is_structured()) return std::string("an ") + document.type_name();
  if (document.is_binary()) return "binary data";
  return document.dump();
}

/// A value in a document, to be read. Where a rule is broken, it throws Error.
template <class Json>
class DocumentSource {
 public:
  explicit DocumentSource(const Json& document) : document_(document) {}

  [[nodiscard]] bool refuse(const std::string& expected) const {
    throw detail::mismatch(expected, detail::description(document_));
  }
  static bool refuse_absent(std::string_view name) { throw detail::absent_member(name); }
  static bool refuse_duplicate(std::string_view name) { throw detail::duplicate_member(name); }

  static bool skip() { return true; }

  [[nodiscard]] bool null() const { return document_.is_null(); }

  bool boolean(bool& value) const {
    if (!document_.is_boolean()) return false;
    value = document_.template get<bool>();
    return true;
  }

  template <class T>
  bool integer(T& value) const {
    if (document_.is_number_unsigned()) {
      return assign(document_.template get<typename Json::number_unsigned_t>(), value);
    }
    if (document_.is_number_integer()) {
      return assign(document_.template get<typename Json::number_integer_t>(), value);
    }
    return false;
  }

  bool string(std::string_view& value) const {
    if (!document_.is_string()) return false;
    value = document_.template get_ref<const std::string&>();
    return true;
  }

  template <class Read>
  [[nodiscard]] bool array(Read read_element) const {
    if (!document_.is_array()) return false;
    for (std::size_t index = 0; index < document_.size(); ++index) {
      DocumentSource element(document_[index]);
      detail::at_member(std::to_string(index), [&] { read_element(element); });
    }
    return true;
  }

  template <class Read>
  [[nodiscard]] bool object(Read read_member) const {
    if (!document_.is_object()) return false;
    for (const auto& item : document_.items()) {
      DocumentSource member(item.value());
      detail::at_member(item.key(), [&] { read_member(item.key(), member); });
    }
    return true;
  }

  template <class T>
  bool convert(T& value) const {
    detail::converted([&] {
      if constexpr (detail::has_get_to<T>) {
        document_.get_to(value);
      } else {
        value = document_.template get<T>();
      }
    });
    return true;
  }

 private:
  /// Whether a T can hold the number, to which `value` is then set.
  template <class Number, class T>
  static bool assign(Number number, T& value) {
    const auto narrowed = static_cast<T>(number);
    const bool is_same_sign = (number < Number{}) == (narrowed < T{});
    if (!is_same_sign || static_cast<Number>(narrowed) != number) return false;
    value = narrowed;
    return true;
  }

  const Json& document_;
};

// ---- Making a document

/// An open array or object in a text.
struct OpenValue {
  bool is_array{};
  std::size_t index{};            // of the element, if it is an array
  std::string name{};             // of the last member, if it is an object
  std::set<std::string> names{};  // of all its members
};

/// The Error for the first duplicate name in a text that is JSON: nlohmann's parser takes the last
/// of two members. Brackets, commas and strings tell where a name is, since the rest is known to be
/// right: a string before a colon is a name.
inline std::optional<Error> first_duplicate(std::string_view text) {
  std::vector<OpenValue> open;  // innermost last
  std::unique_ptr<char[]> buffer;
  while (!text.empty()) {
    const char c = text[0];
    text.remove_prefix(1);
    if (c == '[' || c == '{') open.push_back({c == '['});
    if (c == ']' || c == '}') open.pop_back();
    if (c == ',') ++open.back().index;
    if (c != '"') continue;
    const DecodedString string = detail::decode_string(text, buffer);
    text.remove_prefix(string.size);
    const std::size_t next = text.find_first_not_of(white_space);
    if (next == std::string_view::npos || text[next] != ':') continue;
    OpenValue& object = open.back();
    object.name = string.value;
    if (object.names.insert(object.name).second) continue;
    std::string pointer;
    for (const OpenValue& value : open) {
      pointer += detail::pointer_step(value.is_array ? std::to_string(value.index) : value.name);
    }
    return detail::duplicate_member(object.name, pointer);
  }
  return {};
}

/// An Error with the line and the column of a byte, of which `position` is the number, counted
/// from 1.
inline Error error_at(std::string_view text, std::size_t position, const std::string& message) {
  const std::string_view before = text.substr(0, position - 1);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const std::size_t column = position - line_begin;
  return {"",
          "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message};
}

/// nlohmann's message without what this header says better, and with what it quotes cut. It may be
/// "[json.exception.parse_error.101] parse error at line 1, column 7: syntax error while parsing
/// value - invalid literal; last read: 'x'; expected '}'", or "[json.exception.out_of_range.406]
/// number overflow parsing '1e999'".
inline std::string parser_message(const nlohmann::json::exception& reason) {
  std::string message = reason.what();
  message.erase(0, message.find("] ") + 2);
  if (message.rfind("parse error", 0) == 0) message.erase(0, message.find(": ") + 2);
  for (const std::string_view before : {"; last read: ", "number overflow parsing "}) {
    const std::size_t found = message.find(before);
    if (found == std::string::npos) continue;
    const std::size_t begin = found + before.size();
    std::size_t end = message.size();
    // A token follows, in quotes. Behind it, nlohmann may say in a few words what was expected.
    // (The token may have words like these, too.)
    const std::size_t quote = message.rfind("'; expected ");
    const bool is_nlohmanns = quote != std::string::npos && message.size() - quote < 40;
    if (is_nlohmanns) end = quote + 1;
    const std::string token = message.substr(begin + 1, end - begin - 2);
    return message.replace(begin, end - begin, detail::quoted(token));
  }
  return message;
}

/// The Error for a text that is not JSON. Its beginning is quoted if neither an object nor an array
/// begins there: it may be empty, or have a line of a log before the document.
inline Error syntax_error(std::string_view text, const nlohmann::json::parse_error& reason) {
  const std::string_view mark = byte_order_mark;
  const std::size_t begin = text.substr(0, mark.size()) == mark ? mark.size() : 0;
  const std::size_t first = text.find_first_not_of(white_space, begin);
  if (first == std::string_view::npos) {
    return detail::error_at(text, text.size() + 1, "expected JSON text, found nothing");
  }
  if (text[first] != '{' && text[first] != '[') {
    const std::string found = detail::quoted(text.substr(first));
    return detail::error_at(text, first + 1, "expected JSON text, found " + found);
  }
  return detail::error_at(text, reason.byte, detail::parser_message(reason));
}

/// The document that nlohmann's parser makes of the whole text. Throws Error. (Not in line: the
/// parser is large, and one copy of it serves both sources.)
template <class Json>
[[gnu::noinline]] Json parsed_document(std::string_view text) {
  const std::size_t nul = text.find('\0');  // nlohmann's parser takes it for the end.
  if (nul != std::string_view::npos) {
    throw detail::error_at(text, nul + 1, "expected JSON text, found a NUL byte");
  }
  Json document;
  try {
    document = Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& reason) {
    throw detail::syntax_error(text, reason);
  } catch (const nlohmann::json::out_of_range& reason) {  // such as 1e999
    throw Error("", detail::parser_message(reason));
  }
  const auto duplicate = detail::first_duplicate(text);
  if (duplicate) throw Error(*duplicate);
  return document;
}

/// Finds the Error in a text that the text source refused. Reads what that source cannot, too:
/// documents, and types that cannot be made first and read into then.
template <class T>
T parse_by_document(std::string_view text) {
  using Json = ReadDocument<T>;
  auto document = detail::parsed_document<Json>(text);
  if constexpr (std::is_same_v<T, Json>) {
    return document;
  } else if constexpr (is_fillable<T>) {
    T value{};
    DocumentSource<Json> source(document);
    Reader::read(source, value);
    return value;  // not reached: what is accepted is read straight, unless a from_json differs
  } else if constexpr (detail::assert_readable<T>()) {
    return detail::converted([&] { return document.template get<T>(); });
  }
}

// ---- Reading a text

/// A value in a JSON text, to be read. It knows objects, arrays, integers, true, false, null and
/// strings. Values that are skipped or that nlohmann converts go to nlohmann's parser, each as a
/// text of its own. At all else it gives up.
class TextSource {
 public:
  /// A text may begin with a byte order mark, as nlohmann's parser has it.
  explicit TextSource(std::string_view text) : text_(text) { literal(byte_order_mark); }

  static bool refuse(const std::string&) { return false; }
  static bool refuse_absent(std::string_view) { return false; }
  static bool refuse_duplicate(std::string_view) { return false; }

  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }

  bool null() {
    skip_space();
    return literal("null");
  }

  bool boolean(bool& value) {
    skip_space();
    value = literal("true");
    return value || literal("false");
  }

  template <class T>
  bool integer(T& value) {
    skip_space();
    value = 0;
    // What follows is looked at next: so 01 and 0.5 are not taken for integers.
    if (literal("0") || literal("-0")) return true;
    const char* const begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    at_ += static_cast<std::size_t>(end - begin);
    return error == std::errc{};
  }

  /// `value` lasts until the next string is read.
  bool string(std::string_view& value) {
    if (!next('"')) return false;
    const DecodedString decoded = detail::decode_string(text_.substr(at_), decoded_);
    at_ += decoded.size;
    value = decoded.value;
    return decoded.size > 0;
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
      if (!string(name) || !next(':') || !read_member(name, *this)) return false;
    } while (next(','));
    return next('}');
  }

  /// (A template, so that nlohmann's parser is compiled only where something is read.)
  template <class Json = nlohmann::json>
  bool skip() {
    Json ignored;
    return convert(ignored);
  }

  template <class T>
  bool convert(T& value) try {
    using Json = ReadDocument<T>;
    auto document = detail::parsed_document<Json>(value_text());
    if constexpr (std::is_same_v<T, Json>) {
      value = std::move(document);
    } else {
      DocumentSource<Json>(document).convert(value);
    }
    return true;
  } catch (...) {
    return false;  // The document throws it again, if the rest of the text is right.
  }

 private:
  void skip_space() {
    const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  /// Whether these characters are next, which are then passed over.
  bool literal(std::string_view characters) {
    if (text_.substr(at_, characters.size()) != characters) return false;
    at_ += characters.size();
    return true;
  }

  /// The same for one character, after white space.
  bool next(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  /// The text of the value that begins here, which is passed over. It ends where a value must:
  /// whether it is one is for nlohmann's parser to say. (That would skip a byte order mark, with
  /// which only a whole text may begin.)
  std::string_view value_text() {
    const std::size_t begin = at_;
    if (text_.substr(at_, 1) == byte_order_mark.substr(0, 1)) return {};
    std::size_t depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool opens = c == '{' || c == '[';
      const bool closes = c == '}' || c == ']';
      if (depth == 0 && (closes || c == ',')) break;
      if (opens) ++depth;
      if (closes) --depth;
      if (c == '"') {
        skip_string();
      } else {
        ++at_;
      }
    }
    return text_.substr(begin, at_ - begin);
  }

  /// Passes over a string: from its opening quote to behind its closing quote, or the text's end.
  void skip_string() {
    ++at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2U : 1U;
    at_ = std::min<std::size_t>(at_ + 1, text_.size());
  }

  std::string_view text_;
  std::size_t at_{};                 // the number of bytes that have been read
  std::unique_ptr<char[]> decoded_;  // the last string with escapes
};

/// Reads the whole text straight into `value`. Returns false, and leaves anything in it, if the
/// text source gives up.
template <class T>
bool read_text(std::string_view text, T& value) {
  TextSource source(text);
  return Reader::read(source, value) && source.at_end();
}

}  // namespace detail

// ==== Writing ===================================================================================
//
// The mirror of Reading: one rule for each type, in the class Writer, and two sinks with the same
// few verbs. TextSink makes the JSON text, and DocumentSink the document for nlohmann's
// conversions. So a value is written with the same order, the same null and the same errors in
// both. What a sink offers to the rules:
//
//   null(), boolean(b), integer(i), number(d), string(s)
//                                                writes such a value
//   start_array(), element(), end_array()        element() is the sink for the next element
//   start_object(), member(name), end_object()   member() is the sink for the value of that member
//
// Uses Text, Messages, Mistakes and Members, and of Reading the names of the statuses.

namespace detail {

/// The name of a status in a document. Throws Error if it can have none.
inline std::string_view written_status(ContainerState status, std::string_view other) {
  const std::string_view name = oci::to_string(status);
  if (name.empty()) {
    throw detail::mismatch("a ContainerState", std::to_string(static_cast<int>(status)));
  }
  if (status != ContainerState::other) return name;
  if (other.empty() || detail::to_status(other) != ContainerState::other) {
    throw detail::mismatch("a status of the runtime's own", detail::quoted(other));
  }
  return other;
}

#ifdef _WIN32  // Paths are UTF-16 there.
inline std::string path_to_utf8(const std::filesystem::path& path) try {
  const auto text = path.u8string();  // a std::string in C++17, no longer in C++20
  return {text.begin(), text.end()};
} catch (const std::system_error&) {
  throw detail::mismatch("a path in UTF-16", "half of a surrogate pair");
}
#else
inline const std::string& path_to_utf8(const std::filesystem::path& path) { return path.native(); }
#endif

/// Whether a path has a NUL, where the system would stop.
inline bool has_nul(const std::filesystem::path& path) {
  const auto nul = path.native().find(std::filesystem::path::value_type{});
  return nul != std::filesystem::path::string_type::npos;
}

template <class T>
inline constexpr bool is_document =
    std::is_same_v<T, nlohmann::json> || std::is_same_v<T, nlohmann::ordered_json>;

class Writer {
 public:
  template <class Sink>
  static void write(Sink& sink, const std::string& value) {
    sink.string(value);
  }

  template <class Sink>
  static void write(Sink& sink, std::string_view value) {
    sink.string(value);
  }

  template <class Sink>
  static void write(Sink& sink, const std::filesystem::path& value) {
    sink.string(detail::path_to_utf8(value));
  }

  template <class Sink>
  static void write(Sink& sink, ContainerState value) {
    sink.string(detail::written_status(value, ""));
  }

  template <class Sink>
  static void write(Sink& sink, NamedStatus<const ContainerState, const std::string> value) {
    sink.string(detail::written_status(value.status, value.other));
  }

  template <class Sink>
  static void write(Sink& sink, bool value) {
    sink.boolean(value);
  }

  /// None is null, but as a member it is left out: see write_member().
  template <class Sink, class T>
  static void write(Sink& sink, const std::optional<T>& value) {
    if (value) {
      write(sink, *value);
    } else {
      sink.null();
    }
  }

  template <class Sink, class T>
  static void write(Sink& sink, const std::vector<T>& value) {
    sink.start_array();
    for (std::size_t index = 0; index < value.size(); ++index) {
      const T& item = value[index];
      write_element(sink, index, item);
    }
    sink.end_array();
  }

  template <class Sink, class T, class Compare>
  static void write(Sink& sink, const std::map<std::string, T, Compare>& value) {
    sink.start_object();
    for (const auto& item : value) write_member(sink, item.first, item.second);
    sink.end_object();
  }

  /// A struct with a list of members, an integer, a document, or what nlohmann makes one of.
  template <class Sink, class T>
  static void write(Sink& sink, const T& value) {
    if constexpr (has_members<T>) {
      write_struct(sink, value);
    } else if constexpr (is_integer<T>) {
      sink.integer(value);
    } else if constexpr (is_document<T>) {
      write_document(sink, value);
    } else if constexpr (detail::assert_writable<T>()) {
      using Json = WrittenDocument<T>;
      write_document(sink, detail::converted([&] { return Json(value); }));
    }
  }

 private:
  template <class T>
  static bool is_none(const T&) {
    return false;
  }
  template <class T>
  static bool is_none(const std::optional<T>& value) {
    return !value;
  }

  template <class Sink, class T>
  static void write_struct(Sink& sink, const T& object) {
    sink.start_object();
    detail::visit_members(object, [&](std::string_view name, const auto& value) {
      if (!is_none(value)) write_member(sink, name, value);
    });
    sink.end_object();
    const auto absent = detail::first_absent(
        object, [](std::size_t, const auto& value) { return !is_none(value); });
    if (absent) throw detail::absent_member(*absent);
  }

  template <class Sink, class T>
  static void write_element(Sink& sink, std::size_t index, const T& value) {
    detail::at_member(std::to_string(index), [&] {
      auto&& element = sink.element();
      write(element, value);
    });
  }

  template <class Sink, class T>
  static void write_member(Sink& sink, std::string_view name, const T& value) {
    detail::at_member(name, [&] {
      auto&& member = sink.member(name);
      write(member, value);
    });
  }

  /// A document of nlohmann's, which may hold what JSON does not have.
  template <class Sink, class Json>
  static void write_document(Sink& sink, const Json& document) {
    if (document.is_object()) {
      sink.start_object();
      for (const auto& item : document.items()) write_member(sink, item.key(), item.value());
      sink.end_object();
    } else if (document.is_array()) {
      sink.start_array();
      for (std::size_t index = 0; index < document.size(); ++index) {
        write_element(sink, index, document[index]);
      }
      sink.end_array();
    } else if (document.is_string()) {
      sink.string(document.template get_ref<const std::string&>());
    } else if (document.is_boolean()) {
      sink.boolean(document.template get<bool>());
    } else if (document.is_number_unsigned()) {
      sink.integer(document.template get<std::uint64_t>());
    } else if (document.is_number_integer()) {
      sink.integer(document.template get<std::int64_t>());
    } else if (document.is_number_float()) {
      write_number(sink, document.template get<double>());
    } else if (document.is_null()) {
      sink.null();
    } else {
      throw detail::mismatch("a value that JSON has", document.type_name());
    }
  }

  template <class Sink>
  static void write_number(Sink& sink, double number) {
    if (std::isfinite(number)) return sink.number(number);
    const std::string found = std::isnan(number) ? "nan" : std::to_string(number);
    throw detail::mismatch("a number that JSON has", found);
  }
};

/// Makes a JSON text, the same as nlohmann's dump() makes of the document.
class TextSink {
 public:
  [[nodiscard]] std::string take_text() { return text_.take(); }

  void null() { text_.put("null"); }

  void boolean(bool value) { text_.put(value ? "true" : "false"); }

  template <class T>
  void integer(T value) {
    constexpr std::size_t most = 20;  // as many as -9223372036854775808 has
    char* const to = text_.room(most);
    text_.added(static_cast<std::size_t>(std::to_chars(to, to + most, value).ptr - to));
  }

  void string(std::string_view value) {
    if (!detail::encode_string(value, text_)) refuse(value);
  }

  /// As the shortest text that is read as the same number, which nlohmann knows how to find.
  void number(double value) { text_.put(nlohmann::json(value).dump()); }

  void start_array() { text_.put('['); }
  TextSink& element() {
    separate('[');
    return *this;
  }
  void end_array() { text_.put(']'); }

  void start_object() { text_.put('{'); }
  TextSink& member(std::string_view name) {
    separate('{');
    string(name);
    text_.put(':');
    return *this;
  }
  void end_object() { text_.put('}'); }

 private:
  /// (A function of its own, as string() is called for each string.)
  [[noreturn]] static void refuse(std::string_view value) {
    throw detail::mismatch("UTF-8", detail::quoted(value));
  }

  /// Puts a comma before all but the first element or member.
  void separate(char opening) {
    if (text_.text().back() != opening) text_.put(',');
  }

  Buffer text_;
};

/// Makes a document of nlohmann's. It does not look at strings: only a text must be UTF-8.
template <class Json>
class DocumentSink {
 public:
  explicit DocumentSink(Json& document) : document_(document) {}

  static void null() {}  // as a new document is
  void boolean(bool value) { document_ = value; }
  template <class T>
  void integer(T value) {
    document_ = value;
  }
  void string(std::string_view value) { document_ = std::string(value); }
  void number(double value) { document_ = value; }

  void start_array() { document_ = Json::array(); }
  DocumentSink element() {
    document_.push_back(nullptr);
    return DocumentSink(document_.back());
  }
  static void end_array() {}

  void start_object() { document_ = Json::object(); }
  DocumentSink member(std::string_view name) { return DocumentSink(document_[std::string(name)]); }
  static void end_object() {}

 private:
  Json& document_;
};

}  // namespace detail

// ==== Files =====================================================================================
//
// Three classes do the work: a Place is a name in an open directory, a Temporary is a file beside
// it that takes its name in the end or deletes itself, a LockedFile is the file that has the name,
// under a lock. A step that fails throws a Failure; only in_file() knows the path.

#ifndef _WIN32

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
  if (detail::has_nul(path)) throw Failure{"NUL byte in the path", EINVAL};
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
auto checked(const char* step, Call call) {
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
  const int flags = detail::checked("cannot wait", [&] { return ::fcntl(file, F_GETFL); });
  if ((flags & O_NONBLOCK) == 0) throw Failure{step, EAGAIN};
  pollfd awaited{file, events, 0};
  detail::checked("cannot wait", [&] { return ::poll(&awaited, 1, -1); });
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
  detail::checked(step, [&] { return ::fstat(file, &status); });
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
    directory_.reset(detail::checked("cannot open the directory", [&] {
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

  /// Whether somebody else may have planted a file here. Then the file that replaces it must not
  /// take over its access. (Others may also write to some directories without the sticky bit. There
  /// nothing helps, as they can replace what is saved, too.)
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
  [[nodiscard]] bool admits_others() const { return (mode & 0077U) != 0; }

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

/// Adds the list of an open file. If that can't be read, whom it refuses is unknown.
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
  if (!detail::is_one_of(error, refusals)) {
    throw Failure{"cannot read the access control list", error};
  }
  access.take_from_group_and_others();
}

/// Gives an open file that list, or none if it is empty: one that the file has from the default
/// list of its directory. Returns whether that could be done.
inline bool set_list(int file, const std::string& list) {
  if (!list.empty()) {
    return detail::succeeds("cannot set the access control list", refusals, [&] {
      return ::fsetxattr(file, list_attribute, list.data(), list.size(), 0);
    });
  }
  if (detail::uninterrupted([&] { return ::fremovexattr(file, list_attribute); }) == 0) return true;
  const int error = errno;
  if (detail::is_one_of(error, no_list)) return true;
  if (!detail::is_one_of(error, refusals)) {
    throw Failure{"cannot remove the access control list", error};
  }
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
  if (access.admits_others()) detail::add_list(access, file);
  return access;
}

/// The access to the file at `place`, which had this status when it was looked at. If it can't be
/// opened, its list can't be read.
inline Access access_of(const Place& place, const struct stat& status) {
  Access access(status);
  if (!access.admits_others()) return access;
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

  /// Gives the file the access that an old one had, as far as the process may, and at no time more:
  ///
  /// 1. The group. Without it, its members would become others.
  /// 2. The access control list, if others are still admitted.
  /// 3. The mode, less what others may and the old owner may not, who is one of them until step 4.
  ///    (A list has set the whole mode for a moment; the old owner could have done that, too.)
  /// 4. The owner: late, as only a file's owner may do the steps before without privileges.
  /// 5. The whole mode.
  void take_over(Access old) {
    const struct stat now = detail::status_of("cannot look at the temporary", file_);
    const bool has_owner = now.st_uid == old.owner;
    const bool has_group = now.st_gid == old.group;
    if (!has_group && !give_to(same_owner, old.group)) old.take_from_group();
    if (old.admits_others() && !detail::set_list(file_, old.list)) old.take_from_group_and_others();
    const unsigned narrow = has_owner ? old.mode : old.mode_without_owner();
    set_mode(narrow);
    if (has_owner || !give_to(old.owner, same_group) || narrow == old.mode) return;
    detail::succeeds("cannot set the permissions", refusals, [&] { return change_mode(old.mode); });
  }

  void write(std::string_view text) {
    detail::write_all(file_, text);
    detail::checked("cannot sync", [&] { return ::fsync(file_); });
    detail::checked("cannot close", [&] { return file_.close(); });
  }

  /// Takes the place's name from whatever file has it.
  void rename() {
    detail::checked("cannot rename", [&] {
      return ::renameat(place_.directory(), name_.c_str(), place_.directory(), place_.name());
    });
    name_.clear();
  }

  /// Takes the place's name if nothing has it.
  void link() {
    detail::checked("cannot link", [&] {
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
    detail::checked("cannot set the permissions", [&] { return change_mode(mode); });
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
  /// This one stays open, so that no new file can have its inode number.
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
    file_.reset(detail::checked("cannot open", [&] { return place_.open(access); }));
    status_ = detail::status_of("cannot look at the file", file_);
    detail::require_regular(status_);
  }

  void lock() {
    const auto wait = [&] { return ::flock(file_, LOCK_EX); };
    open(O_RDONLY);
    if (detail::succeeds("cannot lock", {EBADF}, wait)) return;
    open(O_RDWR);  // NFS locks only what is open for writing
    detail::checked("cannot lock", wait);
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

#endif

// ==== Definitions ===============================================================================
//
// Of the functions above, and where nlohmann looks for conversions.

template <class T>
T parse(std::string_view text) {
  if constexpr (detail::is_fillable<T> && !detail::is_document<T>) {
    T value{};
    if (!detail::read_text(text, value)) value = detail::parse_by_document<T>(text);
    return value;
  } else {
    return detail::parse_by_document<T>(text);
  }
}

template <class T>
std::string dump(const T& value) {
  detail::TextSink sink;
  detail::Writer::write(sink, value);
  return sink.take_text();
}

namespace detail {

inline void validate_version(const std::string& version) {
  if (version.empty()) throw detail::mismatch("a version", R"("")", "/ociVersion");
}

inline void validate_pid(std::int32_t pid) {
  if (pid < 0) throw detail::mismatch("0 or greater", std::to_string(pid), "/pid");
}

}  // namespace detail

inline void validate(const State& state) {
  detail::validate_version(state.version);
  if (state.id.empty()) throw detail::mismatch("an ID", R"("")", "/id");
  detail::at_member("status", [&] { detail::written_status(state.status, state.other_status); });
  if (state.pid) detail::validate_pid(*state.pid);
#ifdef __linux__
  const bool needs_pid =
      state.status == ContainerState::created || state.status == ContainerState::running;
  if (needs_pid && !state.pid) {
    throw detail::mismatch("a process ID, as the status is " + oci::status_name(state), "none",
                           "/pid");
  }
#endif
  if (!state.bundle.is_absolute() || detail::has_nul(state.bundle)) {
    const std::string bundle = detail::quoted(detail::path_to_utf8(state.bundle));
    throw detail::mismatch("an absolute path", bundle, "/bundle");
  }
}

inline void validate(const ContainerProcessState& process) {
  detail::validate_version(process.version);
  detail::validate_pid(process.pid);
  detail::at_member("state", [&] { oci::validate(process.state); });
}

template <class Json, class T, if_has_members<T>>
void to_json(Json& document, const T& value) {
  Json fresh;
  detail::DocumentSink<Json> sink(fresh);
  detail::Writer::write(sink, value);
  document = std::move(fresh);
}

template <class Json, class T, if_has_members<T>>
void from_json(const Json& document, T& value) {
  T fresh{};
  detail::DocumentSource<Json> source(document);
  detail::Reader::read(source, fresh);
  value = std::move(fresh);
}

template <class Json>
void to_json(Json& document, ContainerState status) {
  detail::DocumentSink<Json> sink(document);
  detail::Writer::write(sink, status);
}

template <class Json>
void from_json(const Json& document, ContainerState& status) {
  detail::DocumentSource<Json> source(document);
  detail::Reader::read(source, status);
}

template <class T, if_has_members<T>>
bool operator==(const T& left, const T& right) {
  bool is_equal = true;
  detail::visit_members(left, [&](std::string_view name, const auto& value) {
    detail::visit_members(right, [&](std::string_view other_name, const auto& other) {
      if constexpr (std::is_same_v<decltype(value), decltype(other)>) {
        if (name == other_name && !(value == other)) is_equal = false;
      }
    });
  });
  return is_equal;
}

template <class T, if_has_members<T>>
std::ostream& operator<<(std::ostream& out, const T& value) try {
  return out << oci::dump(value);
} catch (const Error& error) {
  return out << error.what();
}

#ifndef _WIN32

template <class T>
T load(const std::filesystem::path& path) {
  return detail::in_file("oci::load", path, [&] {
    const detail::Descriptor file(detail::checked(
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
                "oci/state.hpp: change must return nothing, or a bool: false for nothing to save");
  using Parameter = detail::ParameterOf<Change, T>;
  constexpr bool may_only_look = std::is_reference_v<Parameter> && !std::is_void_v<Result>;
  static_assert(may_only_look || detail::can_change<Parameter>,
                "oci/state.hpp: change must take its T by reference, as in [](oci::State& state)");
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
struct nlohmann::adl_serializer<T, std::enable_if_t<oci::has_members<T>>> {
  template <class Json>
  static void to_json(Json& document, const T& value) {
    oci::to_json(document, value);
  }
  template <class Json>
  static void from_json(const Json& document, T& value) {
    oci::from_json(document, value);
  }
};

#endif  // C++17
#endif  // OCI_STATE_HPP
