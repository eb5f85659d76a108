// Cuts the power under a file system while processes save or create states, and looks at what is
// left.
//
// Usage: power_cut DIRECTORY TYPE OPTIONS WRITER SAVERS POINTS SEED EXPECTED
//   DIRECTORY      contains `disk`, the image of a fresh file system of TYPE; mounted with OPTIONS
//   WRITER         save, update and create of the header, or an unsafe one: see write_unsafely()
//   SAVERS         how many processes save at the same time
//   POINTS         how many crash points to check
//   EXPECTED       "holds": all is well at every crash point. "holds if mounted": the same, but
//   some
//                  may leave nothing to mount. "fails": some state is torn or lost.
//
// First a file over FUSE records all writes and barriers (flushes of the disk's cache) of a loop
// device with the file system on it. A barrier covers the writes that were replied to before it
// came. A crash point is a place in that record: the disk holds what the barriers up to the place
// cover, and of the other writes none, all or a random part, some torn at a sector. This disk is
// mounted, and a fresh process looks at it.
//
// run.sh starts it in mount and PID namespaces of its own, so that nothing outlives it. Prints
// cells of a table. Exits with 0 if the expectation is met, with 1 if not, with 2 on any other
// problem.

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
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
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

/// A place in the record. Marks say that a save began or returned.
struct Event {
  enum { write, barrier, mark } kind;
  std::size_t offset;   // of a write on the disk
  std::size_t size;     // of a write
  std::size_t data;     // of a write: where its bytes are in Record::data
  std::size_t covered;  // of a write: the index of the first barrier that covers it, plus one
};

/// When a save began and returned: the index of the mark, plus one, or 0.
struct Save {
  std::size_t begun;
  std::size_t returned;
};

/// In memory that all processes share. Pages that are not touched take none.
struct Record {
  std::atomic<std::size_t> count;     // of the events
  std::atomic<std::size_t> unsynced;  // saves that returned without a barrier
  std::size_t used;                   // of `data`
  Event events[1U << 20];
  Save saves[1U << 20];
  char data[std::size_t{1} << 31];

  /// Returns the number of events up to this one.
  std::size_t add(Event event) {
    const std::size_t index = count++;
    if (index >= std::size(events)) std::abort();
    events[index] = event;
    return index + 1;
  }
};
Record* record = nullptr;

/// The result of a system call. Throws if it failed.
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

/// Calls `call` in a new process.
template <class Call>
pid_t start(Call call) {
  const pid_t child = checked("fork", ::fork());
  if (child != 0) return child;
  try {
    call();
    ::_exit(0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "power_cut: %s\n", error.what());
    ::_exit(255);
  }
}

int wait_for(pid_t child) {
  int status = 0;
  checked("waitpid", ::waitpid(child, &status, 0));
  return status;
}

// The recorded disk.

struct Disk {
  std::size_t size;
  char* bytes;
  std::vector<std::pair<fuse_req_t, Event*>> in_flight;  // writes without a reply yet
  std::vector<Event*> uncovered;                         // writes with a reply, since the barrier
};

Disk& disk_of(fuse_req_t request) { return *static_cast<Disk*>(::fuse_req_userdata(request)); }

void get_attributes(fuse_req_t request, fuse_ino_t, fuse_file_info*) {
  struct stat status {};
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
  const auto count =
      record->add({Event::write, static_cast<std::size_t>(at), size, record->used, SIZE_MAX});
  record->used += size;
  disk.in_flight.emplace_back(request, &record->events[count - 1]);
}

