#!/bin/sh
# HealthCheckProgram= of slurm.conf: every HealthCheckInterval seconds, as root, whether or not jobs run. A sick node is drained with the
# reason: jobs that run go on, no other is started. A node is never returned to service here: who repaired it does that.
# shellcheck source-path=SCRIPTDIR source=gpu-health.sh
. "$(dirname "$0")/gpu-health.sh"

sick=$(why_sick)
[ -n "$sick" ] && drain_node "$sick"
exit 0
