// Who can open a file before and after a save or an update. Nobody but the saver may gain access,
// and if the saver may set everything, nobody may lose it. Root tries all combinations of modes,
// lists, directories, owners and savers, and opens each file as several users.

#ifdef __linux__

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <map>
#include <oci/state.hpp>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "../support/acl.hpp"
#include "../support/catch.hpp"
#include "../support/files.hpp"

namespace {

// Users have IDs of four digits that begin with 1, groups with 2.
constexpr uid_t owner = 1001;
constexpr uid_t somebody_else = 1002;
constexpr uid_t named_user = 1003;
constexpr uid_t default_user = 1004;
constexpr gid_t file_group = 2001;
constexpr gid_t owners_group = 2002;  // the first group of the owner
constexpr gid_t savers_group = 2003;  // the first group of a saver who is neither root nor owner
constexpr gid_t named_group = 2004;
constexpr gid_t default_group = 2005;
constexpr gid_t directory_group = 2006;  // of a directory that gives its group to new files
constexpr gid_t sharing_group = 2007;    // may write to a shared directory; all savers are in it
constexpr gid_t no_group = 2008;

struct Person {
  const char* name;
  uid_t user;
  gid_t group;
  std::vector<gid_t> further_groups;
  bool lacks_fowner = false;  // the capability to change what belongs to others
};

bool is_in_group(const Person& person, gid_t group) {
  for (const gid_t further : person.further_groups) {
    if (further == group) return true;
  }
  return person.group == group;
}

/// Throws if a call failed that root may always make.
void require_success(int result, const char* call) {
  if (result != 0) throw std::system_error(errno, std::generic_category(), call);
}

/// Gives the process all capabilities that it may have, or all but CAP_FOWNER.
void set_capabilities(bool all_but_fowner) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  require_success(static_cast<int>(::syscall(SYS_capget, &header, data)), "capget");
  for (auto& half : data) half.effective = half.permitted;
  if (all_but_fowner) data[0].effective &= ~(1U << CAP_FOWNER);
  require_success(static_cast<int>(::syscall(SYS_capset, &header, data)), "capset");
}

/// Makes this process, which is root's, act as somebody, for as long as it lives.
class Acting {
 public:
  explicit Acting(const Person& person) {
    require_success(::setgroups(person.further_groups.size(), person.further_groups.data()),
                    "setgroups");
    require_success(::setegid(person.group), "setegid");
    require_success(::seteuid(person.user), "seteuid");
    if (person.lacks_fowner) set_capabilities(true);
    lacks_fowner_ = person.lacks_fowner;
  }
  Acting(const Acting&) = delete;
  Acting& operator=(const Acting&) = delete;
  ~Acting() {
    if (lacks_fowner_) set_capabilities(false);
    const bool done = ::seteuid(0) == 0 && ::setegid(0) == 0 && ::setgroups(0, nullptr) == 0;
    if (!done) std::abort();
  }

 private:
  bool lacks_fowner_ = false;
};

/// Those who try to open files. None of them saves one but the owner.
const std::vector<Person> people{
    {"the owner", owner, owners_group, {}},
    {"the owner, in the file's group", owner, owners_group, {file_group}},
    {"a member of the file's group", 1101, file_group, {}},
    {"the user of the list", named_user, no_group, {}},
    {"the user of the list, in the file's group", named_user, file_group, {}},
    {"a member of the list's group", 1102, named_group, {}},
    {"a member of the list's and the file's group", 1103, file_group, {named_group}},
    {"the user of the default list", default_user, no_group, {}},
    {"a member of the default list's group", 1104, default_group, {}},
    {"a member of all other groups",
     1105,
     0,
     {owners_group, savers_group, directory_group, sharing_group}},
    {"a stranger", 1106, no_group, {}},
};

/// How a person can open a file.
struct Opens {
  bool reading;
  bool writing;
};

