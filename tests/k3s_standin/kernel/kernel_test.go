package kernel

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// good is a host that lacks nothing.
func good() fstest.MapFS {
	files := fstest.MapFS{}
	for path, text := range map[string]string{
		"sys/fs/cgroup/cgroup.controllers":            "cpuset cpu io memory hugetlb pids\n",
		"proc/filesystems":                            "nodev\tproc\nnodev\toverlay\n\text4\n",
		"proc/sys/net/bridge/bridge-nf-call-iptables": "1\n",
		"proc/sys/net/netfilter/nf_conntrack_max":     "262144\n",
		"proc/sys/kernel/osrelease":                   "6.1.0-1-amd64\n",
		"proc/swaps":                                  "Filename Type Size Used Priority\n",
		"usr/sbin/iptables":                           "",
		"usr/sbin/ipset":                              "",
		"proc/self/ns/ipc":                            "",
		"proc/self/ns/mnt":                            "",
		"proc/self/ns/net":                            "",
		"proc/self/ns/pid":                            "",
		"proc/self/ns/uts":                            "",
	} {
		files[path] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func TestLook(t *testing.T) {
	v1 := "#subsys_name hierarchy num_cgroups enabled\ncpuset 3 5 1\ncpu 1 5 1\nmemory 2 5 0\npids 4 5 1\n"
	for name, c := range map[string]struct {
		without []string
		with    map[string]string
		missing []string
		says    string
	}{
		"all is there":             {nil, nil, nil, "- cgroup controller cpu: good (cgroup v2)\n"},
		"a controller is off":      {nil, map[string]string{"sys/fs/cgroup/cgroup.controllers": "cpu cpuset pids"}, []string{"cgroup controller memory"}, "STATUS: 1 (fail)"},
		"a controller of v1 is":    {[]string{"sys/fs/cgroup/cgroup.controllers"}, map[string]string{"proc/cgroups": v1}, []string{"cgroup controller memory"}, "cpuset: good (cgroup v1)"},
		"no overlay":               {[]string{"proc/filesystems"}, nil, []string{"file system overlay"}, "- file system overlay: missing (fail)\n"},
		"overlay as a module":      {[]string{"proc/filesystems"}, map[string]string{"lib/modules/6.1.0-1-amd64/modules.dep": "kernel/fs/overlayfs/overlay.ko.xz:\n"}, nil, "overlay: good (as module overlay)"},
		"another kernel's modules": {[]string{"proc/filesystems"}, map[string]string{"lib/modules/5.10.0/modules.dep": "kernel/fs/overlayfs/overlay.ko:\n"}, []string{"file system overlay"}, ""},
		"no netfilter on bridges":  {[]string{"proc/sys/net/bridge/bridge-nf-call-iptables"}, nil, []string{"netfilter on bridges"}, ""},
		"no ipset, no namespaces":  {[]string{"usr/sbin/ipset", "proc/self/ns/net"}, nil, []string{"namespace net", "program ipset"}, "STATUS: 2 (fail)"},
		"swap is a warning":        {nil, map[string]string{"proc/swaps": "Filename Type\n/swap file\n"}, nil, "- swap: in use (warning)\n\nSTATUS: pass\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := good()
			maps.DeleteFunc(root, func(path string, _ *fstest.MapFile) bool { return slices.Contains(c.without, path) })
			for path, text := range c.with {
				root[path] = &fstest.MapFile{Data: []byte(text)}
			}
			var report strings.Builder
			results := Look(root, "/usr/local/bin::/usr/sbin")
			failures := Report(&report, results)
			var missing []string
			for _, r := range results {
				if r.Required && !r.Good {
					missing = append(missing, r.Name)
				}
			}
			if failures != len(c.missing) || !slices.Equal(missing, c.missing) {
				t.Errorf("%d are missing: %v, want %v", failures, missing, c.missing)
			}
			if !strings.Contains(report.String(), c.says) {
				t.Errorf("the report lacks %q:\n%s", c.says, &report)
			}
		})
	}
}
