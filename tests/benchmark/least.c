/* The least that a hook has to do: reads its standard input, appends a line to a file, ends. */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char** argv) {
  char text[4096];
  ssize_t size = 0;
  ssize_t count;
  while ((count = read(STDIN_FILENO, text + size, sizeof text - (size_t)size)) > 0) size += count;
  const int log = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
  static const char line[] = "2026-01-01T00:00:00Z \"web-1\" running 4422 \"/run/bundle\"\n";
  return count == 0 && write(log, line, sizeof line - 1) == (ssize_t)(sizeof line - 1) ? 0 : 1;
}