bool can_open(const fs::path& path, int access) {
  const int file = ::open(path.c_str(), access | O_NOFOLLOW | O_CLOEXEC);
  if (file == -1) return false;
  ::close(file);
  return true;
}

bool can_read_as(const Person& person, const fs::path& path) {
  const Acting acting(person);
  return can_open(path, O_RDONLY);
}

/// How each of the people can open a file, in their order. To open one, a process takes the IDs
/// that setfsuid() and setfsgid() set, which are the fastest to change.
std::vector<Opens> opens(const fs::path& path) {
  std::vector<Opens> all;
  for (const Person& person : people) {
    require_success(::setgroups(person.further_groups.size(), person.further_groups.data()),
                    "setgroups");
    ::setfsgid(person.group);
    ::setfsuid(person.user);
    all.push_back({can_open(path, O_RDONLY), can_open(path, O_WRONLY)});
  }
  ::setfsuid(0);
  ::setfsgid(0);
  require_success(::setgroups(0, nullptr), "setgroups");
  return all;
}

// ---- The matrix ---------------------------------------------------------------------------------

struct Directory {
  const char* name;
  mode_t mode;
  gid_t group;
  bool shared_and_sticky;  // others may plant files there
};

const std::vector<Directory> directories{
    {"plain", 0755, 0, false},
    {"sticky, and the saver's own", 01755, 0, false},
    {"sticky, and shared by a group", 01775, sharing_group, true},
    {"sticky, and shared by others", 01757, 0, true},
    {"shared by all, but not sticky", 0777, 0, false},
    {"set-group-ID, of the file's group", 02755, file_group, false},
    {"set-group-ID, of another group", 02755, directory_group, false},
};

/// The lists of a file and its directory. A mask is set with the file's mode.
struct Lists {
  const char* name;
  std::string default_before;  // the directory's when the file was made: the file has it too
  std::string by_hand;
  std::string default_after;
};

std::vector<AclEntry> entries(std::uint16_t user, std::uint16_t members, std::uint16_t group) {
  return {{AclTag::owner, 6},
          {AclTag::user, user, named_user},
          {AclTag::owning_group, members},
          {AclTag::group, group, named_group},
          {AclTag::mask, 6},
          {AclTag::others, 0}};
}

const std::string grants = acl(entries(6, 0, 4));   // to the user and group that it names
const std::string refuses = acl(entries(0, 6, 0));  // to them
const std::string defaults = acl({{AclTag::owner, 7},
                                  {AclTag::user, 6, default_user},
                                  {AclTag::owning_group, 0},
                                  {AclTag::group, 4, default_group},
                                  {AclTag::mask, 7},
                                  {AclTag::others, 0}});

const Lists no_lists{"no lists", "", "", ""};
const std::vector<Lists> all_lists{
    no_lists,
    {"a list that grants", "", grants, ""},
    {"a list that refuses", "", refuses, ""},
    {"a list from a default list", defaults, "", defaults},
    {"a list from a default list that is gone", defaults, "", ""},
    {"no list, but by now a default list", "", "", defaults},
    {"a list that grants, and by now a default list", "", grants, defaults},
};

const std::vector<mode_t> modes{0600, 0640, 0660, 0644, 0664, 0666,  0604,  0620,
                                0602, 0646, 0400, 0460, 0066, 01664, 07755, 0};

const std::vector<Person> savers{
    {"root", 0, 0, {}},
    {"root without CAP_FOWNER", 0, 0, {}, true},
    {"the owner, in the file's group", owner, owners_group, {file_group, sharing_group}},
    {"the owner, not in the file's group", owner, owners_group, {sharing_group}},
    {"somebody else in the file's group", somebody_else, savers_group, {file_group, sharing_group}},
    {"somebody else not in the file's group", somebody_else, savers_group, {sharing_group}},
};