void sync_disk(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  const std::size_t count = record->add({Event::barrier, 0, 0, 0, 0});
  for (Event* write : disk_of(request).uncovered) write->covered = count;
  disk_of(request).uncovered.clear();
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

/// Replies to writes when no other request waits, in random order.
void serve(fuse_session* session, Disk& disk, unsigned seed) {
  std::minstd_rand random(seed);
  fuse_buf buffer{};
  while (::fuse_session_exited(session) == 0) {
    pollfd input{::fuse_session_fd(session), POLLIN, 0};
    if (::poll(&input, 1, disk.in_flight.empty() ? -1 : 0) == 0) {
      std::shuffle(disk.in_flight.begin(), disk.in_flight.end(), random);
      for (const auto& [request, write] : disk.in_flight) {
        disk.uncovered.push_back(write);
        ::fuse_reply_write(request, write->size);
      }
      disk.in_flight.clear();
    } else if (::fuse_session_receive_buf(session, &buffer) > 0) {
      ::fuse_session_process_buf(session, &buffer);
    }
  }
}

/// A loop device. The kernel detaches it when it is neither open nor mounted any more.
struct Loop {
  std::string name;
  int descriptor;
};

Loop attach(int file, std::uint32_t flags) {
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(file);
  config.block_size = sector;
  config.info.lo_flags = flags | LO_FLAGS_AUTOCLEAR;
  const int control = checked("/dev/loop-control", ::open("/dev/loop-control", O_RDWR));
  for (;;) {
    const int number = checked("LOOP_CTL_GET_FREE", ::ioctl(control, LOOP_CTL_GET_FREE));
    const std::string name = "/dev/loop" + std::to_string(number);
    const int device = checked(name, ::open(name.c_str(), O_RDWR));
    if (::ioctl(device, LOOP_CONFIGURE, &config) == 0) {
      ::close(control);
      return {name, device};
    }
    if (errno != EBUSY) checked("LOOP_CONFIGURE", -1);  // else another process was faster
    ::close(device);
  }
}

void expect_line(const std::string& file, const std::string& expected) {
  std::string line;
  std::getline(std::ifstream(file), line);
  if (line != expected) throw std::runtime_error(file + " says \"" + line + "\"");
}

// The saves.

/// The state with this number, after so many updates.
oci::State state_of(std::size_t number, int updates) {
  oci::State state;
  state.id = std::to_string(number);
  state.pid = updates;
  state.annotations = oci::Annotations{
      {"text", std::string(number * 7919 % 12000, static_cast<char>('a' + number % 26))}};
  return state;
}

/// The name of the first temporary that the header creates in a process.
std::string first_temporary(pid_t process) {
  return ".oci-state-" + std::to_string(process) + "-0";
}

/// Checks that it is: a process that is killed in its first write leaves that temporary.
void check_first_temporary() {
  const pid_t killed = start([] {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &none);
    oci::save(oci::State{}, "state.json");
  });
  wait_for(killed);
  checked("unlink " + first_temporary(killed), ::unlink(first_temporary(killed).c_str()));
}

/// The name of a file that is created, deleted, and created again: more files than processes.
constexpr std::size_t created_names = 4;
std::string created_name(std::size_t number) {
  return std::to_string(number % created_names) + ".json";
}

/// Unsafe ways to write state.json, named after what they do or lack.
void write_unsafely(const std::string& writer, const std::string& text) {
  const bool truncates = writer == "truncate";
  const std::string name = truncates ? "state.json" : first_temporary(::getpid());
  const int flags = O_WRONLY | (truncates ? O_TRUNC : O_CREAT | O_EXCL);
  const int file = checked("open", ::open(name.c_str(), flags, 0600));
  checked("fchown", ::fchown(file, owner, group));
  checked("fchmod", ::fchmod(file, mode & 0777));
  checked("write", ::write(file, text.data(), text.size()));
  if (writer == "no directory sync") checked("fsync", ::fsync(file));
  if (!truncates) checked("rename", ::rename(name.c_str(), "state.json"));
  if (writer == "no file sync") {
    checked("fsync", ::fsync(checked("open", ::open(".", O_RDONLY | O_DIRECTORY))));
  }
}

/// Unsafe ways to create a file, named after what they lack.
void create_unsafely(const std::string& writer, std::size_t number, const std::string& text) {
  const std::string name = first_temporary(::getpid());
  const int file = checked("open", ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600));
  checked("write", ::write(file, text.data(), text.size()));
  if (writer != "create, no file sync") checked("fsync", ::fsync(file));
  checked("link", ::link(name.c_str(), created_name(number).c_str()));
  checked("unlink", ::unlink(name.c_str()));
  if (writer == "create, no directory sync") return;
  checked("fsync", ::fsync(checked("open", ::open(".", O_RDONLY | O_DIRECTORY))));
}

bool creates(const std::string& writer) { return writer.rfind("create", 0) == 0; }

void save(const std::string& writer, std::size_t number) {
  const std::size_t begun = record->add({Event::mark, 0, 0, 0, 0});
  record->saves[number].begun = begun;
  if (creates(writer)) ::unlink(created_name(number).c_str());
  if (writer == "save") {
    oci::save(state_of(number, 0), "state.json");
  } else if (writer == "update") {
    oci::update("state.json", [&](oci::State& state) { state = state_of(number, *state.pid + 1); });
  } else if (writer == "create") {
    oci::create(state_of(number, 0), created_name(number));
  } else if (creates(writer)) {
    create_unsafely(writer, number, oci::dump(state_of(number, 0)));
  } else {
    write_unsafely(writer, oci::dump(state_of(number, 0)));
  }
  const std::size_t returned = record->add({Event::mark, 0, 0, 0, 0});
  record->saves[number].returned = returned;
  if (std::none_of(&record->events[begun], &record->events[returned],
                   [](const Event& event) { return event.kind == Event::barrier; })) {
    ++record->unsynced;
  }
}

