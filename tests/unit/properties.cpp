// What holds for every value and every text: tested with random ones, the same in each run, and
// with texts that are made to overflow the stack or to take much time.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <sstream>

#ifndef _WIN32
#include <pthread.h>
#endif

#include "../support/container.hpp"
#include "../support/documents.hpp"
#include "../support/errors.hpp"
#include "../support/files.hpp"
#include "../support/random.hpp"
#include "../support/ways.hpp"

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::Error;
using oci::State;
using runtime::Container;

namespace {

/// `text` with a few bytes changed, added, removed or repeated.
std::string mutation(Random& random, std::string text) {
  static const std::string bytes{
      "\0\1\x1F \"\"\"\\u{}[],:-+.eE019tfn/~\x7F\x80\xBF\xC3\xED\xF4\xFF", 34};
  static const std::vector<std::string> fragments{"-0",
                                                  "1.5",
                                                  "1e2",
                                                  "01",
                                                  "null",
                                                  " ",
                                                  "\xEF\xBB\xBF",
                                                  "\x7F",
                                                  "\\u0000",
                                                  "\\u0041",
                                                  "\\n",
                                                  R"("x":{"y":[1,{}]},)",
                                                  R"("x":{"y":1,"y":1},)",
                                                  R"("x":1,"x":1,)",
                                                  R"("id":"a",)",
                                                  R"("pid":-0,)",
                                                  R"("pid":7,)",
                                                  R"("pid":null,)",
                                                  R"("status":"",)",
                                                  R"("é":1,)"};
  for (std::size_t count = 1 + random.below(2); count > 0; --count) {
    const std::size_t place = random.below(text.size());
    const std::size_t size = random.below(1 + random.below(text.size() - place));
    switch (random.below(6)) {
      case 0: text[place] = random.one_of(bytes); break;
      case 1: text.insert(place, 1, random.one_of(bytes)); break;
      case 2: text.insert(place, text.substr(random.below(text.size()), size)); break;
      case 3: text.insert(text.find_first_of(":,{[", place) + 1, random.one_of(fragments)); break;
      case 4: text.insert(text.find('"', place) + 1, random.one_of(fragments)); break;
      default: text.erase(place, size); break;
    }
    text += ' ';  // so that there is a place next time
  }
  return text;
}

// ---- Checks

template <class T>
void check_round_trip(const T& value) {
  const std::string text = oci::dump(value);
  const T again = oci::parse<T>(text);
  CHECK(same(again, value));
  CHECK(oci::dump(again) == text);
  CHECK(reading_dispute<T>(text) == "");
  CHECK(writing_dispute(value) == "");
}

/// The pointer of the Error that parse() throws for `text`.
template <class T = State>
std::string refused_at(const std::string& text) {
  const Error error = parse_error<T>(text);
  CHECK(is_fit_for_a_log(error));
  return error.pointer();
}

template <class T>
void check_mutation(const std::string& text) {
  CAPTURE(text);
  CHECK(reading_dispute<T>(text) == "");
  std::optional<T> value;
  try {
    value = oci::parse<T>(text);
  } catch (const Error& error) {
    CHECK(is_fit_for_a_log(error));
  }
  CHECK(is_read_without_document<T>(text) == value.has_value());
  if (value) check_round_trip(*value);
}

template <class T>
void check_documents(const GeneratedDocuments& generated) {
  for (unsigned seed = generated.first; seed - generated.first < generated.count; ++seed) {
    Random random(seed);
    const T value = random.value<T>();
    const std::string text = Speller(random).document(value);
    const std::string dispute = reading_dispute<T>(text);
    const auto read = outcome_of<T>([&] { return oci::parse<T>(text); });
    const bool is_straight = is_read_without_document<T>(text);
    if (dispute.empty() && is_straight && read.value && same(*read.value, value)) continue;
    CAPTURE(seed, text, dispute, value, is_straight);
    if (read.error) FAIL(read.error->what());
    FAIL(*read.value);
  }
}

template <class T>
void check_documents_with_mistakes(const GeneratedDocuments& generated) {
  unsigned refused = 0;
  for (unsigned seed = generated.first; seed - generated.first < generated.count; ++seed) {
    Random random(seed);
    const T value = random.value<T>();
    const std::string text = Speller(random).document_with_mistakes(value);
    const std::string dispute = reading_dispute<T>(text);
    const auto read = outcome_of<T>([&] { return oci::parse<T>(text); });
    if (read.error) ++refused;
    const bool is_straight = is_read_without_document<T>(text);
    const bool is_fit = !read.error || is_fit_for_a_log(*read.error);
    if (dispute.empty() && is_fit && is_straight == read.value.has_value()) continue;
    CAPTURE(seed, text, is_fit, is_straight);
    FAIL(dispute);
  }
  // A generator that makes no mistakes, or makes them everywhere, would find nothing.
  CHECK(refused >= generated.count / 4);
  CHECK(refused <= generated.count - generated.count / 8);
}

/// Calls `call` in a thread with a small stack: 2.6 bytes for each of 100,000 levels.
void on_a_small_stack(std::function<void()> call) {
#ifdef _WIN32
  call();  // 1 MB, as linked: no recursion needs less than 10 bytes for a level
#else
  std::packaged_task<void()> task(std::move(call));
  std::future<void> done = task.get_future();
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::packaged_task<void()>*>(argument))();
    return nullptr;
  };
  pthread_attr_t attributes{};
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  pthread_t thread{};
  REQUIRE(pthread_create(&thread, &attributes, run, &task) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  REQUIRE(pthread_attr_destroy(&attributes) == 0);
  done.get();
#endif
}

