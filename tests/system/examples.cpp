// The examples, as their users run them: EXAMPLES is the directory that they were built in.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iomanip>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "../support/files.hpp"

#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cstddef>
#endif

extern char** environ;

namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// How an example ended, and what it wrote.
struct Result {
  int status;
  std::string output;
  std::string errors;
};

bool operator==(const Result& left, const Result& right) {
  return left.status == right.status && left.output == right.output && left.errors == right.errors;
}

std::ostream& operator<<(std::ostream& out, const Result& result) {
  return out << "status " << result.status << ", output: " << result.output
             << ", errors: " << result.errors;
}

/// A running example: `words` are its name and arguments.
class Process {
 public:
  explicit Process(const Words& words, const std::string& input = {}) {
    write_text(files_ / "input", input);
    const int file = ::open((files_ / "input").c_str(), O_RDONLY | O_CLOEXEC);
    start(words, file);
    ::close(file);
  }
  /// The descriptor `input` becomes its standard input.
  Process(const Words& words, int input) { start(words, input); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (id_ == 0) return;
    ::kill(id_, SIGKILL);
    ::waitpid(id_, nullptr, 0);
  }

  pid_t id() const { return id_; }
  std::string errors() const { return read_text(files_ / "errors"); }

  /// Waits for its end, at most half a minute. The status is -1 if it was killed.
  Result wait() {
    int status = 0;
    for (int tries = 0; ::waitpid(id_, &status, WNOHANG) == 0; ++tries) {
      if (tries == 30000) ::kill(id_, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    id_ = 0;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(files_ / "output"), errors()};
  }

 private:
  void start(Words words, int input) {
    words[0] = EXAMPLES "/" + words[0];
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    int number = STDOUT_FILENO;
    for (const char* name : {"output", "errors"}) {
      posix_spawn_file_actions_addopen(&actions, number++, (files_ / name).c_str(),
                                       O_WRONLY | O_CREAT, 0600);
    }
    const int failure =
        posix_spawn(&id_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) FAIL("cannot run " << words[0] << ": " << std::strerror(failure));
  }

  TemporaryDirectory files_;
  pid_t id_{};
};

Result run(const Words& words, const std::string& input = {}) {
  return Process(words, input).wait();
}

std::string fixture(const std::string& name) { return read_text(fs::path(FIXTURES) / name); }

/// Whether `condition` becomes true within ten seconds.
template <class Condition>
bool becomes_true(Condition condition) {
  for (int tries = 0; tries < 10000; ++tries) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return false;
}

/// The document of a stopped container, as a runtime writes it.
std::string stopped(const std::string& id) {
  return R"({"ociVersion":"1.2.0","id":")" + id + R"(","status":"stopped","bundle":"/bundle"})";
}

}  // namespace

// ---- The hook -----------------------------------------------------------------------------------

TEST_CASE("The hook logs the states that it reads") {
  const TemporaryDirectory directory;
  const std::string log = directory / "log";
  ::setenv("TZ", "EST5", 1);  // the log has UTC nevertheless
  const std::time_t before = std::time(nullptr);
  for (const char* state : {"runc/hook-createRuntime.json", "runc/hook-poststop.json",
                            "runc/runc-state-paused.json", "crun/hook-startContainer.json"}) {
    CAPTURE(state);
    CHECK(run({"hook", log}, fixture(state)) == Result{0, "", ""});
  }
  const std::time_t after = std::time(nullptr);

  std::istringstream lines(read_text(log));
  for (const char* expected :
       {R"( "web" "creating" 15842 "/run/oci-demo/bundle")",
        R"( "web" "stopped" - "/run/oci-demo/bundle")",
        R"( "web" "paused" 15842 "/run/oci-demo/bundle")", R"( "web" "starting" 0 "/")"}) {
    std::tm utc{};
    lines >> std::get_time(&utc, "%Y-%m-%dT%H:%M:%SZ");
    const std::time_t time = timegm(&utc);
    CHECK(time >= before);
    CHECK(time <= after);
    std::string rest;
    std::getline(lines, rest);
    CHECK(rest == expected);
  }
  CHECK(lines.get() == std::istringstream::traits_type::eof());
}

