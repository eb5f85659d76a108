// detail::TextSource: which texts are read straight into a struct, and which are left to nlohmann's
// parser. parse() gives the same result either way, so only a look at the source itself can tell.

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <string>
#include <vector>

#include "../support/container.hpp"
#include "../support/ways.hpp"

using oci::ContainerProcessState;
using oci::State;

namespace {

/// Whether `text` is read without a document. Never throws, whatever the text is.
template <class T = State>
bool is_read_straight(const std::string& text) {
  T value{};
  bool straight = false;
  CHECK_NOTHROW([&] { straight = oci::detail::read_text(text, value); }());
  CHECK(reading_dispute<T>(text) == "");
  if (straight) CHECK(same(value, oci::parse<T>(text)));
  return straight;
}

std::string with_id(const std::string& json) { return R"({"id":")" + json + R"("})"; }

}  // namespace

TEST_CASE("What runtimes write is read straight") {
  CHECK(is_read_straight("{}"));
  CHECK(is_read_straight(R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42,)"
                         R"("bundle":"/run/web","annotations":{"b":"2","a":""}})"));
  CHECK(is_read_straight<ContainerProcessState>(
      R"({"ociVersion":"1.2.0","fds":["a","b"],"pid":-1,"metadata":"m","state":{"pid":0}})"));
  CHECK(is_read_straight(" \t\r\n{ \"id\" :\t\"web\" ,\r\n\"pid\" : 1 , \"annotations\":{ } }\n "));
  CHECK(is_read_straight<ContainerProcessState>(R"({"fds":[ "a" , "b" ],"state": { } })"));
  CHECK(is_read_straight(R"({"pid":null,"annotations": null})"));
  CHECK(is_read_straight<ContainerProcessState>(R"({"fds":null,"metadata":null})"));
  CHECK(is_read_straight(R"({"status":"paused"})"));
  CHECK(is_read_straight("\xEF\xBB\xBF{}"));
  CHECK(is_read_straight("\xEF\xBB\xBF {\"pid\":-0}"));
}

TEST_CASE("Integers are read straight") {
  const std::string number = GENERATE("0", "1", "-1", "2147483647", "-2147483648");
  CHECK(is_read_straight(R"({"pid":)" + number + "}"));
}

TEST_CASE("Escapes for ASCII are read straight") {
  for (const std::string escape : {R"(\")", R"(\\)", R"(\/)", R"(\b)", R"(\f)", R"(\n)", R"(\r)",
                                   R"(\t)", R"(\u003c)", R"(\u0026)", R"(\u0000)", R"(\u007F)"}) {
    CAPTURE(escape);
    CHECK(is_read_straight(with_id(escape)));
    CHECK(is_read_straight(with_id("text before and " + escape + " behind")));
    CHECK(is_read_straight(with_id(escape + escape)));
    CHECK(is_read_straight(R"({"annotations":{"a)" + escape + R"(":"b"}})"));
  }
  CHECK(is_read_straight(R"({"i\u0064":"web","\u0070id":1})"));
}

TEST_CASE("Strings of any characters are read straight") {
  for (const std::string text : {"é", "漢字 and more", "😀", R"(\u0080)", R"(\u00e9)",
                                 R"(\ud83d\ude00)", "\x7f", "a\x7fzzzzzzzzzzz"}) {
    CAPTURE(text);
    CHECK(is_read_straight(with_id(text)));
    CHECK(is_read_straight(with_id(text + R"(\n\"\\)")));
    CHECK(is_read_straight(R"({"annotations":{")" + text + R"(":")" + text + R"("}})"));
  }
}

TEST_CASE("A character is plain or not at each place of a string") {
  for (std::size_t size = 1; size < 20; ++size) {
    for (std::size_t place = 0; place < size; ++place) {
      for (int c = 0; c < 0x100; ++c) {
        std::string text(size, 'x');
        text[place] = static_cast<char>(c);
        std::string copy(size, '-');
        const std::size_t copied = oci::detail::copy_plain(text, copy.data());
        const bool plain = 0x20 <= c && c < 0x80 && c != '"' && c != '\\';
        const std::size_t expected = plain ? size : place;
        if (copied != expected) FAIL(size << ' ' << place << ' ' << c);
        if (copy.substr(0, copied) != text.substr(0, copied))
          FAIL(size << ' ' << place << ' ' << c);
      }
    }
  }
}

TEST_CASE("Unknown members go to nlohmann's parser, each as one token") {
  const std::string value =
      GENERATE("null", "true", "1.5e3", "-0", R"("a\"}]")", "[]", R"([1,{"a":[2,"]}"]}])",
               R"({"a":{"b":{}}})", R"("é\\")", "[ ]", R"({"a":"\\"})");
  CAPTURE(value);
  CHECK(is_read_straight(R"({"x":)" + value + "}"));
  CHECK(is_read_straight(R"({"x":)" + value + R"(,"id":"web"})"));
  CHECK(is_read_straight(R"({"x": )" + value + R"( ,"id":"web" })"));
  CHECK(is_read_straight<ContainerProcessState>(R"({"state":{"x":)" + value + "}}"));
}

TEST_CASE("Unknown members with any name, and any number of them, are read straight") {
  CHECK(is_read_straight(R"({"\u0078":1,"é":2,"a\\b":{"é":3},"":4})"));
  std::string text{"{"};
  for (int i = 0; i < 100; ++i) text += '"' + std::to_string(i) + "\":0,";
  CHECK(is_read_straight(text + R"("id":""})"));
  CHECK_FALSE(is_read_straight(text + R"("99":0,"id":""})"));
}

