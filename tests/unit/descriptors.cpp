// load and save of an open descriptor. What a single system call does there is in faults.cpp.

#ifndef _WIN32

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <oci/state.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/container.hpp"
#include "../support/errors.hpp"
#include "../support/files.hpp"

namespace {

/// Two ends of a pipe or of a pair of sockets, closed at the end of its life.
struct Ends {
  int reader = -1;
  int writer = -1;

  Ends() = default;
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;
  ~Ends() {
    close_reader();
    close_writer();
  }
  void close_reader() { ::close(std::exchange(reader, -1)); }
  void close_writer() { ::close(std::exchange(writer, -1)); }
};

struct Pipe : Ends {
  Pipe() {
    int both[2];
    REQUIRE(::pipe(both) == 0);
    reader = both[0];
    writer = both[1];
  }
};

struct SocketPair : Ends {
  explicit SocketPair(int type) {
    int both[2];
    REQUIRE(::socketpair(AF_UNIX, type, 0, both) == 0);
    reader = both[0];
    writer = both[1];
  }
};

std::string name_of(int descriptor) { return "/dev/fd/" + std::to_string(descriptor); }

int load_errno(int descriptor) {
  return errno_of(name_of(descriptor), [&] { static_cast<void>(oci::load(descriptor)); });
}

int save_errno(int descriptor, const std::string& id = "new") {
  return errno_of(name_of(descriptor), [&] { oci::save(state_of(id), descriptor); });
}

bool is_open(int descriptor) { return ::fcntl(descriptor, F_GETFD) != -1; }

/// Writes all of `text`, in pieces, with a pause after each.
bool write_pieces(int descriptor, std::string_view text, std::size_t piece,
                  std::chrono::microseconds pause = {}) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), std::min(piece, text.size()));
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
    std::this_thread::sleep_for(pause);
  }
  return true;
}

/// Reads to the end, in pieces, with a pause after each.
std::string read_pieces(int descriptor, std::size_t piece, std::chrono::microseconds pause = {}) {
  std::string text;
  std::string buffer(piece, '\0');
  for (;;) {
    const ssize_t count = ::read(descriptor, buffer.data(), piece);
    if (count <= 0) return text;
    text.append(buffer, 0, static_cast<std::size_t>(count));
    std::this_thread::sleep_for(pause);
  }
}

/// Lets a signal interrupt this process's system calls each millisecond.
void interrupt_always() {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART
  ::sigaction(SIGALRM, &action, nullptr);
  itimerval each_millisecond{};
  each_millisecond.it_interval.tv_usec = 1000;
  each_millisecond.it_value.tv_usec = 1000;
  ::setitimer(ITIMER_REAL, &each_millisecond, nullptr);
}

void set_non_blocking(int descriptor) {
  const int flags = ::fcntl(descriptor, F_GETFL);
  REQUIRE(::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0);
}

/// The processor time that this process has used.
std::chrono::microseconds processor_time() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         std::chrono::microseconds(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

/// Whether `call` takes next to no processor time beside the time that it waits.
template <class Call>
bool sleeps(Call call) {
  const auto start = std::chrono::steady_clock::now();
  const auto before = processor_time();
  call();
  const auto waited = std::chrono::steady_clock::now() - start;
  return 5 * (processor_time() - before) < waited;
}

const std::string long_id(1U << 20U, 'x');  // more than a pipe or a socket takes at once

}  // namespace

TEST_CASE("load reads a pipe to its end and leaves it open") {
  Pipe pipe;
  REQUIRE(write_pieces(pipe.writer, document("web"), 10));
  pipe.close_writer();
  CHECK(oci::load(pipe.reader).id == "web");
  CHECK(is_open(pipe.reader));
}

