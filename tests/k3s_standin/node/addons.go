package main

import (
	"bytes"
	"embed"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"airgap.local/k3s-standin/must"
)

//go:embed manifests/*.yaml
var packaged embed.FS

// addons applies what lies in DATA/server/manifests: all of it at start, later what has changed.
type addons struct {
	dir, kubeconfig string
	applied         map[string]string // the hash of what was applied, by file
}

// layAddons writes the packaged manifests, but for those that are disabled: these are removed, objects and all.
func (s *server) layAddons() *addons {
	a := &addons{s.path("server/manifests"), s.cred + "/super-admin.conf", map[string]string{}}
	values := s.values()
	for _, file := range must.Get(packaged.ReadDir("manifests")) {
		content := []byte(values.Replace(string(must.Get(packaged.ReadFile("manifests/" + file.Name())))))
		to := filepath.Join(a.dir, file.Name())
		if slices.Contains(s.List("disable"), strings.TrimSuffix(file.Name(), ".yaml")) {
			a.kubectl(content, "delete", "--ignore-not-found", "--wait=false", "-f", "-")
			_ = os.Remove(to)
		} else if _, err := os.Stat(to + ".skip"); err != nil {
			write(to, content, 0o600)
		}
	}
	return a
}

func (a *addons) watch() {
	for ; ; time.Sleep(15 * time.Second) {
		_ = filepath.WalkDir(a.dir, func(file string, entry fs.DirEntry, err error) error {
			known := slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file))
			if err == nil && !entry.IsDir() && known && entry.Name()[0] != '.' {
				a.apply(file)
			}
			return nil
		})
	}
}

func (a *addons) apply(file string) {
	text, err := os.ReadFile(file)
	if _, skip := os.Stat(file + ".skip"); err != nil || skip == nil || a.applied[file] == hash(text) {
		return
	}
	if a.kubectl(text, "apply", "--server-side", "--force-conflicts", "--field-manager=k3s", "-f", "-") {
		a.applied[file] = hash(text)
	}
}

func (a *addons) kubectl(input []byte, args ...string) bool {
	cmd := exec.Command(self(), append([]string{"kubectl", "--kubeconfig", a.kubeconfig, "--cache-dir", "/run/k3s/kubectl"}, args...)...)
	cmd.Stdin = bytes.NewReader(input)
	text, err := cmd.CombinedOutput()
	if err != nil {
		logrus.Errorf("Failed to apply manifests: %v: %s", err, bytes.TrimSpace(text))
	}
	return err == nil
}
