// The `k3s` command: unpacks the programs that are appended to this file to DATA/data/<sha256>/bin, as k3s does, and
// becomes the right one of them. So the running process is DATA/data/<sha256>/bin/k3s, not the file in /usr/local/bin.
package main

import (
	"archive/zip"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	system "k8s.io/system-validators/validators"

	"airgap.local/k3s-standin/config"
	"airgap.local/k3s-standin/must"
)

var version, commit = "v0.0.0+standin0", "00000000" // both are set at link time

func main() {
	args := os.Args[1:]
	if name := filepath.Base(os.Args[0]); slices.Contains([]string{"kubectl", "ctr", "crictl"}, name) {
		args = append([]string{name}, args...)
	}
	switch command := append(args, "help")[0]; command {
	case "--version", "-v":
		fmt.Printf("k3s version %s (%s)\ngo version %s\n", version, commit, runtime.Version())
	case "help", "--help", "-h":
		fmt.Printf("k3s stand-in %s: upstream Kubernetes behind k3s' command line, for tests only\n"+
			"commands: server, agent, kubectl, ctr, crictl, check-config\n", version)
	case "server", "agent":
		become("k3s", options(command, args[1:]), append(os.Args[:1:1], args...))
	case "kubectl":
		setDefault("KUBECONFIG", config.Kubeconfig)
		become("k3s", options("server", nil), append(os.Args[:1:1], args...))
	case "ctr", "crictl":
		o := options("server", nil)
		setDefault("CONTAINERD_ADDRESS", "/run/k3s/containerd/containerd.sock")
		setDefault("CONTAINERD_NAMESPACE", "k8s.io")
		setDefault("CRI_CONFIG_FILE", filepath.Join(dataDir(o), "agent/etc/crictl.yaml"))
		become(command, o, args)
	case "check-config":
		_, failed := system.ValidateSpec(system.DefaultSysSpec, "") // kubeadm's look at the kernel and cgroups
		fmt.Println("STATUS:", len(failed), "failed")
		os.Exit(len(failed))
	default:
		must.Do(fmt.Errorf("the stand-in has no command %q", command))
	}
}

func options(command string, args []string) config.Options {
	o, _, err := config.Load(command, args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Incorrect Usage:", err)
	}
	must.Do(err)
	return o
}

func dataDir(o config.Options) string { return o.Get("data-dir", "/var/lib/rancher/k3s") }

func become(program string, o config.Options, argv []string) {
	data := dataDir(o)
	if os.Getuid() != 0 {
		data = filepath.Join(os.Getenv("HOME"), ".rancher/k3s")
	}
	bin := unpack(filepath.Join(data, "data"))
	must.Do(os.Setenv("PATH", bin+":"+os.Getenv("PATH")))
	must.Do(syscall.Exec(filepath.Join(bin, program), argv, os.Environ()))
}

// unpack works under a name of its own, then renames: a power cut or a second caller does no harm.
func unpack(data string) string {
	archive := must.Get(zip.OpenReader(must.Get(os.Executable())))
	home := filepath.Join(data, archive.Comment) // the comment is the sha256 of the content
	if _, err := os.Stat(home); err != nil {
		must.Do(os.MkdirAll(data, 0o755))
		scratch := must.Get(os.MkdirTemp(data, "tmp-"))
		defer os.RemoveAll(scratch)
		must.Do(os.Chmod(scratch, 0o755))
		must.Do(os.CopyFS(scratch, archive))
		syscall.Sync()
		if err := os.Rename(scratch, home); !os.IsExist(err) {
			must.Do(err)
		}
	}
	return filepath.Join(home, "bin")
}

func setDefault(name, value string) {
	must.Do(os.Setenv(name, cmp.Or(os.Getenv(name), value)))
}
