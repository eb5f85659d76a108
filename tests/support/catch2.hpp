// Catch2, whichever of its versions 2.13 and 3 there is.

#ifndef OCI_STATE_TESTS_CATCH2_HPP
#define OCI_STATE_TESTS_CATCH2_HPP

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#endif  // OCI_STATE_TESTS_CATCH2_HPP
