// Cuts the power under a file system while processes save a state, and looks at what is left.
//
// Usage: power_cut DIRECTORY TYPE OPTIONS WRITER SAVERS POINTS SEED holds|fails
//   DIRECTORY      holds `disk`, the image of a fresh file system of TYPE; mounted with OPTIONS
//   WRITER         save and update of the header, or an unsafe one: see write_unsafely()
//   SAVERS         how many processes save at the same time
//   POINTS         how many crash points to check
//   holds, fails   what is expected of the writer
//
// First a server of a file over FUSE records what a loop device with the file system on it writes,
// and its barriers (a flush of the disk's cache). Then each crash point is a place in that record:
// the disk holds all that the barriers before the place cover, and of the later writes nothing, all
// or a random part, some of them torn at a sector. That disk is mounted, and a fresh process looks.
//
// run.sh starts it in a mount and a PID namespace of its own, so that nothing outlives it. Prints
// the cells of a table. Exits with 0 where the expectation holds, 1 where not, 2 for any trouble.

#define FUSE_USE_VERSION 34

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <oci/state.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t sector = 512;
constexpr std::size_t page = 4096;
constexpr uid_t owner = 12345;
constexpr gid_t group = 23456;
constexpr mode_t mode = S_IFREG | 0640;

/// What happened, in order.
struct Event {
  enum { write, barrier, begun, returned } kind;
  std::size_t number;   // of a write the offset on the disk, of a mark the state's number
  std::size_t size;     // of a write
  std::size_t data;     // of a write: where its bytes are in Record::data
  std::size_t replied;  // of a write: how many events there were when it was replied to
  std::size_t covered;  // of a write: the first barrier that covers it
};

/// In memory that all processes share. Pages that nobody touches take none.
struct Record {
  std::atomic<std::size_t> count;  // of the events
  std::size_t used;                // of `data`
  Event events[1U << 20];
  char data[std::size_t{1} << 31];

  std::size_t add(Event event) {
    const std::size_t index = count++;
    if (index >= std::size(events)) std::abort();
    events[index] = event;
    return index;
  }
};
Record* record = nullptr;

/// The result of a system call, or an exception that says which.
template <class Result>
Result checked(const std::string& call, Result result) {
  if (result == Result(-1)) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

char* map(int file, std::size_t size, int flags) {
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, file, 0);
  return static_cast<char*>(checked("mmap", memory));
}

/// Calls `call` in a process of its own, whose exit status it returns.
template <class Call>
pid_t start(Call call) {
  const pid_t child = checked("fork", ::fork());
  if (child != 0) return child;
  try {
    call();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    ::_exit(2);
  }
  ::_exit(0);
}

int wait_for(pid_t child) {
  int status = 0;
  checked("waitpid", ::waitpid(child, &status, 0));
  return status;
}

// The disk: a file over FUSE.

struct Disk {
  char* bytes;
  std::size_t size;
  std::vector<std::pair<fuse_req_t, std::size_t>> in_flight;  // writes not yet replied to
};

Disk& disk_of(fuse_req_t request) { return *static_cast<Disk*>(::fuse_req_userdata(request)); }

void get_attributes(fuse_req_t request, fuse_ino_t, fuse_file_info*) {
  struct stat status {};
  status.st_ino = FUSE_ROOT_ID;
  status.st_mode = S_IFREG | 0600;
  status.st_nlink = 1;
  status.st_size = static_cast<off_t>(disk_of(request).size);
  ::fuse_reply_attr(request, &status, 1000);
}

void open_disk(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  info->direct_io = 1;
  ::fuse_reply_open(request, info);
}

void read_disk(fuse_req_t request, fuse_ino_t, std::size_t size, off_t at, fuse_file_info*) {
  ::fuse_reply_buf(request, disk_of(request).bytes + at, size);
}

void write_disk(fuse_req_t request, fuse_ino_t, const char* bytes, std::size_t size, off_t at,
                fuse_file_info*) {
  Disk& disk = disk_of(request);
  if (record->used + size > sizeof record->data) std::abort();
  std::memcpy(disk.bytes + at, bytes, size);
  std::memcpy(record->data + record->used, bytes, size);
  const Event event{Event::write, static_cast<std::size_t>(at), size, record->used, SIZE_MAX, 0};
  record->used += size;
  disk.in_flight.emplace_back(request, record->add(event));
}

/// Covers the writes that were replied to. Those in flight stay so.
void sync_disk(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  record->add({Event::barrier, 0, 0, 0, 0, 0});
  ::fuse_reply_err(request, 0);
}