TEST_CASE("load waits for what comes later, and reads texts of any size") {
  const bool is_pipe = GENERATE(true, false);
  CAPTURE(is_pipe);
  for (const std::size_t size : {64U, 65536U, 65537U, 131072U, 131073U, 1U << 20U}) {
    CAPTURE(size);
    Pipe pipe;
    SocketPair sockets(SOCK_STREAM);
    Ends& ends = is_pipe ? static_cast<Ends&>(pipe) : sockets;
    const std::string id(size - document("").size(), 'x');
    std::thread writer([&] {
      write_pieces(ends.writer, document(id), size / 3, std::chrono::milliseconds(2));
      ends.close_writer();
    });
    const oci::State state = oci::load(ends.reader);
    writer.join();
    CHECK(state.id == id);
    CHECK(is_open(ends.reader));
  }
}

TEST_CASE("load reads a socket that can still be written to") {
  SocketPair sockets(SOCK_STREAM);
  REQUIRE(write_pieces(sockets.writer, document("web"), 1000));
  REQUIRE(::shutdown(sockets.writer, SHUT_WR) == 0);
  CHECK(oci::load(sockets.reader).id == "web");
  CHECK(write_pieces(sockets.reader, "answer", 6));
  char answer[6];
  CHECK(::read(sockets.writer, answer, sizeof answer) == 6);
}

TEST_CASE("load reads packets of up to 64 KiB") {
  for (const auto& sizes : {std::vector<std::size_t>{100},
                            {65536},
                            {1, 65536},
                            {65535, 65536, 1},
                            {65536, 65536, 65536},
                            {30000, 65536, 50, 65536, 65536}}) {
    std::size_t size = 0;
    for (const std::size_t packet : sizes) size += packet;
    CAPTURE(sizes.size(), size);
    const std::string id(size - document("").size(), 'x');
    SocketPair sockets(SOCK_SEQPACKET);
    std::thread writer([&] {
      std::string text = document(id);
      for (const std::size_t packet : sizes) {
        write_pieces(sockets.writer, text.substr(0, packet), packet);
        text.erase(0, packet);
      }
      ::shutdown(sockets.writer, SHUT_WR);
    });
    std::string loaded;
    try {
      loaded = oci::load(sockets.reader).id;
    } catch (const std::exception& error) {
      loaded = error.what();
    }
    writer.join();
    CHECK(loaded == id);
    CHECK(is_open(sockets.reader));
  }
}

TEST_CASE("load reads a file from its current place to its end") {
  const TemporaryDirectory directory;
  write_text(directory / "log", "a line\n" + document("web"));
  const int file = ::open((directory / "log").c_str(), O_RDONLY);
  REQUIRE(::lseek(file, 7, SEEK_SET) == 7);
  CHECK(oci::load(file).id == "web");
  CHECK(::lseek(file, 0, SEEK_CUR) == static_cast<off_t>(7 + document("web").size()));
  const oci::Error error = error_of([&] { static_cast<void>(oci::load(file)); });
  CHECK(error.file() == name_of(file));
  CHECK(error.message() == "line 1, column 1: expected JSON text, found nothing");
  REQUIRE(::lseek(file, 0, SEEK_SET) == 0);
  CHECK(error_of([&] { static_cast<void>(oci::load(file)); }).file() == name_of(file));
  ::close(file);
}

TEST_CASE("load of a descriptor reads the type that it is asked for") {
  const auto load_text = [](const std::string& text, auto load) {
    Pipe pipe;
    REQUIRE(write_pieces(pipe.writer, text, text.size()));
    pipe.close_writer();
    return load(pipe.reader);
  };
  CHECK(load_text(R"({"state": {"id": "web"}})", [](int pipe) {
          return oci::load<oci::ContainerProcessState>(pipe).state.id;
        }) == "web");
  CHECK(load_text(R"({"owner": "ann"})",
                  [](int pipe) { return oci::load<runtime::Container>(pipe).owner; }) == "ann");
  CHECK(load_text(R"({"any": "thing"})",
                  [](int pipe) { return oci::load<nlohmann::json>(pipe)["any"]; }) == "thing");
}

TEST_CASE("load names the descriptor where the content is wrong") {
  Pipe pipe;
  REQUIRE(write_pieces(pipe.writer, R"({"id":7})", 100));
  pipe.close_writer();
  check_error(error_of([&] { static_cast<void>(oci::load(pipe.reader)); }), "/id",
              "expected a string, found 7", name_of(pipe.reader));
  CHECK(is_open(pipe.reader));
}