TEST_CASE("The hook quotes what could break a line of the log") {
  const TemporaryDirectory directory;
  const std::string log = directory / "log";
  CHECK(run({"hook", log}, R"({"ociVersion":"1.2.0","id":"a\n\u001b[2Jé","status":"b\"\n",)"
                           R"("bundle":"/two words"})") == Result{0, "", ""});
  CHECK(read_text(log).substr(20) == R"( "a\n\u001b[2J\u00e9" "b\"\n" - "/two words")"
                                     "\n");
}

TEST_CASE("The hook accepts what runtimes send at every stage") {
  const TemporaryDirectory directory;
  const std::string log = directory / "log";
  int count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(FIXTURES)) {
    if (entry.path().filename().string().rfind("hook-", 0) != 0) continue;
    CAPTURE(entry.path());
    CHECK(run({"hook", log}, read_text(entry.path())) == Result{0, "", ""});
    ++count;
  }
  CHECK(count >= 12);  // six stages of runc and of crun
}

TEST_CASE("The hook reads a pipe and a socket") {
  const TemporaryDirectory directory;
  const std::string log = directory / "log";
  const std::string state = stopped("web");
  int ends[2] = {-1, -1};
  SECTION("pipe") { REQUIRE(::pipe(ends) == 0); }
  SECTION("socket") { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0); }
  CHECK(::write(ends[1], state.data(), state.size()) == static_cast<ssize_t>(state.size()));
  ::close(ends[1]);
  Process hook({"hook", log}, ends[0]);
  ::close(ends[0]);
  CHECK(hook.wait() == Result{0, "", ""});
  CHECK(read_text(log).substr(20) == " \"web\" \"stopped\" - \"/bundle\"\n");
}

TEST_CASE("The hook refuses what is not the state of a container, and logs nothing") {
  const TemporaryDirectory directory;
  const std::string log = directory / "log";
  const auto refusal = [&](const std::string& input) {
    const Result result = run({"hook", log}, input);
    CHECK(result.status == 1);
    CHECK(result.output.empty());
    return result.errors;
  };
  CHECK(refusal("{}") == "hook: /ociVersion: expected a version, found \"\"\n");
  const std::string no_id = "hook: /id: expected an ID, found \"\"\n";
  CHECK(refusal(fixture("runc/container-process-state.json")) == no_id);
  CHECK(refusal(fixture("crun/container-process-state.json")) == no_id);
  CHECK(refusal(fixture("impostors/podman-precreate-configuration.json")) == no_id);
  CHECK(refusal(R"({"pid": 4294967296})") ==
        "hook: /dev/fd/0: /pid: expected an integer from -2147483648 to 2147483647, "
        "found 4294967296\n");
  CHECK(refusal("") == "hook: /dev/fd/0: line 1, column 1: expected JSON text, found nothing\n");
  CHECK(!fs::exists(log));
}

TEST_CASE("The hook refuses a container if it can't write to its log") {
  const TemporaryDirectory directory;
  const std::string state = fixture("runc/hook-createRuntime.json");
  const std::string path = directory.path();
  CHECK(run({"hook", path}, state) ==
        Result{1, "", "hook: cannot write to " + path + ": Is a directory\n"});
  CHECK(run({"hook", path + "/no/log"}, state) ==
        Result{1, "", "hook: cannot write to " + path + "/no/log: No such file or directory\n"});
  if (fs::exists("/dev/full")) {
    CHECK(run({"hook", "/dev/full"}, state) ==
          Result{1, "", "hook: cannot write to /dev/full: No space left on device\n"});
  }
  CHECK(run({"hook"}, state).status == 2);
}

TEST_CASE("Lines of concurrent hooks do not mix") {
  const TemporaryDirectory directory;
  const std::string log = directory / "log";
  std::vector<std::unique_ptr<Process>> hooks;
  for (int i = 0; i < 50; ++i) {
    const std::string id(20000, static_cast<char>('A' + i));
    hooks.push_back(std::make_unique<Process>(Words{"hook", log}, stopped(id)));
  }
  for (const auto& hook : hooks) CHECK(hook->wait() == Result{0, "", ""});
  std::set<char> seen;
  std::istringstream lines(read_text(log));
  for (std::string line; std::getline(lines, line);) {
    REQUIRE(line.size() > 22);
    seen.insert(line[22]);
    CHECK(line.substr(20) == " \"" + std::string(20000, line[22]) + "\" \"stopped\" - \"/bundle\"");
  }
  CHECK(seen.size() == 50);
}

