// Each case is a program that the compiler has to refuse. Behind its name stands a part of the
// first error. See tests/CMakeLists.txt.

#include <oci/state.hpp>

#if defined CASE_standard  // oci/state.hpp needs C++17
int main() {}
#else

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
#if defined CASE_none                                 // nothing
  read<Value<std::string>>();
  write<Value<std::string>>();
  update([](oci::State&) {});

  // A type that neither this header nor nlohmann can read or write.
#elif defined CASE_read_derived                       // T needs a list of members (oci::members<T>)
  read<Derived>();
#elif defined CASE_write_derived                      // T needs a list of members (oci::members<T>)
  write<Derived>();
#elif defined CASE_write_further                      // T needs a list of members (oci::members<T>)
  write<Further>();
#elif defined CASE_save_derived                       // T needs a list of members (oci::members<T>)
  oci::save(Derived{}, "");
#elif defined CASE_read_member                        // T needs a list of members (oci::members<T>)
  read<Value<Derived>>();
#elif defined CASE_read_vector                        // T needs a list of members (oci::members<T>)
  read<Value<std::vector<Derived>>>();
#elif defined CASE_read_map                           // T needs a list of members (oci::members<T>)
  read<Value<std::map<std::string, Derived>>>();
#elif defined CASE_read_optional                      // T needs a list of members (oci::members<T>)
  read<Value<std::optional<Derived>>>();
#elif defined CASE_read_vector_at_the_top             // T needs a list of members (oci::members<T>)
  read<std::vector<Derived>>();
#elif defined CASE_write_member                       // T needs a list of members (oci::members<T>)
  write<Value<Derived>>();
#elif defined CASE_write_vector                       // T needs a list of members (oci::members<T>)
  write<Value<std::vector<Derived>>>();
#elif defined CASE_write_map                          // T needs a list of members (oci::members<T>)
  write<Value<std::map<std::string, Derived>>>();
#elif defined CASE_write_optional                     // T needs a list of members (oci::members<T>)
  write<Value<std::optional<Derived>>>();
#elif defined CASE_write_map_at_the_top               // T needs a list of members (oci::members<T>)
  write<std::map<std::string, Derived>>();

  // A text that the member does not own.
#elif defined CASE_read_view                          // must own its text
  read<Value<std::string_view>>();
#elif defined CASE_read_pointer                       // must own its text
  read<Value<const char*>>();
#elif defined CASE_read_vector_of_views               // must own its text
  read<Value<std::vector<std::string_view>>>();
#elif defined CASE_read_map_of_views                  // must own its text
  read<Value<std::map<std::string, std::string_view>>>();
#elif defined CASE_read_optional_pointer              // must own its text
  read<Value<std::optional<char*>>>();
#elif defined CASE_read_view_at_the_top               // must own its text
  read<std::string_view>();

  // A list that takes its object by value.
#elif defined CASE_read_generic_list                  // must take its object by reference
  read<Generic>();
#elif defined CASE_write_generic_list                 // must take its object by reference
  write<Generic>();
#elif defined CASE_read_exact_list                    // must take its object by reference
  read<Exact>();
#elif defined CASE_write_exact_list                   // must take its object by reference
  write<std::vector<Exact>>();
#elif defined CASE_read_functor_list                  // must take its object by reference
  read<Value<Functor>>();

  // A change that works on a copy, or can't change anything.
#elif defined CASE_change_by_value                    // change must take its T by reference
  update([](oci::State) {});
#elif defined CASE_change_by_generic_value            // change must take its T by reference
  update([](auto) {});
#elif defined CASE_change_by_const_reference          // change must take its T by reference
  update([](const oci::State&) {});
#elif defined CASE_change_of_base_by_value            // change must take its T by reference
  oci::update<runtime::Container>("", [](oci::State) {});
#elif defined CASE_change_of_base_by_const_reference  // change must take its T by reference
  oci::update<runtime::Container>("", [](const oci::State&) {});
#elif defined CASE_change_by_function                 // change must take its T by reference
  update(change_copy);
#elif defined CASE_change_by_const_function           // change must take its T by reference
  update(&change_nothing);
#elif defined CASE_change_by_functor                  // change must take its T by reference
  update(ChangeCopy{});
#elif defined CASE_change_by_std_function             // change must take its T by reference
  update(std::function<void(oci::State)>{});
#elif defined CASE_change_by_std_ref                  // change must take its T by reference
  ChangeCopy copy;
  update(std::ref(copy));
#elif defined CASE_change_result                      // change must return nothing
  update([](oci::State&) { return 1; });

  // Integers and characters that JSON's numbers are not read into.
#elif defined CASE_read_wide                          // an integer of more than 64 bits
  read<Value<__int128>>();
#elif defined CASE_write_wide                         // an integer of more than 64 bits
  write<Value<unsigned __int128>>();
#elif defined CASE_read_wide_at_the_top               // an integer of more than 64 bits
  read<std::vector<unsigned __int128>>();
#elif defined CASE_read_wchar                         // a character type other than char
  read<Value<wchar_t>>();
#elif defined CASE_write_char16                       // a character type other than char
  write<Value<char16_t>>();
#elif defined CASE_read_char32                        // a character type other than char
  read<Value<std::optional<char32_t>>>();
#elif defined CASE_write_char8                        // a character type other than char
  write<Value<char8_t>>();

  // What is not this header's to say.
#elif defined CASE_get_to                             // function for call to
  Derived derived;
  nlohmann::json().get_to(derived);
#elif defined CASE_nodiscard                          // ignoring return value
  oci::load("");
#else
#error "There is no such case"
#endif
}

#endif
