// Reading from a stream: all of it, or an exception.

#include <oci/state.hpp>

#include "catch.hpp"

#include <cstddef>
#include <fstream>
#include <istream>
#include <sstream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <utility>

#include "files.hpp"

using oci::ContainerProcessState;
using oci::parse;
using oci::State;

namespace {

/// Gives `text`, then throws.
class BreakingBuffer : public std::streambuf {
 public:
  explicit BreakingBuffer(std::string text) : text_(std::move(text)) {
    setg(text_.data(), text_.data(), text_.data() + text_.size());
  }

 protected:
  int_type underflow() override { throw std::runtime_error("the disk is gone"); }

 private:
  std::string text_;
};

/// Gives one byte at a time.
class SlowBuffer : public std::streambuf {
 public:
  explicit SlowBuffer(std::string text) : text_(std::move(text)) {}

 protected:
  int_type underflow() override {
    if (next_ == text_.size()) return traits_type::eof();
    setg(text_.data() + next_, text_.data() + next_, text_.data() + next_ + 1);
    return traits_type::to_int_type(text_[next_++]);
  }

 private:
  std::string text_;
  std::size_t next_{};
};

/// A document of `size` bytes.
std::string document_of_size(std::size_t size) {
  return R"({"id":")" + std::string(size - 9, 'x') + R"("})";
}

}  // namespace

TEST_CASE("A stream is read to its end") {
  std::istringstream in(R"({"id":"web","pid":42})");
  CHECK(parse(in) == State{"", "web", {}, {}, 42});

  std::istringstream process(R"({"fds":["a"],"pid":42})");
  CHECK(parse<ContainerProcessState>(process) == ContainerProcessState{"", {"a"}, 42});

  std::stringstream padded(" \n{\"id\":\"web\"}\n\n");
  CHECK(parse(padded).id == "web");
  CHECK(padded.peek() == std::char_traits<char>::eof());

  std::istringstream json("[1,2]");
  CHECK(parse<nlohmann::json>(json) == nlohmann::json{1, 2});
}

TEST_CASE("A stream is read from its current position") {
  std::istringstream in("a line before\n{\"id\":\"web\"}");
  std::string line;
  std::getline(in, line);
  CHECK(parse(in).id == "web");
}

TEST_CASE("A stream may be of any length") {
  const std::size_t size = GENERATE(4094u, 4095u, 4096u, 4097u, 8191u, 8192u, 8193u, 1000000u);
  std::istringstream in(document_of_size(size));
  CHECK((parse(in).id == std::string(size - 9, 'x')));
}

TEST_CASE("A stream may give its bytes one by one") {
  SlowBuffer buffer(document_of_size(10000));
  std::istream in(&buffer);
  CHECK((parse(in).id == std::string(10000 - 9, 'x')));
}

TEST_CASE("A file may be read as a stream") {
  const TemporaryDirectory directory;
  write_text(directory / "state.json", document_of_size(10000));
  std::ifstream in(directory / "state.json");
  CHECK((parse(in).id == std::string(10000 - 9, 'x')));
}

TEST_CASE("The stream's exception mask does not matter and is kept") {
  const auto all = std::ios_base::failbit | std::ios_base::badbit | std::ios_base::eofbit;
  std::istringstream in(R"({"id":"web"})");
  in.exceptions(all);
  CHECK(parse(in).id == "web");
  CHECK(in.exceptions() == all);

  std::istringstream wrong(R"({"id":7})");
  wrong.exceptions(all);
  CHECK_THROWS_AS(parse(wrong), oci::Error);
}

TEST_CASE("A stream is read as strictly as text") {
  using namespace std::string_literals;
  const std::string text =
      GENERATE(""s, " "s, "{"s, "{} {}"s, R"({"id":"a","id":"b"})"s, "{\"id\":\"\xff\"}"s, "{}\0"s,
               "{}\n\0{}"s, std::string(5000, ' ') + "{}\0"s);
  CAPTURE(text);
  std::istringstream in(text);
  CHECK_THROWS_AS(parse(in), oci::Error);
}

TEST_CASE("A stream that was read to its end has no document") {
  std::istringstream in(R"({"id":"web"})");
  static_cast<void>(parse(in));
  CHECK_THROWS_AS(parse(in), oci::Error);
}

TEST_CASE("A stream that breaks throws std::ios_base::failure") {
  using namespace std::string_literals;
  const std::string before =
      GENERATE(""s, "{"s, "{}"s, R"({"id":"web"})"s + std::string(10000, ' '));
  BreakingBuffer buffer(before);
  std::istream in(&buffer);
  SECTION("without exceptions of its own") {}
  SECTION("with exceptions of its own") { in.exceptions(std::ios_base::badbit); }
  try {
    static_cast<void>(parse(in));
    FAIL_CHECK("accepted");
  } catch (const std::ios_base::failure& failure) {
    CHECK(failure.code() == std::io_errc::stream);
  }
}

TEST_CASE("A stream that had failed before throws std::ios_base::failure") {
  std::istringstream in(R"({"id":"web"})");
  SECTION("failbit") { in.setstate(std::ios_base::failbit); }
  SECTION("badbit") { in.setstate(std::ios_base::badbit); }
  CHECK_THROWS_AS(parse(in), std::ios_base::failure);
}

TEST_CASE("A file that could not be opened throws std::ios_base::failure") {
  const TemporaryDirectory directory;
  std::ifstream in(directory / "none.json");
  CHECK_THROWS_AS(parse(in), std::ios_base::failure);
  std::istream without_buffer(nullptr);
  CHECK_THROWS_AS(parse(without_buffer), std::ios_base::failure);
  std::ifstream never_opened;  // has not failed yet: an empty text
  CHECK_THROWS_AS(parse(never_opened), oci::Error);
}

TEST_CASE("A directory opened as a file throws") {
  const TemporaryDirectory directory;
  std::ifstream in(directory.path());
#ifdef _LIBCPP_VERSION  // where a file ends if a read fails: an empty text
  CHECK_THROWS_AS(parse(in), oci::Error);
#else
  CHECK_THROWS_AS(parse(in), std::ios_base::failure);
#endif
}