TEST_CASE("load survives signals") {
  const bool blocks = GENERATE(true, false);
  CAPTURE(blocks);
  CHECK(in_child([&] {
          Pipe pipe;
          if (!blocks) set_non_blocking(pipe.reader);
          if (::fork() == 0) {
            write_pieces(pipe.writer, document(long_id), 20000, std::chrono::milliseconds(3));
            ::_exit(0);
          }
          pipe.close_writer();
          interrupt_always();
          return oci::load(pipe.reader).id == long_id ? 0 : 1;
        }) == 0);
}

TEST_CASE("load waits for what comes later through a descriptor that doesn't block") {
  const bool is_pipe = GENERATE(true, false);
  CAPTURE(is_pipe);
  for (const std::size_t size : {64U, 65536U, 65537U, 131073U, 1U << 20U}) {
    CAPTURE(size);
    Pipe pipe;
    SocketPair sockets(SOCK_STREAM);
    Ends& ends = is_pipe ? static_cast<Ends&>(pipe) : sockets;
    set_non_blocking(ends.reader);
    const std::string id(size - document("").size(), 'x');
    std::thread writer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      write_pieces(ends.writer, document(id), size / 3, std::chrono::milliseconds(2));
      ends.close_writer();
    });
    std::string loaded;
    const int error = errno_of(name_of(ends.reader), [&] { loaded = oci::load(ends.reader).id; });
    writer.join();
    CHECK(error == 0);
    CHECK(loaded == id);
    CHECK(is_open(ends.reader));
    CHECK((::fcntl(ends.reader, F_GETFL) & O_NONBLOCK) != 0);
  }
}

TEST_CASE("save waits for room in a descriptor that doesn't block, and writes all") {
  const int type = GENERATE(0, SOCK_STREAM, SOCK_SEQPACKET);
  CAPTURE(type);
  Pipe pipe;
  SocketPair sockets(type == 0 ? SOCK_STREAM : type);
  Ends& ends = type == 0 ? static_cast<Ends&>(pipe) : sockets;
  set_non_blocking(ends.writer);
  // Packets are sent whole: this many fill the socket.
  const int count = type == SOCK_SEQPACKET ? 500 : 1;
  const std::string id = type == SOCK_SEQPACKET ? std::string(10000, 'x') : long_id;
  std::string text;
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    text = read_pieces(ends.reader, 50000);
  });
  int failures = 0;
  for (int i = 0; i < count; ++i) failures += save_errno(ends.writer, id) == 0 ? 0 : 1;
  CHECK(failures == 0);
  CHECK(is_open(ends.writer));
  ends.close_writer();
  reader.join();
  std::string expected;
  for (int i = 0; i < count; ++i) expected += document(id);
  CHECK(text == expected);
}

TEST_CASE("load and save wait without using the processor") {
  Pipe pipe;
  set_non_blocking(pipe.reader);
  set_non_blocking(pipe.writer);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    write_pieces(pipe.writer, document("web"), 30, std::chrono::milliseconds(50));
    pipe.close_writer();
  });
  CHECK(sleeps([&] { CHECK(load_errno(pipe.reader) == 0); }));
  writer.join();

  Pipe full;
  set_non_blocking(full.writer);
  const std::string filler(65536, 'x');
  while (::write(full.writer, filler.data(), filler.size()) > 0) continue;
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    read_pieces(full.reader, 65536);
  });
  CHECK(sleeps([&] { CHECK(save_errno(full.writer) == 0); }));
  full.close_writer();
  reader.join();
}

TEST_CASE("load of a blocking socket whose time is out is an error, and so is save") {
  SocketPair sockets(SOCK_STREAM);
  timeval shortly{};
  shortly.tv_usec = 20000;
  REQUIRE(::setsockopt(sockets.reader, SOL_SOCKET, SO_RCVTIMEO, &shortly, sizeof shortly) == 0);
  REQUIRE(::setsockopt(sockets.writer, SOL_SOCKET, SO_SNDTIMEO, &shortly, sizeof shortly) == 0);
  CHECK(load_errno(sockets.reader) == EAGAIN);
  CHECK(save_errno(sockets.writer, long_id) == EAGAIN);
}

