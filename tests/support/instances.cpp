// The one place where the instances of instances.hpp are compiled.

#define OCI_STATE_TESTS_INSTANCE template
#include "instances.hpp"