/// What went wrong, and of each kind how often, and in which case first.
class Problems {
 public:
  void add(const std::string& kind, const std::string& example) {
    Kind& its = kinds_[kind];
    if (its.count++ == 0) its.first = example;
  }
  /// A line for each kind, nothing if all went well.
  std::string text() const {
    std::string lines;
    for (const auto& [kind, its] : kinds_) {
      lines += kind + ": " + std::to_string(its.count) + " times, first " + its.first + '\n';
    }
    return lines;
  }

 private:
  struct Kind {
    std::size_t count = 0;
    std::string first;
  };
  std::map<std::string, Kind> kinds_;
};

/// The file before a save.
struct File {
  const Lists& lists;
  mode_t mode;
  uid_t its_owner;
  fs::path path;

  void make() const {
    const fs::path parent = path.parent_path();
    require_success(set_acl(parent, default_acl, lists.default_before) ? 0 : -1, "a default list");
    fs::remove(path);
    write_text(path, document("old"));
    require_success(set_acl(parent, default_acl, lists.default_after) ? 0 : -1, "a default list");
    if (!lists.by_hand.empty()) {
      require_success(set_acl(path, access_acl, lists.by_hand) ? 0 : -1, "a list");
    }
    require_success(::chown(path.c_str(), its_owner, file_group), "chown");
    require_success(::chmod(path.c_str(), mode), "chmod");
  }
};

int save_as(const Person& saver, const fs::path& path) {
  const Acting acting(saver);
  return save_errno(path);
}

int update_as(const Person& saver, const fs::path& path) {
  const Acting acting(saver);
  return errno_of(path, [&] { oci::update(path, [](oci::State& state) { state.id = "new"; }); });
}

/// One combination, and what happens in it.
struct Trial {
  const Directory& directory;
  const File& file;
  const Person& saver;
  bool updates;
  Problems& problems;
  std::vector<Opens>& before;  // how people can open the file: the same with any saver

  void add_problem(const std::string& problem) const {
    std::ostringstream text;
    text << (updates ? "update" : "save") << " by " << saver.name << "; file of "
         << (file.its_owner == 0 ? "root" : "the owner") << ", mode 0" << std::oct << file.mode
         << "; " << file.lists.name << "; directory: " << directory.name;
    problems.add(problem, text.str());
  }

  /// The errno that the kernel has for what the saver may not do.
  int expected_errno() const {
    if (saver.user == 0) return 0;
    if (updates && !can_read_as(saver, file.path)) return EACCES;
    return directory.shared_and_sticky && file.its_owner != saver.user ? EPERM : 0;
  }

  bool may_set_everything() const {
    // If the file refuses its owner what it gives others, the mode must be set once more when it
    // has its owner again, which takes CAP_FOWNER. And to read its list, its owner must open it.
    if (saver.lacks_fowner) return !refuses_its_owner();
    if (saver.user == 0) return true;
    return saver.user == file.its_owner && is_in_group(saver, file_group) &&
           (file.mode & 0400U) != 0;
  }

  bool refuses_its_owner() const {
    const mode_t of_all = (file.mode | file.mode >> 3U) & 7U;
    return (of_all & ~(file.mode >> 6U)) != 0;
  }

  void compare_access() const {
    const std::vector<Opens> after = opens(file.path);
    const bool may_lose = directory.shared_and_sticky || !may_set_everything();
    for (std::size_t i = 0; i < people.size(); ++i) {
      if (people[i].user == saver.user) continue;
      const std::string name = people[i].name;
      if (after[i].reading && !before[i].reading) add_problem(name + " can read it now");
      if (after[i].writing && !before[i].writing) add_problem(name + " can write it now");
      if (may_lose) continue;
      if (before[i].reading && !after[i].reading) add_problem(name + " can't read it any more");
      if (before[i].writing && !after[i].writing) add_problem(name + " can't write it any more");
    }
  }

