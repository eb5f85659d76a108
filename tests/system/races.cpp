// Threads and processes work on one path at once, thousands of times, on a tmpfs and on a disk.
// - Where they load and save, every load sees one whole state.
// - Where they update, no update is lost.
// - Where they update among saves, an update that would undo a save throws ESTALE.
// - Where they create, one creates each file.
// No other call fails, and nothing is left behind.
//
// Usage: races [COUNT]   COUNT: how often each thread writes: 250 unless said otherwise, at most
// 1000

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <oci/state.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/files.hpp"

namespace {

constexpr int processes = 3;

/// A state that its ID determines, of up to some 20 KB.
oci::State numbered(unsigned long number) {
  oci::State state = state_of(std::to_string(number));
  state.annotations = oci::Annotations{
      {"text", std::string(number * 7919 % 20000, static_cast<char>('a' + number % 26))}};
  return state;
}

unsigned long number_of(const oci::State& state) { return std::stoul(state.id); }

/// What the processes count together, in memory that they share.
struct Tally {
  std::atomic<long> writes{0};
  std::atomic<long> loads{0};
  std::atomic<long> refused{0};  // updates that threw ESTALE, creates that threw EEXIST
  std::atomic<long> undone{0};   // saves and updates that an update undid: see UpdatesAmongSaves
  std::atomic<long> failures{0};
  std::atomic<int> writers_at_work{0};
  /// Of each create, and of each update among saves. The memory is 0, and takes none until it is
  /// used.
  std::atomic<unsigned char> successes[1U << 24U];
};

void fail(Tally& tally, const std::string& problem) {
  if (tally.failures++ < 10) std::cerr << "races: " + problem.substr(0, 200) + "\n";
}

/// Calls `call`, which says whether all was well.
template <class Call>
void tried(Tally& tally, Call call) {
  std::string problem = "not what was written";
  try {
    if (call()) return;
  } catch (const std::exception& error) {
    problem = error.what();
  }
  fail(tally, problem);
}

/// Calls `call`, which writes. Returns whether it succeeded: it may throw `errno_of_others`, if
/// another writer was faster.
template <class Call>
bool succeeds(Tally& tally, int errno_of_others, Call call) {
  try {
    call();
    ++tally.writes;
    return true;
  } catch (const fs::filesystem_error& error) {
    if (error.code().value() != errno_of_others) throw;
    ++tally.refused;
    return false;
  }
}

/// What the writers and loaders of a race do: each in a thread of its own, some in each process.
class Race {
 public:
  Race(const fs::path& parent, int count)
      : directory_(parent), count_(count), memory_(make_tally(), remove_tally) {}
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;
  virtual ~Race() = default;

  /// Whether all was well. Prints what happened.
  bool run(const fs::path& parent) {
    const auto start = std::chrono::steady_clock::now();
    prepare();
    for (int process = 0; process < processes; ++process)
      tally().writers_at_work += writers(process);
    std::vector<pid_t> children;
    for (int process = 1; process < processes; ++process) {
      const pid_t child = ::fork();
      if (child == -1) throw std::runtime_error("cannot fork");
      if (child == 0) {
        work(process);
        ::_exit(0);
      }
      children.push_back(child);
    }
    work(0);
    for (const pid_t child : children) {
      int status = -1;
      if (::waitpid(child, &status, 0) != child || status != 0) fail(tally(), "a process failed");
    }
    tried(tally(), [&] { return is_well(); });
    const bool well = tally().failures == 0;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cout << "races: " << parent.string() << ": " << what_happened() << ", " << tally().loads
              << " loads beside them: " << (well ? "well" : "FAILED") << " (" << seconds.count()
              << " s)" << std::endl;  // before the next fork
    return well;
  }

 protected:
  [[nodiscard]] Tally& tally() const { return *memory_; }
  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] const fs::path& directory() const { return directory_.path(); }
  [[nodiscard]] fs::path path() const { return directory_ / "state.json"; }

  virtual void prepare() {
    oci::save(numbered(0), path());
    fs::permissions(path(), fs::perms{0640});
  }
  [[nodiscard]] virtual int writers(int process) const = 0;
  virtual void write(int process, int writer) = 0;
  virtual bool load() {
    const oci::State state = oci::load(path());
    return state == numbered(number_of(state));
  }
  /// Whether what is left is right.
  virtual bool is_well() {
    const oci::State last = oci::load(path());
    return last == numbered(number_of(last)) && names(directory()) == Names{"state.json"} &&
           mode_of(path()) == 0640U;
  }
  [[nodiscard]] virtual std::string what_happened() const = 0;

 private:
  static Tally* make_tally() {
    void* const memory =
        ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return new (memory) Tally;
  }
  static void remove_tally(Tally* tally) { ::munmap(tally, sizeof(Tally)); }

