// What the programs of the benchmark share: how a call is measured, a ratio with its bar, the Rust
// original's functions, and a document.

#ifndef OCI_STATE_TESTS_BENCHMARK_COMMON_HPP
#define OCI_STATE_TESTS_BENCHMARK_COMMON_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#ifdef RUST
extern "C" {
struct RustState;
const RustState* rust_state(const char* data, std::size_t size);
void rust_parse(const char* data, std::size_t size);
void rust_dump(const RustState* state);
void rust_load(const char* path);
void rust_save(const RustState* state, const char* path);
}
#endif

using Call = std::function<void()>;

/// Has the compiler believe that `value` is looked at.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

inline double seconds(const Call& call, int repeat) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeat; ++i) call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeat;
}

/// Microseconds that each of the calls takes: the least of many rounds, in which they take turns.
inline std::vector<double> measure(const std::vector<Call>& calls) {
  double once = 0;
  for (const Call& call : calls) once += seconds(call, 1);
  const int repeat = std::max(1, static_cast<int>(0.001 / once));
  const int rounds = std::clamp(static_cast<int>(2.0 / (once * repeat)), 15, 1000);
  std::vector<double> least(calls.size(), 1e9);
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      calls[i]();  // else what the call before did to the heap counts
      least[i] = std::min(least[i], 1e6 * seconds(calls[i], repeat));
    }
  }
  return least;
}

/// Prints a ratio and its bar, if there is one; whether it is within the bar.
inline bool within(double ratio, double bar) {
  std::printf("%7.2f", ratio);
  if (bar == 0) {
    std::printf("%8s", "");
    return true;
  }
  std::printf(" (%.2f)", bar);
  return ratio <= bar;
}

inline bool end_of_row(bool held) {
  std::puts(held ? "" : "  NOT HELD");
  return held;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string small_document() {
  return R"({"ociVersion":"1.2.0","id":"web-1","status":"running","pid":4422,)"
         R"("bundle":"/run/containers/bundles/web-1","annotations":{"org.example.owner":"ops",)"
         R"("org.example.tier":"frontend, public v2"}})";
}

#endif  // OCI_STATE_TESTS_BENCHMARK_COMMON_HPP
