#!/bin/sh
# Epilog= of slurm.conf: after a job has ended on this node, as root. A node that the job left sick is drained with the reason. Never
# fails: Slurm would drain the node for that, with the reason "Epilog error".
# shellcheck source-path=SCRIPTDIR source=gpu-health.sh
. "$(dirname "$0")/gpu-health.sh"

sick=$(why_sick)
[ -n "$sick" ] && drain_node "$sick"
exit 0