  void work(int process) {
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writers(process); ++writer) {
      threads.emplace_back([&, writer] {
        tried(tally(), [&] {
          write(process, writer);
          return true;
        });
        --tally().writers_at_work;
      });
    }
    for (int loader = 0; loader < 2; ++loader) {
      threads.emplace_back([&] {
        while (tally().writers_at_work > 0) {
          tried(tally(), [&] { return load(); });
          ++tally().loads;
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }

  TemporaryDirectory directory_;
  int count_;
  std::unique_ptr<Tally, void (*)(Tally*)> memory_;
};

class Saves : public Race {
  using Race::Race;

  [[nodiscard]] int writers(int /*process*/) const override { return 2; }

  void write(int process, int writer) override {
    for (int i = 0; i < count(); ++i) {
      oci::save(numbered(static_cast<unsigned long>((process * 2 + writer) * count() + i)), path());
      ++tally().writes;
    }
  }

  [[nodiscard]] std::string what_happened() const override {
    return std::to_string(tally().writes) + " saves";
  }
};

class Updates : public Race {
  using Race::Race;

  [[nodiscard]] int writers(int process) const override { return process == 2 ? 1 : 2; }

  void write(int /*process*/, int /*writer*/) override {
    unsigned long last = 0;
    for (int i = 0; i < count(); ++i) {
      const oci::State state = oci::update(
          path(), [](oci::State& changed) { changed = numbered(number_of(changed) + 1); });
      const unsigned long before = std::exchange(last, number_of(state));
      if (last <= before || state != numbered(last)) fail(tally(), "an update was lost");
      ++tally().writes;
    }
  }

  bool is_well() override {
    return Race::is_well() &&
           number_of(oci::load(path())) == static_cast<unsigned long>(tally().writes);
  }

  [[nodiscard]] std::string what_happened() const override {
    return std::to_string(tally().writes) + " updates";
  }
};

/// One thread saves 5000, 10000 and so on, and the others add 1. So the number in the file never
/// gets less, but for saves between an update's last look and its rename, which nothing can notice:
/// they must be few. Each update counts from what it read, alone: no two make the same number, and
/// none is left out.
class UpdatesAmongSaves : public Race {
  using Race::Race;
  static constexpr unsigned long step = 5000;

  [[nodiscard]] int writers(int process) const override { return process == 0 ? 2 : 1; }

  void expect_at_least(unsigned long number) {
    if (number_of(oci::load(path())) < number) ++tally().undone;
  }

  void write(int process, int writer) override {
    if (process == 0 && writer == 0) {
      for (int save = 1; save < count(); ++save) {
        std::this_thread::sleep_for(std::chrono::microseconds(save * 7919 % 3000));
        const unsigned long number = step * static_cast<unsigned long>(save);
        oci::save(numbered(number), path());
        expect_at_least(number);
      }
      return;
    }
    for (int update = 0; update < count(); ++update) {
      unsigned long number = 0;
      const bool done = succeeds(tally(), ESTALE, [&] {
        number = number_of(oci::update(path(), [](oci::State& state) {
          state = numbered(number_of(state) + 1);
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }));
      });
      if (!done) continue;
      ++tally().successes[number];
      expect_at_least(number);
    }
  }

  bool is_well() override {
    long updates = 0;
    for (unsigned long save = 0; save < static_cast<unsigned long>(count()); ++save) {
      for (unsigned long number = save * step + 1; tally().successes[number] == 1; ++number) {
        ++updates;
      }
    }
    const unsigned long last = number_of(oci::load(path()));
    const bool is_known = last % step == 0 || tally().successes[last] == 1;
    return Race::is_well() && is_known && updates == tally().writes && tally().refused > 0 &&
           tally().undone * 20 <= tally().writes;
  }

  [[nodiscard]] std::string what_happened() const override {
    std::ostringstream text;
    text << tally().writes << " updates among " << count() - 1 << " saves, " << tally().refused
         << " refused, " << tally().undone << " undone";
    return text.str();
  }
};

class Creates : public Race {
  using Race::Race;

  void prepare() override {}

  [[nodiscard]] int writers(int /*process*/) const override { return 2; }

  [[nodiscard]] fs::path path_of(int file) const {
    return directory() / (std::to_string(file) + ".json");
  }

  void write(int process, int writer) override {
    for (int file = 0; file < count(); ++file) {
      const auto number = static_cast<unsigned long>((process * 2 + writer) * count() + file);
      const bool done =
          succeeds(tally(), EEXIST, [&] { oci::create(numbered(number), path_of(file)); });
      if (done) ++tally().successes[file];
    }
  }

  bool load() override {
    try {
      const int file = static_cast<int>(tally().writes) % count();
      const oci::State state = oci::load(path_of(file));
      return state == numbered(number_of(state));
    } catch (const fs::filesystem_error& error) {
      return error.code().value() == ENOENT;
    }
  }

  bool is_well() override {
    Names expected;
    for (int file = 0; file < count(); ++file) {
      expected.insert(path_of(file).filename());
      const oci::State state = oci::load(path_of(file));
      if (state != numbered(number_of(state))) return false;
      if (tally().successes[file] != 1) return false;
    }
    return names(directory()) == expected;
  }

  [[nodiscard]] std::string what_happened() const override {
    return std::to_string(tally().writes) + " creates, " + std::to_string(tally().refused) +
           " refused";
  }
};

template <class Kind>
bool run(const fs::path& parent, int count) {
  return Kind(parent, count).run(parent);
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 250;
  bool well = true;
  for (const fs::path& parent : {fs::temp_directory_path(), fs::path("/dev/shm")}) {
    if (!fs::is_directory(parent)) {
      std::cout << "SKIPPED: races on a tmpfs: there is no /dev/shm\n";
      continue;
    }
    well = run<Saves>(parent, count) && well;
    well = run<Updates>(parent, count) && well;
    well = run<UpdatesAmongSaves>(parent, count) && well;
    well = run<Creates>(parent, count) && well;
  }
  return well ? 0 : 1;
}