// ---- The runtime --------------------------------------------------------------------------------

namespace {

Words create_words(const std::string& root, const std::string& id, const std::string& bundle) {
  return {"runtime", "--root", root, "create", id, bundle, "42"};
}

}  // namespace

TEST_CASE("The runtime makes the transitions that a status allows, and refuses all others") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const auto runtime = [&](const std::string& command) {
    return run({"runtime", "--root", root, command, "web"});
  };

  struct Status {
    std::string name;
    Words way;  // the commands that lead to it from created
  };
  struct Command {
    std::string name;
    std::vector<std::pair<std::string, std::string>> changes;  // from which status to which
    std::string expected;
  };
  const auto status = GENERATE(values<Status>({{"created", {}},
                                               {"running", {"start"}},
                                               {"paused", {"start", "pause"}},
                                               {"stopped", {"start", "stop"}}}));
  const auto command = GENERATE(
      values<Command>({{"start", {{"created", "running"}}, "created"},
                       {"pause", {{"running", "paused"}}, "running"},
                       {"resume", {{"paused", "running"}}, "paused"},
                       {"stop",
                        {{"created", "stopped"}, {"running", "stopped"}, {"paused", "stopped"}},
                        "created or running or paused"},
                       {"delete", {{"stopped", "gone"}}, "stopped"}}));
  CAPTURE(status.name, command.name);

  REQUIRE(run(create_words(root, "web", directory.path())) == Result{0, "", ""});
  for (const auto& step : status.way) REQUIRE(runtime(step) == Result{0, "", ""});
  const fs::path file = fs::path(root) / "web.json";
  const std::string before = read_text(file);
  const Result result = runtime(command.name);

  const auto change =
      std::find_if(command.changes.begin(), command.changes.end(),
                   [&](const auto& candidate) { return candidate.first == status.name; });
  if (change == command.changes.end()) {
    CHECK(result == Result{1, "",
                           "runtime: cannot " + command.name + " web: it is " + status.name +
                               ", not " + command.expected + "\n"});
    CHECK(read_text(file) == before);
  } else {
    CHECK(result == Result{0, "", ""});
    if (change->second == "gone") {
      CHECK(names(root).empty());
    } else {
      std::string expected = before;
      const auto place = expected.find('"' + status.name + '"');
      REQUIRE(place != std::string::npos);
      expected.replace(place + 1, status.name.size(), change->second);
      if (change->second == "stopped") {
        const std::string pid = R"("pid":42,)";
        REQUIRE(expected.find(pid) != std::string::npos);
        expected.erase(expected.find(pid), pid.size());
      }
      CHECK(read_text(file) == expected);
      CHECK(runtime("state") == Result{0, expected + "\n", ""});
    }
  }
}

TEST_CASE("The runtime keeps members of its own") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const std::string bundle = fs::canonical(directory.path());
  REQUIRE(run(create_words(root, "web", bundle + "/.")) == Result{0, "", ""});
  const fs::path file = directory / "root/web.json";
  const auto document = nlohmann::json::parse(read_text(file));
  const std::string owner = document.at("owner");
  const std::string created = document.at("created");
  CHECK(owner == std::to_string(::geteuid()));
  CHECK(created.size() == std::string("2026-12-31T23:59:59Z").size());
  CHECK(read_text(file) ==
        R"({"ociVersion":"1.2.0","id":"web","status":"created","pid":42,"bundle":")" + bundle +
            R"(","owner":")" + owner + R"(","created":")" + created + "\"}");

  REQUIRE(run(create_words(root, "db", bundle)).status == 0);
  const Result list = run({"runtime", "--root", root, "list"});
  CHECK(list.output.rfind("db created " + owner + ' ', 0) == 0);
  CHECK(list.output.substr(list.output.find('\n') + 1) ==
        "web created " + owner + ' ' + created + '\n');

  // A state that can't be read is reported, and hides no other.
  write_text(directory / "root/db.json", R"({"id":"db","owner":7})");
  const std::string error = "runtime: " + root + "/db.json: /owner: expected a string, found 7\n";
  CHECK(run({"runtime", "--root", root, "list"}) ==
        Result{1, "web created " + owner + ' ' + created + '\n', error});
  CHECK(run({"runtime", "--root", root, "start", "db"}) == Result{1, "", error});
}