fuse_session* mount_disk(Disk& disk, const std::string& at) {
  fuse_lowlevel_ops operations{};
  operations.getattr = get_attributes;
  operations.open = open_disk;
  operations.read = read_disk;
  operations.write = write_disk;
  operations.fsync = sync_disk;
  char name[] = "power_cut";
  char* arguments[] = {name, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, arguments);
  fuse_session* const session = ::fuse_session_new(&args, &operations, sizeof operations, &disk);
  if (session == nullptr || ::fuse_session_mount(session, at.c_str()) != 0) {
    throw std::runtime_error("cannot mount a file over FUSE");
  }
  return session;
}

/// Replies to writes only when no other request is there, in any order.
void serve(fuse_session* session, Disk& disk, unsigned seed) {
  std::minstd_rand random(seed);
  fuse_buf buffer{};
  while (::fuse_session_exited(session) == 0) {
    pollfd input{::fuse_session_fd(session), POLLIN, 0};
    if (::poll(&input, 1, disk.in_flight.empty() ? -1 : 0) == 0) {
      std::shuffle(disk.in_flight.begin(), disk.in_flight.end(), random);
      for (const auto& [request, index] : disk.in_flight) {
        record->events[index].replied = record->count;
        ::fuse_reply_write(request, record->events[index].size);
      }
      disk.in_flight.clear();
      continue;
    }
    const int size = ::fuse_session_receive_buf(session, &buffer);
    if (size <= 0 && size != -EINTR) return;
    if (size > 0) ::fuse_session_process_buf(session, &buffer);
  }
}

/// A loop device over `file`, which goes when it is neither open nor mounted any more.
struct Loop {
  std::string name;
  int descriptor;
};

Loop attach(int file, std::uint32_t flags) {
  for (;;) {
    const int control = checked("/dev/loop-control", ::open("/dev/loop-control", O_RDWR));
    const int number = checked("LOOP_CTL_GET_FREE", ::ioctl(control, LOOP_CTL_GET_FREE));
    ::close(control);
    const std::string name = "/dev/loop" + std::to_string(number);
    const int writable = checked(name, ::open(name.c_str(), O_RDWR | O_CLOEXEC));
    loop_config config{};
    config.fd = static_cast<std::uint32_t>(file);
    config.block_size = sector;
    config.info.lo_flags = flags | LO_FLAGS_AUTOCLEAR;
    const bool attached = ::ioctl(writable, LOOP_CONFIGURE, &config) == 0;
    if (!attached && errno != EBUSY) checked("LOOP_CONFIGURE", -1);
    // Some kernels mount nothing that is open for writing.
    const int descriptor = checked(name, ::open(name.c_str(), O_RDONLY | O_CLOEXEC));
    ::close(writable);
    if (attached) return {name, descriptor};
    ::close(descriptor);
  }
}

void expect_line(const std::string& file, const std::string& expected) {
  std::string line;
  std::getline(std::ifstream(file), line);
  if (line != expected) throw std::runtime_error(file + " says \"" + line + "\"");
}

// The workload.

/// The state that its number determines; `updates` counts those that led to it.
oci::State state_of(std::size_t number, int updates) {
  oci::State state;
  state.id = std::to_string(number);
  state.pid = updates;
  state.annotations = oci::Annotations{
      {"text", std::string(number * 7919 % 12000, static_cast<char>('a' + number % 26))}};
  return state;
}

/// The name that the header gives to the first temporary of this process.
std::string first_temporary(pid_t process) {
  return ".oci-state-" + std::to_string(process) + "-0";
}

/// Unsafe ways to write state.json. What they lack, they are named after.
void write_unsafely(const std::string& writer, const std::string& text) {
  const bool truncates = writer == "truncate";
  const std::string name =
      truncates ? "state.json" : ".oci-state-unsafe-" + std::to_string(::getpid());
  const int file =
      checked("open", truncates ? ::open(name.c_str(), O_WRONLY | O_TRUNC)
                                : ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600));
  checked("fchown", ::fchown(file, owner, group));
  checked("fchmod", ::fchmod(file, mode & 0777));
  if (checked("write", ::write(file, text.data(), text.size())) != ssize_t(text.size())) {
    throw std::runtime_error("a short write");
  }
  if (writer == "no directory sync") checked("fsync", ::fsync(file));
  checked("close", ::close(file));
  if (!truncates) checked("rename", ::rename(name.c_str(), "state.json"));
  if (writer == "no file sync") {
    const int directory = checked("open", ::open(".", O_RDONLY | O_DIRECTORY));
    checked("fsync", ::fsync(directory));
  }
}

