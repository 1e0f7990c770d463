/*
 * The entry of every program in the image, and its init process. One static binary with several names; the last part of argv[0] says
 * which program is meant. There is no shell in the image, so this is also where the flags of node are chosen, and whether the program
 * starts from its V8 startup snapshot (K8S_GPU_MCP_SNAPSHOT=off: never).
 *
 *   /agent /gateway /bridge /kubectl-mcp   the program of that name; as PID 1 in a child process that is looked after
 *   /healthcheck                           tells how the program behind PID 1 is
 *   /pause                                 holds a container until it is told to end
 *
 * As PID 1 a process gets no default signal handling and inherits every orphan (signal(7), pid_namespaces(7)). The program shall not
 * have to know that: it runs as a child, gets every signal that can be passed on, and its end is the end of the container.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit codes: sysexits.h, and what shells use for a command that is not there or cannot be run. */
enum { UNKNOWN_PROGRAM = 64, SYSTEM_ERROR = 71, CANNOT_RUN = 126, NOT_FOUND = 127 };

/* Of node, before any of our code runs and for nothing else: the snapshot is of another build (node's src/node_exit_code.h). */
enum { SNAPSHOT_REFUSED = 14 };

/* Given otherwise for tests only. */
#ifndef PROGRAMS
#define PROGRAMS "/app"
#endif
/* Where base images have it: distroless, the official node image, Debian. */
#ifndef NODES
#define NODES "/nodejs/bin/node", "/usr/local/bin/node", "/usr/bin/node"
#endif

struct program {
  const char *name;
  const char *script;
  const char *flags[3]; /* for node */
  int is_frugal;        /* the allocator keeps nothing back */
  const char *snapshot; /* V8 startup snapshot, or NULL: the program as it is after loading; `.made-for` beside it */
};

/*
 * A young generation of 1 MB, and a heap that is collected before it grows: the agent is on every node of a cluster and seldom asked, so
 * memory counts for more than the processor time of a call. Code is optimized where it runs: the memory that a thread takes for it lies
 * between that of the others and cannot be given back. `npm run bench -- memory` measures it with these flags.
 */
#define SMALL_YOUNG_GENERATION "--max-semi-space-size=1"
#define SMALL_HEAP SMALL_YOUNG_GENERATION, "--optimize-for-size", "--no-concurrent-recompilation"

static const struct program programs[] = {
    {"agent", PROGRAMS "/agent/dist/main.js", {SMALL_HEAP}, 1, PROGRAMS "/agent/agent.blob"},
    {"gateway", PROGRAMS "/gateway/dist/main.js", {NULL}, 0, NULL},
    {"bridge", PROGRAMS "/bridge/dist/main.js", {SMALL_YOUNG_GENERATION}, 0, NULL},
    {"kubectl-mcp", PROGRAMS "/kubectl-mcp/dist/main.js", {SMALL_YOUNG_GENERATION}, 0, NULL},
    {"healthcheck", PROGRAMS "/healthcheck/healthcheck.mjs", {SMALL_YOUNG_GENERATION}, 0, NULL},
};

static const char *const nodes[] = {NODES};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int fail(int code, const char *what, const char *name) {
  dprintf(STDERR_FILENO, "%s: %s\n", what, name);
  return code;
}

static const struct program *program_of(const char *name) {
  for (size_t i = 0; i < COUNT(programs); i++)
    if (strcmp(programs[i].name, name) == 0) return &programs[i];
  return NULL;
}

static const char *node_of_image(void) {
  for (size_t i = 0; i < COUNT(nodes); i++)
    if (access(nodes[i], F_OK) == 0) return nodes[i];
  return NULL;
}

/*
 * How a file looks: its size and its two ends. Of an ELF file those hold the build id where there is one and the size and address of every
 * segment and section; of a snapshot its magic number and the version of node. Times say nothing, since copies and layers change them, and
 * a checksum over the 120 MB of node would cost more than the snapshot saves.
 */
enum { END_BYTES = 4096 };
struct looks {
  uint64_t bytes; /* little-endian in the file, as on both processors that there are images for */
  unsigned char first[END_BYTES], last[END_BYTES];
};

static int look_at(const char *path, struct looks *looks) {
  struct stat about;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  int is_seen = fstat(file, &about) == 0 && about.st_size >= END_BYTES &&
                pread(file, looks->first, END_BYTES, 0) == END_BYTES &&
                pread(file, looks->last, END_BYTES, about.st_size - END_BYTES) == END_BYTES;
  if (is_seen) looks->bytes = about.st_size;
  close(file);
  return is_seen;
}

/* What the build of the image wrote about the node and the snapshot that belong together (build/made-for.js). */
static int read_made_for(const char *snapshot, struct looks recorded[2], size_t bytes) {
  char path[strlen(snapshot) + sizeof(".made-for")];
  sprintf(path, "%s.made-for", snapshot);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  int is_whole = read(file, recorded, bytes) == (ssize_t)bytes;
  close(file);
  return is_whole;
}

