package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"airgap.local/k3s-standin/policy"
)

// nft replaces tables at once, or changes nothing.
func nft(rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, text)
	}
	return nil
}

// enforce keeps the node's packet filter equal to the cluster's NetworkPolicies. Like k3s' it takes a moment to hear of a
// new pod, and what it wrote last stays in force while k3s is down.
func (n *node) enforce(api *kubernetes.Clientset) {
	logrus.Info("Starting network policy controller")
	factory, changed := informers.NewSharedInformerFactory(api, 0), make(chan struct{}, 1)
	pods, namespaces := factory.Core().V1().Pods(), factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	tell := func(any) {
		select {
		case changed <- struct{}{}:
		default: // it will look anyway
		}
	}
	for _, one := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		must(one.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: tell, DeleteFunc: tell, UpdateFunc: func(_, o any) { tell(o) }}))
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	for applied := ""; ; <-changed {
		rules := policy.Cluster{
			Pods:       must(pods.Lister().List(labels.Everything())),
			Policies:   must(policies.Lister().List(labels.Everything())),
			Namespaces: must(namespaces.Lister().List(labels.Everything())),
		}.Rules(n.name)
		if rules == applied {
			continue
		} else if err := nft(rules); err != nil {
			logrus.Errorf("Failed to apply network policies: %v", err)
			time.AfterFunc(5*time.Second, func() { tell(nil) })
		} else {
			applied = rules
		}
	}
}