/// Fails if `call` takes minutes, as quadratic time would be here. A second is usual.
void check_time(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes(1));
}

std::string repeat(const std::string& text, int times) {
  std::string repeated;
  for (int i = 0; i < times; ++i) repeated += text;
  return repeated;
}

/// `{"0":"","1":"",...}`
std::string object_of(int names) {
  std::string text{"{"};
  for (int i = 0; i < names; ++i) text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":\"\"";
  return text + "}";
}

constexpr int many = 100000;

}  // namespace

// ---- Random values and texts

TEST_CASE("Random values are read back as they were written") {
  for (unsigned seed = 0; seed < 1000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    check_round_trip(random.state());
    check_round_trip(random.process());
    check_round_trip(random.container());
  }
}

#ifndef _WIN32  // where the header has no load and save
TEST_CASE("Random values are loaded as they were saved") {
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  for (unsigned seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const State state = random.state();
    oci::save(state, path);
    CHECK(same(oci::load(path), state));
    CHECK(read_text(path) == oci::dump(state));
    const ContainerProcessState process = random.process();
    oci::save(process, path);
    CHECK(same(oci::load<ContainerProcessState>(path), process));
  }
}
#endif

TEST_CASE("Strings may be a mebibyte long") {
  Random random(0);
  std::string text;
  while (text.size() < 1 << 20) text += random.text();
  const State state{"", text, ContainerState::created, {}, {}, {}, oci::Annotations{{text, text}}};
  CHECK((oci::parse(oci::dump(state)) == state));  // in parentheses: a failure prints no megabytes
#ifndef _WIN32
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  oci::save(state, path);
  CHECK((oci::load(path) == state));
#endif
}

TEST_CASE("Mutated texts give an Error, or a value that is read back as it is written") {
  for (unsigned seed = 0; seed < 2500; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    check_mutation<State>(mutation(random, oci::dump(random.state())));
    check_mutation<ContainerProcessState>(mutation(random, oci::dump(random.process())));
    check_mutation<Container>(mutation(random, oci::dump(random.container())));
  }
}

TEST_CASE("Generated documents are read as the value they spell, whatever the spelling") {
  const GeneratedDocuments generated;
  check_documents<State>(generated);
  check_documents<ContainerProcessState>(generated);
  check_documents<Container>(generated);
}

TEST_CASE(
    "Generated documents with mistakes give the same value or Error in both ways of reading") {
  const GeneratedDocuments generated;
  check_documents_with_mistakes<State>(generated);
  check_documents_with_mistakes<ContainerProcessState>(generated);
  check_documents_with_mistakes<Container>(generated);
}

