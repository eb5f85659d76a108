// Writing: the exact text of each document.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "../support/errors.hpp"

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::dump;
using oci::parse;
using oci::State;

TEST_CASE("A default State is written with its four required members") {
  CHECK(dump(State{}) == R"({"ociVersion":"","id":"","status":"stopped","bundle":""})");
}

TEST_CASE("The members of a State are written in the order of the specification") {
  CHECK(dump(State{"1.2.0",
                   "web",
                   ContainerState::running,
                   {},
                   42,
                   "/run/web",
                   oci::Annotations{{"k", "v"}}}) ==
        R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,"bundle":"/run/web",)"
        R"("annotations":{"k":"v"}})");
}

TEST_CASE("A default ContainerProcessState is written with its four required members") {
  CHECK(dump(ContainerProcessState{}) ==
        R"({"ociVersion":"","fds":[],"pid":0,)"
        R"("state":{"ociVersion":"","id":"","status":"stopped","bundle":""}})");
}

TEST_CASE("The members of a ContainerProcessState are written in the specification's order") {
  const State state{"1.1.0", "web", ContainerState::creating,    {},
                    7,       "/b",  oci::Annotations{{"k", "v"}}};
  CHECK(dump(ContainerProcessState{"1.2.0", {"z", "seccompFd", "a", "z"}, 42, "m", state}) ==
        R"({"ociVersion":"1.2.0","fds":["z","seccompFd","a","z"],"pid":42,"metadata":"m",)"
        R"("state":{"ociVersion":"1.1.0","id":"web","status":"creating","pid":7,"bundle":"/b",)"
        R"("annotations":{"k":"v"}}})");
}

TEST_CASE("Optional members are written if they have a value, even an empty one") {
  State state;
  state.pid = 0;
  CHECK(dump(state) == R"({"ociVersion":"","id":"","status":"stopped","pid":0,"bundle":""})");
  state.pid.reset();
  state.annotations.emplace();
  CHECK(dump(state) ==
        R"({"ociVersion":"","id":"","status":"stopped","bundle":"","annotations":{}})");

  ContainerProcessState process;
  process.metadata.emplace();
  CHECK(dump(process) == R"({"ociVersion":"","fds":[],"pid":0,"metadata":"",)"
                         R"("state":{"ociVersion":"","id":"","status":"stopped","bundle":""}})");
}

TEST_CASE("A status of a runtime's own is written by its name") {
  const std::string name = GENERATE("paused", "starting", "Running", "other", "a\nb", "en été");
  State state{"", "", ContainerState::other, name};
  const std::string json = name == "a\nb" ? "a\\nb" : name;
  CHECK(dump(state) == R"({"ociVersion":"","id":"","status":")" + json + R"(","bundle":""})");
  CHECK(parse(dump(state)).other_status == name);
}

TEST_CASE("A left-over name of another status is not written") {
  const State state{"", "", ContainerState::running, "paused"};
  CHECK(dump(state) == R"({"ociVersion":"","id":"","status":"running","bundle":""})");
  CHECK(dump(State{"", "", ContainerState::running, "\xff"}) == dump(state));
  CHECK(parse(dump(state)) == state);
}

TEST_CASE("Each status is written by its name") {
  CHECK(dump(State{"", "", ContainerState::creating}) ==
        R"({"ociVersion":"","id":"","status":"creating","bundle":""})");
  CHECK(dump(ContainerState::creating) == R"("creating")");
  CHECK(dump(ContainerState::created) == R"("created")");
  CHECK(dump(ContainerState::running) == R"("running")");
  CHECK(dump(ContainerState::stopped) == R"("stopped")");
}

TEST_CASE("A pid is written in decimal") {
  const auto [pid, text] = GENERATE(table<std::int32_t, std::string>({
      {0, "0"},
      {-1, "-1"},
      {4242, "4242"},
      {std::numeric_limits<std::int32_t>::max(), "2147483647"},
      {std::numeric_limits<std::int32_t>::min(), "-2147483648"},
  }));
  State state;
  state.pid = pid;
  CHECK(dump(state) ==
        R"({"ociVersion":"","id":"","status":"stopped","pid":)" + text + R"(,"bundle":""})");
  ContainerProcessState process;
  process.pid = pid;
  CHECK(dump(process) ==
        R"({"ociVersion":"","fds":[],"pid":)" + text +
            R"(,"state":{"ociVersion":"","id":"","status":"stopped","bundle":""}})");
}