TEST_CASE("The runtime saves only valid states") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  REQUIRE(run(create_words(root, "web", directory.path())).status == 0);
  const fs::path file = directory / "root/web.json";
  const std::string state =
      R"({"ociVersion":"","id":"web","status":"created","pid":42,"bundle":"/bundle"})";
  write_text(file, state);
  CHECK(run({"runtime", "--root", root, "start", "web"}) ==
        Result{1, "", "runtime: /ociVersion: expected a version, found \"\"\n"});
  CHECK(read_text(file) == state);
  for (const char* pid : {"0", "-1", "", "x", "42x", " 42", "2147483648"}) {
    CHECK(run({"runtime", "--root", root, "create", "db", directory.path(), pid}) ==
          Result{1, "", std::string("runtime: '") + pid + "' is not a process ID\n"});
  }
  CHECK(names(root) == Names{"web.json"});
}

TEST_CASE("The runtime makes private directories and files, even if the umask is 0") {
  const TemporaryDirectory directory;
  const std::string root = directory / "a/root";
  const Umask umask(0);
  CHECK(run(create_words(root, "web", directory.path())) == Result{0, "", ""});
  CHECK(run({"runtime", "--root", root, "start", "web"}) == Result{0, "", ""});
  CHECK(mode_of(directory / "a") == 0700);
  CHECK(mode_of(root) == 0700);
  CHECK(mode_of(root + "/web.json") == 0600);
}

TEST_CASE("The runtime ignores what killed commands leave behind") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const auto runtime = [&](const Words& words) {
    Words all{"runtime", "--root", root};
    all.insert(all.end(), words.begin(), words.end());
    return run(all);
  };
  REQUIRE(runtime({"create", "web", directory.path(), "42"}) == Result{0, "", ""});
  // Of a save that was killed in its write, and of a create between its two last steps.
  write_text(root + "/.oci-state-1-0", R"({"id":")");
  fs::create_hard_link(root + "/web.json", root + "/.oci-state-2-0");
  const Result list = runtime({"list"});
  CHECK(list.status == 0);
  CHECK(list.output.rfind("web created ", 0) == 0);
  CHECK(list.output.find('\n') == list.output.size() - 1);
  CHECK(list.errors.empty());
  CHECK(runtime({"create", "db", directory.path(), "42"}) == Result{0, "", ""});
  CHECK(runtime({"stop", "web"}) == Result{0, "", ""});
  CHECK(runtime({"delete", "web"}) == Result{0, "", ""});
  CHECK(runtime({"create", "web", directory.path(), "42"}) == Result{0, "", ""});
  CHECK(names(root) == Names{"db.json", "web.json", ".oci-state-1-0", ".oci-state-2-0"});
}

TEST_CASE("A killed delete leaves the whole container or none") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const std::string file = root + "/web.json";
  REQUIRE(run(create_words(root, "web", directory.path())).status == 0);
  REQUIRE(run({"runtime", "--root", root, "stop", "web"}).status == 0);
  const std::string stopped_state = read_text(file);
  for (int microseconds = 0; microseconds < 4000; microseconds += 200) {
    {
      const Process killed({"runtime", "--root", root, "delete", "web"});
      std::this_thread::sleep_for(std::chrono::microseconds{microseconds});
    }
    if (!fs::exists(file)) break;
    CHECK(read_text(file) == stopped_state);
  }
  fs::remove(file);
  CHECK(names(root).empty());
  CHECK(run(create_words(root, "web", directory.path())) == Result{0, "", ""});
}

TEST_CASE("The runtime refuses an ID that leads out of its directory") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  for (const char* id : {"", ".", "..", ".web", "../root", "a/b", "/", "a b", "a\nb", "é", "~"}) {
    CAPTURE(id);
    CHECK(run(create_words(root, id, directory.path())) ==
          Result{1, "",
                 std::string("runtime: '") + id +
                     "' is not an ID: use letters, digits and _ + - . and begin with no dot\n"});
    CHECK(run({"runtime", "--root", root, "delete", id}).status == 1);
  }
  CHECK(names(directory.path()).empty());
  CHECK(run(create_words(root, "a...a_Z+0-9", directory.path())).status == 0);
}

