// A seccomp agent, for Linux. It listens on the UNIX socket that its argument names, until a
// runtime sends it the seccomp listener of a container. It then logs each system call for which the
// container's profile has SCMP_ACT_NOTIFY and lets it continue, until the container has ended.
//
//   "seccomp": {"listenerPath": "/run/agent.sock", "listenerMetadata": "for the agent", ...}

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <oci/state.hpp>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

// An open file, closed at the end of its life.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ != -1) close(number_);
  }
  operator int() const { return number_; }

 private:
  int number_;
};

template <class Number>
Number checked(const std::string& what, Number result) {
  if (result == -1) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

Descriptor listen_on(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long a path: " + path);
  path.copy(address.sun_path, path.size());
  Descriptor server(
      checked("cannot make a socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  umask(0077);  // only this user may connect
  checked("cannot make " + path,
          bind(server, static_cast<const sockaddr*>(static_cast<const void*>(&address)),
               sizeof address));
  checked("cannot listen", listen(server, 8));
  return server;
}

struct Message {
  std::vector<Descriptor> descriptors;
  std::string text;
};

// Receives one message. It may come in parts, and all descriptors come with the first. It ends
// where the JSON text or the stream ends: runc before 1.4 does not close the connection while it
// runs.
Message receive(int connection) {
  constexpr timeval patience{2, 0};
  checked("cannot set the time-out",
          setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
  char text[4096];
  iovec place{text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];  // 253 is the limit of Linux
  msghdr first{};
  first.msg_iov = &place;
  first.msg_iovlen = 1;
  first.msg_control = control;
  first.msg_controllen = sizeof control;
  auto size = checked("cannot receive", recvmsg(connection, &first, MSG_CMSG_CLOEXEC));

  Message message;
  for (cmsghdr* item = CMSG_FIRSTHDR(&first); item != nullptr; item = CMSG_NXTHDR(&first, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> numbers((item->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(numbers.data(), CMSG_DATA(item), numbers.size() * sizeof(int));
    for (const int number : numbers) message.descriptors.emplace_back(number);
  }
  if ((first.msg_flags & MSG_CTRUNC) != 0) throw std::runtime_error("not all descriptors arrived");
  while (size > 0) {
    message.text.append(text, static_cast<std::size_t>(size));
    if (message.text.size() > 1 << 20) throw std::runtime_error("more than 1 MiB of text");
    const auto last = message.text.find_last_not_of(" \t\r\n");
    if (last != std::string::npos && message.text[last] == '}' &&
        nlohmann::json::accept(message.text)) {
      break;
    }
    size = checked("cannot receive", read(connection, text, sizeof text));
  }
  return message;
}

struct Container {
  oci::ContainerProcessState process;
  Descriptor listener;
};

Container receive_container(int connection) {
  Message message = receive(connection);
  auto process = oci::parse<oci::ContainerProcessState>(message.text);
  oci::validate(process);
  if (process.fds.size() != message.descriptors.size()) {
    throw std::runtime_error("fds has " + std::to_string(process.fds.size()) + " names, but " +
                             std::to_string(message.descriptors.size()) + " descriptors came");
  }
  const auto name = std::find(process.fds.begin(), process.fds.end(), oci::seccomp_fd_name);
  if (name == process.fds.end()) throw std::runtime_error("fds names no seccompFd");
  const auto index = static_cast<std::size_t>(name - process.fds.begin());
  return {std::move(process), std::move(message.descriptors[index])};
}

// Waits for a runtime to send a container. Reports whatever else arrives, and closes it.
Container wait_for_container(const std::string& path) {
  const Descriptor server = listen_on(path);
  for (;;) {
    const Descriptor connection(
        checked("cannot accept", accept4(server, nullptr, nullptr, SOCK_CLOEXEC)));
    try {
      Container container = receive_container(connection);
      unlink(path.c_str());
      return container;
    } catch (const std::exception& error) {
      std::cerr << "seccomp_agent: refused: " << error.what() << std::endl;
    }
  }
}

// Logs every call and lets it continue. This protects nothing: seccomp_unotify(2) says why.
void answer_calls(int listener) {
  // The kernel's structs may be longer than those of the headers at compile time.
  seccomp_notif_sizes sizes{};
  checked("cannot use seccomp", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
  std::vector<char> call_space(std::max<std::size_t>(sizes.seccomp_notif, sizeof(seccomp_notif)));
  std::vector<char> reply_space(
      std::max<std::size_t>(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp)));
  auto* const call = static_cast<seccomp_notif*>(static_cast<void*>(call_space.data()));
  auto* const reply = static_cast<seccomp_notif_resp*>(static_cast<void*>(reply_space.data()));

  const auto control = [&](auto request, void* data) {
    const bool done = ioctl(listener, request, data) == 0;
    if (!done && errno != ENOENT) checked("cannot talk to the seccomp listener", -1);
    return done;  // false: the process that made the call has ended
  };
  for (;;) {
    pollfd event{listener, POLLIN, 0};
    checked("cannot wait for calls", poll(&event, 1, -1));
    if ((event.revents & POLLIN) == 0) return;  // POLLHUP: all processes in the container ended
    std::fill(call_space.begin(), call_space.end(), '\0');
    if (!control(SECCOMP_IOCTL_NOTIF_RECV, call)) continue;
    std::cout << "process " << call->pid << ": system call " << call->data.nr << std::endl;
    std::fill(reply_space.begin(), reply_space.end(), '\0');
    reply->id = call->id;
    reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    control(SECCOMP_IOCTL_NOTIF_SEND, reply);
  }
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: seccomp_agent SOCKET\n";
    return 2;
  }
  try {
    const Container container = wait_for_container(argv[1]);
    std::cout << container.process << std::endl;
    answer_calls(container.listener);
  } catch (const std::exception& error) {
    std::cerr << "seccomp_agent: " << error.what() << '\n';
    return 1;
  }
}
