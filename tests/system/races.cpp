// Threads and processes work on one path at once, thousands of times, on a tmpfs and on a disk.
// Where they load and save, every load sees one whole state. Where they update, no update is lost.
// No call fails, and nothing is left behind.
//
// Usage: races [COUNT]   COUNT: how often each thread saves or updates, 250 unless said otherwise

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <iterator>
#include <new>
#include <numeric>
#include <oci/state.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/files.hpp"

namespace {

constexpr int processes = 3;
constexpr int savers = 2;                    // in each process
constexpr int loaders = 2;                   // in each process
constexpr int updaters[processes]{2, 2, 1};  // in each process

/// What has been done so far, in memory that the processes share.
struct Tally {
  std::atomic<long> writes{0};
  std::atomic<long> loads{0};
  std::atomic<long> failures{0};
  std::atomic<int> writers_at_work{0};
};

/// A state that its ID determines, of up to some 20 KB.
oci::State numbered(unsigned long number) {
  oci::State state = state_of(std::to_string(number));
  state.annotations = oci::Annotations{
      {"text", std::string(number * 7919 % 20000, static_cast<char>('a' + number % 26))}};
  return state;
}

unsigned long number_of(const oci::State& state) { return std::stoul(state.id); }

/// Calls `call`, which says whether all was well.
template <class Call>
void tried(Tally& tally, Call call) {
  std::string problem = "not a state that was saved";
  try {
    if (call()) return;
  } catch (const std::exception& error) {
    problem = error.what();
  }
  if (tally.failures++ < 10) std::cerr << "races: " + problem.substr(0, 200) + "\n";
}

/// Saves or updates, `count` times.
void write(const fs::path& path, bool updates, int process, int thread, int count, Tally& tally) {
  unsigned long last = 0;
  for (int i = 0; i < count; ++i) {
    tried(tally, [&] {
      if (updates) {
        const oci::State state = oci::update(
            path, [](oci::State& changed) { changed = numbered(number_of(changed) + 1); });
        const unsigned long before = std::exchange(last, number_of(state));
        return before < last && state == numbered(last);
      }
      oci::save(numbered(static_cast<unsigned long>((process * savers + thread) * count + i)),
                path);
      return true;
    });
    ++tally.writes;
  }
  --tally.writers_at_work;
}

void work(const fs::path& path, bool updates, int process, int count, Tally& tally) {
  std::vector<std::thread> threads;
  for (int writer = 0; writer < (updates ? updaters[process] : savers); ++writer) {
    threads.emplace_back([&, writer] { write(path, updates, process, writer, count, tally); });
  }
  for (int loader = 0; loader < loaders; ++loader) {
    threads.emplace_back([&] {
      while (tally.writers_at_work > 0) {
        tried(tally, [&] {
          const oci::State state = oci::load(path);
          return state == numbered(number_of(state));
        });
        ++tally.loads;
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

bool run(const fs::path& parent, bool updates, int count) {
  const auto start = std::chrono::steady_clock::now();
  const TemporaryDirectory directory(parent);
  const fs::path path = directory / "state.json";
  oci::save(numbered(0), path);
  fs::permissions(path, fs::perms{0640});

  void* const memory =
      ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  Tally& tally = *new (memory) Tally;
  int writers = processes * savers;
  if (updates) writers = std::accumulate(std::begin(updaters), std::end(updaters), 0);
  tally.writers_at_work = writers;
  std::vector<pid_t> children;
  for (int process = 1; process < processes; ++process) {
    const pid_t child = ::fork();
    if (child == -1) throw std::runtime_error("cannot fork");
    if (child == 0) {
      work(path, updates, process, count, tally);
      ::_exit(0);
    }
    children.push_back(child);
  }
  work(path, updates, 0, count, tally);
  for (const pid_t child : children) {
    int status = -1;
    if (::waitpid(child, &status, 0) != child || status != 0) ++tally.failures;
  }

  const oci::State last = oci::load(path);
  const bool well = tally.failures == 0 && last == numbered(number_of(last)) &&
                    (!updates || number_of(last) == static_cast<unsigned long>(writers * count)) &&
                    names(directory.path()) == Names{"state.json"} && mode_of(path) == 0640U;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << "races: " << parent.string() << ": " << tally.writes
            << (updates ? " updates" : " saves") << " by " << writers << " threads of " << processes
            << " processes, " << tally.loads
            << " loads beside them: " << (well ? updates ? "none lost" : "all whole" : "FAILED")
            << " (" << seconds.count() << " s)" << std::endl;  // before the next fork
  ::munmap(memory, sizeof(Tally));
  return well;
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
    for (const bool updates : {false, true}) well = run(parent, updates, count) && well;
  }
  return well ? 0 : 1;
}
