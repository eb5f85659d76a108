// Measures parse, dump and load of documents with each kind of text that people and programs write:
// of this header, of the code by hand, and of the Rust original (rust/). Argument: a directory, on
// a tmpfs, for the files. A second argument has instructions counted instead of time: the program
// runs under `valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file=FILE`, and this is
// FILE. Exits with 1 beyond a bar.

#include <oci/state.hpp>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "by_hand.hpp"
#include "common.hpp"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif

namespace {

// ---- The kinds of text

/// A text as a JSON string, in which nlohmann escapes only what it has to.
std::string json_string(const std::string& text) { return nlohmann::json(text).dump(); }

/// The same with all that is not ASCII as escapes, as Python's json.dumps() writes it.
std::string python_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true);
}

/// The same with `<`, `>` and `&` as escapes, as Go's json.Marshal() writes them.
std::string go_string(const std::string& text) {
  const std::map<char, std::string> escapes{{'<', "\\u003c"}, {'>', "\\u003e"}, {'&', "\\u0026"}};
  std::string json;
  for (const char c : json_string(text)) {
    const auto escape = escapes.find(c);
    json += escape == escapes.end() ? std::string(1, c) : escape->second;
  }
  return json;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

struct Kind {
  const char* name;
  std::string value;  // of an annotation, as a JSON string
};

std::vector<Kind> kinds() {
  const std::string ascii = "What most annotations are: a few words and numbers, v1.2.0. ";
  const std::string french = "Le père Noël a reçu où qu'il fût là-bas des gâteaux très sucrés. ";
  const std::string chinese = "容器的状态由运行时写入文件，然后由钩子读取。";
  const std::string emoji = "😀🚀🐳🔥🎉👍💾🧪📦🌍";
  const std::string html = "<a href=\"/?a=1&b=2\">some <b>bold</b> words</a> & more of them ";
  const std::string script = "#!/bin/sh\nset -eu\ncd /srv/web\nexec ./server --port 80\n";
  const std::string colours = "\x1B[31mred\x1B[0m \x01\x02 \x1B[1mbold\x1B[0m\x1F ";
  const nlohmann::json environment{{"name", "PATH"}, {"value", "/usr/bin:/bin"}};
  const nlohmann::json container{{"image", "web:1.2"}, {"env", environment.dump()}};
  const nlohmann::json pod{{"kind", "Pod"}, {"containers", container.dump()}};
  return {
      {"plain ASCII", json_string(repeated(ascii, 3))},
      {"French", json_string(repeated(french, 3))},
      {"ASCII with a euro sign", json_string(repeated(ascii, 3) + "€")},
      {"Chinese", json_string(repeated(chinese, 3))},
      {"emoji", json_string(repeated(emoji, 5))},
      {"French from Python", python_string(repeated(french, 2))},
      {"emoji from Python", python_string(repeated(emoji, 2))},
      {"HTML from Go", go_string(repeated(html, 2))},
      {"JSON inside JSON", json_string(pod.dump())},
      {"lines of a script", json_string(repeated(script, 4))},
      {"control characters", json_string(repeated(colours, 3))},
  };
}

/// A document of some seven kilobytes whose annotations have this value.
std::string document(const Kind& kind) {
  std::string annotations;
  for (int i = 10; annotations.size() < 7000; ++i) {
    if (!annotations.empty()) annotations += ',';
    annotations += R"("org.example.annotation/)" + std::to_string(i) + "\":" + kind.value;
  }
  return R"({"ociVersion":"1.2.0","id":"web-1","status":"running","pid":4422,)"
         R"("bundle":"/run/containers/bundles/web-1","annotations":{)" +
         annotations + "}}";
}

// ---- The table

/// What a call costs: microseconds, or thousands of instructions.
using Measure = std::function<std::vector<double>(const std::vector<Call>&)>;

/// The most that the header may take in proportion to the Rust original; 0: whatever it takes.
struct Bars {
  double parse;
  double dump;
  double load;
};

/// The ways to do one thing, in the order of the table's columns.
struct Ways {
  Call state;
  Call by_hand;
  Call rust;
};