// What a process finds after a power cut.

/// In the order of the table's columns.
enum Finding { torn, lost, hindered, not_kept, left_over, unmountable, findings };

/// The number of files that are not a state's.
std::size_t temporaries() {
  return static_cast<std::size_t>(
      std::count_if(fs::directory_iterator("."), fs::directory_iterator(),
                    [](const auto& entry) { return entry.path().extension() != ".json"; }));
}

bool is_kept() {
  struct stat status {};
  return ::lstat("state.json", &status) == 0 && status.st_uid == owner && status.st_gid == group &&
         status.st_mode == mode;
}

/// Whether this state may not be in the file at the place: its save had not begun, or another that
/// began after its own had returned has returned, too; or its number of updates is wrong.
bool is_lost(std::size_t number, std::size_t updates, std::size_t place, bool counts) {
  const auto at = [&](std::size_t mark) { return mark != 0 && mark <= place; };
  const Save& found = record->saves[number];
  std::size_t begun = 0;
  std::size_t returned = 0;
  bool replaced = false;
  for (const Save* save = &record->saves[1]; save->begun != 0; ++save) {
    begun += at(save->begun) ? 1 : 0;
    returned += at(save->returned) ? 1 : 0;
    replaced |= at(save->returned) && found.returned != 0 && save->begun > found.returned;
  }
  return !at(found.begun) || replaced || (counts && (updates < returned || updates > begun));
}

/// What is wrong at the place with a file that is created again and again: as bits of Findings.
unsigned look_at_created(std::size_t first, std::size_t place) {
  const auto at = [&](std::size_t mark) { return mark != 0 && mark <= place; };
  std::size_t begun = 0;
  std::size_t returned = 0;
  for (std::size_t number = first; record->saves[number].begun != 0; number += created_names) {
    if (at(record->saves[number].begun)) begun = number;
    if (at(record->saves[number].returned)) returned = number;
  }
  const bool may_be_gone = begun == 0 || begun != returned;
  const std::string name = created_name(first);
  struct stat status {};
  const bool is_there = ::lstat(name.c_str(), &status) == 0;
  if (!is_there && !may_be_gone) return 1U << lost;
  if (!is_there) return 0;
  try {
    const oci::State state = oci::load(name);
    const std::size_t number = std::stoul(state.id);
    if (state != state_of(number, 0)) return 1U << torn;
    if (number == 0 || (number != begun && number != returned)) return 1U << lost;
  } catch (const std::exception&) {
    return 1U << torn;
  }
  if (status.st_mode != (S_IFREG | 0600) || status.st_uid != 0) return 1U << not_kept;
  return 0;
}

/// Looks at what was created, and creates, saves and updates there. Returns a bit for each Finding.
unsigned look_at_creates(std::size_t place) {
  unsigned found = 0;
  const auto note = [&](Finding finding) { found |= 1U << finding; };
  for (std::size_t first = 1; first <= created_names; ++first) {
    found |= look_at_created(first, place);
  }
  const std::size_t left = temporaries();
  if (left > 0) note(left_over);

  // One more temporary, with the name that is tried first.
  std::ofstream(first_temporary(::getpid())) << "left over";
  const auto is_refused = [](const std::string& name) {
    try {
      oci::create(state_of(7, 7), name);
      return false;
    } catch (const fs::filesystem_error& error) {
      return error.code() == std::errc::file_exists;
    }
  };
  const auto goes_on = [&](const std::string& name) {
    oci::save(state_of(8, 8), name);
    oci::update(name, [](oci::State& state) { state.id += "+"; });
    return is_refused(name) && oci::load(name).id == "8+";
  };
  try {
    oci::create(state_of(7, 7), "new.json");
    if (oci::load("new.json") != state_of(7, 7) || !goes_on("new.json") ||
        (fs::exists(created_name(1)) && !goes_on(created_name(1))) || temporaries() != left + 1) {
      note(hindered);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "power_cut: place %zu: %s\n", place, error.what());
    note(hindered);
  }
  return found;
}