/* The snapshot that the program is to be started with, or NULL: a wrong one would end node, or worse. */
static const char *snapshot_for(const struct program *program, const char *node) {
  const char *wanted = getenv("K8S_GPU_MCP_SNAPSHOT");
  struct looks recorded[2], found[2];
  if (!program->snapshot || (wanted && strcmp(wanted, "off") == 0)) return NULL;
  if (!read_made_for(program->snapshot, recorded, sizeof recorded)) return NULL;
  if (!look_at(node, &found[0]) || !look_at(program->snapshot, &found[1])) return NULL;
  return memcmp(recorded, found, sizeof found) == 0 ? program->snapshot : NULL;
}

/* What is run, and in which way. */
struct start {
  const struct program *program;
  const char *node;
  const char *snapshot;
  int argc;
  char **argv;
};

/*
 * Large pieces of memory go back to the system when they are freed, and become resident as they are written to. By itself glibc's allocator
 * stops that with the first large piece that is freed, and that is the snapshot (mallopt(3), M_MMAP_THRESHOLD). What was set outside stays.
 */
static void be_frugal(void) {
  setenv("MALLOC_MMAP_THRESHOLD_", "131072", 0);
  setenv("MALLOC_ARENA_MAX", "1", 0);
}

/* Becomes node with the program; returns an exit code only when that cannot be. */
static int become(const struct start *start) {
  char *arguments[start->argc + 6];
  int count = 0;
  arguments[count++] = "node";
  for (size_t i = 0; i < COUNT(start->program->flags); i++)
    if (start->program->flags[i]) arguments[count++] = (char *)start->program->flags[i];
  if (start->snapshot) {
    arguments[count++] = "--snapshot-blob";
    arguments[count++] = (char *)start->snapshot;
  }
  arguments[count++] = (char *)start->program->script;
  for (int i = 1; i < start->argc; i++) arguments[count++] = start->argv[i];
  arguments[count] = NULL;
  if (start->program->is_frugal) be_frugal();
  execv(start->node, arguments);
  return fail(CANNOT_RUN, strerror(errno), start->node);
}

/* Signals of a fault of this process itself stay with it; they are not for the program. */
static void passed_on(sigset_t *set) {
  const int own[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};
  sigfillset(set);
  for (size_t i = 0; i < COUNT(own); i++) sigdelset(set, own[i]);
}

/* A process group of its own in the foreground, so that Ctrl-C in a terminal reaches the program once: not from it and from us. */
static void take_terminal(void) {
  sigset_t ttou, before;
  setpgid(0, 0);
  if (!isatty(STDIN_FILENO)) return;
  sigemptyset(&ttou);
  sigaddset(&ttou, SIGTTOU);
  sigprocmask(SIG_BLOCK, &ttou, &before);
  tcsetpgrp(STDIN_FILENO, getpgrp());
  sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Waits for every process that ended; true once the program is among them. */
static int reap(pid_t program, int *status) {
  int is_over = 0, each;
  pid_t pid;
  while ((pid = waitpid(-1, &each, WNOHANG)) > 0)
    if (pid == program) {
      *status = each;
      is_over = 1;
    }
  return is_over;
}

/* The program in a process of its own, with the signals that we were started with. */
static pid_t start_child(const struct start *start, const sigset_t *signals) {
  pid_t child = fork();
  if (child != 0) return child;
  take_terminal();
  sigprocmask(SIG_SETMASK, signals, NULL);
  _exit(become(start));
}

static int look_after(struct start start) {
  sigset_t signals, before;
  passed_on(&signals);
  sigprocmask(SIG_SETMASK, &signals, &before);
  /* Whoever started us may have ignored it, and then there would be nothing to wait for. */
  signal(SIGCHLD, SIG_DFL);
  pid_t child = start_child(&start, &before);
  for (int status; child > 0;) {
    int number = sigwaitinfo(&signals, NULL);
    if (number == SIGCHLD && reap(child, &status)) {
      if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
      if (!start.snapshot || WEXITSTATUS(status) != SNAPSHOT_REFUSED) return WEXITSTATUS(status);
      /* Nothing was read of the input yet. */
      fail(0, "started without its snapshot", start.program->name);
      start.snapshot = NULL;
      child = start_child(&start, &before);
    } else if (number > 0 && number != SIGCHLD && number != SIGTTIN && number != SIGTTOU) {
      /* The program has a group of its own; the terminal's stop signals are about ours. */
      kill(child, number);
    }
  }
  return fail(SYSTEM_ERROR, "fork", strerror(errno));
}

/* Ignored SIGCHLD: the kernel reaps what ends, orphans too (wait(2), notes). */
static int pause_until_told(void) {
  sigset_t ends;
  int number;
  signal(SIGCHLD, SIG_IGN);
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, NULL);
  return sigwait(&ends, &number) == 0 ? 0 : SYSTEM_ERROR;
}

int main(int argc, char **argv) {
  const char *path = argc > 0 ? argv[0] : "";
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  if (strcmp(name, "pause") == 0) return pause_until_told();
  const struct program *program = program_of(name);
  if (!program)
    return fail(UNKNOWN_PROGRAM, "unknown program (agent, gateway, bridge, kubectl-mcp, pause, healthcheck)", name);
  const char *node = node_of_image();
  if (!node) return fail(NOT_FOUND, "no node in this image for", name);
  struct start start = {program, node, snapshot_for(program, node), argc, argv};
  return getpid() == 1 ? look_after(start) : become(&start);
}
