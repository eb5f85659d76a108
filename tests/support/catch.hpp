// What each test with Catch2 includes first.

#ifndef OCI_STATE_TESTS_CATCH_HPP
#define OCI_STATE_TESTS_CATCH_HPP

#include "catch2.hpp"

#ifdef OCI_STATE_TESTS_INSTANCES
#include "instances.hpp"
#endif

#endif  // OCI_STATE_TESTS_CATCH_HPP
