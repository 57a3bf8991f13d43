// Package config reads k3s' options by k3s' rules: environment, then config.yaml, then config.yaml.d/*.yaml in name
// order (the last file wins, `key+` appends), then the command line.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Kubeconfig is the administrator's.
const Kubeconfig = "/etc/rancher/k3s/k3s.yaml"

// Who takes the keys, their kind, and whether the stand-in acts on them. An agent ends on a key that it does not know, so the
// rest of its keys are listed, too; a server skips them. Either way using one of them gives a warning, never silence.
const table = `
both   value acted data-dir token token-file server node-name node-ip resolv-conf pause-image snapshotter config
both   list  acted node-label node-taint kubelet-arg kube-proxy-arg
both   bool  acted protect-kernel-defaults
server value acted agent-token write-kubeconfig write-kubeconfig-mode cluster-cidr service-cidr cluster-dns cluster-domain
server value acted service-node-port-range default-local-storage-path https-listen-port
server list  acted tls-san disable kube-apiserver-arg kube-controller-manager-arg kube-scheduler-arg etcd-arg
server bool  acted cluster-init disable-network-policy
both   value no    lb-server-port private-registry image-credential-provider-bin-dir image-credential-provider-config
both   value no    flannel-iface flannel-conf flannel-cni-conf v vmodule log default-runtime bind-address
both   list  no    node-external-ip node-internal-dns node-external-dns airgap-extra-registry nonroot-devices
both   bool  no    with-node-id selinux prefer-bundled-bin disable-default-registry-endpoint alsologtostderr enable-pprof debug
`

var environment = map[string]string{
	"K3S_DATA_DIR": "data-dir", "K3S_TOKEN": "token", "K3S_TOKEN_FILE": "token-file", "K3S_URL": "server",
	"K3S_NODE_NAME": "node-name", "K3S_RESOLV_CONF": "resolv-conf", "K3S_AGENT_TOKEN": "agent-token",
	"K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
}

// Options are the values that count; what was not given is empty.
type Options struct{ *pflag.FlagSet }

// Get returns the value of key, or fallback.
func (o Options) Get(key, fallback string) string {
	if f := o.Lookup(key); f != nil && f.Value.String() != "" {
		return f.Value.String()
	}
	return fallback
}

// List returns all values of key; commas separate too, except in pass-through arguments, whose values may hold commas.
func (o Options) List(key string) (out []string) {
	all, _ := o.GetStringArray(key)
	if strings.HasSuffix(key, "-arg") {
		return all
	}
	return strings.FieldsFunc(strings.Join(all, ","), func(r rune) bool { return r == ',' })
}

// flags are the options of a command. The usage of each says whether it is acted on.
func flags(command string) *pflag.FlagSet {
	set := pflag.NewFlagSet(command, pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	short := map[string]string{"config": "c", "data-dir": "d", "server": "s", "token": "t"}
	for line := range strings.Lines(strings.TrimSpace(table)) {
		f := strings.Fields(line)
		if f[0] == "server" && command == "agent" {
			continue
		}
		for _, key := range f[3:] {
			switch f[1] {
			case "list":
				set.StringArray(key, nil, f[2])
			case "bool":
				set.Bool(key, false, f[2])
			default:
				set.StringP(key, short[key], "", f[2])
			}
		}
	}
	return set
}

// Load reads the options of `k3s server` or `k3s agent`. In files a server skips, with a warning, the keys that it does
// not know; an agent fails on them, as it does on a server's keys.
func Load(command string, args []string) (o Options, warnings []string, err error) {
	o = Options{flags(command)}
	find := pflag.NewFlagSet("", pflag.ContinueOnError)
	find.ParseErrorsAllowlist.UnknownFlags = true
	file := find.StringP("config", "c", cmp.Or(os.Getenv("K3S_CONFIG_FILE"), "/etc/rancher/k3s/config.yaml"), "")
	_ = find.Parse(args)
	values, err := readFiles(*file)
	if err != nil {
		return o, nil, err
	}
	var all []string // as in k3s, everything becomes arguments, the weakest first
	for name, key := range environment {
		if value := os.Getenv(name); value != "" && o.Lookup(key) != nil {
			all = append(all, "--"+key+"="+value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if o.Lookup(key) == nil && command == "server" {
			warnings = append(warnings, fmt.Sprintf("Unknown flag --%s found in config.yaml, skipping (of k3s' keys the stand-in knows some)", key))
			continue
		}
		for _, value := range values[key] {
			all = append(all, "--"+key+"="+value)
		}
	}
	if err := o.Parse(append(all, args...)); err != nil {
		return o, nil, errors.New(strings.Replace(err.Error(), "unknown flag: --", "flag provided but not defined: -", 1))
	}
	o.Visit(func(f *pflag.Flag) {
		if f.Usage == "no" {
			warnings = append(warnings, fmt.Sprintf("The stand-in accepts --%s but does not act on it", f.Name))
		}
	})
	return o, warnings, nil
}

func readFiles(main string) (map[string][]string, error) {
	files, _ := filepath.Glob(main + ".d/*.y*ml") // sorted by name
	values := map[string][]string{}
	for _, file := range append([]string{main}, files...) {
		text, err := os.ReadFile(file)
		var content map[string]yaml.Node
		if err == nil {
			err = yaml.Unmarshal(text, &content)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for key, value := range content {
			plain, appends := strings.CutSuffix(key, "+")
			if !appends {
				values[plain] = nil
			}
			items := value.Content
			if value.Kind == yaml.ScalarNode && value.Tag != "!!null" {
				items = []*yaml.Node{&value}
			}
			for _, item := range items {
				values[plain] = append(values[plain], item.Value) // as it was written: not every number is one to Go
			}
		}
	}
	return values, nil
}
