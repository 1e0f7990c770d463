/*
 * Makes recorded library calls over and over and prints the nanoseconds of each round: what the calls cost without us. The record says for
 * each call its function, its integer arguments and what its buffers hold when it begins.
 *
 *   replay-calls LIBRARY RECORD ROUNDS
 *
 * RECORD, a line each: FUNCTION COUNT, then COUNT words: iVALUE or bHEX (a buffer). Handles are looked up again: hINDEX.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_CALLS 8192
#define MAX_ARGUMENTS 6
typedef int (*function_t)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

struct call {
  function_t function;
  int count;
  uint64_t values[MAX_ARGUMENTS];
  unsigned char *initial[MAX_ARGUMENTS];
  size_t sizes[MAX_ARGUMENTS];
};
static struct call calls[MAX_CALLS];

static void *must(void *pointer, const char *what) {
  if (pointer) return pointer;
  fprintf(stderr, "replay-calls: %s\n", what);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  void *library = must(dlopen(argv[1], RTLD_NOW), "cannot load the library");
  ((int (*)(void))must(dlsym(library, "nvmlInit_v2"), "no nvmlInit_v2"))();
  int (*handle_at)(unsigned, uint64_t *) = (int (*)(unsigned, uint64_t *))must(dlsym(library, "nvmlDeviceGetHandleByIndex_v2"), "no lookup");
  FILE *record = must(fopen(argv[2], "r"), "cannot open the record");
  int total = 0;
  char name[128], word[65536];
  while (total < MAX_CALLS && fscanf(record, "%127s %d", name, &calls[total].count) == 2) {
    struct call *call = &calls[total++];
    call->function = (function_t)must(dlsym(library, name), name);
    for (int i = 0; i < call->count; i++) {
      if (fscanf(record, "%65535s", word) != 1) return 3;
      if (word[0] == 'i') call->values[i] = strtoull(word + 1, NULL, 10);
      else if (word[0] == 'h') handle_at((unsigned)atoi(word + 1), &call->values[i]);
      else {
        size_t size = strlen(word + 1) / 2;
        call->initial[i] = must(malloc(size + 1), "no memory");
        for (size_t byte = 0; byte < size; byte++) sscanf(word + 1 + 2 * byte, "%2hhx", &call->initial[i][byte]);
        call->sizes[i] = size;
        call->values[i] = (uint64_t)(uintptr_t)must(malloc(size + 64), "no memory");
      }
    }
  }
  for (int round = 0; round < atoi(argv[3]); round++) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int c = 0; c < total; c++) {
      struct call *call = &calls[c];
      for (int i = 0; i < call->count; i++)
        if (call->initial[i]) memcpy((void *)(uintptr_t)call->values[i], call->initial[i], call->sizes[i]);
      uint64_t *v = call->values;
      call->function(v[0], v[1], v[2], v[3], v[4], v[5]);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
  }
  return 0;
}
