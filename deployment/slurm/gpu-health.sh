#!/bin/sh
# What prolog.sh, epilog.sh and health-check.sh share: ask the agent once, judge the answer, drain the node if it is sick.
# Sourced, never run by itself. Settings: gpu-health.conf in the same directory, see gpu-health.conf.example.

# slurmd gives its programs next to no environment.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

GPU_HEALTH_AGENT=k8s-gpu-mcp-server
GPU_HEALTH_TIMEOUT_SECONDS=20
GPU_HEALTH_DRAIN_ON_UNKNOWN=no
settings=$(dirname "$0")/gpu-health.conf
if [ -r "$settings" ]; then
  set -a
  # shellcheck source=/dev/null
  . "$settings"
  set +a
fi

say() {
  logger -t gpu-health "$1" 2>/dev/null || printf 'gpu-health: %s\n' "$1" >&2
}

# The answer is one line of JSON whose `nextSteps` begins with the one thing to do: {"action":"...","reason":"..."}.
# A quote inside a text is always escaped there, so these patterns cannot match within one.
first_step() {
  printf '%s\n' "$answer" | sed -n "s/.*\"nextSteps\":\\[{\"action\":\"\\([a-z-]*\\)\"$1.*/\\$2/p"
}

# Prints why no job should run here, or nothing. What could not be had (no agent, no driver, too slow) is no reason, unless the settings
# say so.
why_sick() {
  answer=$(timeout -k 2 "$GPU_HEALTH_TIMEOUT_SECONDS" "$GPU_HEALTH_AGENT" health --json)
  code=$?
  case $code in
    0 | 1) ;;
    2)
      action=$(first_step '' 1)
      reason=$(first_step ',"reason":"\([^"\\]*\)' 2)
      case $action in
        # A reset or worse: what somebody must do before the next job.
        reset-gpu | drain-node | reboot-node | power-cycle | check-mechanicals | run-field-diagnostic | contact-support)
          echo "$action: $reason"
          ;;
        *) say "critical, but nothing to drain for: ${action:-no action}: $reason" ;;
      esac
      ;;
    *)
      say "the GPUs could not be judged (exit code $code)"
      [ "$GPU_HEALTH_DRAIN_ON_UNKNOWN" = yes ] && echo "GPUs could not be judged (exit code $code)"
      ;;
  esac
}

# Drains the node with that reason, unless it is drained already: a person's reason is kept. Slurm asks that these programs call its
# commands rarely, so that is done only for a sick node, and for a limited time.
drain_node() {
  node=${SLURMD_NODENAME:-$(hostname -s)}
  if timeout 10 scontrol -o show node "$node" | grep -q ' State=[^ ]*DRAIN'; then
    say "$node is drained already; $1"
    return
  fi
  # One line of plain characters, as long as sinfo can show.
  reason=$(printf 'gpu: %s' "$1" | LC_ALL=C tr -c 'A-Za-z0-9 .,:;()%/_-' ' ' | cut -c 1-120)
  if timeout 10 scontrol update "NodeName=$node" State=DRAIN "Reason=$reason"; then
    say "$node drained: $reason"
  else
    say "$node should be drained, but scontrol failed: $reason"
  fi
}