TEST_CASE("load of a descriptor that is none, or can't be read") {
  Pipe pipe;
  CHECK(load_errno(pipe.writer) == EBADF);
  const int closed = std::exchange(pipe.reader, -1);
  ::close(closed);
  CHECK(load_errno(closed) == EBADF);
  CHECK(load_errno(-1) == EBADF);

  const TemporaryDirectory directory;
  const int file = ::open(directory.path().c_str(), O_RDONLY);
  CHECK(load_errno(file) == EISDIR);
  CHECK(is_open(file));
  ::close(file);
}

TEST_CASE("load and save of 0 and 1 mean the descriptors") {
  Pipe in;
  Pipe out;
  REQUIRE(write_pieces(in.writer, document("web"), 100));
  in.close_writer();
  CHECK(in_child([&] {
          ::dup2(in.reader, 0);
          ::dup2(out.writer, 1);
          return errno_of("none", [] { oci::save(oci::load(STDIN_FILENO), STDOUT_FILENO); });
        }) == 0);
  out.close_writer();
  CHECK(read_pieces(out.reader, 100) == document("web"));
}

TEST_CASE("save writes to a pipe, and leaves it open") {
  Pipe pipe;
  CHECK(save_errno(pipe.writer) == 0);
  CHECK(save_errno(pipe.writer, "again") == 0);
  CHECK(is_open(pipe.writer));
  pipe.close_writer();
  CHECK(read_pieces(pipe.reader, 1000) == document("new") + document("again"));
}

TEST_CASE("save writes all of a long text to a pipe and to a socket") {
  const bool is_pipe = GENERATE(true, false);
  CAPTURE(is_pipe);
  Pipe pipe;
  SocketPair sockets(SOCK_STREAM);
  Ends& ends = is_pipe ? static_cast<Ends&>(pipe) : sockets;
  std::string text;
  std::thread reader([&] { text = read_pieces(ends.reader, 50000); });
  CHECK(save_errno(ends.writer, long_id) == 0);
  CHECK(is_open(ends.writer));
  ends.close_writer();
  reader.join();
  CHECK(text == document(long_id));
}

TEST_CASE("save writes one packet") {
  SocketPair sockets(SOCK_SEQPACKET);
  CHECK(save_errno(sockets.writer) == 0);
  std::string text(1000, '\0');
  text.resize(static_cast<std::size_t>(::read(sockets.reader, text.data(), text.size())));
  CHECK(text == document("new"));
}

TEST_CASE("save writes to a file at its current place, and over what follows") {
  const TemporaryDirectory directory;
  const std::string after(2 * document("new").size(), 'x');
  write_text(directory / "log", "a line\n" + after);
  const int file = ::open((directory / "log").c_str(), O_WRONLY);
  REQUIRE(::lseek(file, 7, SEEK_SET) == 7);
  CHECK(save_errno(file) == 0);
  CHECK(::write(file, "\n", 1) == 1);
  CHECK(read_text(directory / "log") ==
        "a line\n" + document("new") + "\n" + after.substr(document("new").size() + 1));
  CHECK(names(directory.path()) == Names{"log"});
  ::close(file);
}

TEST_CASE("save writes to a terminal") {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master == -1 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) {
    std::cout << "SKIPPED: save to a terminal: there are no pseudoterminals\n";
    return;
  }
  const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  REQUIRE(::isatty(terminal) == 1);
  CHECK(save_errno(terminal) == 0);
  std::string text(1000, '\0');
  text.resize(static_cast<std::size_t>(::read(master, text.data(), text.size())));
  CHECK(text == document("new"));
  ::close(terminal);
  ::close(master);
}

TEST_CASE("save of a descriptor writes types of every kind") {
  Pipe pipe;
  runtime::Container container;
  container.owner = "ann";
  oci::save(container, pipe.writer);
  oci::save(oci::ContainerProcessState{}, pipe.writer);
  oci::save(nlohmann::json{{"any", "thing"}}, pipe.writer);
  pipe.close_writer();
  CHECK(read_pieces(pipe.reader, 1000) ==
        oci::dump(container) + oci::dump(oci::ContainerProcessState{}) + R"({"any":"thing"})");
}

