// What may be the change of an update, and the list of a type. (What may not is in
// compile/must_not_compile.cpp.)

#include <oci/state.hpp>

#include "../support/catch.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "../support/container.hpp"
#include "../support/files.hpp"

using oci::State;
using runtime::Container;

namespace {

[[maybe_unused]] void give_id(State& state) { state.id = "new"; }
[[maybe_unused]] bool give_id_and_save(State& state) noexcept {
  state.id = "new";
  return true;
}
[[maybe_unused]] void give_id_to(State& state) { give_id(state); }

// Can be called with other types than a State.
struct Overloads {
  void operator()(State& state) const { state.id = "new"; }
  void operator()(int) const {}
};

struct Mutable {
  void operator()(State& state) {
    ++calls;
    state.id = "new";
  }
  int calls{};
};

struct Lvalue {
  void operator()(State& state) & { state.id = "new"; }
};

struct Noexcept {
  void operator()(State& state) const noexcept { state.id = "new"; }
};

struct WithMore {
  void operator()(State& state, int = 0) const { state.id = "new"; }
};

struct Variadic {
  template <class... Arguments>
  void operator()(Arguments&&... arguments) const {
    (..., (arguments.id = "new"));
  }
};

struct Renamed : State {
  void give_id() { id = "new"; }
};

}  // namespace

template <>
inline constexpr auto oci::members<Renamed> = oci::members<State>;

// ---- Lists

namespace lists {

using oci::operator==;

struct Number {
  int value{};
};
struct Forwarded : Number {};
struct Exact : Number {};
struct Returning : Number {};
struct Noexcept : Number {};

// A list for reading and one for writing.
struct ExactList {
  template <class Member>
  void operator()(Exact& exact, Member member) const {
    member("value", exact.value);
  }
  template <class Member>
  void operator()(const Exact& exact, Member member) const {
    member("value", exact.value);
  }
};

}  // namespace lists

template <>
inline constexpr auto oci::members<lists::Number> =
    [](auto&& number, auto&& member) { member("value", number.value); };
template <>
inline constexpr auto oci::members<lists::Forwarded> =
    [](auto& object, const auto& member) { oci::members<lists::Number>(object, member); };
template <>
inline constexpr auto oci::members<lists::Exact> = lists::ExactList{};
template <>
inline constexpr auto oci::members<lists::Returning> = [](auto& object, auto member) {
  member("value", object.value);
  return 1;
};
template <>
inline constexpr auto oci::members<lists::Noexcept> =
    [](auto& object, auto member) noexcept(false) -> void { member("value", object.value); };

TEMPLATE_TEST_CASE("A list may be any function that takes its object by reference", "",
                   lists::Number, lists::Forwarded, lists::Exact, lists::Returning,
                   lists::Noexcept) {
  const std::string text = R"({"value":7})";
  CHECK(oci::parse<TestType>(text).value == 7);
  CHECK(oci::dump(oci::parse<TestType>(text)) == text);
  CHECK(oci::parse<TestType>(text) == oci::parse<TestType>(text));
  CHECK(nlohmann::json(oci::parse<TestType>(text)).dump() == text);
}

// ---- Changes

#ifndef _WIN32  // where the header has no update

namespace {

/// Whether an update with `change` saves its change. It has to.
template <class T = State, class Change>
bool is_changed_by(Change change) {
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  oci::save(T{}, path);
  const T changed = oci::update<T>(path, std::move(change));
  CHECK(oci::load<T>(path) == changed);
  return changed.id == "new";
}

}  // namespace

TEST_CASE("A change may be a lambda that takes its T by reference") {
  CHECK(is_changed_by([](State& state) { state.id = "new"; }));
  CHECK(is_changed_by([](auto& state) { state.id = "new"; }));
  CHECK(is_changed_by([](auto&& state) { state.id = "new"; }));
  CHECK(is_changed_by(
      [](auto&& state) -> void { give_id_to(std::forward<decltype(state)>(state)); }));
  CHECK(is_changed_by([](State& state) noexcept { state.id = "new"; }));
  CHECK(is_changed_by([id = std::string("ne")](State& state) mutable {
    id += 'w';
    state.id = id;
  }));
  CHECK(is_changed_by([](State& state) {
    state.id = "new";
    return true;
  }));
  CHECK(is_changed_by(
      [name = std::make_unique<std::string>("new")](State& state) { state.id = *name; }));
}

TEST_CASE("A change may be a function or a function object") {
  CHECK(is_changed_by(give_id));
  CHECK(is_changed_by(&give_id));
  CHECK(is_changed_by(give_id_and_save));
  CHECK(is_changed_by(Overloads{}));
  CHECK(is_changed_by(Mutable{}));
  CHECK(is_changed_by(Lvalue{}));
  CHECK(is_changed_by(Noexcept{}));
  CHECK(is_changed_by(WithMore{}));
  CHECK(is_changed_by(Variadic{}));
}

TEST_CASE("A change may be an object of the standard library's") {
  CHECK(is_changed_by(std::function<void(State&)>(give_id)));
  CHECK(is_changed_by(std::function<bool(State&)>(give_id_and_save)));
  Mutable counting;
  CHECK(is_changed_by(std::ref(counting)));
  CHECK(counting.calls == 1);
  const auto lambda = [](State& state) { state.id = "new"; };
  CHECK(is_changed_by(std::ref(lambda)));
  CHECK(is_changed_by(std::cref(lambda)));
  CHECK(is_changed_by<Renamed>(std::mem_fn(&Renamed::give_id)));
  CHECK(is_changed_by(std::bind(give_id, std::placeholders::_1)));
}

TEST_CASE("A change of a type that derives from State may take its base by reference") {
  CHECK(is_changed_by<Container>([](State& state) { state.id = "new"; }));
  CHECK(is_changed_by<Container>(give_id));
  CHECK(is_changed_by<Container>(std::function<void(State&)>(give_id)));
}

TEST_CASE("A change that only looks takes its T by const reference, and returns a bool") {
  const TemporaryDirectory directory;
  const auto path = directory / "state.json";
  oci::save(State{}, path);
  bool is_called = false;
  const auto look = [&](const State& state) {
    is_called = true;
    return !state.id.empty();
  };
  CHECK(oci::update(path, look) == State{});
  CHECK(is_called);
  CHECK(oci::update(path, [](const auto&) { return false; }) == State{});
}
#endif