TEST_CASE("The runtime refuses to create a container twice, and IDs that it does not have") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const std::string bundle = directory.path();
  REQUIRE(run(create_words(root, "web", bundle)).status == 0);
  REQUIRE(run({"runtime", "--root", root, "start", "web"}).status == 0);
  const std::string before = read_text(directory / "root/web.json");
  CHECK(run(create_words(root, "web", bundle)) ==
        Result{1, "", "runtime: there is already a container web\n"});
  CHECK(read_text(directory / "root/web.json") == before);

  for (const char* command : {"start", "pause", "resume", "stop", "state", "delete"}) {
    CHECK(run({"runtime", "--root", root, command, "db"}) ==
          Result{1, "", "runtime: there is no container db\n"});
  }
  CHECK(names(root) == Names{"web.json"});
}

TEST_CASE("A failed create leaves nothing behind") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const std::string bundle = directory / "no bundle";
  fs::create_directory(root);
  const Result missing = run(create_words(root, "web", bundle));
  CHECK(missing.status == 1);
  CHECK(missing.errors.find("No such file or directory [" + bundle + "]") != std::string::npos);
#ifdef __linux__  // elsewhere a file system may take no such name
  fs::create_directory(directory / "\xff");
  CHECK(run(create_words(root, "web", directory / "\xff")).status == 1);
#endif
  CHECK(names(root).empty());
}

TEST_CASE("One of several equal commands at the same time succeeds") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const auto successes = [](const Words& words) {
    std::vector<std::unique_ptr<Process>> processes;
    for (int i = 0; i < 20; ++i) processes.push_back(std::make_unique<Process>(words));
    return std::count_if(processes.begin(), processes.end(),
                         [](const auto& process) { return process->wait().status == 0; });
  };
  CHECK(successes(create_words(root, "web", directory.path())) == 1);
  CHECK(successes({"runtime", "--root", root, "start", "web"}) == 1);
  CHECK(successes({"runtime", "--root", root, "stop", "web"}) == 1);
  CHECK(successes({"runtime", "--root", root, "delete", "web"}) == 1);
  CHECK(names(root).empty());
}

TEST_CASE("The runtime waits for an update of the same state") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const std::string file = root + "/web.json";
  REQUIRE(run(create_words(root, "web", directory.path())).status == 0);
  for (const char* command : {"stop", "delete"}) {
    CAPTURE(command);
    const std::string before = read_text(file);
    const int update = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(::flock(update, LOCK_EX) == 0);
    Process process({"runtime", "--root", root, command, "web"});
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
    CHECK(read_text(file) == before);
    ::close(update);
    CHECK(process.wait() == Result{0, "", ""});
  }
  CHECK(names(root).empty());
}

TEST_CASE("Different commands at the same time leave a whole container or none") {
  const TemporaryDirectory directory;
  const std::string root = directory / "root";
  const Words create = create_words(root, "web", directory.path());
  fs::create_directory(root);
  int containers = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::pair<std::string, std::unique_ptr<Process>>> processes;
    for (const char* command : {"delete", "create", "stop", "delete", "create", "delete", "list"}) {
      Words words{"runtime", "--root", root, command};
      if (command != std::string("list")) words.emplace_back("web");
      processes.emplace_back(
          command, std::make_unique<Process>(command == std::string("create") ? create : words));
    }
    for (const auto& [command, process] : processes) {
      const Result result = process->wait();
      CAPTURE(command, result);
      CHECK((result.status == 0 || (result.status == 1 && command != "list")));
      if (result.status == 0 && command == "create") ++containers;
      if (result.status == 0 && command == "delete") --containers;
    }
    const auto left = names(root);
    CHECK(left == (containers == 0 ? Names{} : Names{"web.json"}));
    CHECK((containers == 0 || containers == 1));
    if (containers == 1) {
      CHECK(run({"runtime", "--root", root, "state", "web"}).status == 0);
    }
  }
}

TEST_CASE("The runtime shows its usage") {
  const TemporaryDirectory directory;
  const std::string root = directory.path();
  for (const Words& words : {Words{"runtime"}, Words{"runtime", "list"},
                             Words{"runtime", "--root", root}, Words{"runtime", "-r", root, "list"},
                             Words{"runtime", "--root", root, "create", "web", root},
                             Words{"runtime", "--root", root, "start", "web", "db"},
                             Words{"runtime", "--root", root, "list", "web"},
                             Words{"runtime", "--root", root, "restart", "web"}}) {
    const Result result = run(words);
    CHECK(result.status == 2);
    CHECK(result.errors.rfind("usage: runtime --root DIR COMMAND\n", 0) == 0);
  }
}

