// Each case is a program that the compiler has to refuse, and without a case it has to compile: see
// tests/CMakeLists.txt.

#include <oci/state.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../support/container.hpp"

namespace {

// Without a list of members and without conversions, though a base has them.
struct Derived : oci::State {
  std::string owner{};
};
struct Further : runtime::Container {
  std::string sandbox{};
};

template <class T>
struct Value {
  T value{};
};

// Structs whose lists take a copy of them.
struct Generic {
  int number{};
};
struct Exact {
  int number{};
};
struct Functor {
  int number{};
};
struct FunctorList {
  template <class Member>
  void operator()(Functor functor, Member member) const {
    member("number", functor.number);
  }
};

// Functions that change a copy, or nothing.
inline void change_copy(oci::State) {}
inline void change_nothing(const oci::State&) {}
struct ChangeCopy {
  void operator()(oci::State) {}
};

}  // namespace

template <class T>
inline constexpr auto oci::members<Value<T>> =
    [](auto& value, auto member) { member("value", value.value); };

template <>
inline constexpr auto oci::members<Generic> =
    [](auto generic, auto member) { member("number", generic.number); };
template <>
inline constexpr auto oci::members<Exact> =
    [](Exact exact, auto member) { member("number", exact.number); };
template <>
inline constexpr auto oci::members<Functor> = FunctorList{};

namespace {

template <class T>
void read() {
  static_cast<void>(oci::parse<T>(""));
}

template <class T>
void write(const T& value = {}) {
  static_cast<void>(oci::dump(value));
}

template <class Change>
void update(Change change) {
  oci::update("", change);
}

}  // namespace

int main() {
  read<Value<std::string>>();
  write<Value<std::string>>();
  update([](oci::State&) {});

  // A type that neither this header nor nlohmann can read or write.
#if defined CASE_read_derived
  read<Derived>();
#elif defined CASE_write_derived
  write<Derived>();
#elif defined CASE_write_further
  write<Further>();
#elif defined CASE_load_derived
  static_cast<void>(oci::load<Derived>(""));
#elif defined CASE_save_derived
  oci::save(Derived{}, "");
#elif defined CASE_create_derived
  oci::create(Derived{}, "");
#elif defined CASE_update_derived
  oci::update<Derived>("", [](Derived&) {});
#elif defined CASE_read_member
  read<Value<Derived>>();
#elif defined CASE_read_vector
  read<Value<std::vector<Derived>>>();
#elif defined CASE_read_map
  read<Value<std::map<std::string, Derived>>>();
#elif defined CASE_read_optional
  read<Value<std::optional<Derived>>>();
#elif defined CASE_read_vector_at_the_top
  read<std::vector<Derived>>();
#elif defined CASE_write_member
  write<Value<Derived>>();
#elif defined CASE_write_vector
  write<Value<std::vector<Derived>>>();
#elif defined CASE_write_map
  write<Value<std::map<std::string, Derived>>>();
#elif defined CASE_write_optional
  write<Value<std::optional<Derived>>>();
#elif defined CASE_write_map_at_the_top
  write<std::map<std::string, Derived>>();

  // A text that the member does not own.
#elif defined CASE_read_view
  read<Value<std::string_view>>();
#elif defined CASE_read_pointer
  read<Value<const char*>>();
#elif defined CASE_read_vector_of_views
  read<Value<std::vector<std::string_view>>>();
#elif defined CASE_read_map_of_views
  read<Value<std::map<std::string, std::string_view>>>();
#elif defined CASE_read_optional_pointer
  read<Value<std::optional<char*>>>();
#elif defined CASE_read_view_at_the_top
  read<std::string_view>();

  // A list that takes its object by value.
#elif defined CASE_read_generic_list
  read<Generic>();
#elif defined CASE_write_generic_list
  write<Generic>();
#elif defined CASE_read_exact_list
  read<Exact>();
#elif defined CASE_write_exact_list
  write<std::vector<Exact>>();
#elif defined CASE_read_functor_list
  read<Value<Functor>>();

  // A change that works on a copy, or can't change anything.
#elif defined CASE_change_by_value
  update([](oci::State) {});
#elif defined CASE_change_by_generic_value
  update([](auto) {});
#elif defined CASE_change_by_const_reference
  update([](const oci::State&) {});
#elif defined CASE_change_of_base_by_value
  oci::update<runtime::Container>("", [](oci::State) {});
#elif defined CASE_change_of_base_by_const_reference
  oci::update<runtime::Container>("", [](const oci::State&) {});
#elif defined CASE_change_by_function
  update(change_copy);
#elif defined CASE_change_by_const_function
  update(&change_nothing);
#elif defined CASE_change_by_functor
  update(ChangeCopy{});
#elif defined CASE_change_by_std_function
  update(std::function<void(oci::State)>{});
#elif defined CASE_change_result
  update([](oci::State&) { return 1; });

  // Integers and characters that JSON's numbers are not read into.
#elif defined CASE_read_wide
  read<Value<__int128>>();
#elif defined CASE_write_wide
  write<Value<unsigned __int128>>();
#elif defined CASE_read_wide_at_the_top
  read<std::vector<unsigned __int128>>();
#elif defined CASE_read_wchar
  read<Value<wchar_t>>();
#elif defined CASE_write_char16
  write<Value<char16_t>>();
#elif defined CASE_read_char32
  read<Value<std::optional<char32_t>>>();
#elif defined CASE_write_char8
  write<Value<char8_t>>();

  // What is not this header's to say.
#elif defined CASE_get_to
  Derived derived;
  nlohmann::json().get_to(derived);
#elif defined CASE_nodiscard
  oci::load("");
#elif defined CASE_none || defined CASE_standard
#else
#error "no such case"
#endif
}
