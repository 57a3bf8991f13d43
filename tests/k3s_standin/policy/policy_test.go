package policy

import (
	"cmp"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The node `here` has a (10.42.0.1, app web) and b (10.42.0.2, app db) of namespace n, and c (10.42.0.3, app web) of
// namespace other; d (10.42.1.4, app db) of n is on another node.
func cluster(t *testing.T, policies string) Cluster {
	pod := func(namespace, name, app, node, address string) *core.Pod {
		return &core.Pod{
			ObjectMeta: meta.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": app}},
			Spec: core.PodSpec{NodeName: node, Containers: []core.Container{{Ports: []core.ContainerPort{
				{Name: "sql", ContainerPort: 5400 + int32(address[len(address)-1]-'0'), Protocol: core.ProtocolTCP},
			}}}},
			Status: core.PodStatus{Phase: core.PodRunning, PodIP: address},
		}
	}
	namespace := func(name string) *core.Namespace {
		return &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}}
	}
	over, host := pod("n", "over", "db", "here", "10.42.0.8"), pod("n", "host", "db", "here", "10.210.0.1")
	over.Status.Phase, host.Spec.HostNetwork = core.PodSucceeded, true
	c := Cluster{
		Pods: []*core.Pod{
			pod("n", "b", "db", "here", "10.42.0.2"), pod("n", "a", "web", "here", "10.42.0.1"), over, host,
			pod("other", "c", "web", "here", "10.42.0.3"), pod("n", "d", "db", "there", "10.42.1.4"),
		},
		Namespaces: []*core.Namespace{namespace("n"), namespace("other")},
	}
	for _, text := range strings.Split(policies, "---") {
		one := &net.NetworkPolicy{ObjectMeta: meta.ObjectMeta{Namespace: "n", Name: "p"}}
		if err := yaml.UnmarshalStrict([]byte("{spec: "+text+"}"), one); err != nil {
			t.Fatal(err)
		}
		c.Policies = append(c.Policies, one)
	}
	return c
}

var chain = regexp.MustCompile(`chain ((?:in|out)-\S+) \{ # \S+\n((?:\t\t.*\n)*)`)

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		policies string
		want     map[string]string // by chain: its rules, in order, without their comments and the reject at the end
	}{
		"nobody is isolated by a policy for nobody": {
			`{policyTypes: [Ingress, Egress], podSelector: {matchLabels: {app: none}}}`, nil,
		},
		"default deny isolates the namespace's pods of this node that are alive": {
			`{policyTypes: [Ingress, Egress], podSelector: {}}`,
			map[string]string{"in-10.42.0.1": "", "out-10.42.0.1": "", "in-10.42.0.2": "", "out-10.42.0.2": ""},
		},
		"pods of the same namespace, by number, TCP unless it says so": {
			`{policyTypes: [Egress], podSelector: {matchLabels: {app: web}},
			  egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}, {port: 53, protocol: UDP}]}]}`,
			map[string]string{"out-10.42.0.1": "ip daddr { 10.42.0.2, 10.42.1.4 } tcp dport 5432; ip daddr { 10.42.0.2, 10.42.1.4 } udp dport 53"},
		},
		"from the other side": {
			`{policyTypes: [Ingress], podSelector: {matchLabels: {app: db}},
			  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]}`,
			map[string]string{"in-10.42.0.2": "ip saddr { 10.42.0.1 } tcp dport 5432"},
		},
		"a namespace, and pods of a namespace": {
			`{policyTypes: [Ingress], podSelector: {matchLabels: {app: db}}, ingress: [
			  {from: [{namespaceSelector: {matchLabels: {name: other}}}]},
			  {from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}]}`,
			map[string]string{"in-10.42.0.2": "ip saddr { 10.42.0.3 }; ip saddr { 10.42.0.1, 10.42.0.3 }"},
		},
		"a name is the number of whoever is asked": {
			`{policyTypes: [Ingress, Egress], podSelector: {matchLabels: {app: web}},
			  ingress: [{ports: [{port: sql}, {port: nothing}]}],
			  egress: [{to: [{podSelector: {}}], ports: [{port: sql}]}]}`,
			map[string]string{
				"in-10.42.0.1":  "tcp dport 5401",
				"out-10.42.0.1": "ip daddr { 10.42.0.1 } tcp dport 5401; ip daddr { 10.42.0.2 } tcp dport 5402; ip daddr { 10.42.1.4 } tcp dport 5404",
			},
		},
		"addresses with exceptions, a range, no IPv6": {
			`{policyTypes: [Ingress], podSelector: {matchLabels: {app: web}}, ingress: [{
			  from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.42.0.0/16, 10.43.0.0/16]}}, {ipBlock: {cidr: "::/0"}}],
			  ports: [{port: 30000, endPort: 32767}]}]}`,
			map[string]string{"in-10.42.0.1": "ip saddr 0.0.0.0/0 ip saddr != 10.42.0.0/16 ip saddr != 10.43.0.0/16 tcp dport 30000-32767"},
		},
		"no peers are all, no rules are none": {
			`{policyTypes: [Ingress, Egress], podSelector: {matchLabels: {app: web}}, ingress: [{}], egress: [{ports: [{protocol: UDP}]}]}`,
			map[string]string{"in-10.42.0.1": "everything", "out-10.42.0.1": "meta l4proto udp"},
		},
		"policies add up": {
			`{policyTypes: [Ingress], podSelector: {}}
			 ---
			 {policyTypes: [Ingress], podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}
			 ---
			 {policyTypes: [Ingress], podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 81}]}]}`,
			map[string]string{"in-10.42.0.1": "tcp dport 80; tcp dport 81", "in-10.42.0.2": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rules := cluster(t, c.policies).Rules("here")
			got := map[string]string{}
			for _, found := range chain.FindAllStringSubmatch(rules, -1) {
				var lines []string
				for line := range strings.Lines(found[2]) {
					words, _, ok := strings.Cut(strings.TrimSpace(line), "return comment")
					if ok {
						lines = append(lines, cmp.Or(strings.TrimSpace(words), "everything"))
					}
				}
				got[found[1]] = strings.Join(lines, "; ")
				if !strings.HasSuffix(found[2], "\t\treject\n") {
					t.Errorf("%s lets the rest pass", found[1])
				}
			}
			for name := range got {
				if _, ok := c.want[name]; !ok {
					t.Errorf("%s: nobody asked for it", name)
				}
			}
			for name, want := range c.want {
				if have, ok := got[name]; !ok || have != want {
					t.Errorf("%s:\ngot  %s\nwant %s", name, have, want)
				}
			}
			// nft itself, in a network of its own, where there is one
			cmd := exec.Command("unshare", "--net", "nft", "-f", "-")
			cmd.Stdin = strings.NewReader(rules)
			if text, err := cmd.CombinedOutput(); err != nil {
				if strings.Contains(string(text), "k3s-policy") || strings.Contains(string(text), "rror:") {
					t.Errorf("%s\n%s", rules, text)
				} else {
					t.Logf("no nft here: %v %s", err, text)
				}
			}
		})
	}
}
