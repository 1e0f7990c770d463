/* A shared library that has nothing to do with NVML. */
int unrelated(void) { return 1; }