  void compare_status(const struct stat& status) const {
    if ((status.st_mode & 06000U) != 0) add_problem("set-user-ID or set-group-ID was kept");
    if (directory.shared_and_sticky) {
      if ((status.st_mode & 07777U) != 0600) add_problem("the mode is not 0600");
      if (status.st_uid != saver.user) add_problem("it is not the saver's");
      return;
    }
    if ((status.st_mode & 01000U) != (file.mode & 01000U)) add_problem("the sticky bit changed");
    if (!may_set_everything()) return;
    if (status.st_uid != file.its_owner) add_problem("it has another owner");
    if (status.st_gid != file_group) add_problem("it has another group");
  }

  void run() const {
    file.make();
    const int expected = expected_errno();
    if (before.empty()) before = opens(file.path);
    const struct stat old_status = status_of(file.path);
    const int failure = updates ? update_as(saver, file.path) : save_as(saver, file.path);
    if (failure != expected) add_problem("errno " + std::to_string(failure));
    const struct stat status = status_of(file.path);
    const bool replaced = status.st_ino != old_status.st_ino;
    if (replaced != (failure == 0)) add_problem(replaced ? "it failed, but" : "not replaced");
    if (!replaced) return;
    compare_status(status);
    compare_access();
  }
};

/// Makes a directory in which the saver may replace files.
void make_directory(const fs::path& path, const Directory& directory, const Person& saver) {
  fs::create_directory(path);
  const uid_t its_owner = directory.shared_and_sticky ? 0 : saver.user;
  require_success(::chown(path.c_str(), its_owner, directory.group), "chown");
  require_success(::chmod(path.c_str(), directory.mode), "chmod");
}

/// Says, once, why some tests are skipped.
void say_skipped(const std::string& reason) {
  static std::set<std::string> said;
  if (said.insert(reason).second) std::cout << "SKIPPED: who can open files: " << reason << '\n';
}

bool is_root() {
  if (::geteuid() == 0) return true;
  say_skipped("only root can try as other users");
  return false;
}

bool has_lists(const fs::path& directory) {
  if (set_acl(directory, default_acl, defaults) && set_acl(directory, default_acl, "")) return true;
  say_skipped("there are no access control lists in " + directory.parent_path().string());
  return false;
}

/// A tmpfs, if there is one: it has nothing to sync.
fs::path fast_file_system() {
  return fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
}

/// Calls `call` in a process of its own, which stops at each of its system calls while this process
/// calls `look`. Returns whether that could be done and `call` returned 0.
template <class Call, class Look>
bool watched(Call call, Look look) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool traced = ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
    if (traced) ::raise(SIGSTOP);
    ::_exit(traced ? call() : -1);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return false;
  while (WIFSTOPPED(status)) {
    look();
    if (::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) != 0) return false;
    if (::waitpid(child, &status, 0) != child) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("Nobody but the saver gains access, and if everything can be kept, nobody loses it") {
  const TemporaryDirectory top(fast_file_system());
  const Umask umask(0);
  if (!is_root()) return;
  const std::vector<Lists> lists = has_lists(top.path()) ? all_lists : std::vector<Lists>{no_lists};
  Problems problems;
  std::map<std::tuple<const Lists*, mode_t, uid_t>, std::vector<Opens>> before;
  for (const Directory& directory : directories) {
    for (const Person& saver : savers) {
      const fs::path parent = top / "directory";
      make_directory(parent, directory, saver);
      for (const Lists& its_lists : lists) {
        for (const mode_t mode : modes) {
          for (const uid_t file_owner : {owner, uid_t{0}}) {
            if (saver.user == owner && file_owner != owner) continue;
            for (const bool updates : {false, true}) {
              const File file{its_lists, mode, file_owner, parent / "state.json"};
              Trial{directory, file,     saver,
                    updates,   problems, before[{&its_lists, mode, file_owner}]}
                  .run();
            }
          }
        }
      }
      if (names(parent) != Names{"state.json"}) {
        problems.add("something was left behind", directory.name);
      }
      fs::remove_all(parent);
    }
  }
  CHECK(problems.text() == "");  // NOLINT(readability-container-size-empty)
}

