// Package policy turns NetworkPolicies into nftables rules for the pods of one node. Pure: objects in, text out.
//
// It knows podSelector, namespaceSelector, ipBlock with exceptions, and ports by number, range and name, for IPv4, in both
// directions. Beside the policies it does what kube-router does, which is k3s' own: answers and some ICMP pass, the node
// reaches its own pods, and what no policy allows is rejected at once.
package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Cluster is what the rules follow from.
type Cluster struct {
	Policies   []*net.NetworkPolicy
	Pods       []*core.Pod
	Namespaces []*core.Namespace
}

// Each pod that a policy isolates has a chain for that direction. A packet between two pods of this node meets both: `out`
// of the one, `in` of the other. What the node itself sends to its pods comes by neither hook.
const frame = `table ip k3s-policy
delete table ip k3s-policy
table ip k3s-policy {
	map out { type ipv4_addr : verdict; %s}
	map in { type ipv4_addr : verdict; %s}
	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
		icmp type { echo-request, destination-unreachable, time-exceeded } accept
		ip saddr vmap @out
		ip daddr vmap @in
	}
	chain input {
		type filter hook input priority filter; policy accept;
		ct state established,related accept
		ip saddr vmap @out
	}
%s}
`

const out, in = net.PolicyTypeEgress, net.PolicyTypeIngress

// Rules is the whole table for the pods of a node. `nft -f` puts it in place of the one before, all at once.
func (c Cluster) Rules(node string) string {
	jumps, chains := map[net.PolicyType]string{}, ""
	c.Pods = slices.DeleteFunc(slices.Clone(c.Pods), func(pod *core.Pod) bool {
		over := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
		return over || pod.Spec.HostNetwork || pod.Status.PodIP == "" || strings.Contains(pod.Status.PodIP, ":")
	})
	slices.SortFunc(c.Pods, func(a, b *core.Pod) int { return strings.Compare(a.Status.PodIP, b.Status.PodIP) })
	c.Policies = slices.Clone(c.Policies)
	slices.SortFunc(c.Policies, func(a, b *net.NetworkPolicy) int { return strings.Compare(a.Name, b.Name) })
	for _, pod := range c.Pods {
		for _, kind := range []net.PolicyType{out, in} {
			if rules, isolated := c.chain(pod, kind); isolated && pod.Spec.NodeName == node {
				name := map[net.PolicyType]string{out: "out-", in: "in-"}[kind] + pod.Status.PodIP
				jumps[kind] += fmt.Sprintf("%s : jump %s, ", pod.Status.PodIP, name)
				chains += fmt.Sprintf("\tchain %s { # %s/%s\n%s\t\treject\n\t}\n", name, pod.Namespace, pod.Name, rules)
			}
		}
	}
	for kind, list := range jumps {
		jumps[kind] = "elements = { " + list + "} "
	}
	return fmt.Sprintf(frame, jumps[out], jumps[in], chains)
}

// chain is what may pass to or from a pod, and whether any policy is about that at all.
func (c Cluster) chain(pod *core.Pod, kind net.PolicyType) (rules string, isolated bool) {
	for _, policy := range c.Policies {
		if policy.Namespace != pod.Namespace || !slices.Contains(policy.Spec.PolicyTypes, kind) || !selects(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		isolated = true
		var matches []string
		for _, rule := range policy.Spec.Egress {
			if kind == out {
				matches = append(matches, c.matches(pod, nil, "ip daddr", rule.To, rule.Ports)...)
			}
		}
		for _, rule := range policy.Spec.Ingress {
			if kind == in {
				matches = append(matches, c.matches(pod, pod, "ip saddr", rule.From, rule.Ports)...)
			}
		}
		for _, match := range matches {
			rules += fmt.Sprintf("\t\t%s return comment %q\n", match, policy.Namespace+"/"+policy.Name)
		}
	}
	return rules, isolated
}

// matches are nftables' words for one rule of a policy about pod. asked is whose ports the rule names: the pod itself, or,
// where it is nil, whoever is at the far end.
func (c Cluster) matches(pod, asked *core.Pod, far string, peers []net.NetworkPolicyPeer, ports []net.NetworkPolicyPort) (list []string) {
	blocks, pods := []string{}, []*core.Pod{}
	for _, peer := range peers {
		if peer.IPBlock == nil {
			pods = append(pods, c.selected(pod.Namespace, peer)...)
		} else if !strings.Contains(peer.IPBlock.CIDR, ":") {
			blocks = append(blocks, strings.Join(append([]string{far + " " + peer.IPBlock.CIDR}, peer.IPBlock.Except...), " "+far+" != "))
		}
	}
	if len(peers) == 0 {
		blocks = []string{""}
	}
	if len(ports) == 0 {
		ports = []net.NetworkPolicyPort{{}}
	}
	for _, port := range ports {
		addresses := map[string][]string{} // of pods, by the words for the port: a name can be another number in each pod
		for _, other := range pods {
			if words, ok := portWords(port, cmp.Or(asked, other)); ok {
				addresses[words] = append(addresses[words], other.Status.PodIP)
			}
		}
		for _, words := range slices.Sorted(maps.Keys(addresses)) {
			all := slices.Compact(slices.Sorted(slices.Values(addresses[words]))) // two peers may mean the same pod
			list = append(list, strings.TrimSpace(far+" { "+strings.Join(all, ", ")+" } "+words))
		}
		for _, block := range blocks { // an address far away has no names for its ports
			if words, ok := portWords(port, asked); ok {
				list = append(list, strings.TrimSpace(block+" "+words))
			}
		}
	}
	return list
}

// selected are the pods that a peer means, seen from a policy's namespace.
func (c Cluster) selected(namespace string, peer net.NetworkPolicyPeer) (pods []*core.Pod) {
	for _, pod := range c.Pods {
		here := pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			here = slices.ContainsFunc(c.Namespaces, func(one *core.Namespace) bool {
				return one.Name == pod.Namespace && selects(peer.NamespaceSelector, one.Labels)
			})
		}
		if here && (peer.PodSelector == nil || selects(peer.PodSelector, pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// portWords match a port; a name is one of the owner's containers' ports.
func portWords(port net.NetworkPolicyPort, owner *core.Pod) (words string, ok bool) {
	protocol := core.ProtocolTCP
	if port.Protocol != nil {
		protocol = *port.Protocol
	}
	name := strings.ToLower(string(protocol))
	if port.Port == nil && port.Protocol == nil {
		return "", true
	} else if port.Port == nil {
		return "meta l4proto " + name, true
	} else if port.Port.Type == intstr.Int && port.EndPort != nil {
		return fmt.Sprintf("%s dport %d-%d", name, port.Port.IntVal, *port.EndPort), true
	} else if port.Port.Type == intstr.Int {
		return fmt.Sprintf("%s dport %d", name, port.Port.IntVal), true
	} else if owner != nil {
		for _, container := range owner.Spec.Containers {
			for _, one := range container.Ports {
				if one.Name == port.Port.StrVal && one.Protocol == protocol {
					return fmt.Sprintf("%s dport %d", name, one.ContainerPort), true
				}
			}
		}
	}
	return "", false
}

func selects(selector *meta.LabelSelector, have map[string]string) bool {
	s, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(have))
}
