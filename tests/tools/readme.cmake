# Makes tests of the code that a user will copy from README.md. Needs add_consumer().

# Every block of C++ is compiled, and the first one has to print the text that follows it.
set(readme ${CMAKE_CURRENT_BINARY_DIR}/readme)
file(REMOVE_RECURSE ${readme}/new)
file(MAKE_DIRECTORY ${readme}/new)
execute_process(COMMAND awk -v dir=${readme}/new -f ${CMAKE_CURRENT_SOURCE_DIR}/tools/readme.awk
  ${PROJECT_SOURCE_DIR}/README.md RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "README.md has a block that is not tested here")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/README.md)
# A block that has not changed is not written again, and so not built again.
file(GLOB blocks RELATIVE ${readme}/new ${readme}/new/*)
foreach(block IN LISTS blocks)
  configure_file(${readme}/new/${block} ${readme}/${block} COPYONLY)
endforeach()
list(TRANSFORM blocks PREPEND ${readme}/)
set(cpp_blocks ${blocks})
list(FILTER cpp_blocks INCLUDE REGEX "\\.cpp$")
set(readme_targets "")
foreach(block IN LISTS cpp_blocks)
  get_filename_component(number ${block} NAME_WE)
  file(READ ${block} text)
  if(text MATCHES "int main")
    add_executable(readme_${number} ${block})
  else()
    add_library(readme_${number} OBJECT ${block})
  endif()
  set_target_properties(readme_${number} PROPERTIES CXX_STANDARD 17)
  if(text MATCHES "^// C\\+\\+20\n")
    set_target_properties(readme_${number} PROPERTIES CXX_STANDARD 20)
  endif()
  target_link_libraries(readme_${number} PRIVATE oci::state)
  target_compile_options(readme_${number} PRIVATE ${warnings} -Werror)
  list(APPEND readme_targets readme_${number})
endforeach()
add_custom_target(readme DEPENDS ${readme_targets})
add_test(NAME readme WORKING_DIRECTORY ${readme}
  COMMAND sh -c "\"$0\" <\"$1\" >output && diff -u 1.txt output" $<TARGET_FILE:readme_1>
    ${CMAKE_CURRENT_SOURCE_DIR}/fixtures/valid/state-specification-example.json)

# The README's: each block of CMake is a whole CMakeLists.txt, and each line that begins with c++ is a
# whole command. Both make ./hook from hook.cpp, with what is in third_party and what is installed.
list(FILTER blocks INCLUDE REGEX "\\.(cmake|sh)$")
foreach(block IN LISTS blocks)
  get_filename_component(name ${block} NAME)
  set(directory ${readme}/${name}.hook)
  configure_file(consumers/main.cpp ${directory}/hook.cpp COPYONLY)
  configure_file(${PROJECT_SOURCE_DIR}/include/oci/state.hpp
    ${directory}/third_party/oci/state.hpp COPYONLY)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR} ${directory}/third_party/oci_state SYMBOLIC)
  if(name MATCHES cmake)
    configure_file(${block} ${directory}/CMakeLists.txt COPYONLY)
    add_consumer(readme.${name} ${directory})
  else()
    add_test(NAME consumer.readme.${name} WORKING_DIRECTORY ${directory}
      COMMAND sh -c ". ${block} && ./hook")
    set_tests_properties(consumer.readme.${name} PROPERTIES FIXTURES_REQUIRED install
      ENVIRONMENT "PKG_CONFIG_PATH=${consumers}/prefix/share/pkgconfig")
  endif()
endforeach()
