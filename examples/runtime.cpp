// Keeps the states of a small runtime's containers, each in a file DIR/ID.json. It starts no
// process: `create` gets the ID of one. Use a DIR that only you may write to.

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <oci/state.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace fs = std::filesystem;

constexpr const char* usage = R"(usage: runtime --root DIR COMMAND
commands: create ID BUNDLE PID, start ID, pause ID, resume ID, stop ID, state ID, delete ID, list
)";

// What this runtime keeps of a container: the members of the specification, and two of its own.
struct Container : oci::State {
  std::string owner;
  std::string created;
};

template <>
inline constexpr auto oci::members<Container> = [](auto& container, auto member) {
  oci::members<oci::State>(container, member);
  member("owner", container.owner);
  member("created", container.created);
};

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[sizeof "2026-12-31T23:59:59Z"];
  return {text, std::strftime(text, sizeof text, "%FT%TZ", &utc)};
}

// The file of a container. No ID leads out of `root`, or to a hidden file, as temporaries are.
fs::path file_of(const fs::path& root, const std::string& id) {
  const auto* const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
  if (id.empty() || id[0] == '.' || id.find_first_not_of(allowed) != std::string::npos) {
    throw std::runtime_error(
        "'" + id + "' is not an ID: use letters, digits and _ + - . and begin with no dot");
  }
  return root / (id + ".json");
}

std::int32_t parse_pid(const std::string& text) {
  std::int32_t pid = 0;  // and still 0 after a text that is no number, or too large a number
  const auto* const end = std::from_chars(text.data(), text.data() + text.size(), pid).ptr;
  if (*end != '\0' || pid < 1) {
    throw std::runtime_error("'" + text + "' is not a process ID");
  }
  return pid;
}

// Of several creates of one ID, one succeeds.
void create(const fs::path& file, const std::string& id, const fs::path& bundle, std::int32_t pid) {
  Container container;
  container.version = "1.2.0";
  container.id = id;
  container.status = oci::ContainerState::created;
  container.pid = pid;
  container.bundle = fs::canonical(bundle);
  container.owner = std::to_string(geteuid());
  container.created = now();
  oci::validate(container);
  fs::create_directories(file.parent_path());
  oci::create(container, file);
}

// Refuses `command` if the container's status is not one of `allowed`.
void require(const Container& container, const std::string& command,
             const std::vector<std::string>& allowed) {
  const std::string status = oci::status_name(container);
  std::string names;
  for (const std::string& name : allowed) {
    if (name == status) return;
    names += (names.empty() ? "" : " or ") + name;
  }
  throw std::runtime_error("cannot " + command + " " + container.id + ": it is " + status +
                           ", not " + names);
}

void change(Container& container, const std::string& command) {
  using Status = oci::ContainerState;
  struct Transition {
    std::vector<std::string> from;
    Status to;
    std::string other;  // the name of a status that the specification does not define
  };
  const std::map<std::string, Transition> transitions{
      {"start", {{"created"}, Status::running, ""}},
      {"pause", {{"running"}, Status::other, "paused"}},
      {"resume", {{"paused"}, Status::running, ""}},
      {"stop", {{"created", "running", "paused"}, Status::stopped, ""}},
  };
  const Transition& transition = transitions.at(command);
  require(container, command, transition.from);
  container.status = transition.to;
  container.other_status = transition.other;
  if (container.status == Status::stopped) container.pid.reset();  // it may be reused
  oci::validate(container);
}

// In an update, so that no other command changes the container meanwhile.
void delete_container(const fs::path& file) {
  oci::update<Container>(file, [&](const Container& container) {
    require(container, "delete", {"stopped"});
    fs::remove(file);
    return false;  // there is nothing to save any more
  });
}

// One line for each container. A state that can't be read is reported and hides no other.
bool list(const fs::path& root) {
  bool complete = true;
  for (const fs::path& file :
       std::set<fs::path>(fs::directory_iterator(root), fs::directory_iterator())) {
    if (file.extension() != ".json") continue;  // a temporary, for example
    try {
      const auto container = oci::load<Container>(file);
      std::cout << container.id << ' ' << oci::status_name(container) << ' ' << container.owner
                << ' ' << container.created << '\n';
    } catch (const std::exception& error) {
      const auto* const failure = dynamic_cast<const std::system_error*>(&error);
      if (failure != nullptr && failure->code() == std::errc::no_such_file_or_directory) {
        continue;  // it has been deleted by now
      }
      std::cerr << "runtime: " << error.what() << '\n';
      complete = false;
    }
  }
  return complete;
}

bool run(const std::string& command, const fs::path& root, const std::vector<std::string>& args) {
  if (command == "list") return list(root);
  const std::string& id = args[0];
  const fs::path file = file_of(root, id);
  try {
    if (command == "create") {
      create(file, id, args[1], parse_pid(args[2]));
    } else if (command == "state") {
      std::cout << oci::dump(oci::load<Container>(file)) << '\n';
    } else if (command == "delete") {
      delete_container(file);
    } else {
      oci::update<Container>(file, [&](Container& container) { change(container, command); });
    }
  } catch (const fs::filesystem_error& error) {
    if (error.path1() != file) throw;
    if (error.code() == std::errc::file_exists) {
      throw std::runtime_error("there is already a container " + id);
    }
    if (error.code() == std::errc::no_such_file_or_directory) {
      throw std::runtime_error("there is no container " + id);
    }
    throw;
  }
  return true;
}

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  const std::map<std::string, std::size_t> arguments{{"create", 3}, {"start", 1}, {"pause", 1},
                                                     {"resume", 1}, {"stop", 1},  {"state", 1},
                                                     {"delete", 1}, {"list", 0}};
  const auto command = words.size() < 4 ? arguments.end() : arguments.find(words[3]);
  if (command == arguments.end() || words[1] != "--root" || words.size() != 4 + command->second) {
    std::cerr << usage;
    return 2;
  }
  try {
    umask(0077);  // the directories that it makes are private
    const bool done = run(words[3], words[2], {words.begin() + 4, words.end()});
    if (!std::cout.flush()) throw std::runtime_error("cannot write to standard output");
    return done ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "runtime: " << error.what() << '\n';
    return 1;
  }
}
