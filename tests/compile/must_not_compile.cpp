// Each case is a program that the compiler has to refuse: see tests/CMakeLists.txt.

#include <oci/state.hpp>

#include "../support/container.hpp"

namespace {

// Without a list of members and without conversions, though a base has them.
struct Derived : oci::State {
  std::string owner{};
};
struct Further : runtime::Container {
  std::string sandbox{};
};

}  // namespace

int main() {
#if defined CASE_dump
  static_cast<void>(oci::dump(Derived{}));
#elif defined CASE_further
  static_cast<void>(oci::dump(Further{}));
#elif defined CASE_save
  oci::save(Derived{}, "file");
#elif defined CASE_parse
  static_cast<void>(oci::parse<Derived>("{}"));
#elif defined CASE_get_to
  Derived derived;
  nlohmann::json().get_to(derived);
#elif defined CASE_nodiscard
  oci::load("file");
#elif defined CASE_update
  oci::update("file", [](oci::State&) { return 1; });
#endif
}