/// Looks at the directory, and saves and updates there. Returns a bit for each Finding.
unsigned look(std::size_t place, bool counts) {
  unsigned found = 0;
  const auto note = [&](Finding finding) { found |= 1U << finding; };
  try {
    const oci::State state = oci::load("state.json");
    const std::size_t number = std::stoul(state.id);
    if (state != state_of(number, state.pid.value())) throw std::runtime_error("not a saved state");
    if (is_lost(number, static_cast<std::size_t>(*state.pid), place, counts)) note(lost);
    if (!is_kept()) note(not_kept);
  } catch (const fs::filesystem_error&) {
    note(lost);
  } catch (const std::exception&) {
    note(torn);
  }
  const bool well = found == 0;
  const std::size_t left = temporaries();
  if (left > 0) note(left_over);

  // One more temporary, with the name that is tried first. By turns save and update meet it.
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
    if (!(place % 2 == 0 || !well || updates()) || !saves() || !updates() || (well && !is_kept()) ||
        temporaries() != left + 1 || fs::file_size(first_temporary(::getpid())) != 9) {
      note(hindered);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "power_cut: place %zu: %s\n", place, error.what());
    note(hindered);
  }
  return found;
}

struct Trial {
  std::string directory, type, options, writer;
  std::size_t savers, points;
  unsigned seed;
  std::string mounted = directory + "/mounted";
  std::size_t begin{};  // of the crash points: all that was written before is on the disk

  void mount(const Loop& loop) const {
    checked("mount " + type, ::mount(loop.name.c_str(), mounted.c_str(), type.c_str(), 0,
                                     ("nodiscard," + options).c_str()));
  }
  void unmount() const { checked("umount", ::umount2(mounted.c_str(), 0)); }

  void make_record();
  std::array<std::size_t, findings> check() const;
};

void Trial::make_record() {
  const int image = checked("disk", ::open((directory + "/disk").c_str(), O_RDONLY));
  Disk disk{fs::file_size(directory + "/disk"), nullptr, {}, {}};
  disk.bytes = map(image, disk.size, MAP_PRIVATE);
  const std::string file = directory + "/recorded";
  std::ofstream{file};
  fuse_session* const session = mount_disk(disk, file);
  const pid_t server = start([&] { serve(session, disk, seed); });
  ::close(::fuse_session_fd(session));  // so that calls fail where the server has died
  const int recorded = checked(file, ::open(file.c_str(), O_RDWR));
  const Loop loop = attach(recorded, LO_FLAGS_DIRECT_IO);
  ::close(recorded);
  expect_line("/sys/block/" + loop.name.substr(5) + "/queue/write_cache", "write back");
  expect_line("/sys/block/" + loop.name.substr(5) + "/loop/dio", "1");
  mount(loop);
  fs::create_directory(mounted + "/web");
  fs::current_path(mounted + "/web");
  const int here = checked("open", ::open(".", O_RDONLY | O_DIRECTORY));
  check_first_temporary();
  // In another process: this one's children inherit how many temporaries it has created.
  wait_for(start([] { oci::save(state_of(0, 0), "state.json"); }));
  checked("chown", ::chown("state.json", owner, group));
  checked("chmod", ::chmod("state.json", mode & 0777));
  checked("syncfs", ::syncfs(here));
  begin = record->add({Event::mark, 0, 0, 0, 0});
  record->saves[0] = {begin, begin};

  std::vector<pid_t> running;
  for (std::size_t number = 1; record->count - begin < points || !running.empty(); ++number) {
    if (record->count - begin < points) running.push_back(start([&] { save(writer, number); }));
    if (running.size() < savers && record->count - begin < points) continue;
    if (wait_for(running.front()) != 0) throw std::runtime_error("a process that saves failed");
    running.erase(running.begin());
    if (number % 16 == 0) checked("syncfs", ::syncfs(here));  // as any other program might
  }

  fs::current_path("/");
  ::close(here);
  unmount();  // this is recorded, too
  ::close(loop.descriptor);
  ::kill(server, SIGKILL);
  wait_for(server);
  checked("umount", ::umount2(file.c_str(), MNT_DETACH));
}

