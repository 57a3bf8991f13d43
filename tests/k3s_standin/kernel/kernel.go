// Package kernel is `k3s check-config`: whether this host has what the programs in k3s need of it, read from /proc and /sys.
// k3s reads the kernel's configuration, which many hosts do not show; this looks for the features themselves.
package kernel

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Result is one line of the report. What is not required is told and does not count.
type Result struct {
	Name, Found    string
	Good, Required bool
}

// Look reads a host by its root file system; path is its PATH.
func Look(root fs.FS, path string) []Result {
	h := host{root}
	version, controllers := h.controllers()
	var out []Result
	add := func(name string, good bool, found string) {
		out = append(out, Result{name, found, good, true})
	}
	for _, name := range []string{"cpu", "cpuset", "memory", "pids"} {
		add("cgroup controller "+name, slices.Contains(controllers, name), version)
	}
	for _, name := range []string{"ipc", "mnt", "net", "pid", "uts"} {
		add("namespace "+name, h.exists("proc/self/ns/"+name), "/proc/self/ns/"+name)
	}
	types := strings.Fields(h.read("proc/filesystems"))
	for _, feature := range []struct {
		name, module string
		there        bool
	}{
		{"file system overlay", "overlay", slices.Contains(types, "overlay")},
		{"netfilter on bridges", "br_netfilter", h.exists("proc/sys/net/bridge/bridge-nf-call-iptables")},
		{"connection tracking", "nf_conntrack", h.exists("proc/sys/net/netfilter/nf_conntrack_max")},
	} {
		found := "in the kernel or loaded"
		if !feature.there {
			found = "as module " + feature.module
		}
		add(feature.name, feature.there || h.module(feature.module), found)
	}
	for _, name := range []string{"iptables", "ipset"} {
		there := slices.ContainsFunc(strings.Split(path, ":"), func(dir string) bool {
			return dir != "" && h.exists(strings.Trim(dir, "/")+"/"+name)
		})
		add("program "+name, there, "on PATH")
	}
	swap := Result{Name: "swap", Found: "off", Good: true}
	if strings.Count(h.read("proc/swaps"), "\n") > 1 {
		swap = Result{Name: "swap", Found: "in use"}
	}
	return append(out, swap)
}

// Report writes a line for each result, as k3s does, and returns the exit code: how many of what is required are missing.
func Report(to io.Writer, results []Result) (failures int) {
	for _, r := range results {
		state := "good (" + r.Found + ")"
		if !r.Good && r.Required {
			failures++
			state = "missing (fail)"
		} else if !r.Good {
			state = r.Found + " (warning)"
		}
		fmt.Fprintf(to, "- %s: %s\n", r.Name, state)
	}
	if failures > 0 {
		fmt.Fprintf(to, "\nSTATUS: %d (fail)\n", failures)
	} else {
		fmt.Fprint(to, "\nSTATUS: pass\n")
	}
	return failures
}

type host struct{ fs.FS }

func (h host) read(path string) string { text, _ := fs.ReadFile(h, path); return string(text) }

func (h host) exists(path string) bool { _, err := fs.Stat(h, path); return err == nil }

// controllers are those of cgroup v2, or, without it, those of v1 that are enabled.
func (h host) controllers() (version string, names []string) {
	if h.exists("sys/fs/cgroup/cgroup.controllers") {
		return "cgroup v2", strings.Fields(h.read("sys/fs/cgroup/cgroup.controllers"))
	}
	for line := range strings.Lines(h.read("proc/cgroups")) {
		if f := strings.Fields(line); len(f) == 4 && f[3] == "1" {
			names = append(names, f[0])
		}
	}
	return "cgroup v1", names
}

// module says whether modprobe would find it: the unit loads what is missing before each start.
func (h host) module(name string) bool {
	dir := "lib/modules/" + strings.TrimSpace(h.read("proc/sys/kernel/osrelease")) + "/"
	return strings.Contains(h.read(dir+"modules.dep")+h.read(dir+"modules.builtin"), "/"+name+".ko")
}
