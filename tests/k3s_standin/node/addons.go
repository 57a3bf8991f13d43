package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/sirupsen/logrus"
)

var addons = regexp.MustCompile(`^[^.].*\.(ya?ml|json)$`)

// layAddons writes the packaged manifests, but for those that are disabled: these are removed, objects and all.
func (s *server) layAddons() {
	for _, name := range []string{"site", "coredns", "local-storage"} {
		content, to := s.render(manifest(name+".yaml")), s.path("server/manifests", name+".yaml")
		if slices.Contains(s.List("disable"), name) {
			s.kubectl(content, "delete", "--ignore-not-found", "--wait=false", "-f", "-")
			_ = os.Remove(to)
		} else if _, err := os.Stat(to + ".skip"); err != nil {
			write(to, content, 0o600)
		}
	}
}

// apply applies a file of DATA/server/manifests.
func (s *server) apply(file string) bool {
	text, err := os.ReadFile(file)
	if _, skip := os.Stat(file + ".skip"); err != nil || skip == nil {
		return false
	}
	return s.kubectl(text, "apply", "--server-side", "--force-conflicts", "--field-manager=k3s", "-f", "-")
}

func (s *server) kubectl(input []byte, args ...string) bool {
	config := filepath.Join(s.cred, "super-admin.conf")
	cmd := exec.Command(self(), append([]string{"kubectl", "--kubeconfig", config, "--cache-dir", "/run/k3s/kubectl"}, args...)...)
	cmd.Stdin = bytes.NewReader(input)
	text, err := cmd.CombinedOutput()
	if err != nil {
		logrus.Errorf("Failed to apply manifests: %v: %s", err, bytes.TrimSpace(text))
	}
	return err == nil
}