TEST_CASE("Annotations are sorted by the bytes of their names") {
  State state;
  state.annotations =
      oci::Annotations{{"z", "5"},
                       {"é", "6"},
                       {"a.b", "3"},
                       {"", "0"},
                       {"Z", "1"},
                       {"a", "2"},
                       {"ab", "4"},
                       // By UTF-16 units, as some languages sort, these two would change places.
                       {"\U00010000", "8"},
                       {"\uff61", "7"}};
  CHECK(dump(state) ==
        R"({"ociVersion":"","id":"","status":"stopped","bundle":"","annotations":{"":"0","Z":"1",)"
        R"("a":"2","a.b":"3","ab":"4","z":"5","é":"6",)"
        "\"\uff61\":\"7\",\"\U00010000\":\"8\"}}");
}

TEST_CASE("Only control characters, quotes and backslashes are escaped") {
  State state;
  for (char c = 0; c < 0x7f; ++c) state.id += c;
  state.id += "\x7f\xc2\x80é\u2028\u202e漢😀\U0010ffff";
  const std::string escaped =
      R"(\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f)"
      R"(\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e)"
      R"(\u001f !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`)"
      R"(abcdefghijklmnopqrstuvwxyz{|}~)"
      "\x7f\xc2\x80é\u2028\u202e漢😀\U0010ffff";
  CHECK(dump(state) ==
        R"({"ociVersion":"","id":")" + escaped + R"(","status":"stopped","bundle":""})");

  // The same for a name and, each alone, in a short string: there are two ways to copy a string.
  State annotated;
  annotated.annotations = oci::Annotations{{state.id, ""}};
  CHECK(dump(annotated) ==
        R"({"ociVersion":"","id":"","status":"stopped","bundle":"","annotations":{")" + escaped +
            R"(":""}})");
  for (const char c : state.id.substr(0, 0x80)) {
    const std::string alone(1, c);
    const std::string text = nlohmann::json(alone).dump();
    for (const std::string& around : {std::string{}, std::string(20, 'x')}) {
      CHECK(dump(State{"", around + alone + around}) ==
            R"({"ociVersion":"","id":")" + around + text.substr(1, text.size() - 2) + around +
                R"(","status":"stopped","bundle":""})");
    }
  }
}

TEST_CASE("A bundle is written unchanged, in UTF-8") {
  const std::string bundle =
      GENERATE("/run/web", "relative", "/srv//x/./y/../z/", "/", "/контейнер/漢字", "/a b/c:d");
  const std::string text =
      R"({"ociVersion":"","id":"","status":"stopped","bundle":")" + bundle + R"("})";
  CHECK(dump(parse(text)) == text);
}

TEST_CASE("Written documents are read back as equal values") {
  const auto check = [](const auto& value) {
    using T = std::decay_t<decltype(value)>;
    CHECK((parse<T>(dump(value)) == value));  // a failure prints no megabytes
  };
  check(State{});
  check(ContainerProcessState{});
  State state{"1.2.0", "", ContainerState::creating, {}, -1, "/run/a b/\"", oci::Annotations{}};
  for (int c = 0; c < 0x80; ++c) {
    const std::string text{static_cast<char>(c)};
    state.annotations->emplace(text, text + "é" + text);
    state.id += text;
  }
  state.version = std::string(1 << 20, 'x');
  check(state);
  state.pid.reset();
  check(ContainerProcessState{"1.2.0", {"", "\n", "漢"}, -2147483647 - 1, state.id, state});
  check(ContainerProcessState{"", std::vector<std::string>(10000, "fd"), 0, "", State{}});
}

