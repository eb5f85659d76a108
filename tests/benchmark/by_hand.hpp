// The code that a C++ programmer writes by hand over nlohmann/json for a state, which is a struct
// with the members of oci::State. It does not include the header.

#ifndef OCI_STATE_TESTS_BY_HAND_HPP
#define OCI_STATE_TESTS_BY_HAND_HPP

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace by_hand {

template <class Json = nlohmann::json, class State>
Json to_document(const State& state) {
  Json json;
  json["ociVersion"] = state.version;
  json["id"] = state.id;
  json["status"] = std::string(to_string(state.status));
  if (state.pid) json["pid"] = *state.pid;
  json["bundle"] = state.bundle.string();
  if (state.annotations) json["annotations"] = *state.annotations;
  return json;
}

template <class State>
State from_document(const nlohmann::json& json) {
  State state;
  using Status = decltype(state.status);
  state.version = json.at("ociVersion").get<std::string>();
  state.id = json.at("id").get<std::string>();
  const auto status = json.at("status").get<std::string>();
  state.status = Status::stopped;
  if (status == "creating") state.status = Status::creating;
  if (status == "created") state.status = Status::created;
  if (status == "running") state.status = Status::running;
  if (json.contains("pid")) state.pid = json.at("pid").get<int>();
  state.bundle = json.at("bundle").get<std::string>();
  if (json.contains("annotations")) {
    state.annotations = json.at("annotations").get<std::map<std::string, std::string>>();
  }
  return state;
}

template <class State>
State parse(const std::string& text) {
  return by_hand::from_document<State>(nlohmann::json::parse(text));
}

template <class State>
std::string dump(const State& state) {
  return by_hand::to_document(state).dump();
}

template <class State>
State load(const std::filesystem::path& path) {
  std::ifstream in(path);
  return by_hand::from_document<State>(nlohmann::json::parse(in));
}

template <class State>
void save(const State& state, const std::filesystem::path& path) {
  std::ofstream out(path);
  out << by_hand::to_document(state);
}

}  // namespace by_hand

#endif  // OCI_STATE_TESTS_BY_HAND_HPP
