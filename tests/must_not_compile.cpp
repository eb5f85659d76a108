// Each case is a program that the compiler has to refuse: see CMakeLists.txt.

#include <oci/state.hpp>

namespace {
struct Derived : oci::State {  // without conversions of its own
  std::string owner{};
};

struct Kept : oci::State {  // with conversions, and a type derived from it without
  std::string owner{};
};
void to_json(nlohmann::json& json, const Kept& kept) {
  json = static_cast<const oci::State&>(kept);
  json["owner"] = kept.owner;
}
struct Second : Kept {
  std::string extra{};
};
}  // namespace

int main() {
#if defined CASE_dump
  static_cast<void>(oci::dump(Derived{}));
#elif defined CASE_second
  static_cast<void>(oci::dump(Kept{}));
  static_cast<void>(oci::dump(Second{}));
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
