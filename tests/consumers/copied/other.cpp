// The second file of a program, with two copies of the header.

#include "else/where/state.hpp"
#include "third_party/oci/state.hpp"

std::string other() { return oci::dump(oci::State{}); }
