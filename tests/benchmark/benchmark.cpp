// Measures load, parse, dump and save: of the Rust original (rust/), of this header for State and
// for a type with a member list, and of the code that a C++ programmer writes by hand over
// nlohmann/json. Argument: a directory, on a tmpfs, for the files. Exits with 1 beyond a bar.

#include <oci/state.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "by_hand.hpp"
#include "common.hpp"

extern "C" void replace(const char* directory, const char* name, const void* data,
                        std::size_t size);

namespace {

struct Container : oci::State {
  std::string owner;
  std::optional<std::int32_t> exit_code;
};

}  // namespace

template <>
inline constexpr auto oci::members<Container> = [](auto& container, auto member) {
  oci::members<oci::State>(container, member);
  member("owner", container.owner);
  member("exitCode", container.exit_code);
};

namespace {

/// The text of a document with `members` put before `place`.
std::string with(std::string text, const std::string& place, const std::string& members) {
  return text.insert(text.rfind(place), members);
}

/// A pod's, with `\n` and many more escapes, and here `\u003c` and a letter that is not ASCII too.
std::string pod_document() {
  return with(read_text(FIXTURES "/valid/state-kubernetes-pod.json"), R"("org.systemd)",
              R"("org.example.contact":"Zoé","org.example.limit":"load \u003c 0.8",)");
}

/// Every seventh value has a letter that is not ASCII.
oci::State with_annotations(unsigned count) {
  auto state = oci::parse(small_document());
  for (unsigned i = 0; i < count; ++i) {
    (*state.annotations)["org.example.annotation/" + std::to_string(i)] =
        "a value as long as most are: " + std::to_string(i * 1299709U) +
        (i % 7 == 0 ? ", and a word from Zoé" : ", and some words behind it");
  }
  return state;
}

/// The document with its annotations in random order, as only another writer would have it.
std::string shuffled(const oci::State& state) {
  std::vector<std::pair<std::string, std::string>> annotations(state.annotations->begin(),
                                                               state.annotations->end());
  std::shuffle(annotations.begin(), annotations.end(), std::mt19937{1});
  nlohmann::ordered_json json = by_hand::to_document(state);
  json["annotations"] = nlohmann::ordered_json::object();
  auto& object = json["annotations"].get_ref<nlohmann::ordered_json::object_t&>();
  for (const auto& [key, value] : annotations) object.emplace_back(key, value);
  return json.dump();
}

/// The ways to do one thing, in the order of the table's columns.
struct Ways {
  Call state;
  Call container;
  Call by_hand;
  Call rust;
};

/// The most that State may take in proportion to another way; 0: whatever it takes.
struct Bars {
  double by_hand;
  double rust;
};

/// `growth` is the size of the Container's document in proportion to that of the State.
bool row(const char* what, std::size_t bytes, double growth, const Ways& ways, Bars bars) {
  std::vector<Call> calls{ways.state, ways.container, ways.by_hand};
  if (ways.rust) calls.push_back(ways.rust);
  const std::vector<double> us = measure(calls);
  std::printf("%7zu %-6s", bytes, what);
  for (const double time : us) std::printf("%9.2f", time);
  if (!ways.rust) std::printf("%9s", "-");
  std::printf("  ");
  bool held = within(us[1] / us[0] / growth, 1.15);
  held &= within(us[0] / us[2], bars.by_hand);
  if (ways.rust) held &= within(us[0] / us[3], bars.rust);
  return end_of_row(held);
}

struct Document {
  std::string text;
  Bars load, parse, dump, save;
};

bool table(const Document& document, const std::filesystem::path& directory) {
  const std::string& text = document.text;
  const std::string container_text = with(text, "}", R"(,"owner":"ops","exitCode":0)");
  const auto state = oci::parse(text);
  const auto container = oci::parse<Container>(container_text);
  const auto file = directory / "state.json";
  const auto container_file = directory / "container.json";
  const auto other = directory / "other.json";
  // As save creates it, for its owner alone. One that others may read keeps its access, which takes
  // some more system calls.
  const auto saved = directory / "saved.json";
  const auto saved_container = directory / "saved-container.json";
  write_text(container_file, container_text);
  write_text(file, text);
  write_text(other, text);

  Ways load{[&] { keep(oci::load(file)); }, [&] { keep(oci::load<Container>(container_file)); },
            [&] { keep(by_hand::load<oci::State>(other)); }, nullptr};
  Ways parse{[&] { keep(oci::parse(text)); }, [&] { keep(oci::parse<Container>(container_text)); },
             [&] { keep(by_hand::parse<oci::State>(text)); }, nullptr};
  Ways dump{[&] { keep(oci::dump(state)); }, [&] { keep(oci::dump(container)); },
            [&] { keep(by_hand::dump(state)); }, nullptr};
  Ways save{[&] { oci::save(state, saved); }, [&] { oci::save(container, saved_container); },
            [&] { by_hand::save(state, other); }, nullptr};
#ifdef RUST
  const RustState* rust = rust_state(text.data(), text.size());
  load.rust = [&] { rust_load(other.c_str()); };
  parse.rust = [&] { rust_parse(text.data(), text.size()); };
  dump.rust = [&] { rust_dump(rust); };
  save.rust = [&] { rust_save(rust, other.c_str()); };
#endif
  const std::size_t size = text.size();
  const double growth = static_cast<double>(container_text.size()) / static_cast<double>(size);
  bool held = row("load", size, growth, load, document.load);
  held &= row("parse", size, growth, parse, document.parse);
  held &= row("dump", size, growth, dump, document.dump);
  held &= row("save", size, growth, save, document.save);
  return held;
}

