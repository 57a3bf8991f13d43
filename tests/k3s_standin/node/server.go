package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/csv"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/errors"
	apiserver "k8s.io/apiserver/pkg/server"
	app "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	"k8s.io/kubernetes/cmd/kubeadm/app/constants"
	"k8s.io/kubernetes/cmd/kubeadm/app/phases/certs"
	"k8s.io/kubernetes/cmd/kubeadm/app/phases/controlplane"
	"k8s.io/kubernetes/cmd/kubeadm/app/phases/etcd"
	"k8s.io/kubernetes/cmd/kubeadm/app/phases/kubeconfig"
	configutil "k8s.io/kubernetes/cmd/kubeadm/app/util/config"

	"airgap.local/k3s-standin/config"
	"airgap.local/k3s-standin/must"
)

// apiServer is kube-apiserver's own main function with k3s' two pages that are open to everybody.
func apiServer(args []string) error {
	o := options.NewServerRunOptions()
	fs := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range o.Flags().FlagSets {
		fs.AddFlagSet(set)
	}
	must.Do(fs.Parse(args))
	must.Do(o.GenericServerRunOptions.ComponentGlobalsRegistry.Set())
	ctx := apiserver.SetupSignalContext()
	completed := must.Get(o.Complete(ctx))
	must.Do(errors.NewAggregate(completed.Validate()))
	settings := must.Get(must.Get(app.NewConfig(completed)).Complete())
	server := must.Get(app.CreateServerChain(settings))
	handler := server.GenericAPIServer.Handler
	chain := handler.FullHandlerChain // with authentication: without credentials all else answers 401
	handler.FullHandlerChain = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ping":
			fmt.Fprint(w, "pong")
		case "/cacerts":
			http.ServeFile(w, r, o.Authentication.ClientCert.ClientCA)
		default:
			chain.ServeHTTP(w, r)
		}
	})
	return must.Get(server.PrepareRun()).Run(ctx)
}

// server adds to a node what runs on a server alone.
type server struct {
	*node
	tls, cred, port, token string
	config                 *kubeadm.InitConfiguration
}

// newServer makes what must exist before the first process starts. kubeadm, used as a library, knows how to make
// certificates and kubeconfig files, and which arguments the control plane needs.
func newServer(n *node) *server {
	s := &server{node: n, tls: n.path("server/tls"), cred: n.path("server/cred"), port: n.Get("https-listen-port", "6443")}
	if n.Get("server", "") != "" {
		must.Do(fmt.Errorf("the stand-in runs one server a site: remove the key `server` from this server's configuration"))
	}
	c := must.Get(configutil.DefaultedStaticInitConfiguration())
	s.config = c
	port := must.Get(strconv.ParseInt(s.port, 10, 32))
	c.LocalAPIEndpoint = kubeadm.APIEndpoint{AdvertiseAddress: n.ip, BindPort: int32(port)}
	c.ControlPlaneEndpoint = net.JoinHostPort("127.0.0.1", s.port)
	c.NodeRegistration.Name, c.ClusterName, c.CertificatesDir = n.name, "default", s.tls
	c.Networking.PodSubnet = n.Get("cluster-cidr", "10.42.0.0/16")
	c.Networking.ServiceSubnet = n.Get("service-cidr", "10.43.0.0/16")
	c.Networking.DNSDomain = n.Get("cluster-domain", "cluster.local")
	c.APIServer.CertSANs = append(n.List("tls-san"), "localhost", "127.0.0.1", "::1")
	c.Etcd.Local = &kubeadm.LocalEtcd{DataDir: n.path("server/db/etcd")}
	c.Etcd.Local.ExtraArgs = arguments([]string{"log-level=error"}, n.List("etcd-arg"))
	maps.Copy(n.values, map[string]string{
		"ClusterCIDR": c.Networking.PodSubnet, "ServiceCIDR": c.Networking.ServiceSubnet, "ClusterDomain": c.Networking.DNSDomain,
		"ClusterDNS":    n.Get("cluster-dns", must.Get(constants.GetDNSIP(c.Networking.ServiceSubnet)).String()),
		"NodePorts":     n.Get("service-node-port-range", "30000-32767"),
		"NetworkPolicy": fmt.Sprint(n.Get("disable-network-policy", "") != "true"),
		"Storage":       n.Get("default-local-storage-path", n.path("storage")),
	})
	must.Do(os.MkdirAll(n.path("server"), 0o700))
	// serving certificates are made anew, for names and addresses may have changed; clients' are kept
	for _, name := range []string{"apiserver", "etcd/server", "etcd/peer"} {
		_ = os.Remove(filepath.Join(s.tls, name+".crt"))
		_ = os.Remove(filepath.Join(s.tls, name+".key"))
	}
	must.Do(certs.CreatePKIAssets(c))
	for _, file := range []string{"super-admin.conf", "controller-manager.conf", "scheduler.conf"} {
		must.Do(kubeconfig.CreateKubeConfigFile(file, s.cred, c))
	}
	ca := must.Get(os.ReadFile(filepath.Join(s.tls, "ca.crt")))
	write(filepath.Join(s.tls, "server-ca.crt"), ca, 0o644)
	s.tokens(ca)
	return s
}

