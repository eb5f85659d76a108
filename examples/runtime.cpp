// The state-keeping of a small runtime. It starts no process: it shows what a runtime does with the
// states of its containers, each in DIR/ID/state.json.

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <oci/state.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace fs = std::filesystem;

constexpr const char* usage = R"(usage: runtime --root DIR COMMAND
commands: create ID BUNDLE, start ID, pause ID, resume ID, stop ID, state ID, delete ID, list
)";

// What this runtime keeps of a container: the specification's members, two members of its own and a
// status of its own, "paused". oci::ContainerState has the specification's four alone, so a paused
// container is a running one that is paused besides.
struct Container : oci::State {
  std::string owner;
  std::string created;
  bool paused = false;
};

std::string status_of(const Container& container) {
  return container.paused ? "paused" : std::string(oci::to_string(container.status));
}

// save() and dump() write an ordered_json, so the members are written in this order; load() reads a
// json.
void to_json(nlohmann::ordered_json& json, const Container& container) {
  json = static_cast<const oci::State&>(container);
  json["status"] = status_of(container);
  json["owner"] = container.owner;
  json["created"] = container.created;
}

void from_json(const nlohmann::json& json, Container& container) {
  nlohmann::json specified = json;
  const auto status = json.find("status");
  container.paused = status != json.end() && *status == "paused";
  if (container.paused) specified["status"] = oci::ContainerState::running;
  specified.get_to<oci::State>(container);
  json.at("owner").get_to(container.owner);
  json.at("created").get_to(container.created);
}

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[sizeof "2026-12-31T23:59:59Z"];
  return {text, std::strftime(text, sizeof text, "%FT%TZ", &utc)};
}

// One command at a time, until this process ends: of two that start a container, one is refused.
void lock(const fs::path& root) {
  const int directory = open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory == -1 || flock(directory, LOCK_EX) == -1) {
    throw fs::filesystem_error("cannot lock", root, {errno, std::generic_category()});
  }
}

// The container's directory. An ID is the name of a directory in `root`, and leads nowhere else.
fs::path directory_of(const fs::path& root, const std::string& id) {
  const auto* const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
  if (id.empty() || id == "." || id == ".." || id.find_first_not_of(allowed) != std::string::npos) {
    throw std::runtime_error("'" + id + "' is no ID: letters, digits and _ + - . make one");
  }
  return root / id;
}

Container load(const fs::path& directory) {
  try {
    return oci::load<Container>(directory / "state.json");
  } catch (const fs::filesystem_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
    throw std::runtime_error("there is no container " + directory.filename().string());
  }
}

void create(const fs::path& directory, const std::string& id, const fs::path& bundle) {
  Container container;
  container.version = "1.2.0";
  container.id = id;
  container.status = oci::ContainerState::created;  // and a runtime that starts one sets the pid
  container.bundle = fs::canonical(bundle);
  container.owner = std::to_string(geteuid());
  container.created = now();
  // Not whether the directory is there: a create that was killed may have left it.
  if (fs::exists(directory / "state.json")) {
    throw std::runtime_error("there is already a container " + id);
  }
  fs::create_directory(directory);
  try {
    oci::save(container, directory / "state.json");
  } catch (...) {
    std::error_code ignored;
    fs::remove(directory, ignored);
    throw;
  }
}

// Refuses `command` where the container's status is none of `allowed`.
void require(const Container& container, const std::string& command,
             const std::vector<std::string>& allowed) {
  const std::string status = status_of(container);
  std::string names;
  for (const std::string& name : allowed) {
    if (name == status) return;
    names += (names.empty() ? "" : " or ") + name;
  }
  throw std::runtime_error("cannot " + command + " " + container.id + ": it is " + status +
                           ", not " + names);
}

void change(Container& container, const std::string& command) {
  if (command == "start") {
    require(container, command, {"created"});
    container.status = oci::ContainerState::running;
  } else if (command == "pause") {
    require(container, command, {"running"});
    container.paused = true;
  } else if (command == "resume") {
    require(container, command, {"paused"});
    container.paused = false;
  } else {
    require(container, command, {"created", "running", "paused"});
    container.status = oci::ContainerState::stopped;
    container.paused = false;
  }
}

// One line for each container. A state that can't be read is reported and hides no other.
bool list(const fs::path& root) {
  bool complete = true;
  for (const fs::path& directory :
       std::set<fs::path>(fs::directory_iterator(root), fs::directory_iterator())) {
    try {
      const Container container = load(directory);
      std::cout << container.id << ' ' << status_of(container) << ' ' << container.owner << ' '
                << container.created << '\n';
    } catch (const std::exception& error) {
      std::cerr << "runtime: " << error.what() << '\n';
      complete = false;
    }
  }
  return complete;
}

bool run(const std::string& command, const fs::path& root, const std::vector<std::string>& args) {
  if (command == "create") fs::create_directories(root);
  lock(root);
  if (command == "list") return list(root);
  const fs::path directory = directory_of(root, args[0]);
  if (command == "create") {
    create(directory, args[0], args[1]);
    return true;
  }
  Container container = load(directory);
  if (command == "state") {
    std::cout << oci::dump(container) << '\n';
  } else if (command == "delete") {
    require(container, command, {"stopped"});
    fs::remove_all(directory);
  } else {
    change(container, command);
    oci::save(container, directory / "state.json");
  }
  return true;
}

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  const std::map<std::string, std::size_t> arguments{{"create", 2}, {"start", 1}, {"pause", 1},
                                                     {"resume", 1}, {"stop", 1},  {"state", 1},
                                                     {"delete", 1}, {"list", 0}};
  const auto command = words.size() < 4 ? arguments.end() : arguments.find(words[3]);
  if (command == arguments.end() || words[1] != "--root" || words.size() != 4 + command->second) {
    std::cerr << usage;
    return 2;
  }
  try {
    const bool done = run(words[3], words[2], {words.begin() + 4, words.end()});
    if (!std::cout.flush()) throw std::runtime_error("cannot write to standard output");
    return done ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "runtime: " << error.what() << '\n';
    return 1;
  }
}
