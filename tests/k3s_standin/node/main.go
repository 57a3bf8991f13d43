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
	"sync"
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

// family is the set of child processes, which end together.
type family struct {
	ctx  context.Context
	end  context.CancelFunc
	all  sync.WaitGroup
	died chan string
}

func newFamily() *family {
	ctx, end := context.WithCancel(context.Background())
	return &family{ctx: ctx, end: end, died: make(chan string, 16)}
}

// start runs file as name (its argv[0]). What it says goes to the file log, or to our own stderr.
func (f *family) start(name, file, log string, args ...string) {
	c := exec.CommandContext(f.ctx, file, args...)
	c.Args[0], c.Stdout, c.Stderr = name, os.Stderr, os.Stderr
	if log != "" {
		to := must.Get(os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600))
		c.Stdout, c.Stderr = to, to
	}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 3 * time.Second // then it is killed: the API server would wait a minute for open watches
	f.all.Go(func() {
		runtime.LockOSThread() // Pdeathsig comes when the thread that forked ends: this one stays for as long as the child
		f.died <- fmt.Sprintf("%s exited: %v", name, c.Run())
	})
}

// run brings the node up and waits for a signal or the death of a child. Either way the exit code is 0, as k3s':
// Restart=always brings it back. Pods' shims are no children of ours and go on.
func (n *node) run() {
	notify := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET") // the children would say READY too
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go n.bringUp(notify)
	select {
	case reason := <-n.died:
		logrus.Errorf("Shutdown request received: %s", reason)
	case s := <-signals:
		logrus.Infof("Shutdown request received: %v", s)
	}
	n.end()
	n.all.Wait()
	os.Exit(0)
}
