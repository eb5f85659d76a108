// Measures load, save, parse and dump beside the plain idiom that a C++ programmer writes over
// nlohmann/json today, and how both grow. Argument: a directory, on a tmpfs, for the files.

#include "oci/state.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

namespace plain {

nlohmann::json to_document(const oci::State& state) {
  nlohmann::json json;
  json["ociVersion"] = state.version;
  json["id"] = state.id;
  json["status"] = std::string(oci::to_string(state.status));
  if (state.pid) json["pid"] = *state.pid;
  json["bundle"] = state.bundle.string();
  if (state.annotations) json["annotations"] = *state.annotations;
  return json;
}

oci::State from_document(const nlohmann::json& json) {
  oci::State state;
  state.version = json.at("ociVersion").get<std::string>();
  state.id = json.at("id").get<std::string>();
  const auto status = json.at("status").get<std::string>();
  if (status == "creating") state.status = oci::ContainerState::creating;
  if (status == "created") state.status = oci::ContainerState::created;
  if (status == "running") state.status = oci::ContainerState::running;
  if (json.contains("pid")) state.pid = json.at("pid").get<int>();
  state.bundle = json.at("bundle").get<std::string>();
  if (json.contains("annotations")) {
    state.annotations = json.at("annotations").get<oci::Annotations>();
  }
  return state;
}

oci::State parse(const std::string& text) { return from_document(nlohmann::json::parse(text)); }

std::string dump(const oci::State& state) { return to_document(state).dump(); }

oci::State load(const std::filesystem::path& path) {
  std::ifstream in(path);
  return from_document(nlohmann::json::parse(in));
}

void save(const oci::State& state, const std::filesystem::path& path) {
  std::ofstream out(path);
  out << to_document(state);
}

}  // namespace plain

oci::State small_state() {
  return {"1.2.0",
          "web-1",
          oci::ContainerState::running,
          4422,
          "/run/containers/bundles/web-1",
          oci::Annotations{{"org.example.owner", "ops"}, {"org.example.tier", "frontend, public"}}};
}

oci::State with_annotations(int count) {
  oci::State state = small_state();
  for (int i = 0; i < count; ++i) {
    (*state.annotations)["org.example.annotation/" + std::to_string(i)] =
        "a value as long as most are: " + std::to_string(i * 7919) + ", and some words behind it";
  }
  return state;
}

/// The document with its annotations in random order, as only another writer would have it.
std::string shuffled(const oci::State& state) {
  std::vector<std::pair<std::string, std::string>> annotations(state.annotations->begin(),
                                                               state.annotations->end());
  std::shuffle(annotations.begin(), annotations.end(), std::mt19937{1});
  nlohmann::ordered_json json = plain::to_document(state);
  json["annotations"] = nlohmann::ordered_json::object();
  auto& object = json["annotations"].get_ref<nlohmann::ordered_json::object_t&>();
  for (const auto& [key, value] : annotations) object.emplace_back(key, value);
  return json.dump();
}

using Call = std::function<void()>;

/// Seconds that one call takes: the least of `rounds`, in turn with the other call's.
struct Times {
  double ours;
  double plain;
};

double seconds(const Call& call, int repeat) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeat; ++i) call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeat;
}

Times measure(const Call& ours, const Call& plain) {
  const double once = seconds(plain, 1) + seconds(ours, 1);
  const int repeat = std::max(1, static_cast<int>(0.002 / once));
  const int rounds = std::clamp(static_cast<int>(2.0 / (once * repeat)), 5, 400);
  Times least{1e9, 1e9};
  for (int i = 0; i < rounds; ++i) {
    least.ours = std::min(least.ours, seconds(ours, repeat));
    least.plain = std::min(least.plain, seconds(plain, repeat));
  }
  return least;
}

/// Prints a row; whether the ratio is within its bar (0: there is none).
bool row(const char* what, std::size_t bytes, Times times, double bar) {
  const double ratio = times.ours / times.plain;
  const bool held = bar == 0 || ratio <= bar;
  std::printf("%-6s %9zu %12.1f %12.1f %7.2f", what, bytes, times.ours * 1e6, times.plain * 1e6,
              ratio);
  if (bar != 0) std::printf("  <= %.2f %s", bar, held ? "held" : "NOT HELD");
  std::printf("\n");
  return held;
}

/// Peak memory, in KiB, of a process that makes the call.
long peak_memory(const Call& call) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    call();
    std::_Exit(0);
  }
  rusage usage{};
  int status = 0;
  ::wait4(child, &status, 0, &usage);
  return usage.ru_maxrss;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: benchmark DIRECTORY\n");
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  const auto file = directory / "state.json";
  const auto other = directory / "plain.json";
  bool held = true;

  std::printf("%-6s %9s %12s %12s %7s\n", "call", "bytes", "ours us", "plain us", "ratio");
  struct Size {
    oci::State state;
    double load_bar;
    double save_bar;
  };
  for (const Size& size : {Size{small_state(), 1.10, 2.3},
                           Size{oci::load(FIXTURES "/valid/state-kubernetes-pod.json"), 1.10, 1.15},
                           Size{with_annotations(3000), 1.10, 1.0}}) {
    const std::string text = plain::dump(size.state);
    write_text(file, text);
    write_text(other, text);
    const auto bytes = text.size();
    held &= row("load", bytes, measure([&] { (void)oci::load(file); }, [&] { plain::load(other); }),
                size.load_bar);
    held &=
        row("save", bytes,
            measure([&] { oci::save(size.state, file); }, [&] { plain::save(size.state, other); }),
            size.save_bar);
    held &= row("parse", bytes,
                measure([&] { (void)oci::parse(text); }, [&] { plain::parse(text); }), 0);
    held &= row("dump", bytes,
                measure([&] { (void)oci::dump(size.state); }, [&] { plain::dump(size.state); }), 0);
  }
  return held ? 0 : 1;
}
