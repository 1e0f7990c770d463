/*
 * The entry of every program in the image, and its init process. One static binary with several names; the last part of argv[0] says
 * which program is meant. There is no shell in the image, so this is also where the flags of node are chosen.
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
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit codes: sysexits.h, and what shells use for a command that is not there or cannot be run. */
enum { UNKNOWN_PROGRAM = 64, SYSTEM_ERROR = 71, CANNOT_RUN = 126, NOT_FOUND = 127 };

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
  const char *flag; /* for node, or NULL */
};

/* A young generation of 1 MB: a burst of calls leaves about 40 MB less behind in the agent, which is on every node of a cluster. */
static const char small_young_generation[] = "--max-semi-space-size=1";

static const struct program programs[] = {
    {"agent", PROGRAMS "/agent/dist/main.js", small_young_generation},
    {"gateway", PROGRAMS "/gateway/dist/main.js", NULL},
    {"bridge", PROGRAMS "/bridge/dist/main.js", small_young_generation},
    {"kubectl-mcp", PROGRAMS "/kubectl-mcp/dist/main.js", small_young_generation},
    {"healthcheck", PROGRAMS "/healthcheck/healthcheck.mjs", small_young_generation},
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

/* Becomes node with the program; returns an exit code only when that cannot be. */
static int become(const struct program *program, int argc, char **argv) {
  char *arguments[argc + 3];
  int count = 0;
  arguments[count++] = "node";
  if (program->flag) arguments[count++] = (char *)program->flag;
  arguments[count++] = (char *)program->script;
  for (int i = 1; i < argc; i++) arguments[count++] = argv[i];
  arguments[count] = NULL;
  for (size_t i = 0; i < COUNT(nodes); i++) {
    execv(nodes[i], arguments);
    if (errno != ENOENT) return fail(CANNOT_RUN, strerror(errno), nodes[i]);
  }
  return fail(NOT_FOUND, "no node in this image for", program->name);
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

static int look_after(const struct program *program, int argc, char **argv) {
  sigset_t signals, before;
  passed_on(&signals);
  sigprocmask(SIG_SETMASK, &signals, &before);
  /* Whoever started us may have ignored it, and then there would be nothing to wait for. */
  signal(SIGCHLD, SIG_DFL);
  pid_t child = fork();
  if (child < 0) return fail(SYSTEM_ERROR, "fork", strerror(errno));
  if (child == 0) {
    take_terminal();
    sigprocmask(SIG_SETMASK, &before, NULL);
    _exit(become(program, argc, argv));
  }
  for (int status;;) {
    int number = sigwaitinfo(&signals, NULL);
    if (number == SIGCHLD && reap(child, &status))
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    /* The program has a group of its own; the terminal's stop signals are about ours. */
    if (number > 0 && number != SIGCHLD && number != SIGTTIN && number != SIGTTOU) kill(child, number);
  }
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
  return getpid() == 1 ? look_after(program, argc, argv) : become(program, argc, argv);
}
