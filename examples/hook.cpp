// A hook: reads the state of a container on standard input, as a runtime gives it, and appends a
// line to the log that its argument names: time, id, status, pid, bundle.
//
//   "hooks": {"createRuntime": [{"path": "/usr/bin/hook", "args": ["hook", "/run/hook.log"]}]}
//
// On an error, and for a document that is no container's state, it says why and exits with 1, so
// that the runtime stops the container.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>
#include <oci/state.hpp>
#include <string>
#include <system_error>

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[sizeof "2026-12-31T23:59:59Z"];
  return {text, std::strftime(text, sizeof text, "%FT%TZ", &utc)};
}

// As a JSON string in ASCII: nothing that a name holds can break a line of the log.
std::string quoted(const std::string& text) { return nlohmann::json(text).dump(-1, ' ', true); }

// One write() to a file opened to append: the lines of hooks that run at the same time don't mix.
void append(const std::string& path, const std::string& line) {
  const auto refuse = [&](int reason) {
    throw std::system_error(reason, std::generic_category(), "cannot write to " + path);
  };
  const int log = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log == -1) refuse(errno);
  const ssize_t count = write(log, line.data(), line.size());
  if (count == -1) refuse(errno);
  if (count != static_cast<ssize_t>(line.size())) refuse(ENOSPC);  // there was room for a part
}

int main(int argc, char** argv) {
  if (argc != 2) {
    static_cast<void>(std::fputs("usage: hook LOG <STATE\n", stderr));
    return 2;
  }
  try {
    const oci::State state = oci::load(STDIN_FILENO);
    oci::validate(state);
    const std::string pid = state.pid ? std::to_string(*state.pid) : "-";
    append(argv[1], now() + ' ' + quoted(state.id) + ' ' + quoted(oci::status_name(state)) + ' ' +
                        pid + ' ' + quoted(state.bundle) + '\n');
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "hook: %s\n", error.what()));
    return 1;
  }
}
