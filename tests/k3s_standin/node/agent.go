package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/coreos/go-iptables/iptables"
	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubernetes/cmd/kubeadm/app/util"
	kubeconfigutil "k8s.io/kubernetes/cmd/kubeadm/app/util/kubeconfig"

	"airgap.local/k3s-standin/config"
	"airgap.local/k3s-standin/must"
)

const (
	socket = "/run/k3s/containerd/containerd.sock"
	agents = "system:k3s-standin:agents" // the group of those who join with a token; manifests/site.yaml says what it may
)

//go:embed manifests
var manifests embed.FS

// node is one run of `k3s server` or `k3s agent`.
type node struct {
	*family
	config.Options
	role, data, bin, name, ip string
	values                    map[string]string // what manifests/ leaves open
}

func newNode(role string, o config.Options) *node {
	ip, _, _ := strings.Cut(o.Get("node-ip", ""), ",")
	if ip == "" {
		ip = must.Get(utilnet.ChooseHostInterface()).String() // that of the default route, as k3s
	}
	n := &node{
		family: newFamily(), Options: o, role: role, ip: ip, name: strings.ToLower(o.Get("node-name", must.Get(os.Hostname()))),
		data: must.Get(filepath.Abs(o.Get("data-dir", "/var/lib/rancher/k3s"))), bin: filepath.Dir(self()),
	}
	n.values = map[string]string{
		"Agent": n.path("agent"), "Bin": n.bin, "Socket": socket, "Systemd": fmt.Sprint(os.Getenv("INVOCATION_ID") != ""),
		"Pause": n.Get("pause-image", "rancher/mirrored-pause:3.6"), "Snapshotter": n.Get("snapshotter", "overlayfs"),
		"ProtectKernel": n.Get("protect-kernel-defaults", "false"), "ResolvConf": n.Get("resolv-conf", "/etc/resolv.conf"),
	}
	return n
}

func (n *node) path(parts ...string) string {
	return filepath.Join(append([]string{n.data}, parts...)...)
}

// render fills in a template.
func (n *node) render(text string) []byte {
	var out bytes.Buffer
	must.Do(template.Must(template.New("").Parse(text)).Execute(&out, n.values))
	return out.Bytes()
}

func manifest(name string) string { return string(must.Get(manifests.ReadFile("manifests/" + name))) }

func self() string { return must.Get(os.Executable()) }

func read(path string) string { text, _ := os.ReadFile(path); return strings.TrimSpace(string(text)) }