TEST_CASE("The people of these tests open what modes and lists let them open") {
  const TemporaryDirectory directory(fast_file_system());
  const Umask umask(0);
  if (!is_root() || !has_lists(directory.path())) return;
  const auto readers = [&](const Lists& lists, mode_t mode) {
    File{lists, mode, owner, directory / "state.json"}.make();
    std::string found;
    for (const Opens& its : opens(directory / "state.json")) found += its.reading ? 'r' : '-';
    return found;
  };
  // In the order of `people`: two for the owner, a member, two for the list's user, two for its
  // group, two for the default list's user and group, a member of other groups, a stranger.
  CHECK(readers(no_lists, 0600) == "rr---------");
  CHECK(readers(no_lists, 0640) == "rrr-r-r----");
  CHECK(readers(no_lists, 0604) == "rr-r-r-rrrr");
  CHECK(readers(all_lists[1], 0640) == "rr-rrrr----");
  CHECK(readers(all_lists[2], 0644) == "rrr---rrrrr");
  CHECK(readers(all_lists[3], 0640) == "rr-----rr--");
  CHECK(readers(all_lists[5], 0640) == "rrr-r-r----");
}

TEST_CASE("What may be kept of a file's access is kept") {
  const TemporaryDirectory directory(fast_file_system());
  const fs::path path = directory / "state.json";
  const Umask umask(0);
  if (!is_root()) return;
  const std::vector<Lists> lists =
      has_lists(directory.path()) ? all_lists : std::vector<Lists>{no_lists};
  for (const Person& saver : savers) {
    CAPTURE(saver.name);
    const bool in_group = saver.user == 0 || is_in_group(saver, file_group);
    require_success(::chown(directory.path().c_str(), saver.user, 0), "chown");
    for (const Lists& its_lists : lists) {
      for (const mode_t mode : {01664U, 0644U, 06640U}) {
        CAPTURE(its_lists.name, mode);
        File{its_lists, mode, owner, path}.make();
        const std::string list = acl_of(path);
        const bool readable = can_read_as(saver, path);
        REQUIRE(save_as(saver, path) == 0);
        const struct stat status = status_of(path);
        CHECK(status.st_uid == (saver.user == 0 ? owner : saver.user));
        if (!in_group) {
          CHECK(status.st_gid == saver.group);
          const bool has_effect = (status.st_mode & 0077U) != 0;
          CHECK((!has_effect || acl_of(path).empty()));
        } else if (readable) {
          CHECK(status.st_gid == file_group);
          CHECK((status.st_mode & 07777U) == (mode & 01777U));
          CHECK(acl_of(path) == list);
        }
      }
    }
  }
}

TEST_CASE("If the group can't be kept, others keep only what the group had too") {
  const TemporaryDirectory directory(fast_file_system());
  const fs::path path = directory / "state.json";
  const Umask umask(0);
  if (!is_root()) return;
  const struct {
    mode_t before;
    mode_t after;
  } cases[] = {{0664, 0604}, {0604, 0600}, {0666, 0606},   {0646, 0604},
               {0640, 0600}, {0626, 0602}, {01777, 01707}, {0606, 0600}};
  for (const Person& saver : savers) {
    if (saver.user == 0 || is_in_group(saver, file_group)) continue;
    require_success(::chown(directory.path().c_str(), saver.user, 0), "chown");
    for (const auto& [before, after] : cases) {
      CAPTURE(saver.name, before);
      File{no_lists, before, owner, path}.make();
      REQUIRE(save_as(saver, path) == 0);
      CHECK(mode_of(path) == after);
    }
  }
}

