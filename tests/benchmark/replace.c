/* What a safe replacement of a file asks of the system: the calls of save(), in its order. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void require(int held, const char* call) {
  if (held) return;
  perror(call);
  exit(2);
}

/* Replaces the file `name` in `directory`, of mode 0600, by `size` bytes at `data`. */
void replace(const char* directory, const char* name, const void* data, size_t size) {
  static const char temporary[] = ".oci-state-4422-0";
  struct stat status;
  const int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  require(parent != -1, "open");
  require(fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0, "fstatat");
  require(fstat(parent, &status) == 0, "fstat");
  (void)getpid(); /* for the name of the temporary file */
  const int file = openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  require(file != -1, "openat");
  require(fstat(file, &status) == 0, "fstat");
  require(write(file, data, size) == (ssize_t)size, "write");
  require(fsync(file) == 0, "fsync");
  require(close(file) == 0, "close");
  require(renameat(parent, temporary, parent, name) == 0, "renameat");
  require(fsync(parent) == 0, "fsync");
  require(close(parent) == 0, "close");
}