// tokens settles the server's and the agents' token and writes their files. A token that differs from the one that the
// data was made with is refused, as by k3s.
func (s *server) tokens(ca []byte) {
	word, sum := password(s.Get("token", read(s.Get("token-file", ""))))
	kept, _ := password(read(s.path("server/token")))
	if sum != "" && sum != hash(ca) {
		must.Do(fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", sum, hash(ca)))
	} else if kept != "" && word != "" && word != kept {
		must.Do(fmt.Errorf("bootstrap data already found and encrypted with different token"))
	}
	word = cmp.Or(word, kept, rand.Text())
	full := "K10" + hash(ca) + "::"
	s.token = full + "server:" + word
	agent, _ := password(s.Get("agent-token", ""))
	joining := s.token
	if agent != "" {
		joining = full + "node:" + agent
	}
	for name, token := range map[string]string{"token": s.token, "node-token": s.token, "agent-token": joining} {
		write(s.path("server", name), []byte(token+"\n"), 0o600)
	}
	var table bytes.Buffer // to the API server both are bearer tokens
	users := [][]string{{cmp.Or(agent, word), "node", "node", agents}, {word, "server", "server", agents}}
	must.Do(csv.NewWriter(&table).WriteAll(users))
	write(filepath.Join(s.cred, "passwd"), table.Bytes(), 0o600)
}

// arguments are lists of `name=value` as kubeadm takes them. Of two with one name the later one counts.
func arguments(lists ...[]string) (out []kubeadm.Arg) {
	for _, arg := range slices.Concat(lists...) {
		name, value, hasValue := strings.Cut(arg, "=")
		if !hasValue {
			value = "true"
		}
		out = append(out, kubeadm.Arg{Name: name, Value: value})
	}
	return out
}

// controlPlane starts etcd and the Kubernetes servers and returns when the API answers.
func (s *server) controlPlane() {
	local := &kubeadm.APIEndpoint{AdvertiseAddress: "127.0.0.1"}
	pod := etcd.GetEtcdPodSpec(&s.config.ClusterConfiguration, local, "default", nil)
	s.start("etcd", filepath.Join(s.bin, "etcd"), "", pod.Spec.Containers[0].Command[1:]...)
	waitFor("tcp", "127.0.0.1:2379")
	client := func(name string) []string {
		file := filepath.Join(s.cred, name+".conf")
		return []string{
			"leader-elect=false", "profiling=false", "kubeconfig=" + file,
			"authentication-kubeconfig=" + file, "authorization-kubeconfig=" + file,
		}
	}
	s.config.APIServer.ExtraArgs = arguments([]string{
		"anonymous-auth=false", "profiling=false", "token-auth-file=" + filepath.Join(s.cred, "passwd"),
		"service-node-port-range=" + s.values["NodePorts"],
	}, s.List("kube-apiserver-arg"))
	s.config.ControllerManager.ExtraArgs = arguments(client("controller-manager"), s.List("kube-controller-manager-arg"))
	s.config.Scheduler.ExtraArgs = arguments(client("scheduler"), s.List("kube-scheduler-arg"))
	pods := controlplane.GetStaticPodSpecs(&s.config.ClusterConfiguration, &s.config.LocalAPIEndpoint, nil)
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		s.start(name, self(), "", pods[name].Spec.Containers[0].Command[1:]...)
		if name == "kube-apiserver" {
			admin := clientset(filepath.Join(s.cred, "super-admin.conf"))
			for admin.Discovery().RESTClient().Get().AbsPath("/readyz").Do(context.Background()).Error() != nil {
				time.Sleep(300 * time.Millisecond)
			}
		}
	}
}

// writeAdminConfig copies the administrator's kubeconfig with k3s' names: cluster, user and context are `default`.
func (s *server) writeAdminConfig() {
	names := strings.NewReplacer("kubernetes-super-admin@default", "default", "kubernetes-super-admin", "default")
	text := names.Replace(read(filepath.Join(s.cred, "super-admin.conf"))) + "\n"
	mode := must.Get(strconv.ParseUint(s.Get("write-kubeconfig-mode", "0600"), 8, 32))
	write(s.Get("write-kubeconfig", config.Kubeconfig), []byte(text), os.FileMode(mode))
}