TEST_CASE("Any string that is not UTF-8 is refused by dump, and operator<< prints the error") {
  using Set = std::function<void(ContainerProcessState&, const std::string&)>;
  const std::vector<std::pair<std::string, Set>> members{
      {"/ociVersion", [](auto& value, auto& text) { value.version = text; }},
      {"/fds/1",
       [](auto& value, auto& text) {
         value.fds = {"", text, text};
       }},
      {"/metadata", [](auto& value, auto& text) { value.metadata = text; }},
      {"/state/ociVersion", [](auto& value, auto& text) { value.state.version = text; }},
      {"/state/id", [](auto& value, auto& text) { value.state.id = text; }},
#ifndef _WIN32  // where a path is UTF-16
      {"/state/bundle", [](auto& value, auto& text) { value.state.bundle = text; }},
#endif
      {"/state/annotations/a~1b",
       [](auto& value, auto& text) {
         value.state.annotations = oci::Annotations{{"a/b", text}};
       }},
      {"/state/annotations/\xFF",
       [](auto& value, auto&) {
         value.state.annotations = oci::Annotations{{"\xFF", ""}};
       }},
  };
  for (unsigned seed = 0; seed < 100; ++seed) {
    Random random(seed);
    for (const auto& [pointer, set] : members) {
      CAPTURE(seed, pointer);
      ContainerProcessState value = random.process();
      value.state.annotations.reset();
      set(value, random.text() + random.one_of(invalid_utf8) + random.text());
      const Error error = dump_error(value);
      CHECK(error.pointer() == pointer);
      CHECK(is_fit_for_a_log(error));
      CHECK(writing_dispute(value) == "");
      std::ostringstream printed;
      printed << value;
      CHECK(printed.str() == error.what());
    }
  }
}

// ---- Hostile texts

TEST_CASE("Deep nesting uses no stack") {
  using Pair = std::pair<std::string, std::string>;
  const Pair brackets = GENERATE(Pair{"[", "]"}, Pair{"{\"a\":", "}"});
  CAPTURE(brackets.first);
  const std::string opened = repeat(brackets.first, many);
  const std::string deep = opened + "null" + repeat(brackets.second, many);
  State state;
  std::vector<std::string> refused;
  check_time([&] {
    on_a_small_stack([&] {
      state = oci::parse(R"({"x":)" + deep + R"(,"id":"web"})");
      refused.push_back(refused_at(R"({"annotations":{"a":)" + deep + "}}"));
      refused.push_back(refused_at(opened));
      refused.push_back(refused_at(deep + brackets.second));
    });
  });
  CHECK(state == State{"", "web"});
  CHECK(refused == std::vector<std::string>{"/annotations/a", "", ""});
}

TEST_CASE("A duplicate name is found at any depth") {
  std::string pointer;
  check_time([&] {
    on_a_small_stack([&] {
      pointer = refused_at(R"({"x":)" + repeat("[0,{\"a\":", many / 2) + R"({"b":0,"b":0})" +
                           repeat("}]", many / 2) + "}");
    });
  });
  CHECK((pointer == "/x" + repeat("/1/a", many / 2) + "/b"));
}

TEST_CASE("No text takes quadratic time") {
  const std::string object = object_of(many);
  const std::string body = object.substr(1, object.size() - 2);

  SECTION("annotations") {
    check_time([&] {
      const std::string text =
          R"({"ociVersion":"","id":"","status":"stopped","bundle":"","annotations":)" + object +
          "}";
      const State state = oci::parse(text);
      CHECK(state.annotations->size() == many);
      CHECK((oci::parse(oci::dump(state)) == state));
    });
  }
  SECTION("names, the last of them duplicate") {
    check_time([&] {
      CHECK(refused_at(R"({"annotations":{)" + body + R"(,"99999":""}})") == "/annotations/99999");
    });
  }
  SECTION("objects, the last with a duplicate name") {
    check_time([&] {
      CHECK(refused_at(R"({"x":[)" + repeat(R"({"a":0},)", many) + R"({"a":0,"a":0}]})") ==
            "/x/100000/a");
    });
  }
  SECTION("unknown members") {
    check_time([&] {
      CHECK(oci::parse("{" + body + R"(,"id":"web"})").id == "web");
      CHECK(refused_at("{" + body + R"(,"99999":""})") == "/99999");
    });
  }
  SECTION("annotations, the last of them not UTF-8") {
    check_time([&] {
      State state = oci::parse(R"({"annotations":)" + object + "}");
      state.annotations->rbegin()->second = "\xFF";
      CHECK(dump_error(state).pointer() == "/annotations/99999");
    });
  }
  SECTION("fds, the last of them no string") {
    check_time([&] {
      CHECK(refused_at<ContainerProcessState>(R"({"fds":[)" + repeat(R"("",)", many) + "0]}") ==
            "/fds/100000");
    });
  }
}

TEST_CASE("A token of ten megabytes takes no minutes, and its Error is short") {
  const std::string digits = repeat("1234567890", 10 * many);
  check_time([&] {
#ifndef _WIN32  // where the strtod() of mingw-w64 takes the square of its time
    CHECK(refused_at(R"({"pid":0.)" + digits + "}") == "/pid");
#endif
    CHECK(refused_at(R"({"pid":")" + digits + R"("})") == "/pid");
  });
}
