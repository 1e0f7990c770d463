#!/bin/bash
# Two Kubernetes nodes on this machine, for real-cluster.mjs. Needs root, cgroup v1, openssl, gcc with a static libc, and a folder of binaries:
#   kube-apiserver kube-controller-manager kube-scheduler kubelet etcd containerd containerd-shim-runc-v2 ctr runc, and cni/{bridge,host-local,loopback}
#
#   local-kubernetes.sh BINARIES STATE [IMAGE.tar]   runs until interrupted; STATE/ready appears when both nodes are ready and have the image
#   STATE/enter COMMAND...                  runs a command where the cluster is; STATE/admin.kubeconfig is its kubeconfig
#
# Everything is in mount, network and process namespaces of its own: when this ends, all of it is gone but STATE.
set -euo pipefail
binaries=$(realpath "$1")
mkdir -p "$2"
state=$(realpath "$2")
image=${3:+$(realpath "$3")}

if [ "${inside_namespaces:-}" != yes ]; then
  rm -f "$state/ready"
  inside_namespaces=yes unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$binaries" "$state" ${image:+"$image"} &
  outer=$!
  leave() {
    # unshare ignores SIGTERM; its child, the init of all of this, goes with it.
    kill -KILL $outer 2>/dev/null || true
    wait $outer 2>/dev/null || true
    sleep 1
    find /sys/fs/cgroup/*/local-node-[12] -depth -type d -exec rmdir {} + 2>/dev/null || true
  }
  trap leave EXIT
  trap 'exit 143' INT TERM
  until inner=$(pgrep -P $outer); do sleep 0.1; done
  printf '#!/bin/bash\nexec nsenter -t %s -m -n -p env -C "$PWD" "$@"\n' "$inner" > "$state/enter"
  chmod +x "$state/enter"
  wait $outer
  exit
fi

export PATH="$binaries:$PATH"
mount --make-rshared /
for folder in /run /var/log; do mount -t tmpfs tmpfs $folder; done
mkdir -p "$state"/{pki,log,etcd} /run/netns
cd "$state/pki"

# The API server's Service address is an address of this machine: no kube-proxy is needed to reach it.
ip link set lo up
ip addr add 10.0.0.1/32 dev lo
ip link add nodes type bridge
ip link set nodes up
for n in 1 2; do ip addr add 10.77.0.$n/16 dev nodes; done
echo 1 > /proc/sys/net/ipv4/ip_forward

certificate() { # FILE SUBJECT [ALTERNATIVE NAMES]
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out "$1.crt" \
    -extfile <(echo "subjectAltName=${3:-DNS:localhost}") 2>/dev/null
}
kubeconfig() { # NAME
  cat > "$state/$1.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
current-context: local
contexts: [{name: local, context: {cluster: local, user: $1}}]
clusters: [{name: local, cluster: {server: "https://127.0.0.1:443", certificate-authority: $state/pki/ca.crt}}]
users: [{name: $1, user: {client-certificate: $state/pki/$1.crt, client-key: $state/pki/$1.key}}]
CONFIG
}
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=local-kubernetes 2>/dev/null
openssl genrsa -out accounts.key 2048 2>/dev/null
certificate apiserver /CN=kube-apiserver DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.0.0.1,IP:10.77.0.1
certificate admin /O=system:masters/CN=admin
kubeconfig admin
certificate controller /CN=system:kube-controller-manager
kubeconfig controller
certificate scheduler /CN=system:kube-scheduler
kubeconfig scheduler

etcd --data-dir "$state/etcd" 2> "$state/log/etcd" &
kube-apiserver --etcd-servers http://127.0.0.1:2379 --secure-port 443 --advertise-address 10.77.0.1 \
  --service-cluster-ip-range 10.0.0.0/24 --authorization-mode Node,RBAC --allow-privileged \
  --client-ca-file ca.crt --tls-cert-file apiserver.crt --tls-private-key-file apiserver.key \
  --kubelet-preferred-address-types InternalIP --kubelet-client-certificate admin.crt --kubelet-client-key admin.key \
  --service-account-key-file accounts.key --service-account-signing-key-file accounts.key \
  --service-account-issuer https://kubernetes.default.svc 2> "$state/log/apiserver" &
export KUBECONFIG="$state/admin.kubeconfig"
until kubectl get --raw /readyz > /dev/null 2>&1; do sleep 1; done
kube-controller-manager --kubeconfig "$state/controller.kubeconfig" --use-service-account-credentials \
  --service-account-private-key-file accounts.key --root-ca-file ca.crt --leader-elect=false 2> "$state/log/controller-manager" &
kube-scheduler --kubeconfig "$state/scheduler.kubeconfig" --leader-elect=false 2> "$state/log/scheduler" &

# The pause container, without a registry.
mkdir -p "$state/image/root"
cat > "$state/image/pause.c" <<'C'
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
static void leave(int signal) { (void)signal; _exit(0); }
int main(void) { signal(SIGTERM, leave); signal(SIGINT, leave); for (;;) pause(); }
C
gcc -static -O1 -o "$state/image/root/pause" "$state/image/pause.c"
tar -C "$state/image/root" -cf "$state/image/layer.tar" pause
digest=$(sha256sum "$state/image/layer.tar" | cut -d' ' -f1)
cat > "$state/image/config.json" <<CONFIG
{"architecture":"amd64","os":"linux","config":{"Cmd":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:$digest"]}}
CONFIG
echo '[{"Config":"config.json","RepoTags":["local/tiny:1"],"Layers":["layer.tar"]}]' > "$state/image/manifest.json"
tar -C "$state/image" -cf "$state/image.tar" manifest.json config.json layer.tar

node() { # NUMBER
  local name=node-$1 folder=$state/node-$1 address=10.77.0.$1
  mkdir -p "$folder"/{cni,containerd,kubelet,log} "/run/$name"
  for controller in /sys/fs/cgroup/*/; do mkdir -p "$controller/local-$name" 2>/dev/null || true; done
  for file in cpus mems; do # A cpuset begins empty, and nothing could run in it.
    cat /sys/fs/cgroup/cpuset/cpuset.$file > "/sys/fs/cgroup/cpuset/local-$name/cpuset.$file" 2>/dev/null || true
  done
  cat > "$folder/cni/net.conflist" <<CNI
{"cniVersion": "0.4.0", "name": "$name", "plugins": [{"type": "bridge", "bridge": "pods-$1", "isGateway": true,
  "ipam": {"type": "host-local", "dataDir": "/run/$name/cni", "ranges": [[{"subnet": "10.78.$1.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
CNI
  cat > "$folder/containerd.toml" <<TOML
version = 2
root = "$folder/containerd"
state = "/run/$name/containerd"
[grpc]
  address = "/run/$name/containerd.sock"
[ttrpc]
  address = "/run/$name/containerd.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/local/tiny:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$binaries/cni"
    conf_dir = "$folder/cni"
TOML
  containerd --config "$folder/containerd.toml" 2> "$state/log/containerd-$1" &
  until ctr -a "/run/$name/containerd.sock" version > /dev/null 2>&1; do sleep 0.5; done
  ctr -a "/run/$name/containerd.sock" -n k8s.io image import "$state/image.tar" > /dev/null
  [ -z "$image" ] || ctr -a "/run/$name/containerd.sock" -n k8s.io image import "$image" > /dev/null
  certificate "$name" "/O=system:nodes/CN=system:node:$name" "DNS:$name,IP:$address"
  kubeconfig "$name"
  cat > "$folder/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
healthzPort: $((10240 + $1))
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: $state/pki/ca.crt}, webhook: {enabled: true}}
authorization: {mode: Webhook}
tlsCertFile: $state/pki/$name.crt
tlsPrivateKeyFile: $state/pki/$name.key
cgroupRoot: /local-$name
cgroupDriver: cgroupfs
failSwapOn: false
makeIPTablesUtilChains: false
evictionHard: {memory.available: 100Mi}
imageGCHighThresholdPercent: 100
clusterDNS: [10.0.0.10]
clusterDomain: cluster.local
resolvConf: /dev/null
YAML
  kubelet --config "$folder/kubelet.yaml" --kubeconfig "$state/$name.kubeconfig" --hostname-override "$name" --node-ip "$address" \
    --root-dir "$folder/kubelet" --container-runtime remote --container-runtime-endpoint "unix:///run/$name/containerd.sock" \
    --cert-dir "$folder" --volume-plugin-dir "$folder/volume-plugins" 2> "$state/log/kubelet-$1" &
}
node 1
node 2
until [ "$(kubectl get nodes --no-headers 2>/dev/null | grep -cw Ready)" = 2 ]; do sleep 1; done
kubectl get nodes -o wide
touch "$state/ready"
wait