func hash(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// write replaces a file at once: a reader, or a start after a power cut, sees the old one or the new one.
func write(path string, content []byte, mode os.FileMode) {
	must.Do(os.MkdirAll(filepath.Dir(path), 0o700))
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-tmp")
	_ = os.Remove(temporary)
	must.Do(os.WriteFile(temporary, content, mode))
	must.Do(os.Rename(temporary, path))
}

// A token is `K10<sha256 of the CA>::<user>:<password>`, or the password alone.
var fullToken = regexp.MustCompile(`^K10(.*?)::(?:[^:]*:)?(.*)$`)

// password takes a token apart.
func password(token string) (word, sum string) {
	if parts := fullToken.FindStringSubmatch(token); parts != nil {
		return parts[2], parts[1]
	}
	return token, ""
}

func clientset(kubeconfig string) *kubernetes.Clientset {
	return kubernetes.NewForConfigOrDie(must.Get(clientcmd.BuildConfigFromFlags("", kubeconfig)))
}

// bringUp goes from nothing to a node in the cluster, then keeps its routes right.
func (n *node) bringUp(notify string) {
	logrus.Infof("Starting the k3s stand-in (%s): upstream Kubernetes behind k3s' command line, for tests only", n.role)
	url, token := n.Get("server", ""), n.Get("token", read(n.Get("token-file", "")))
	var s *server
	if n.role == "server" {
		s = newServer(n)
		url, token = "https://127.0.0.1:"+s.port, s.token
	} else if url == "" || token == "" {
		must.Do(fmt.Errorf("--server and --token are required"))
	}
	prepareHost()
	n.startContainerd()
	unpin()
	images := folder{n.path("agent/images"), archives, load, map[string]string{}}
	imported := make(chan struct{})
	go func() { images.scan(); close(imported) }()
	if s != nil {
		s.controlPlane()
		s.writeAdminConfig()
		s.layAddons()
		s.apply(s.path("server/manifests/site.yaml")) // agents' rights: this server's own part as an agent needs them next
		go (&folder{s.path("server/manifests"), addons, s.apply, map[string]string{}}).watch(15 * time.Second)
		ready(notify)
	}
	for err := n.join(url, token); err != nil; err = n.join(url, token) {
		logrus.Errorf("Failed to validate connection to cluster at %s: %v", url, err)
		time.Sleep(2 * time.Second)
	}
	<-imported
	go images.watch(2 * time.Second)
	n.startKubelet()
	api := clientset(n.path("agent/agent.kubeconfig"))
	for err := n.settle(api); err != nil; err = n.settle(api) {
		logrus.Infof("Waiting for the node: %v", err)
		time.Sleep(2 * time.Second)
	}
	if n.values["NetworkPolicy"] == "true" {
		go n.enforce(api)
	}
	if s == nil {
		ready(notify)
	}
	for ; ; time.Sleep(2 * time.Second) {
		if err := n.route(api); err != nil {
			logrus.Warnf("Failed to join the other nodes' pods: %v", err)
		}
	}
}

// ready tells systemd.
func ready(address string) {
	logrus.Info("k3s is up and running")
	if address != "" {
		must.Get(must.Get(net.Dial("unixgram", address)).Write([]byte("READY=1\n")))
	}
}

func prepareHost() {
	for _, name := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/bridge/bridge-nf-call-iptables"} {
		if err := os.WriteFile("/proc/sys/"+name, []byte("1"), 0o644); err != nil {
			logrus.Warnf("Failed to set sysctl: %v", err)
		}
	}
}

