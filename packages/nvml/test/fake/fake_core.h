/*
 * What the parts of the fake share: configuration, faults, handles. See fake_core.c for the configuration's language.
 */
#ifndef FAKE_CORE_H
#define FAKE_CORE_H
#include "fake_nvml.h"
#include <stddef.h>

/* Everything is compiled; a version script made from exports.ts decides what this "driver branch" exports. */
#define API nvmlReturn_t

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, TIMEOUT = 10, VERSION_MISMATCH = 25 };

struct fake_device {
  unsigned int magic;
  char name[16];
};

int find_line(const char *prefix, char *out, size_t size);
const char *device_name(nvmlDevice_t device);
nvmlDevice_t device_for(const char *name);
int get(const char *device, const char *key, char *out, size_t size);
nvmlReturn_t enter(const char *function, const char *device);
nvmlReturn_t enter_device(const char *function, nvmlDevice_t device, const char **name);
nvmlReturn_t read_text(const char *function, nvmlDevice_t device, const char *key, char *out, unsigned int length);
nvmlReturn_t read_u64(const char *name, const char *key, u64 *out);
nvmlReturn_t read_u32(const char *function, nvmlDevice_t device, const char *key, unsigned int *out);
nvmlReturn_t read_pair(const char *function, nvmlDevice_t device, const char *one, unsigned int *a, const char *two, unsigned int *b);
nvmlReturn_t read_long(const char *function, nvmlDevice_t device, const char *key, u64 *out);
nvmlReturn_t system_text(const char *function, const char *key, char *out, unsigned int length);

#define TEXT(function, key) \
  API function(nvmlDevice_t d, char *out, unsigned int n) { return read_text(#function, d, key, out, n); }
#define U32(function, key) \
  API function(nvmlDevice_t d, unsigned int *out) { return read_u32(#function, d, key, out); }
#define PAIR(function, one, two) \
  API function(nvmlDevice_t d, unsigned int *a, unsigned int *b) { return read_pair(#function, d, one, a, two, b); }
#define SELECTED(function, prefix) \
  API function(nvmlDevice_t d, unsigned int which, unsigned int *out) { \
    char key[64]; \
    snprintf(key, sizeof key, prefix "%u", which); \
    return read_u32(#function, d, key, out); \
  }
#define SELECTED_PAIR(function, prefix) \
  API function(nvmlDevice_t d, unsigned int one, unsigned int two, unsigned int *out) { \
    char key[64]; \
    snprintf(key, sizeof key, prefix "%u.%u", one, two); \
    return read_u32(#function, d, key, out); \
  }
#endif