void write_state(const std::string& writer, std::size_t number) {
  if (writer == "save") {
    oci::save(state_of(number, 0), "state.json");
  } else if (writer == "update") {
    oci::update("state.json", [&](oci::State& state) { state = state_of(number, *state.pid + 1); });
  } else {
    write_unsafely(writer, oci::dump(state_of(number, 0)));
  }
}

/// What a crash point may show, in the order of the table's columns: torn, or out of date; the next
/// save or update fails; the owner, group or mode is another; a temporary is there; no mount.
enum Finding { torn, lost, hindered, not_kept, left_over, unmountable, findings };
using Counts = std::array<std::size_t, findings>;

std::size_t temporaries() {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(".")) {
    const auto name = entry.path().filename().native();
    if (name.rfind(".oci-state-", 0) == 0) {
      ++count;
    } else if (name != "state.json") {
      throw std::runtime_error("what is " + name + "?");
    }
  }
  return count;
}

bool is_kept() {
  struct stat status {};
  return ::lstat("state.json", &status) == 0 && status.st_uid == owner && status.st_gid == group &&
         status.st_mode == mode;
}

/// Whether the state that was found is out of date at the place: a save that began after its own
/// had returned has returned, too; or an update is missing, or one too many is there.
bool is_lost(const oci::State& found, std::size_t place, const std::string& writer) {
  std::size_t begun = 0;
  std::size_t returned = 0;
  std::vector<std::size_t> later;  // begun since the found one returned
  bool has_begun = found.id == "0";
  bool has_returned = has_begun;
  bool is_replaced = false;
  for (std::size_t i = 0; i < place; ++i) {
    const Event& event = record->events[i];
    const bool own = std::to_string(event.number) == found.id;
    if (event.kind == Event::begun) {
      ++begun;
      has_begun = has_begun || own;
      if (has_returned) later.push_back(event.number);
    } else if (event.kind == Event::returned) {
      ++returned;
      has_returned = has_returned || own;
      is_replaced =
          is_replaced || std::find(later.begin(), later.end(), event.number) != later.end();
    }
  }
  const auto updates = static_cast<std::size_t>(*found.pid);
  return !has_begun || is_replaced ||
         (writer == "update" && (updates < returned || updates > begun));
}

/// Looks at the directory, and saves and updates there. Returns bits that Findings number.
unsigned look(std::size_t place, const std::string& writer) {
  unsigned found = 0;
  const auto note = [&](Finding finding) { found |= 1U << finding; };
  if (!is_kept()) note(not_kept);
  const std::size_t left = temporaries();
  if (left > 0) note(left_over);
  try {
    const oci::State state = oci::load("state.json");
    if (state != state_of(std::stoul(state.id), *state.pid)) throw std::runtime_error("mixed");
    if (is_lost(state, place, writer)) note(lost);
  } catch (const fs::filesystem_error&) {
    note(lost);
  } catch (const std::exception&) {
    note(torn);
  }
  const bool whole = found == 0 || found == 1U << left_over;

  // A temporary has the name that is tried first.
  std::ofstream(first_temporary(::getpid())) << "left over";
  const auto updates = [] {
    const auto change = [](oci::State& state) { state.id += "+"; };
    oci::State expected = oci::load("state.json");
    change(expected);
    return oci::update("state.json", change) == expected && oci::load("state.json") == expected;
  };
  const auto saves = [] {
    oci::save(state_of(7, 7), "state.json");
    return oci::load("state.json") == state_of(7, 7);
  };
  try {
    const bool well = (place % 2 == 0 || !whole || updates()) && saves() && updates() &&
                      (!whole || is_kept()) && temporaries() == left + 1 &&
                      fs::file_size(first_temporary(::getpid())) == 9;
    if (!well) note(hindered);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "power_cut: place %zu: %s\n", place, error.what());
    note(hindered);
  }
  return found;
}

/// How many saves returned although no barrier had come since they began.
std::size_t saves_without_barrier() {
  std::size_t count = 0;
  std::map<std::size_t, bool> synced;  // of the saves that run
  for (std::size_t index = 0; index < record->count; ++index) {
    const Event& event = record->events[index];
    if (event.kind == Event::begun) synced[event.number] = false;
    if (event.kind == Event::barrier) {
      for (auto& save : synced) save.second = true;
    }
    if (event.kind == Event::returned) {
      if (!synced[event.number]) ++count;
      synced.erase(event.number);
    }
  }
  return count;
}

