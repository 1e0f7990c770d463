#!/bin/sh
# Asks the GPUs of all idle nodes of a partition in one short job, and prints those that are critical as a list for `sbatch --exclude`:
#
#   sbatch --exclude="$(exclude-list.sh gpu --gres=gpu:8)" train.sh
#
# Usage: exclude-list.sh [-u] [-t STATES] PARTITION [SRUN-OPTION...]
#   -u         also the nodes whose GPUs could not be judged
#   -t STATES  nodes in these states of sinfo instead of idle ones: idle,mixed
# Environment: GPU_HEALTH_AGENT (k8s-gpu-mcp-server), GPU_HEALTH_TIMEOUT_SECONDS (20), EXCLUDE_LIST_WAIT_SECONDS (60, for the nodes).
# Exit code: 0 when every node was asked (the list may be empty), 1 when not, 64 for a wrong call.

usage() {
  echo 'usage: exclude-list.sh [-u] [-t STATES] PARTITION [SRUN-OPTION...]' >&2
  exit 64
}

states=idle
unknown_too=no
while getopts ut: option; do
  case $option in
    u) unknown_too=yes ;;
    t) states=$OPTARG ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || usage
partition=$1
shift

nodes=$(sinfo --noheader --partition="$partition" --states="$states" --responding --Node --format=%N | sort -u)
if [ -z "$nodes" ]; then
  echo "exclude-list.sh: no node to ask: none of partition $partition is $states" >&2
  exit 1
fi
count=$(printf '%s\n' "$nodes" | wc -l)
list=$(printf '%s\n' "$nodes" | paste -s -d , -)

# One task for each node prints its name and the agent's exit code (0 ok, 1 warning, 2 critical, anything else not judged).
# shellcheck disable=SC2016 # the node's shell is to expand these
ask='timeout -k 2 "$2" "$1" health >/dev/null 2>&1; echo "$SLURMD_NODENAME $?"'
answers=$(srun --quiet --partition="$partition" --nodelist="$list" --nodes="$count" --ntasks="$count" --ntasks-per-node=1 \
  --time=2 --immediate="${EXCLUDE_LIST_WAIT_SECONDS:-60}" --no-kill --job-name=gpu-health "$@" \
  sh -c "$ask" sh "${GPU_HEALTH_AGENT:-k8s-gpu-mcp-server}" "${GPU_HEALTH_TIMEOUT_SECONDS:-20}")

# A node that printed nothing was not judged.
printf '%s\n' "$answers" "$nodes" | awk -v unknown_too="$unknown_too" '
  NF == 2 { code[$1] = $2 }
  NF == 1 && !($1 in code) { missing = 1 }
  NF == 1 && !($1 in listed) {
    listed[$1] = 1
    judged = ($1 in code) && code[$1] ~ /^[012]$/
    if (!judged) print "exclude-list.sh: not judged: " $1 | "cat >&2"
    if (code[$1] == 2 || (!judged && unknown_too == "yes")) list = list (list == "" ? "" : ",") $1
  }
  END { print list; exit missing }'