TEST_CASE("Members of types that nlohmann converts are read straight") {
  using runtime::Container;
  CHECK(is_read_straight<Container>(R"({"terminal":true,"mode":"isolated","ports":[1,2]})"));
  CHECK(is_read_straight<Container>(R"({"mounts":[{"source":"/a","readOnly":false}]})"));
  CHECK(is_read_straight<Container>(R"({"limits":{"memory":1,"x":{}}})"));
  CHECK_FALSE(is_read_straight<Container>(R"({"terminal":1})"));
  CHECK_FALSE(is_read_straight<Container>(R"({"mounts":[{"source":"/a"}]})"));
  CHECK_FALSE(is_read_straight<Container>(R"({"mounts":[{"source":"/a","source":"/a"}]})"));
}

TEST_CASE("The text source gives up where it does not know, without an exception") {
  const std::string text = GENERATE(
      as<std::string>{},
      // Duplicate names, at any depth.
      R"({"id":"a","id":"a"})", R"({"annotations":{"a":"","a":""}})", R"({"x":1,"x":1})",
      R"({"x":1,"\u0078":1})", R"({"\u0078":1,"x":1})", R"({"é":1,"\u00e9":1})",
      R"({"x":{"y":1,"y":2}})", R"({"x":[{"y":{"z":1,"z":1}}]})", R"({"id":"a","i\u0064":"a"})",
      // Numbers that are not plain integers.
      R"({"pid":1.0})", R"({"pid":1e2})", R"({"pid":01})", R"({"pid":-01})", R"({"pid":00})",
      R"({"pid":2147483648})", R"({"pid":+1})", R"({"pid":})", R"({"pid":99999999999999999999})",
      // Wrong types.
      "[]", "null", R"({"id":null})", R"({"id":7})", R"({"status":""})", R"({"annotations":[]})",
      R"({"annotations":{"a":null}})", R"({"pid":"1"})", R"({"pid":nul})", R"({"pid":nullx})",
      R"({"pid":n42})", R"({"annotations":n{}})",
      // No JSON.
      "", " ", "{", "{}}", "{} {}", R"({"id":"a",})", R"({"id":"a" "b"})", R"({"id" "a"})",
      R"({id:"a"})", R"({"id":"a)", R"({"id":"a\)", R"({"id":"a\u00)", R"({"id":"\u00-1"})",
      R"({"id":"\u0x41"})", R"({"id":"\x"})", R"({"id":"\ud800"})", R"({"x":[}})", R"({"x":{]})",
      R"({"x":1 2})", R"({"x":nul})", R"({"x":,})", R"({"x"})", R"({"x":)", R"({"x":")",
      "{\"id\":\"a\nb\"}", "{\"id\":\"\x1f\"}", "{\"id\":\"\xff\"}", "{\"\xff\":1}",
      "{\"x\":\"\xff\"}", "{\"x\":\xEF\xBB\xBF\"a\"}", "\xEF\xBB{}", "{}\v",
      // NUL.
      std::string("{}\0", 3), std::string("{\"x\":\"\0\"}", 9), std::string("{\"id\":\"\0\"}", 10),
      std::string("{\"x\":1\0}", 8));
  CAPTURE(text);
  CHECK_FALSE(is_read_straight(text));
}

TEST_CASE("A name that is decoded is not compared again after its value is read") {
  // The value, decoded where the name was, is the name of another member of the same length.
  CHECK_FALSE(is_read_straight(R"({"statu\u0073":"\u0062undle""/etc"})"));
  CHECK_FALSE(is_read_straight<ContainerProcessState>(R"({"fd\u0073":["p\u0069d",1})"));
  CHECK_FALSE(is_read_straight<ContainerProcessState>(R"({"fd\u0073":["p\u0069d"]7})"));
  const auto state = oci::parse(R"({"statu\u0073":"\u0062undle","bundle":"/b"})");
  CHECK(state.other_status == "bundle");
  CHECK(state.bundle == "/b");
}

TEST_CASE("The text source gives up in an array, and in a nested struct") {
  const std::string text =
      GENERATE(R"({"fds":["a",]})", R"({"fds":["a" "b"]})", R"({"fds":["a"})", R"({"fds":[,]})",
               R"({"fds":["a",null]})", R"({"fds":{}})", R"({"fds":n["a"]})",
               R"({"metadata":n"a"})", R"({"state":{"id":"a","id":"a"}})",
               R"({"state":{"pid":1.5}})", R"({"state":null})", R"({"pid":null})");
  CAPTURE(text);
  CHECK_FALSE(is_read_straight<ContainerProcessState>(text));
}

TEST_CASE("A text may be cut off anywhere") {
  const std::string whole =
      R"({"ociVersion":"1.2.0","id":"a\n\u003cé","x":{"y":[1,"\\"]},"status":"running","pid":42,)"
      R"("bundle":"/run/web","annotations":{"b":"2","a":""}})";
  CHECK(is_read_straight(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    // On the heap and not terminated: a sanitiser sees a read behind the end.
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    State value;
    CHECK_FALSE(oci::detail::read_text({cut.data(), cut.size()}, value));
    CHECK_THROWS_AS(oci::parse(std::string_view(cut.data(), cut.size())), oci::Error);
  }
  CHECK_THROWS_AS(oci::parse(std::string_view{}), oci::Error);
}
