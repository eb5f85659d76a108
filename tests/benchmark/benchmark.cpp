// Measures load, save, parse and dump beside the plain idiom that a C++ programmer writes over
// nlohmann/json today, and how both grow. Argument: a directory, on a tmpfs, for the files.

#include "oci/state.hpp"

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
  const int rounds = std::clamp(static_cast<int>(1.0 / (once * repeat)), 5, 300);
  Times least{1e9, 1e9};
  for (int i = 0; i < rounds; ++i) {
    least.ours = std::min(least.ours, seconds(ours, repeat));
    least.plain = std::min(least.plain, seconds(plain, repeat));
  }
  return least;
}

double ratio(Times times) { return times.ours / times.plain; }

/// Prints a row; whether the ratio is within its bar (0: there is none).
bool row(const char* what, std::size_t bytes, Times times, double bar) {
  const bool held = bar == 0 || ratio(times) <= bar;
  std::printf("%-6s %9zu %12.1f %12.1f %7.2f", what, bytes, times.ours * 1e6, times.plain * 1e6,
              ratio(times));
  if (bar != 0) std::printf("  <= %.2f %s", bar, held ? "held" : "NOT HELD");
  std::printf("\n");
  return held;
}

/// Peak memory of this process in KiB. (getrusage() would count that of the one that started it.)
long peak_memory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word && word != "VmHWM:") continue;
  long size = -1;
  status >> size;
  return size;
}

/// The same of this program where all it does is one load.
long peak_memory(const std::string& program, const char* which, const std::filesystem::path& file) {
  const std::string command = "'" + program + "' " + which + " '" + file.string() + "'";
  std::FILE* output = ::popen(command.c_str(), "r");
  long size = -1;
  if (output == nullptr || std::fscanf(output, "%ld", &size) != 1) size = -1;
  if (output != nullptr && ::pclose(output) != 0) size = -1;
  return size;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 2) {  // see peak_memory()
    const oci::State state = args[0] == "ours" ? oci::load(args[1]) : plain::load(args[1]);
    std::printf("%ld\n", peak_memory());
    return state.id.empty() ? 1 : 0;
  }
  if (args.size() != 1) {
    std::fprintf(stderr, "usage: benchmark DIRECTORY\n");
    return 2;
  }
  const auto file = std::filesystem::path(args[0]) / "state.json";
  const auto other = std::filesystem::path(args[0]) / "plain.json";
  bool held = true;

  std::printf("%-6s %9s %12s %12s %7s\n", "", "bytes", "ours us", "plain us", "ratio");
  struct Size {
    oci::State state;
    double load_bar;
    double save_bar;
  };
  const Size sizes[] = {
      {small_state(), 1.10, 2.3},
      {oci::load(FIXTURES "/valid/state-kubernetes-pod.json"), 1.10, 1.25},
      {with_annotations(3000), 1.10, 1.0},
  };
  for (const auto& [state, load_bar, save_bar] : sizes) {
    const std::string text = plain::dump(state);
    write_text(file, text);
    write_text(other, text);
    held &= row("load", text.size(),
                measure([&] { (void)oci::load(file); }, [&] { plain::load(other); }), load_bar);
    held &=
        row("save", text.size(),
            measure([&] { oci::save(state, file); }, [&] { plain::save(state, other); }), save_bar);
    held &= row("parse", text.size(),
                measure([&] { (void)oci::parse(text); }, [&] { plain::parse(text); }), 0);
    held &= row("dump", text.size(),
                measure([&] { (void)oci::dump(state); }, [&] { plain::dump(state); }), 0);
  }

  std::printf("\n%11s %9s %11s %11s %16s %16s\n", "annotations", "bytes", "load ratio",
              "save ratio", "load ours KiB", "load plain KiB");
  double first_load = 0;
  double first_save = 0;
  for (const int count : {100, 1000, 10000, 100000}) {
    const oci::State state = with_annotations(count);
    const std::string text = shuffled(state);
    write_text(file, text);
    write_text(other, text);
    const long ours_memory = peak_memory(argv[0], "ours", file);
    const long plain_memory = peak_memory(argv[0], "plain", other);
    const double load = ratio(measure([&] { (void)oci::load(file); }, [&] { plain::load(other); }));
    const double save =
        ratio(measure([&] { oci::save(state, file); }, [&] { plain::save(state, other); }));
    if (count == 100) {
      first_load = load;
      first_save = save;
    }
    const bool level = load <= 1.2 * first_load && save <= 1.2 * first_save;
    held &= ours_memory > 0 && plain_memory > 0;
    held &= level;
    std::printf("%11d %9zu %11.2f %11.2f %16ld %16ld%s\n", count, text.size(), load, save,
                ours_memory, plain_memory, level ? "" : "  RISES by more than a fifth");
  }
  return held ? 0 : 1;
}
