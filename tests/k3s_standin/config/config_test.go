package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		command, main, dropIn string
		args                  []string
		key, want, err        string
	}{
		"file":                            {"server", "node-name: a", "", nil, "node-name", "a", ""},
		"a later file wins":               {"server", "node-name: a", "node-name: b", nil, "node-name", "b", ""},
		"a plain key resets a list":       {"server", "tls-san: [a, b]", "tls-san: c", nil, "tls-san", "c", ""},
		"plus appends":                    {"server", "tls-san: [a, b]", "tls-san+: c", nil, "tls-san", "a b c", ""},
		"command line wins":               {"agent", "node-name: a", "", []string{"--node-name", "b"}, "node-name", "b", ""},
		"numbers stay as written":         {"server", "https-listen-port: 16443", "", nil, "https-listen-port", "16443", ""},
		"commas separate":                 {"server", "disable: traefik,servicelb", "", nil, "disable", "traefik servicelb", ""},
		"but not in arguments":            {"agent", "kubelet-arg: ['x=1,2']", "", nil, "kubelet-arg", "x=1,2", ""},
		"server skips what it knows not":  {"server", "nodename: a", "", nil, "node-name", "", ""},
		"agent refuses it":                {"agent", "nodename: a", "", nil, "", "", "not defined: -nodename"},
		"agent refuses a server's key":    {"agent", "tls-san: a", "", nil, "", "", "not defined: -tls-san"},
		"unknown argument":                {"server", "", "", []string{"--nodename=a"}, "", "", "not defined: -nodename"},
		"no YAML":                         {"server", "a: [", "", nil, "", "", "config.yaml"},
		"accepted though not acted on":    {"agent", "flannel-iface: eth1", "", nil, "flannel-iface", "eth1", ""},
		"a bool":                          {"server", "cluster-init: true", "", nil, "cluster-init", "true", ""},
		"an argument among other things":  {"server", "", "", []string{"--tls-san=a", "--tls-san=b"}, "tls-san", "a b", ""},
		"a list in a file and in the CLI": {"server", "tls-san: a", "", []string{"--tls-san=b"}, "tls-san", "a b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.MkdirAll(file+".d", 0o755); err != nil {
				t.Fatal(err)
			}
			for path, text := range map[string]string{file: c.main, file + ".d/10-x.yaml": c.dropIn} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("K3S_CONFIG_FILE", file)
			t.Setenv("K3S_NODE_NAME", "")
			o, _, err := Load(c.command, c.args)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := o.Get(c.key, "")
			if slices.Contains([]string{"tls-san", "disable", "kubelet-arg"}, c.key) {
				got = strings.Join(o.List(c.key), " ")
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
