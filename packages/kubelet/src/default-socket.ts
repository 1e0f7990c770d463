/** Where the kubelet listens unless its root directory was moved. Source: Kubernetes, "Device plugins", monitoring device plugin resources. */
export const defaultPodResourcesSocket = '/var/lib/kubelet/pod-resources/kubelet.sock';