TEST_CASE("A list from a default list goes on working with chmod") {
  const TemporaryDirectory directory(fast_file_system());
  const fs::path path = directory / "state.json";
  const Umask umask(077);
  if (!is_root() || !has_lists(directory.path())) return;
  REQUIRE(set_acl(directory.path(), default_acl, defaults));
  const Person user{"", default_user, no_group, {}};
  oci::save(state_of("old"), path);
  CHECK(mode_of(path) == 0600);
  CHECK(!can_read_as(user, path));
  oci::save(state_of("old"), path);  // of a private file, whose list has no effect
  CHECK(mode_of(path) == 0600);
  CHECK(!can_read_as(user, path));
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  CHECK(can_read_as(user, path));
  oci::save(state_of("old"), path);
  CHECK(can_read_as(user, path));
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  CHECK(!can_read_as(user, path));
}

TEST_CASE("At no time can anybody open the temporary who may not open the result") {
  const TemporaryDirectory top(fast_file_system());
  const Umask umask(0);
  if (!is_root()) return;
  if (!watched([] { return 0; }, [] {})) {
    say_skipped("ptrace is not permitted here, which shows temporaries");
    return;
  }
  const std::vector<Lists> lists = has_lists(top.path()) ? all_lists : std::vector<Lists>{no_lists};
  const fs::path parent = top / "directory";
  for (const Directory& directory : {directories.front(), directories.back()}) {
    for (const Person& saver : savers) {
      make_directory(parent, directory, saver);
      for (const Lists& its_lists : lists) {
        const mode_t mode = saver.user == 0 ? 0640 : 0664;
        CAPTURE(directory.name, saver.name, its_lists.name);
        const fs::path path = parent / "state.json";
        File{its_lists, mode, owner, path}.make();
        std::vector<Opens> meanwhile(people.size());
        bool seen = false;
        const auto look = [&] {
          for (const fs::path& name : names(parent)) {
            if (name == "state.json") continue;
            seen = true;
            const std::vector<Opens> now = opens(parent / name);
            for (std::size_t i = 0; i < people.size(); ++i) {
              meanwhile[i].reading |= now[i].reading;
              meanwhile[i].writing |= now[i].writing;
            }
          }
        };
        CHECK(watched([&] { return save_as(saver, path); }, look));
        CHECK(seen);
        const std::vector<Opens> after = opens(path);
        for (std::size_t i = 0; i < people.size(); ++i) {
          if (people[i].user == saver.user) continue;
          CAPTURE(people[i].name);
          CHECK(meanwhile[i].reading <= after[i].reading);
          CHECK(meanwhile[i].writing <= after[i].writing);
        }
      }
      fs::remove_all(parent);
    }
  }
}

TEST_CASE("In a user namespace, what it can't map gives nobody access") {
  const TemporaryDirectory directory(fast_file_system());
  const fs::path path = directory / "state.json";
  const Umask umask(0);
  if (!is_root()) return;
  constexpr int no_namespace = 255;
  const auto save_in_namespace = [&] {
    return in_child([&] {
      if (::unshare(CLONE_NEWUSER) != 0) return no_namespace;
      write_text("/proc/self/uid_map", "0 0 1");
      write_text("/proc/self/setgroups", "deny");
      write_text("/proc/self/gid_map", "0 0 1");
      return save_errno(path);
    });
  };

  File{no_lists, 0664, 0, path}.make();  // of a group that it does not map
  const int result = save_in_namespace();
  if (result == no_namespace) {
    say_skipped("user namespaces are not permitted here");
    return;
  }
  CHECK(result == 0);
  CHECK(status_of(path).st_gid == 0);
  CHECK(mode_of(path) == 0604);

  File{no_lists, 0664, owner, path}.make();  // nor does it map the owner
  require_success(::chown(path.c_str(), owner, 0), "chown");
  CHECK(save_in_namespace() == 0);
  CHECK(status_of(path).st_uid == 0);
  CHECK(mode_of(path) == 0664);

  if (!has_lists(directory.path())) return;
  File{all_lists[1], 0664, 0, path}.make();  // nor the user and the group of the list
  require_success(::chown(path.c_str(), 0, 0), "chown");
  CHECK(save_in_namespace() == 0);
  CHECK(mode_of(path) == 0600);
}

#endif
