# Writes what a user will copy from README.md to files of their own, which readme.cmake tests:
#   awk -v dir=DIRECTORY -f readme.awk README.md
# The second block of C++ becomes 2.cpp, the second of CMake 2.cmake, and the second command line that
# begins with c++ becomes 2.sh. The first block of text after 2.cpp, which may be what that prints,
# becomes 2.txt. Fails on a block of another language, which would go untested.

function fail(message) {
  print FILENAME ":" FNR ": " message >"/dev/stderr"
  failed = 1
  exit 1
}

!language && /^[ \t]*(```|~~~)/ {
  language = $0
  sub(/^```/, "", language)
  if (language == "cpp" || language == "cmake") {
    file = dir "/" (++count[language]) "." language
  } else if (language == "text") {
    file = dir "/" (count["cpp"] + 0) ".txt"
    if (written[file]++) file = "/dev/null"
  } else if (language == "sh") {
    file = "/dev/null"
  } else {
    fail("a block in `" language "`, not cpp, cmake, sh or text")
  }
  next
}

/^```$/ {
  close(file)
  language = ""
  next
}

language == "sh" && /^c\+\+ / {
  command = dir "/" (++count["sh"]) ".sh"
  print >command
  close(command)
}

language { print >file }

END {
  if (language && !failed) fail("the last block is not closed")
}
