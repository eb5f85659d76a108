// What most tests use of the header's templates. instances.cpp compiles it once for the unit tests
// that CMake builds, which saves a third of their time. Without CMake, each test compiles what it
// uses.

#ifndef OCI_STATE_TESTS_INSTANCES_HPP
#define OCI_STATE_TESTS_INSTANCES_HPP

#include <oci/state.hpp>

#include <filesystem>
#include <ostream>
#include <string>
#include <string_view>

#include "container.hpp"

#ifndef OCI_STATE_TESTS_INSTANCE
#define OCI_STATE_TESTS_INSTANCE extern template
#endif

#define OCI_STATE_TESTS_DOCUMENT(T)                        \
  OCI_STATE_TESTS_INSTANCE T oci::parse(std::string_view); \
  OCI_STATE_TESTS_INSTANCE std::string oci::dump(const T&);

#define OCI_STATE_TESTS_STRUCT(T)                                                  \
  OCI_STATE_TESTS_DOCUMENT(T)                                                      \
  OCI_STATE_TESTS_INSTANCE bool oci::operator==(const T&, const T&);               \
  OCI_STATE_TESTS_INSTANCE bool oci::operator!=(const T&, const T&);               \
  OCI_STATE_TESTS_INSTANCE std::ostream& oci::operator<<(std::ostream&, const T&); \
  OCI_STATE_TESTS_INSTANCE void oci::to_json(nlohmann::json&, const T&);           \
  OCI_STATE_TESTS_INSTANCE void oci::to_json(nlohmann::ordered_json&, const T&);   \
  OCI_STATE_TESTS_INSTANCE void oci::from_json(const nlohmann::json&, T&);         \
  OCI_STATE_TESTS_INSTANCE void oci::from_json(const nlohmann::ordered_json&, T&);

OCI_STATE_TESTS_STRUCT(oci::State)
OCI_STATE_TESTS_STRUCT(oci::ContainerProcessState)
OCI_STATE_TESTS_STRUCT(runtime::Container)
OCI_STATE_TESTS_DOCUMENT(nlohmann::json)
OCI_STATE_TESTS_DOCUMENT(nlohmann::ordered_json)

#ifndef _WIN32
#define OCI_STATE_TESTS_FILE(T)                                                    \
  OCI_STATE_TESTS_INSTANCE T oci::load(const std::filesystem::path&);              \
  OCI_STATE_TESTS_INSTANCE T oci::load(int);                                       \
  OCI_STATE_TESTS_INSTANCE void oci::save(const T&, const std::filesystem::path&); \
  OCI_STATE_TESTS_INSTANCE void oci::save(const T&, int);                          \
  OCI_STATE_TESTS_INSTANCE void oci::create(const T&, const std::filesystem::path&);
OCI_STATE_TESTS_FILE(oci::State)
OCI_STATE_TESTS_FILE(oci::ContainerProcessState)
OCI_STATE_TESTS_FILE(runtime::Container)
#endif

#endif  // OCI_STATE_TESTS_INSTANCES_HPP