struct Trial {
  std::string directory, type, options, writer;
  std::size_t savers, points;
  unsigned seed;
  std::size_t begin{};  // of the record that counts: all before it is on the disk

  std::string mounted() const { return directory + "/mounted"; }

  void mount(const Loop& loop) const {
    checked("mount " + type, ::mount(loop.name.c_str(), mounted().c_str(), type.c_str(), 0,
                                     ("nodiscard," + options).c_str()));
  }

  void unmount() const { checked("umount", ::umount2(mounted().c_str(), 0)); }

  void run_workload();
  Counts check();
};

/// Which barrier covers which write: the first that came when the write had been replied to.
void cover(std::size_t begin) {
  for (std::size_t index = 0; index < record->count; ++index) {
    Event& event = record->events[index];
    if (event.kind != Event::write) continue;
    event.covered = index < begin ? 0 : event.replied;
    while (index >= begin && event.covered < record->count &&
           record->events[event.covered].kind != Event::barrier)
      ++event.covered;
    if (event.covered >= record->count) event.covered = SIZE_MAX;
  }
}

/// Makes the record. The unmounting is part of it.
void Trial::run_workload() {
  const int image = checked("disk", ::open((directory + "/disk").c_str(), O_RDONLY));
  const auto size = static_cast<std::size_t>(::lseek(image, 0, SEEK_END));
  Disk disk{map(image, size, MAP_PRIVATE), size, {}};
  const std::string file = directory + "/recorded";
  std::ofstream{file};
  fuse_session* const session = mount_disk(disk, file);
  const pid_t server = start([&] { serve(session, disk, seed); });
  ::close(::fuse_session_fd(session));  // the server alone has it: if it dies, all calls fail
  const int recorded = checked(file, ::open(file.c_str(), O_RDWR | O_CLOEXEC));
  const Loop loop = attach(recorded, LO_FLAGS_DIRECT_IO);
  ::close(recorded);
  const std::string about = "/sys/block/" + loop.name.substr(5);
  expect_line(about + "/queue/write_cache", "write back");
  expect_line(about + "/loop/dio", "1");
  mount(loop);
  fs::create_directory(mounted() + "/web");
  fs::current_path(mounted() + "/web");
  const int directory_file = checked("open", ::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

  // The name of the first temporary is what a process leaves that is killed while it writes.
  const pid_t killed = start([] {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &none);
    oci::save(oci::State{}, "state.json");
  });
  wait_for(killed);
  if (::unlink(first_temporary(killed).c_str()) != 0) {
    throw std::runtime_error("the first temporary is not " + first_temporary(killed));
  }

  write_state("save", 0);
  checked("chown", ::chown("state.json", owner, group));
  checked("chmod", ::chmod("state.json", mode & 0777));
  checked("syncfs", ::syncfs(directory_file));
  begin = record->count;

  std::vector<pid_t> running;
  const auto wait_for_first = [&] {
    if (wait_for(running.front()) != 0) throw std::runtime_error("a process that saves failed");
    running.erase(running.begin());
  };
  for (std::size_t number = 1; record->count - begin < points; ++number) {
    running.push_back(start([&] {
      record->add({Event::begun, number, 0, 0, 0, 0});
      write_state(writer, number);
      record->add({Event::returned, number, 0, 0, 0, 0});
    }));
    if (running.size() == savers) wait_for_first();
    // Now and then somebody else has everything written.
    if (number % 16 == 0) checked("syncfs", ::syncfs(directory_file));
  }
  while (!running.empty()) wait_for_first();

  fs::current_path("/");
  ::close(directory_file);
  unmount();
  ::close(loop.descriptor);
  ::kill(server, SIGKILL);
  wait_for(server);
  checked("umount", ::umount2(file.c_str(), MNT_DETACH));
  ::munmap(disk.bytes, size);
  ::close(image);
  cover(begin);
}