/// A document at whose last member, a duplicate name, the text source gives up: then it is read
/// again as a document. Beside that way alone, where the same exception ends, and beside nlohmann's
/// parser, which accepts it.
bool given_up(const std::string& document) {
  const std::string text = with(document, "}", R"(,"id":"again")");
  int accepted = 0;  // not an abort(), before which the compiler optimises all for size
  const auto refuse = [&](auto parse) {
    try {
      parse();
      ++accepted;
    } catch (const oci::Error&) {
    }
  };
  const auto us = measure({[&] { refuse([&] { keep(oci::parse(text)); }); },
                           [&] { refuse([&] { keep(oci::parse<nlohmann::json>(text)); }); },
                           [&] { keep(nlohmann::json::parse(text)); }});
  std::printf("%7zu %-6s%9.2f%9.2f%9.2f  ", text.size(), "parse", us[0], us[1], us[2]);
  return end_of_row(within(us[0] / us[1], 1.5) && accepted == 0);
}

/// save() beside the bare system calls of a safe replacement.
bool replacement(const std::filesystem::path& directory) {
  const auto file = directory / "saved.json";
  const std::string parent = (directory / ".").string();
  const std::string text = small_document();
  const auto state = oci::parse(text);
  const auto us =
      measure({[&] { oci::save(state, file); },
               [&] { replace(parent.c_str(), "saved.json", text.data(), text.size()); }});
  std::printf("%7zu %-6s%9.2f%9.2f  ", text.size(), "save", us[0], us[1]);
  return end_of_row(within(us[0] / us[1], 1.25));
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

/// How load and save grow beside the code by hand: at most half of its time, whatever the size.
bool growth(const std::string& program, const std::filesystem::path& directory) {
  const auto file = directory / "state.json";
  const auto other = directory / "other.json";
  bool held = true;
  for (const unsigned count : {100U, 1000U, 10000U, 100000U}) {
    const oci::State state = with_annotations(count);
    const std::string text = shuffled(state);
    write_text(file, text);
    write_text(other, text);
    const long ours = peak_memory(program, "ours", file);
    const long others = peak_memory(program, "by-hand", other);
    const auto saved = directory / "saved.json";
    const auto load =
        measure({[&] { keep(oci::load(file)); }, [&] { keep(by_hand::load<oci::State>(other)); }});
    const auto save =
        measure({[&] { oci::save(state, saved); }, [&] { by_hand::save(state, other); }});
    const double load_ratio = load[0] / load[1];
    const double save_ratio = save[0] / save[1];
    std::printf("%11u %9zu %11.2f %11.2f %16ld %16ld", count, text.size(), load_ratio, save_ratio,
                ours, others);
    held &= end_of_row(load_ratio <= 0.5 && save_ratio <= 0.5 && ours > 0 && others > 0);
  }
  return held;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 2) {  // see peak_memory()
    const oci::State state =
        args[0] == "ours" ? oci::load(args[1]) : by_hand::load<oci::State>(args[1]);
    std::printf("%ld\n", peak_memory());
    return state.id.empty() ? 1 : 0;
  }
  if (args.size() != 1) {
    static_cast<void>(std::fputs("usage: benchmark DIRECTORY\n", stderr));
    return 2;
  }
  const std::filesystem::path directory = args[0];
  const std::string large_document = oci::dump(with_annotations(3000));
  bool held = true;

  // What State takes beside the code by hand and the Rust original.
  const Document documents[] = {
      {small_document(), {0.65, 1.0}, {0.25, 1.3}, {0.2, 0.9}, {2.2, 0}},
      {pod_document(), {0.35, 0.55}, {0.3, 0.95}, {0.3, 1.0}, {0.8, 0}},
      {large_document, {0.25, 0.5}, {0.25, 0.95}, {0.15, 1.0}, {0.2, 0}},
  };
  std::printf("%-14s%36s  %45s\n", "", "us", "ratio (the most), Container's by byte");
  std::printf("%7s %-6s%9s%9s%9s%9s  %15s%15s%15s\n", "bytes", "", "State", "Contain.", "by hand",
              "Rust", "Contain./State", "State/by hand", "State/Rust");
  for (const Document& document : documents) held &= table(document, directory);

  std::printf("\nwhere the text source gives up at the last member\n");
  std::printf("%7s %-6s%9s%9s%9s  %15s\n", "bytes", "", "State", "document", "nlohmann",
              "State/document");
  for (const Document& document : documents) held &= given_up(document.text);

  std::printf("\nbeside the bare system calls of a safe replacement\n");
  std::printf("%7s %-6s%9s%9s  %15s\n", "bytes", "", "State", "calls", "State/calls");
  held &= replacement(directory);

  std::printf("\nState, beside the code by hand, and the peak memory of load in KiB\n");
  std::printf("%11s %9s %11s %11s %16s %16s\n", "annotations", "bytes", "load ratio", "save ratio",
              "State", "by hand");
  held &= growth(argv[0], directory);
  return held ? 0 : 1;
}