TEST_CASE("save of what can't be encoded writes nothing, and names the descriptor") {
  Pipe pipe;
  check_error(error_of([&] { oci::save(state_of("\xFF"), pipe.writer); }), "/id",
              "expected UTF-8, found \"\\ufffd\"", name_of(pipe.writer));
  CHECK(is_open(pipe.writer));
  pipe.close_writer();
  CHECK(read_pieces(pipe.reader, 1000).empty());
}

TEST_CASE("save survives signals") {
  const bool is_pipe = GENERATE(true, false);
  const bool blocks = GENERATE(true, false);
  CAPTURE(is_pipe, blocks);
  CHECK(in_child([&] {
          Pipe pipe;
          SocketPair sockets(SOCK_STREAM);
          Ends& ends = is_pipe ? static_cast<Ends&>(pipe) : sockets;
          if (!blocks) set_non_blocking(ends.writer);
          if (::fork() == 0) {
            interrupt_always();
            ::_exit(save_errno(ends.writer, long_id));
          }
          ends.close_writer();
          const auto text = read_pieces(ends.reader, 20000, std::chrono::milliseconds(3));
          int status = -1;
          ::wait(&status);
          return status == 0 && text == document(long_id) ? 0 : 1;
        }) == 0);
}

TEST_CASE("save that fails in the middle leaves a part") {
  SocketPair sockets(SOCK_STREAM);
  timeval shortly{};
  shortly.tv_usec = 20000;
  REQUIRE(::setsockopt(sockets.writer, SOL_SOCKET, SO_SNDTIMEO, &shortly, sizeof shortly) == 0);
  CHECK(save_errno(sockets.writer, long_id) == EAGAIN);
  CHECK(is_open(sockets.writer));
  sockets.close_writer();
  const std::string part = read_pieces(sockets.reader, 1000);
  CHECK(!part.empty());
  CHECK(document(long_id).find(part) == 0);
}

TEST_CASE("save that waits for room, and the reader goes") {
  const bool is_pipe = GENERATE(true, false);
  CAPTURE(is_pipe);
  Pipe pipe;
  SocketPair sockets(SOCK_STREAM);
  Ends& ends = is_pipe ? static_cast<Ends&>(pipe) : sockets;
  set_non_blocking(ends.writer);
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ends.close_reader();
  });
  const auto handler = std::signal(SIGPIPE, SIG_IGN);
  const int error = save_errno(ends.writer, long_id);
  CHECK((error == EPIPE || (!is_pipe && error == ECONNRESET)));
  reader.join();
  std::signal(SIGPIPE, handler);
}

TEST_CASE("save to a descriptor whose reader is gone") {
  const bool is_pipe = GENERATE(true, false);
  CAPTURE(is_pipe);
  Pipe pipe;
  SocketPair sockets(SOCK_STREAM);
  Ends& ends = is_pipe ? static_cast<Ends&>(pipe) : sockets;
  ends.close_reader();
  for (const bool ignored : {false, true}) {
    CAPTURE(ignored);
    CHECK(in_child([&] {
            std::signal(SIGPIPE, ignored ? SIG_IGN : SIG_DFL);
            return save_errno(ends.writer);
          }) == (ignored ? EPIPE : -SIGPIPE));
  }
}

TEST_CASE("save to a descriptor that is none, can't be written, or has a full device") {
  Pipe pipe;
  CHECK(save_errno(pipe.reader) == EBADF);
  const int closed = std::exchange(pipe.writer, -1);
  ::close(closed);
  CHECK(save_errno(closed) == EBADF);
  CHECK(save_errno(-1) == EBADF);
  if (const int full = ::open("/dev/full", O_WRONLY); full != -1) {
    CHECK(save_errno(full) == ENOSPC);
    ::close(full);
  } else {
    std::cout << "SKIPPED: save to a full device: there is no /dev/full\n";
  }
}

#endif