// ---- The seccomp agent --------------------------------------------------------------------------

#ifdef __linux__

namespace {

/// The runtime's end of a connection to the agent.
class Peer {
 public:
  /// Connects, once the agent listens.
  explicit Peer(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    connected_ = becomes_true([&] {
      return ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    });
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { ::close(socket_); }

  /// Whether it went well.
  bool send(std::string text, const std::vector<int>& descriptors = {}) const {
    iovec place{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &place;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))]{};
    const std::size_t size = descriptors.size() * sizeof(int);
    if (size > 0) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(size);
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(size);
      std::memcpy(CMSG_DATA(rights), descriptors.data(), size);
    }
    return connected_ &&
           ::sendmsg(socket_, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

 private:
  int socket_;
  bool connected_ = false;
};

/// What the agent says on standard error after the first `size` bytes, once it does.
std::string said(const Process& agent, std::size_t size) {
  std::string errors;
  const bool more = becomes_true([&] {
    errors = agent.errors();
    return errors.size() > size && errors.back() == '\n';
  });
  return more ? errors.substr(size) : "nothing";
}

/// What the agent says once `sender` has sent it something and hung up.
template <class Sender>
std::string refusal(const Process& agent, const std::string& socket, Sender sender) {
  const std::size_t size = agent.errors().size();
  sender(Peer(socket));
  return said(agent, size);
}

std::string document_with(const std::string& fds, pid_t pid = 1) {
  return R"({"ociVersion":"1.2.0","fds":)" + fds + R"(,"pid":)" + std::to_string(pid) +
         R"(,"metadata":"two\nlines","state":)" + stopped("web") + "}";
}

/// Makes `path` as a container would whose profile notifies of mkdirat, and which `peer` tells the
/// agent of. Returns whether that went well.
bool make_directory_as_container(const Peer& peer, const std::string& path) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdirat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  const auto listener = static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
  if (listener == -1) return false;
  // In several parts, and the connection stays open, as runc before 1.4 leaves it.
  const std::string text = document_with(R"(["other","seccompFd"])", ::getpid());
  const bool sent = peer.send(text.substr(0, 1), {STDIN_FILENO, listener}) &&
                    peer.send(text.substr(1, 50)) && peer.send(text.substr(51));
  ::close(listener);  // so that the calls fail if the agent closes its own
  return sent && ::mkdirat(AT_FDCWD, path.c_str(), 0700) == 0 &&
         ::mkdirat(AT_FDCWD, path.c_str(), 0700) == -1 && errno == EEXIST;
}

}  // namespace

TEST_CASE(
    "The seccomp agent logs a container's calls, lets them continue, and ends with the container") {
  const TemporaryDirectory directory;
  const std::string socket = directory / "agent.sock";
  Process agent({"seccomp_agent", socket});
  const pid_t container = ::fork();
  if (container == 0) {
    ::_exit(make_directory_as_container(Peer(socket), directory / "made") ? 0 : 1);
  }
  int status = -1;
  CHECK(::waitpid(container, &status, 0) == container);
  REQUIRE(status == 0);

  CHECK(fs::exists(directory / "made"));
  const std::string line = "process " + std::to_string(container) + ": system call " +
                           std::to_string(SYS_mkdirat) + "\n";
  CHECK(agent.wait() ==
        Result{0, document_with(R"(["other","seccompFd"])", container) + "\n" + line + line, ""});
  CHECK(!fs::exists(socket));
}