TEST_CASE("What was read can be written, without unknown members") {
  CHECK(dump(parse(R"( {"x":{"id":[1e300]}, "annotations":{"b":"\u0000","a":"\u00e9\/"}, "pid":null,
                        "status":"created", "id":"\ud83d\ude00\u007f" } )")) ==
        "{\"ociVersion\":\"\",\"id\":\"😀\x7f\",\"status\":\"created\",\"bundle\":\"\","
        "\"annotations\":{\"a\":\"é/\",\"b\":\"\\u0000\"}}");
  CHECK(dump(parse<ContainerProcessState>(R"({"state":{"pid":-0},"fds":null,"metadata":null})")) ==
        R"({"ociVersion":"","fds":[],"pid":0,)"
        R"("state":{"ociVersion":"","id":"","status":"stopped","pid":0,"bundle":""}})");
}

// ---- to_json

TEST_CASE("to_json makes json and ordered_json") {
  const State state{"1.2.0", "web", ContainerState::running,     {},
                    42,      "/b",  oci::Annotations{{"k", "v"}}};
  const ContainerProcessState process{"1.2.0", {"seccompFd"}, 43, "m", state};
  const nlohmann::json sorted = process;
  CHECK(sorted.dump() ==
        R"({"fds":["seccompFd"],"metadata":"m","ociVersion":"1.2.0","pid":43,"state":)"
        R"({"annotations":{"k":"v"},"bundle":"/b","id":"web","ociVersion":"1.2.0","pid":42,)"
        R"("status":"running"}})");
  const nlohmann::ordered_json ordered = process;
  CHECK(ordered.dump() ==
        R"({"ociVersion":"1.2.0","fds":["seccompFd"],"pid":43,"metadata":"m","state":)"
        R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,"bundle":"/b",)"
        R"("annotations":{"k":"v"}}})");
  CHECK(nlohmann::json(ContainerState::created) == "created");
  CHECK(nlohmann::ordered_json(ContainerState::stopped) == "stopped");

  const State paused{"", "", ContainerState::other, "paused"};
  CHECK(nlohmann::json(paused).at("status") == "paused");
  CHECK(nlohmann::ordered_json(paused).at("status") == "paused");
}

TEST_CASE("to_json replaces the old value") {
  nlohmann::json json{{"pid", 7}, {"owner", "me"}};
  to_json(json, State{});
  CHECK(json.dump() == R"({"bundle":"","id":"","ociVersion":"","status":"stopped"})");
  to_json(json, ContainerState::running);
  CHECK(json == "running");
}

TEST_CASE("A status without a proper name is not written, and to_json changes nothing") {
  State state;
  const auto none = static_cast<ContainerState>(7);
  const std::string own = "expected a status of the runtime's own, found ";
  std::string message;
  SECTION("no enumerator") {
    state.status = none;
    message = "expected a ContainerState, found 7";
  }
  SECTION("no enumerator, with a name") {
    state.status = none;
    state.other_status = "paused";
    message = "expected a ContainerState, found 7";
  }
  SECTION("an empty name") {
    state.status = ContainerState::other;
    message = own + R"("")";
  }
  SECTION("a name of the specification") {
    state.status = ContainerState::other;
    state.other_status = GENERATE("creating", "created", "running", "stopped");
    message = own + '"' + state.other_status + '"';
  }
  ContainerProcessState process;
  process.state = state;
  check_error(dump_error(state), "/status", message);
  check_error(dump_error(process), "/state/status", message);

  nlohmann::json json{{"old", 1}};
  check_error(error_of([&] { to_json(json, state); }), "/status", message);
  check_error(error_of([&] { to_json(json, process); }), "/state/status", message);
  CHECK(json.dump() == R"({"old":1})");
}

TEST_CASE("A bare ContainerState has no place for another name") {
  const auto status = GENERATE(ContainerState::other, static_cast<ContainerState>(7));
  CHECK_THROWS_AS(dump(status), oci::Error);
  CHECK_THROWS_AS(nlohmann::json(status), oci::Error);
  CHECK_THROWS_AS(nlohmann::ordered_json(status), oci::Error);
  nlohmann::json json{{"old", 1}};
  CHECK_THROWS_AS(to_json(json, status), oci::Error);
  CHECK(json.dump() == R"({"old":1})");
}
