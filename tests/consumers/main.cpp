// A program that uses the library, however it was brought in.

#include <iostream>
#include <oci/state.hpp>

int main() {
  oci::State state;
  state.id = "web";
  state.status = oci::ContainerState::running;
  std::cout << state.id << " is " << state.status << '\n';
  const bool right =
      oci::dump(state) == R"({"ociVersion":"","id":"web","status":"running","bundle":""})";
  return right ? 0 : 1;
}