/// How often each Finding was made.
std::array<std::size_t, findings> Trial::check() const {
  const int image = checked("disk", ::open((directory + "/disk").c_str(), O_RDWR));
  const std::size_t size = fs::file_size(directory + "/disk");
  char* const durable = map(-1, size, MAP_PRIVATE | MAP_ANONYMOUS);
  char* const crashed = map(image, size, MAP_SHARED);
  const auto for_each_page = [&](auto call) {  // that is not a hole of the image
    for (off_t at = ::lseek(image, 0, SEEK_DATA); at != -1; at = ::lseek(image, at, SEEK_DATA)) {
      for (const off_t end = ::lseek(image, at, SEEK_HOLE); at < end; at += page) call(at);
    }
  };
  for_each_page([&](off_t at) { std::memcpy(durable + at, crashed + at, page); });
  const auto apply = [](char* disk, const Event& write, std::size_t from, std::size_t to) {
    std::memcpy(disk + write.offset + from, record->data + write.data + from, to - from);
  };
  const auto is_durable = [&](std::size_t index, std::size_t place) {
    return record->events[index].covered <= place;
  };

  // What is not durable at a place is written not at all, as a whole, or in six random parts.
  std::mt19937 random(seed);
  std::vector<std::pair<std::size_t, int>> crash_points;
  for (std::size_t place = begin; place <= record->count; ++place) {
    std::size_t index = begin;
    while (index < place && is_durable(index, place)) ++index;
    const int parts = index < place ? 8 : 1;
    for (int part = 0; part < parts; ++part) crash_points.emplace_back(place, part);
  }
  if (crash_points.size() < points) throw std::runtime_error("too few crash points");
  std::shuffle(crash_points.begin(), crash_points.end(), random);
  crash_points.resize(points);
  std::sort(crash_points.begin(), crash_points.end());

  const auto make_durable = [&](const Event& event) {
    if (event.kind != Event::write) return;
    apply(durable, event, 0, event.size);
    apply(crashed, event, 0, event.size);  // so that it has no hole there
  };
  std::for_each(&record->events[0], &record->events[begin], make_durable);

  const Loop loop = attach(image, 0);
  std::array<std::size_t, findings> counts{};
  std::size_t previous = begin;
  for (const auto& [place, part] : crash_points) {
    for (std::size_t index = begin; index < place; ++index) {
      if (is_durable(index, place) && !is_durable(index, previous)) {
        make_durable(record->events[index]);
      }
    }
    previous = place;
    checked("BLKFLSBUF", ::ioctl(loop.descriptor, BLKFLSBUF));
    for_each_page([&](off_t at) {
      if (std::memcmp(crashed + at, durable + at, page) == 0) return;
      std::memcpy(crashed + at, durable + at, page);
    });

    // The super blocks are not torn, at 0 (ext4) and 64 KiB (btrfs): the file systems rely on that.
    const unsigned eighths = part == 0 ? 0 : part == 1 ? 8 : 1 + random() % 7;
    for (std::size_t index = begin; index < place; ++index) {
      const Event& event = record->events[index];
      if (is_durable(index, place) || random() % 8 >= eighths) continue;
      std::size_t from = 0;
      std::size_t to = event.size;
      if (part > 1 && random() % 4 == 0 && event.offset != 0 && event.offset != 65536) {
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
    const int status = wait_for(start([&, place = place] {
      ::alarm(60);
      fs::current_path(mounted + "/web");
      const unsigned seen =
          creates(writer) ? look_at_creates(place) : look(place, writer == "update");
      ::_exit(static_cast<int>(seen));
    }));
    unsigned found = 1U << hindered;
    if (WIFEXITED(status) && WEXITSTATUS(status) != 255) found = unsigned(WEXITSTATUS(status));
    for (unsigned finding = 0; finding < findings; ++finding) {
      counts[finding] += found >> finding & 1U;
    }
    unmount();
  }
  return counts;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 9) throw std::runtime_error("see the usage in power_cut.cpp");
  record = reinterpret_cast<Record*>(map(-1, sizeof(Record), MAP_SHARED | MAP_ANONYMOUS));
  Trial trial{argv[1],
              argv[2],
              argv[3],
              argv[4],
              std::stoul(argv[5]),
              std::stoul(argv[6]),
              static_cast<unsigned>(std::stoul(argv[7]))};
  fs::create_directory(trial.mounted);
  trial.make_record();
  const auto counts = trial.check();

  const std::size_t unsynced = record->unsynced;
  std::printf("%zu", trial.points);
  for (const std::size_t count : counts) std::printf(" | %zu", count);
  std::printf(" | %zu\n", unsynced);
  const std::string expected = argv[8];
  if (expected == "fails") return counts[torn] + counts[lost] > 0 ? 0 : 1;
  const std::size_t all = std::accumulate(counts.begin(), counts.end(), unsynced);
  const std::size_t allowed = expected == "holds" ? 0 : counts[unmountable];
  return all == counts[left_over] + allowed ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "power_cut: %s\n", error.what());
  return 2;
}
