// Who can open a file before and after a save or an update. Nobody but the saver may gain access,
// and if the saver may set everything, nobody may lose it. Root tries all combinations of modes,
// lists, directories, owners and savers, and opens each file as several users.

#ifdef __linux__

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <map>
#include <oci/state.hpp>
#include <sstream>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "acl.hpp"
#include "catch.hpp"
#include "files.hpp"

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
    {"sticky, and shared by all", 01777, 0, true},
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
    {"a list that refuses, and by now a default list", "", refuses, defaults},
};

const std::vector<mode_t> modes{0600, 0640, 0660, 0644, 0664,  0666,  0604, 0606,
                                0620, 0602, 0646, 0400, 01664, 07755, 0066, 0};

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

/// One combination, and what happens in it.
struct Trial {
  const Directory& directory;
  const Lists& lists;
  mode_t mode;
  uid_t file_owner;
  const Person& saver;
  bool updates;
  fs::path path;
  Problems& problems;
  std::vector<Opens>& before;  // how people can open the file: the same with any saver

  void add_problem(const std::string& problem) const {
    std::ostringstream text;
    text << (updates ? "update" : "save") << " by " << saver.name << "; file of "
         << (file_owner == 0 ? "root" : "the owner") << ", mode 0" << std::oct << mode << "; "
         << lists.name << "; directory: " << directory.name;
    problems.add(problem, text.str());
  }

  void make_file() const {
    const fs::path parent = path.parent_path();
    require_success(set_acl(parent, default_acl, lists.default_before) ? 0 : -1, "a default list");
    fs::remove(path);
    write_text(path, document("old"));
    require_success(set_acl(parent, default_acl, lists.default_after) ? 0 : -1, "a default list");
    if (!lists.by_hand.empty()) {
      require_success(set_acl(path, access_acl, lists.by_hand) ? 0 : -1, "a list");
    }
    require_success(::chown(path.c_str(), file_owner, file_group), "chown");
    require_success(::chmod(path.c_str(), mode), "chmod");
  }

  /// The errno, or 0.
  int write() const {
    const Acting acting(saver);
    if (!updates) return save_errno(path);
    return errno_of(path, [&] { oci::update(path, [](auto& state) { state.id = "new"; }); });
  }

  /// The errno that the kernel has for what the saver may not do.
  int expected_errno() const {
    if (saver.user == 0) return 0;
    if (updates && !can_read_as(saver, path)) return EACCES;
    return directory.shared_and_sticky && file_owner != saver.user ? EPERM : 0;
  }

  bool may_set_everything() const {
    return saver.user == 0 || (saver.user == file_owner && is_in_group(saver, file_group));
  }

  void compare() const {
    const std::vector<Opens> after = opens(path);
    const bool may_lose = directory.shared_and_sticky || !may_set_everything();
    for (std::size_t i = 0; i < people.size(); ++i) {
      if (people[i].user == saver.user) continue;
      // An owner may open a file that refuses its owner: after a chmod.
      const bool owned = people[i].user == file_owner;
      const std::string name = people[i].name;
      if (after[i].reading && !before[i].reading && !owned) add_problem(name + " can read it now");
      if (after[i].writing && !before[i].writing && !owned) add_problem(name + " can write it now");
      if (may_lose) continue;
      if (before[i].reading && !after[i].reading) add_problem(name + " can't read it any more");
      if (before[i].writing && !after[i].writing) add_problem(name + " can't write it any more");
    }
  }

  void run() const {
    make_file();
    const int expected = expected_errno();
    if (before.empty()) before = opens(path);
    const struct stat old_status = status_of(path);
    const int failure = write();
    if (failure != expected) add_problem("errno " + std::to_string(failure));
    const struct stat status = status_of(path);
    if (failure != 0) {
      if (status.st_ino != old_status.st_ino) add_problem("failed, but it is another file");
      return;
    }
    if (status.st_ino == old_status.st_ino) add_problem("it is the old file");
    if ((status.st_mode & 06000U) != 0) add_problem("set-user-ID or set-group-ID was kept");
    if (directory.shared_and_sticky) {
      if ((status.st_mode & 07777U) != 0600) add_problem("the mode is not 0600");
      if (status.st_uid != saver.user) add_problem("it is not the saver's");
    } else {
      if ((status.st_mode & 01000U) != (mode & 01000U))
        add_problem("the sticky bit is not as it was");
      if (may_set_everything() && status.st_uid != file_owner) add_problem("it has another owner");
      if (may_set_everything() && status.st_gid != file_group) add_problem("it has another group");
    }
    compare();
  }
};

/// Whether these tests can run in a directory: as root, and with access control lists.
bool can_try(const fs::path& directory) {
  if (::geteuid() != 0) {
    std::cout << "SKIPPED: who can open files: only root can try as other users\n";
    return false;
  }
  if (!set_acl(directory, default_acl, defaults) || !set_acl(directory, default_acl, "")) {
    std::cout << "SKIPPED: who can open files that have access control lists: none in "
              << directory.parent_path() << '\n';
    return false;
  }
  return true;
}

/// Where there is a tmpfs, there: it has nothing to sync.
fs::path fast_file_system() {
  return fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
}

}  // namespace

TEST_CASE("Nobody but the saver gains access, and if everything can be kept, nobody loses it") {
  const TemporaryDirectory top(fast_file_system());
  const Umask umask(0);
  if (::geteuid() != 0) {
    static_cast<void>(can_try(top.path()));
    return;
  }
  const std::vector<Lists> lists = can_try(top.path()) ? all_lists : std::vector<Lists>{no_lists};
  Problems problems;
  std::map<std::tuple<const Lists*, mode_t, uid_t>, std::vector<Opens>> before;
  std::size_t trials = 0;
  for (const Directory& directory : directories) {
    for (const Person& saver : savers) {
      const fs::path parent = top / "directory";
      fs::create_directory(parent);
      const uid_t of_directory = directory.shared_and_sticky ? 0 : saver.user;
      require_success(::chown(parent.c_str(), of_directory, directory.group), "chown");
      require_success(::chmod(parent.c_str(), directory.mode), "chmod");
      for (const Lists& its_lists : lists) {
        for (const mode_t mode : modes) {
          for (const uid_t file_owner : {owner, uid_t{0}}) {
            if (saver.user == owner && file_owner != owner) continue;
            for (const bool updates : {false, true}) {
              const fs::path path = parent / "state.json";
              Trial{directory,  its_lists, mode,
                    file_owner, saver,     updates,
                    path,       problems,  before[{&its_lists, mode, file_owner}]}
                  .run();
              ++trials;
            }
          }
        }
      }
      if (names(parent) != Names{"state.json"})
        problems.add("something was left behind", directory.name);
      fs::remove_all(parent);
    }
  }
  CHECK(problems.text() == "");  // NOLINT(readability-container-size-empty)
  CHECK(trials > 1000);
}

#endif
