// Threads and processes load and save one path at once, thousands of times, on a tmpfs and on a
// disk: every load sees one whole state, no call fails, and nothing is left behind.
//
// Usage: races [SAVES]   SAVES: how often each thread saves, 300 unless said otherwise

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <oci/state.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "files.hpp"

namespace fs = std::filesystem;

namespace {

constexpr int processes = 3;
constexpr int savers = 2;   // in each process
constexpr int loaders = 2;  // in each process

/// What has been done so far, in memory that the processes share.
struct Tally {
  std::atomic<long> saves{0};
  std::atomic<long> loads{0};
  std::atomic<long> failures{0};
  std::atomic<int> savers_at_work{processes * savers};
};

/// A state that its ID determines, of up to some 20 KB.
oci::State state_of(const std::string& id) {
  const unsigned long number = std::stoul(id);
  oci::State state;
  state.id = id;
  state.annotations = oci::Annotations{
      {"text", std::string(number * 7919 % 20000, static_cast<char>('a' + number % 26))}};
  return state;
}

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

void save_and_load(const TemporaryDirectory& directory, int process, int saves, Tally& tally) {
  std::vector<std::thread> threads;
  for (int saver = 0; saver < savers; ++saver) {
    threads.emplace_back([&, saver] {
      const fs::path path = directory / (saver == 0 ? "state.json" : "link");
      for (int i = 0; i < saves; ++i) {
        tried(tally, [&] {
          oci::save(state_of(std::to_string((process * savers + saver) * saves + i)), path);
          return true;
        });
        ++tally.saves;
      }
      --tally.savers_at_work;
    });
  }
  for (int loader = 0; loader < loaders; ++loader) {
    threads.emplace_back([&] {
      while (tally.savers_at_work > 0) {
        tried(tally, [&] {
          const oci::State state = oci::load(directory / "state.json");
          return state == state_of(state.id);
        });
        ++tally.loads;
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

bool run(const fs::path& parent, int saves) {
  const auto start = std::chrono::steady_clock::now();
  const TemporaryDirectory directory(parent);
  oci::save(state_of("0"), directory / "state.json");
  fs::permissions(directory / "state.json", fs::perms{0640});
  fs::create_symlink("state.json", directory / "link");

  void* const memory =
      ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  Tally& tally = *new (memory) Tally;
  std::vector<pid_t> children;
  for (int process = 1; process < processes; ++process) {
    const pid_t child = ::fork();
    if (child == -1) throw std::runtime_error("cannot fork");
    if (child == 0) {
      save_and_load(directory, process, saves, tally);
      ::_exit(0);
    }
    children.push_back(child);
  }
  save_and_load(directory, 0, saves, tally);
  for (const pid_t child : children) {
    int status = -1;
    if (::waitpid(child, &status, 0) != child || status != 0) ++tally.failures;
  }

  const oci::State last = oci::load(directory / "state.json");
  const bool well = tally.failures == 0 && last == state_of(last.id) &&
                    names(directory.path()) == std::set<fs::path>{"link", "state.json"} &&
                    fs::is_symlink(directory / "link") &&
                    fs::status(directory / "state.json").permissions() == fs::perms{0640};
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << "races: " << parent.string() << ": " << tally.saves << " saves and " << tally.loads
            << " loads of one path in " << processes << " processes of " << savers + loaders
            << " threads: " << (well ? "all whole" : "FAILED") << " (" << seconds.count() << " s)"
            << std::endl;  // before the next fork
  ::munmap(memory, sizeof(Tally));
  return well;
}

}  // namespace

int main(int argc, char** argv) {
  const int saves = argc > 1 ? std::atoi(argv[1]) : 300;
  bool well = run(fs::temp_directory_path(), saves);
  if (fs::is_directory("/dev/shm")) {
    well = run("/dev/shm", saves) && well;
  } else {
    std::cout << "SKIPPED: races on a tmpfs: there is no /dev/shm\n";
  }
  return well ? 0 : 1;
}
