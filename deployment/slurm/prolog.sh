#!/bin/sh
# Prolog= of slurm.conf: before a job starts on this node, as root. A sick node is drained with the reason, and the job does not start:
# slurmctld requeues a batch job when its prolog fails.
# shellcheck source-path=SCRIPTDIR source=gpu-health.sh
. "$(dirname "$0")/gpu-health.sh"

sick=$(why_sick)
[ -z "$sick" ] && exit 0
drain_node "$sick"
exit 1