// join checks the server against the token, the token against the server, and reads what the site's nodes share.
func (n *node) join(url, token string) error {
	word, sum := password(token)
	// the CA is not known yet, so it is read unchecked, then compared with the hash in the token, where that has one
	unchecked := &rest.Config{Host: url, Timeout: 10 * time.Second, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	open, err := kubernetes.NewForConfig(unchecked)
	if err != nil {
		return err
	}
	ca, err := open.Discovery().RESTClient().Get().AbsPath("/cacerts").DoRaw(context.Background())
	if err != nil {
		return fmt.Errorf("failed to get CA certs: %w", err)
	} else if sum != "" && sum != hash(ca) {
		return fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", sum, hash(ca))
	}
	if kept, _ := os.ReadFile(n.path("agent/client-ca.crt")); !bytes.Equal(kept, ca) { // of a site that is no more
		must.Do(errors.Join(os.RemoveAll(n.path("agent/pki")), os.RemoveAll(n.path("agent/kubelet.kubeconfig"))))
	}
	write(n.path("agent/client-ca.crt"), ca, 0o644)
	file := n.path("agent/agent.kubeconfig")
	must.Do(kubeconfigutil.WriteToDisk(file, kubeconfigutil.CreateWithToken(url, "default", "default", ca, word)))
	site, err := clientset(file).CoreV1().ConfigMaps("kube-system").Get(context.Background(), "k3s-standin", meta.GetOptions{})
	if err == nil {
		maps.Copy(n.values, site.Data)
	}
	return err
}

// startContainerd writes containerd's configuration, by the user's template if there is one, and waits for the socket.
func (n *node) startContainerd() {
	etc := n.path("agent/etc/containerd")
	base, own := manifest("containerd.toml"), read(etc+"/config-v3.toml.tmpl")
	text := `{{ define "base" }}` + base + `{{ end }}` + cmp.Or(own, `{{ template "base" . }}`)
	write(etc+"/config.toml", n.render(text), 0o600)
	write(n.path("agent/etc/crictl.yaml"), []byte("runtime-endpoint: unix://"+socket+"\n"), 0o644)
	must.Do(os.MkdirAll(n.path("agent/containerd"), 0o700))
	n.start("containerd", n.bin+"/containerd", n.path("agent/containerd/containerd.log"), "-c", etc+"/config.toml")
	waitFor("unix", socket)
}

// waitFor returns when somebody listens there.
func waitFor(network, address string) {
	for conn := net.Conn(nil); conn == nil; time.Sleep(100 * time.Millisecond) {
		conn, _ = net.Dial(network, address)
	}
}

// startKubelet starts the kubelet, which gets its certificate by the token, and kube-proxy.
func (n *node) startKubelet() {
	dir, token := n.path("agent/etc/kubelet.conf.d"), n.path("agent/agent.kubeconfig")
	write(dir+"/00-k3s-defaults.conf", n.render(manifest("kubelet.conf")), 0o600)
	must.Do(os.MkdirAll(n.path("agent/pod-manifests"), 0o700))
	n.start("kubelet", self(), "", util.ArgumentsToCommand(arguments([]string{
		"config-dir=" + dir, "cert-dir=" + n.path("agent/pki"), "hostname-override=" + n.name, "node-ip=" + n.ip,
		"bootstrap-kubeconfig=" + token, "kubeconfig=" + n.path("agent/kubelet.kubeconfig"),
		"node-labels=" + strings.Join(n.List("node-label"), ","),
		"register-with-taints=" + strings.Join(n.List("node-taint"), ","),
	}), arguments(n.List("kubelet-arg")))...)
	n.start("kube-proxy", self(), "", util.ArgumentsToCommand(arguments([]string{
		"kubeconfig=" + token, "hostname-override=" + n.name, "cluster-cidr=" + n.values["ClusterCIDR"],
	}), arguments(n.List("kube-proxy-arg")))...)
}

// settle does what needs the network of this node's pods: address translation, their bridge, and those labels that a
// kubelet may not give itself.
func (n *node) settle(api *kubernetes.Clientset) error {
	labels := map[string]string{"node.kubernetes.io/instance-type": "k3s"}
	if n.role == "server" {
		labels["node-role.kubernetes.io/control-plane"] = "true"
	}
	if n.Get("cluster-init", "") == "true" {
		labels["node-role.kubernetes.io/etcd"] = "true"
	}
	for _, label := range n.List("node-label") {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	patch := must.Get(json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}}))
	node, err := api.CoreV1().Nodes().Patch(context.Background(), n.name, types.MergePatchType, patch, meta.PatchOptions{})
	if err != nil {
		return err
	} else if node.Spec.PodCIDR == "" {
		return fmt.Errorf("node %q has no network for its pods yet", n.name)
	}
	n.values["Pods"] = node.Spec.PodCIDR
	write(n.path("agent/etc/cni/net.d/10-flannel.conflist"), n.render(manifest("cni.conf")), 0o600)
	tables, err := iptables.New()
	if err != nil {
		return err
	}
	// who talks to the world outside does so by the node's address
	return tables.AppendUnique("nat", "POSTROUTING", "-s", node.Spec.PodCIDR, "!", "-d", n.values["ClusterCIDR"], "-j", "MASQUERADE")
}

// route leads to each other node's pods.
func (n *node) route(api *kubernetes.Clientset) error {
	nodes, err := api.CoreV1().Nodes().List(context.Background(), meta.ListOptions{})
	if err != nil {
		return err
	}
	for _, one := range nodes.Items {
		_, pods, _ := net.ParseCIDR(one.Spec.PodCIDR)
		i := slices.IndexFunc(one.Status.Addresses, func(a core.NodeAddress) bool { return a.Type == core.NodeInternalIP })
		if one.Name != n.name && pods != nil && i >= 0 {
			err = errors.Join(err, netlink.RouteReplace(&netlink.Route{Dst: pods, Gw: net.ParseIP(one.Status.Addresses[i].Address)}))
		}
	}
	return err
}
