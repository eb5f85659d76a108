/* Runs commands in turn, many times, and prints for each the median time from its start to its end
 * and its peak memory. In C and static, because a new process counts the memory of the one that
 * started it as its own.
 *
 * usage: spawn ROUNDS FILE -- COMMAND [ARGUMENT...] [-- COMMAND [ARGUMENT...]]...
 * FILE is every command's standard input.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { most_commands = 16, most_rounds = 1000 };

static double times[most_commands][most_rounds];
static long peaks[most_commands];

static int by_size(const void* left, const void* right) {
  const double difference = *(const double*)left - *(const double*)right;
  return (difference > 0) - (difference < 0);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

int main(int argc, char** argv) {
  char** commands[most_commands];
  int count = 0;
  const int rounds = argc > 1 ? atoi(argv[1]) : 0;
  for (int i = 3; i < argc; ++i) {
    if (strcmp(argv[i], "--") != 0) continue;
    argv[i] = NULL;
    if (count < most_commands) commands[count++] = argv + i + 1;
  }
  if (count == 0 || rounds < 1 || rounds > most_rounds) {
    fputs("usage: spawn ROUNDS FILE -- COMMAND [ARGUMENT...]...\n", stderr);
    return 2;
  }
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < count; ++i) {
      posix_spawn_file_actions_t actions;
      posix_spawn_file_actions_init(&actions);
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, argv[2], O_RDONLY, 0);
      pid_t child;
      int status;
      struct rusage usage;
      const double start = now();
      extern char** environ;
      if (posix_spawnp(&child, commands[i][0], &actions, NULL, commands[i], environ) != 0 ||
          wait4(child, &status, 0, &usage) != child || status != 0) {
        fprintf(stderr, "spawn: %s fails\n", commands[i][0]);
        return 1;
      }
      times[i][round] = now() - start;
      if (usage.ru_maxrss > peaks[i]) peaks[i] = usage.ru_maxrss;
      posix_spawn_file_actions_destroy(&actions);
    }
  }
  for (int i = 0; i < count; ++i) {
    qsort(times[i], (size_t)rounds, sizeof times[i][0], by_size);
    printf("%.1f %ld\n", times[i][rounds / 2], peaks[i]);
  }
  return 0;
}
