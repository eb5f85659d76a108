// The least program that loads and saves a state, for the size of its object code and the time to
// compile it: with the header, or if BY_HAND is defined with the code by hand.

#ifdef BY_HAND

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "by_hand.hpp"

namespace {

enum class ContainerState { creating, created, running, stopped };

const char* to_string(ContainerState status) {
  constexpr const char* names[] = {"creating", "created", "running", "stopped"};
  return names[static_cast<int>(status)];
}

struct State {
  std::string version;
  std::string id;
  ContainerState status{ContainerState::stopped};
  std::optional<std::int32_t> pid;
  std::filesystem::path bundle;
  std::optional<std::map<std::string, std::string>> annotations;
};

State load(const char* path) { return by_hand::load<State>(path); }

/// In the order of the specification, as the header writes it.
void save(const State& state, const char* path) {
  std::ofstream out(path);
  out << by_hand::to_document<nlohmann::ordered_json>(state);
}

}  // namespace

#else

#include <oci/state.hpp>

using oci::load;
using oci::save;

#endif

int main(int, char** argv) {
  auto state = load(argv[1]);
  state.pid.reset();
  save(state, argv[1]);
}
