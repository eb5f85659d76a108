// Each case is a program that the compiler has to refuse: see CMakeLists.txt.

#include <oci/state.hpp>

namespace {
struct Derived : oci::State {  // without conversions of its own
  std::string owner{};
};
}  // namespace

int main() {
#if defined CASE_dump
  static_cast<void>(oci::dump(Derived{}));
#elif defined CASE_save
  oci::save(Derived{}, "file");
#elif defined CASE_parse
  static_cast<void>(oci::parse<Derived>("{}"));
#elif defined CASE_get_to
  Derived derived;
  nlohmann::json().get_to(derived);
#elif defined CASE_nodiscard
  oci::load("file");
#endif
}