bool row(const char* kind, const char* what, const Ways& ways, const Measure& cost, double bar) {
  std::vector<Call> calls{ways.state, ways.by_hand};
  if (ways.rust) calls.push_back(ways.rust);
  const std::vector<double> costs = cost(calls);
  std::printf("%-24s%-6s", kind, what);
  for (const double each : costs) std::printf("%9.2f", each);
  if (!ways.rust) std::printf("%9s", "-");
  std::printf("  ");
  bool held = within(costs[0] / costs[1], 0);
  if (ways.rust) held &= within(costs[0] / costs[2], bar);
  return end_of_row(held);
}

bool rows(const Kind& kind, const std::string& text, const std::filesystem::path& file,
          const Measure& cost, const Bars& bars) {
  const auto state = oci::parse(text);
  write_text(file, text);
  Ways parse{[&] { keep(oci::parse(text)); }, [&] { keep(by_hand::parse<oci::State>(text)); },
             nullptr};
  Ways dump{[&] { keep(oci::dump(state)); }, [&] { keep(by_hand::dump(state)); }, nullptr};
  Ways load{[&] { keep(oci::load(file)); }, [&] { keep(by_hand::load<oci::State>(file)); },
            nullptr};
#ifdef RUST
  const RustState* rust = rust_state(text.data(), text.size());
  parse.rust = [&] { rust_parse(text.data(), text.size()); };
  dump.rust = [&] { rust_dump(rust); };
  load.rust = [&] { rust_load(file.c_str()); };
#endif
  bool held = row(kind.name, "parse", parse, cost, bars.parse);
  held &= row("", "dump", dump, cost, bars.dump);
  held &= row("", "load", load, cost, bars.load);
  return held;
}

void heading(const char* unit) {
  std::printf("%-30s%27s\n", "", unit);
  std::printf("%-30s%9s%9s%9s  %15s%15s\n", "", "State", "by hand", "Rust", "State/by hand",
              "State/Rust");
}

// ---- Instructions

#ifdef CALLGRIND_DUMP_STATS
/// Thousands of instructions that one call takes. Callgrind writes those of each call to a file of
/// its own, whose name ends with a number that grows.
class Instructions {
 public:
  explicit Instructions(std::string file) : file_(std::move(file)) {}

  std::vector<double> operator()(const std::vector<Call>& calls) {
    std::vector<double> thousands;
    for (const Call& call : calls) {
      call();  // what happens only once does not count
      CALLGRIND_START_INSTRUMENTATION;
      CALLGRIND_ZERO_STATS;
      call();
      CALLGRIND_DUMP_STATS;
      CALLGRIND_STOP_INSTRUMENTATION;
      ++dumps_;
      thousands.push_back(collected(file_ + '.' + std::to_string(dumps_)) / 1000);
    }
    return thousands;
  }

 private:
  static double collected(const std::string& file) {
    std::ifstream dump(file);
    std::string word;
    while (dump >> word && word != "summary:") continue;
    double count = 0;
    dump >> count;
    return count;
  }

  std::string file_;
  int dumps_{};
};
#endif

std::optional<Measure> instructions(const std::string& file) {
#ifdef CALLGRIND_DUMP_STATS
  if (RUNNING_ON_VALGRIND) return Instructions(file);
#endif
  static_cast<void>(file);
  return std::nullopt;
}

bool time_table(const std::filesystem::path& file) {
  heading("us");
  bool held = true;
  for (const Kind& kind : kinds()) {
    held &= rows(kind, document(kind), file, measure, {1.1, 1.3, 0.7});
  }
  return held;
}

bool instruction_table(const std::filesystem::path& file, const Measure& cost) {
  heading("thousands of instructions");
  bool held = rows({"189 bytes", ""}, small_document(), file, cost, {1.15, 0, 0});
  for (const Kind& kind : kinds()) {
    held &= rows(kind, document(kind), file, cost, {1.05, 1.05, 1.05});
  }
  return held;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty() || args.size() > 2) {
    static_cast<void>(std::fputs("usage: kinds DIRECTORY [FILE]\n", stderr));
    return 2;
  }
  const auto file = std::filesystem::path(args[0]) / "state.json";
  if (args.size() == 1) return time_table(file) ? 0 : 1;
  const auto cost = instructions(args[1]);
  if (!cost) {
    static_cast<void>(std::fputs("kinds: not under valgrind, or built without it\n", stderr));
    return 2;
  }
  return instruction_table(file, *cost) ? 0 : 1;
}