TEST_CASE("The seccomp agent refuses all but containers, and goes on") {
  const TemporaryDirectory directory;
  const std::string socket = directory / "agent.sock";
  const Process agent({"seccomp_agent", socket});
  REQUIRE(becomes_true([&] { return fs::exists(socket); }));
  CHECK(fs::status(socket).permissions() == fs::perms::owner_all);
  const std::string files = "/proc/" + std::to_string(agent.id()) + "/fd";
  const auto before = names(files);
  const auto told = [&](const std::string& text, const std::vector<int>& descriptors) {
    return refusal(agent, socket, [&](const Peer& peer) { CHECK(peer.send(text, descriptors)); });
  };
  const std::string refused = "seccomp_agent: refused: ";

  CHECK(told(document_with(R"(["seccompFd"])"), {}) ==
        refused + "fds has 1 names, but 0 descriptors came\n");
  CHECK(told(document_with("[]"), {0}) == refused + "fds has 0 names, but 1 descriptors came\n");
  CHECK(told(document_with(R"(["seccompFd","a"])"), {0, 1, 2}) ==
        refused + "fds has 2 names, but 3 descriptors came\n");
  CHECK(told(document_with(R"(["a","b"])"), {0, 1}) == refused + "fds names no seccompFd\n");
  CHECK(told(R"({"fds":["seccompFd"],"pid":1.5})", {0}) ==
        refused + "/pid: expected an integer from -2147483648 to 2147483647, found 1.5\n");
  CHECK(told(fixture("runc/hook-createRuntime.json"), {0}) ==
        refused + "/state/ociVersion: expected a version, found \"\"\n");
  CHECK(told(R"({"fds":["seccompFd"]})", {0}) ==
        refused + "/ociVersion: expected a version, found \"\"\n");
  CHECK(told(R"({"fds":)", {0}).rfind(refused + "line 1, column 8: ", 0) == 0);
  CHECK(told("{}{}", {0}).rfind(refused + "line 1, column 3: ", 0) == 0);
  CHECK(refusal(agent, socket, [](const Peer&) {}).rfind(refused + "line 1, column 1: ", 0) == 0);
  CHECK(refusal(agent, socket, [](const Peer& peer) {
          while (peer.send(std::string(4096, ' '))) continue;
        }) == refused + "more than 1 MiB of text\n");

  // No room but for the connection and one descriptor, which is closed too.
  REQUIRE(becomes_true([&] { return names(files) == before; }));
  rlim_t room = 0;
  for (int free = 0; free < 2; ++room) free += before.count(std::to_string(room)) == 0 ? 1 : 0;
  rlimit all{};
  ::prlimit(agent.id(), RLIMIT_NOFILE, nullptr, &all);
  const rlimit few{room, all.rlim_max};
  ::prlimit(agent.id(), RLIMIT_NOFILE, &few, nullptr);
  CHECK(told(document_with(R"(["seccompFd","a","b"])"), {0, 1, 2}) ==
        refused + "not all descriptors arrived\n");
  ::prlimit(agent.id(), RLIMIT_NOFILE, &all, nullptr);

  // One that stays silent is not waited for.
  const std::size_t size = agent.errors().size();
  const Peer silent(socket);
  CHECK(said(agent, size) == refused + "cannot receive: Resource temporarily unavailable\n");
  CHECK(becomes_true([&] { return names(files) == before; }));
}

TEST_CASE("The seccomp agent says why it can't listen, or can't answer") {
  const TemporaryDirectory directory;
  const std::string socket = directory / "agent.sock";
  write_text(socket, "");
  CHECK(run({"seccomp_agent", socket}) ==
        Result{1, "", "seccomp_agent: cannot make " + socket + ": Address already in use\n"});
  CHECK(fs::exists(socket));
  const std::string longest(108, 'a');
  CHECK(run({"seccomp_agent", longest}) ==
        Result{1, "", "seccomp_agent: too long a path: " + longest + "\n"});
  CHECK(run({"seccomp_agent"}).status == 2);
}

TEST_CASE("The seccomp agent accepts what runtimes send, and refuses what is no listener") {
  for (const std::string& message :
       {document_with(R"(["seccompFd"])"), fixture("runc/container-process-state.json"),
        fixture("runc/container-process-state-exec.json"),
        fixture("crun/container-process-state.json")}) {
    CAPTURE(message);
    const TemporaryDirectory directory;
    const std::string socket = directory / "agent.sock";
    Process agent({"seccomp_agent", socket});
    CHECK(Peer(socket).send(message, {STDIN_FILENO}));
    const Result result = agent.wait();
    CHECK(result.status == 1);
    CHECK(nlohmann::json::parse(result.output) == nlohmann::json::parse(message));
    CHECK(result.errors.rfind("seccomp_agent: cannot talk to the seccomp listener: ", 0) == 0);
  }
}

#endif
