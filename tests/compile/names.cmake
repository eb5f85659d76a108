# Writes to TO, for each name in the text of HEADER that may be a function's, FUNCTION(name). For the
# two names that nlohmann/json looks for in a user's namespace, CONVERSION(name).
file(READ ${HEADER} text)
string(REPLACE ";" " " text "${text}")
string(REGEX REPLACE "//[^\n]*" "" text "${text}")
string(REGEX MATCHALL "[A-Za-z_][A-Za-z0-9_]*[(<]" calls "${text}")
string(REGEX REPLACE "[(<]" "" names "${calls}")
list(REMOVE_DUPLICATES names)
list(FILTER names EXCLUDE REGEX "^[A-Z]")
# Words of the language, and what a user's namespace has to leave to the standard library.
set(words alignas alignof auto bool catch char class const constexpr decltype default defined delete
  do double else enum explicit false float for friend if inline int long mutable namespace new
  noexcept operator or private public return short signed sizeof static static_assert static_cast
  reinterpret_cast struct switch template this throw true try typename union unsigned using virtual
  void volatile while begin end swap)
list(REMOVE_ITEM names ${words})
set(functions "")
foreach(name IN LISTS names)
  set(macro FUNCTION)
  if(name MATCHES "^(to|from)_json$")
    set(macro CONVERSION)
  endif()
  string(APPEND functions "#ifndef ${name}\n${macro}(${name})\n#endif\n")
endforeach()
file(WRITE ${TO} "${functions}")