/// How often each Finding was made.
Counts Trial::check() {
  const int image = checked("disk", ::open((directory + "/disk").c_str(), O_RDWR | O_CLOEXEC));
  const auto size = static_cast<std::size_t>(::lseek(image, 0, SEEK_END));
  char* const durable = map(-1, size, MAP_PRIVATE | MAP_ANONYMOUS);
  char* const crashed = map(image, size, MAP_SHARED);
  const auto for_each_page = [&](auto call) {  // that is not a hole of the image
    for (off_t at = ::lseek(image, 0, SEEK_DATA); at != -1; at = ::lseek(image, at, SEEK_DATA)) {
      const off_t end = ::lseek(image, at, SEEK_HOLE);
      for (; at < end; at += page) call(at);
    }
  };
  for_each_page([&](off_t at) { std::memcpy(durable + at, crashed + at, page); });
  const auto apply = [](char* disk, const Event& event, std::size_t from, std::size_t to) {
    std::memcpy(disk + event.number + from, record->data + event.data + from, to - from);
  };

  // What no barrier covers at a place is open there. It goes on the disk not at all, as a whole, or
  // in one of six random parts. A place without open writes is one crash point.
  const auto is_open = [&](std::size_t index, std::size_t place) {
    const Event& event = record->events[index];
    return event.kind == Event::write && index < place && event.covered >= place;
  };
  std::mt19937 random(seed);
  std::vector<std::pair<std::size_t, int>> crash_points;
  for (std::size_t place = begin; place <= record->count; ++place) {
    crash_points.emplace_back(place, 0);
    std::size_t index = begin;
    while (index < place && !is_open(index, place)) ++index;
    for (int part = 1; index < place && part < 8; ++part) crash_points.emplace_back(place, part);
  }
  std::shuffle(crash_points.begin(), crash_points.end(), random);
  if (crash_points.size() < points) throw std::runtime_error("too few crash points");
  crash_points.resize(points);
  std::sort(crash_points.begin(), crash_points.end());

  const Loop loop = attach(image, 0);
  Counts counts{};
  std::size_t previous = 0;
  for (const auto& [place, part] : crash_points) {
    checked("BLKFLSBUF", ::ioctl(loop.descriptor, BLKFLSBUF));
    for (std::size_t index = 0; index < place; ++index) {
      const Event& event = record->events[index];
      if (event.kind != Event::write || event.covered < previous || event.covered >= place)
        continue;
      apply(durable, event, 0, event.size);
      apply(crashed, event, 0, event.size);  // so that it has no hole there
    }
    previous = place;
    for_each_page([&](off_t at) {
      if (std::memcmp(crashed + at, durable + at, page) != 0) {
        std::memcpy(crashed + at, durable + at, page);
      }
    });
    const unsigned eighths = part == 0 ? 0 : part == 1 ? 8 : 1 + random() % 7;
    for (std::size_t index = begin; index < place; ++index) {
      if (!is_open(index, place) || random() % 8 >= eighths) continue;
      const Event& event = record->events[index];
      std::size_t from = 0;
      std::size_t to = event.size;
      // File systems rely on a super block to be whole, at 0 (ext4) or 64 KiB (btrfs).
      const bool whole = event.number == 0 || event.number == 65536;
      if (part > 1 && random() % 4 == 0 && !whole) {
        (random() % 2 == 0 ? from : to) = random() % (event.size / sector) * sector;
      }
      apply(crashed, event, from, to);
    }

    try {
      mount(loop);
    } catch (const std::system_error& error) {
      std::fprintf(stderr, "power_cut: place %zu, part %d: %s\n", place, part, error.what());
      ++counts[unmountable];
      continue;
    }
    const pid_t looking = start([&, place = place] {
      ::alarm(60);
      fs::current_path(mounted() + "/web");
      ::_exit(static_cast<int>(look(place, writer)));
    });
    const int status = wait_for(looking);
    const auto found =
        static_cast<unsigned>(WIFEXITED(status) ? WEXITSTATUS(status) : 1 << hindered);
    for (unsigned finding = 0; finding < findings; ++finding) {
      counts[finding] += found >> finding & 1U;
    }
    unmount();
  }
  return counts;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 9) throw std::runtime_error("what the arguments are is at the head of power_cut.cpp");
  ::umask(022);
  record = reinterpret_cast<Record*>(map(-1, sizeof(Record), MAP_SHARED | MAP_ANONYMOUS));
  Trial trial{argv[1],
              argv[2],
              argv[3],
              argv[4],
              std::stoul(argv[5]),
              std::stoul(argv[6]),
              static_cast<unsigned>(std::stoul(argv[7]))};
  fs::create_directory(trial.mounted());
  trial.run_workload();
  const std::size_t unsynced = saves_without_barrier();
  const Counts counts = trial.check();

  std::printf("%zu", trial.points);
  for (const std::size_t count : counts) std::printf(" | %zu", count);
  std::printf(" | %zu\n", unsynced);
  const bool breaks = counts[torn] + counts[lost] > 0;
  if (argv[8] == std::string("fails")) return breaks ? 0 : 1;
  const std::size_t bad = std::accumulate(counts.begin(), counts.end(), unsynced);
  return bad == counts[left_over] ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "power_cut: %s\n", error.what());
  return 2;
}
