// A program that uses the library, however it was brought in.

#include <iostream>
#include <oci/state.hpp>

int main() {
  const auto state = oci::parse(R"({"ociVersion":"1.2.0","id":"web","status":"running","pid":42})");
  std::cout << state.id << " is " << state.status << '\n';
  return state.status == oci::ContainerState::running && state.pid == 42 ? 0 : 1;
}
