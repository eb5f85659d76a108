// Writing: the very bytes of each document.

#include <oci/state.hpp>

#include "catch.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

using oci::ContainerProcessState;
using oci::ContainerState;
using oci::dump;
using oci::parse;
using oci::State;

TEST_CASE("The default State has the four members that are always there") {
  CHECK(dump(State{}) == R"({"ociVersion":"","id":"","status":"stopped","bundle":""})");
}

TEST_CASE("A State is written in the order of the specification") {
  CHECK(dump(State{"1.2.0", "web", ContainerState::running, 42, "/run/web",
                   oci::Annotations{{"k", "v"}}}) ==
        R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,"bundle":"/run/web",)"
        R"("annotations":{"k":"v"}})");
}

TEST_CASE("The default ContainerProcessState has the four members that are always there") {
  CHECK(dump(ContainerProcessState{}) ==
        R"({"ociVersion":"","fds":[],"pid":0,)"
        R"("state":{"ociVersion":"","id":"","status":"stopped","bundle":""}})");
}

TEST_CASE("A ContainerProcessState is written in the order of the specification") {
  const State state{"1.1.0", "web", ContainerState::creating,
                    7,       "/b",  oci::Annotations{{"k", "v"}}};
  CHECK(dump(ContainerProcessState{"1.2.0", {"z", "seccompFd", "a", "z"}, 42, "m", state}) ==
        R"({"ociVersion":"1.2.0","fds":["z","seccompFd","a","z"],"pid":42,"metadata":"m",)"
        R"("state":{"ociVersion":"1.1.0","id":"web","status":"creating","pid":7,"bundle":"/b",)"
        R"("annotations":{"k":"v"}}})");
}

TEST_CASE("Members that may be absent are written when they are there, empty or not") {
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

TEST_CASE("Control characters, quotes and backslashes are escaped, and nothing else") {
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

  // The same for a name.
  State annotated;
  annotated.annotations = oci::Annotations{{state.id, ""}};
  CHECK(dump(annotated) ==
        R"({"ociVersion":"","id":"","status":"stopped","bundle":"","annotations":{")" + escaped +
            R"(":""}})");
}

TEST_CASE("A bundle is written as it was given, in UTF-8") {
  const std::string bundle =
      GENERATE("/run/web", "relative", "/srv//x/./y/../z/", "/", "/контейнер/漢字", "/a b/c:d");
  const std::string text =
      R"({"ociVersion":"","id":"","status":"stopped","bundle":")" + bundle + R"("})";
  CHECK(dump(parse(text)) == text);
}

TEST_CASE("What was written is read as what it was") {
  const auto check = [](const auto& value) {
    using T = std::decay_t<decltype(value)>;
    CHECK((parse<T>(dump(value)) == value));  // no megabytes on the screen
  };
  check(State{});
  check(ContainerProcessState{});
  State state{"1.2.0", "", ContainerState::creating, -1, "/run/a b/\"", oci::Annotations{}};
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

TEST_CASE("What was read can be written, without the members that are no one's") {
  CHECK(dump(parse(R"( {"x":{"id":[1e300]}, "annotations":{"b":"\u0000","a":"\u00e9\/"}, "pid":null,
                        "status":"created", "id":"\ud83d\ude00\u007f" } )")) ==
        "{\"ociVersion\":\"\",\"id\":\"😀\x7f\",\"status\":\"created\",\"bundle\":\"\","
        "\"annotations\":{\"a\":\"é/\",\"b\":\"\\u0000\"}}");
  CHECK(dump(parse<ContainerProcessState>(R"({"state":{"pid":-0},"fds":null,"metadata":null})")) ==
        R"({"ociVersion":"","fds":[],"pid":0,)"
        R"("state":{"ociVersion":"","id":"","status":"stopped","pid":0,"bundle":""}})");
}

// ---- to_json
// -------------------------------------------------------------------------------------

TEST_CASE("to_json makes the same document of any kind of json") {
  const State state{"1.2.0", "web", ContainerState::running,
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
}

TEST_CASE("to_json replaces all that was there") {
  nlohmann::json json{{"pid", 7}, {"owner", "me"}};
  to_json(json, State{});
  CHECK(json.dump() == R"({"bundle":"","id":"","ociVersion":"","status":"stopped"})");
  to_json(json, ContainerState::running);
  CHECK(json == "running");
}

TEST_CASE("A status that is none of the four isn't written, and to_json changes nothing") {
  const auto none = static_cast<ContainerState>(7);
  State state;
  state.status = none;
  ContainerProcessState process;
  process.state.status = none;
  CHECK_THROWS_AS(dump(none), oci::Error);
  CHECK_THROWS_AS(dump(state), oci::Error);
  CHECK_THROWS_AS(dump(process), oci::Error);

  nlohmann::json json{{"old", 1}};
  CHECK_THROWS_AS(to_json(json, none), oci::Error);
  CHECK_THROWS_AS(to_json(json, state), oci::Error);
  CHECK_THROWS_AS(to_json(json, process), oci::Error);
  CHECK(json.dump() == R"({"old":1})");
}
