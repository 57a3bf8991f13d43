// One program that is, by its first argument, k3s' server or agent, or, by its own name, one of the Kubernetes programs
// that they start. These cannot share a process (each installs its own signal handler), so this file runs once for each.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"airgap.local/k3s-standin/config"
	"airgap.local/k3s-standin/must"
)

// The kernel sends a child its Pdeathsig when the thread that forked it ends, so all children are forked by the main
// thread, which ends with the process.
func init() { runtime.LockOSThread() }

func main() {
	switch os.Args[0] {
	case "kube-apiserver":
		must.Do(apiServer(os.Args[1:]))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubelet":
		os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
	case "kube-proxy":
		os.Exit(cli.Run(proxy.NewProxyCommand()))
	}
	switch os.Args[1] {
	case "kubectl":
		os.Args = os.Args[1:]
		util.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()))
	case "server", "agent":
		options, warnings, err := config.Load(os.Args[1], os.Args[2:])
		must.Do(err)
		for _, text := range warnings {
			logrus.Warn(text)
		}
		newNode(os.Args[1], options).run()
	}
}

// family is the set of child processes: all are forked by run, in the main thread, and end with it.
type family struct {
	spawn chan func()
	died  chan string
	all   []*child
}

type child struct {
	*exec.Cmd
	done chan struct{}
}

// start runs file as name (its argv[0]). What it says goes to the file log, or to our own stderr.
func (f *family) start(name, file, log string, args ...string) {
	started := make(chan error)
	f.spawn <- func() {
		c := &child{exec.Command(file, args...), make(chan struct{})}
		c.Args[0], c.Stdout, c.Stderr = name, os.Stderr, os.Stderr
		if log != "" {
			to, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			must.Do(err)
			defer to.Close()
			c.Stdout, c.Stderr = to, to
		}
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		err := c.Start()
		if err == nil {
			f.all = append(f.all, c)
			go func() {
				err := c.Wait()
				close(c.done)
				f.died <- fmt.Sprintf("%s exited: %v", name, err)
			}()
		}
		started <- err
	}
	must.Do(<-started)
}

// stop asks, waits for a while, then kills: the API server would wait a minute for open watches.
func stop(children []*child, grace time.Duration) {
	for _, c := range children {
		_ = c.Process.Signal(syscall.SIGTERM)
	}
	deadline := time.After(grace)
	for _, c := range children {
		select {
		case <-c.done:
		case <-deadline:
			_ = c.Process.Kill()
			<-c.done
		}
	}
}

// run brings the node up in the background and stays in the main thread until a signal or the death of a child. Either
// way the exit code is 0, as k3s': Restart=always brings it back. Pods' shims are no children of ours and go on.
func (n *node) run() {
	notify := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET") // the children would say READY too
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go n.bringUp(notify)
	for {
		select {
		case fork := <-n.spawn:
			fork()
			continue
		case reason := <-n.died:
			logrus.Errorf("Shutdown request received: %s", reason)
		case s := <-signals:
			logrus.Infof("Shutdown request received: %v", s)
		}
		base := min(2, len(n.all)) // containerd and etcd (or the kubelet) come first and end last
		stop(n.all[base:], 2*time.Second)
		stop(n.all[:base], 10*time.Second)
		os.Exit(0)
	}
}
