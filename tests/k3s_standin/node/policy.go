package main

import (
	"sync"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/sirupsen/logrus"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"airgap.local/k3s-standin/must"
)

// enforce runs kube-router's controller of NetworkPolicies, as k3s does. What it wrote last stays in force while k3s is down.
// On a host without ipset it warns, and the policies are for show: also as in k3s.
func (n *node) enforce(api *kubernetes.Clientset) {
	config := options.NewKubeRouterConfig()
	config.EnableIPv4, config.HostnameOverride = true, n.name
	config.ClusterIPCIDRs, config.NodePortRange = []string{n.values["ServiceCIDR"]}, n.values["NodePorts"]
	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		logrus.Warnf("Skipping network policy controller start: %v", err)
		return
	}
	factory := informers.NewSharedInformerFactory(api, 0)
	pods, namespaces := factory.Core().V1().Pods().Informer(), factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	controller := must.Get(netpol.NewNetworkPolicyController(api, config, pods, policies, namespaces, &sync.Mutex{}, tables, sets))
	must.Get(pods.AddEventHandler(controller.PodEventHandler))
	must.Get(namespaces.AddEventHandler(controller.NamespaceEventHandler))
	must.Get(policies.AddEventHandler(controller.NetworkPolicyEventHandler))
	forever, beats, group := make(chan struct{}), make(chan *healthcheck.ControllerHeartbeat), sync.WaitGroup{}
	factory.Start(forever)
	factory.WaitForCacheSync(forever)
	go func() {
		for range beats { // it waits until its heart is heard
		}
	}()
	logrus.Info("Starting network policy controller")
	group.Add(1)
	controller.Run(beats, forever, &group)
}
