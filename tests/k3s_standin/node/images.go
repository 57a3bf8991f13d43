package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/sirupsen/logrus"
)

var (
	archives = regexp.MustCompile(`\.(tar|tgz|tzst|tar\.(gz|zst))$`)
	unpacked = regexp.MustCompile(`unpacking (\S+) \((sha256:[0-9a-f]{64})\)`) // what `ctr images import --local` prints
	pinned   = []string{
		"io.cri-containerd.pinned=", // the kubelet collects no image that has this
		"io.cattle.k3s.pinned=",     // k3s' own mark: at each start both are wiped, and set again by the import
	}
)

// importer brings the archives of a folder into containerd, with `ctr` of the payload.
type importer struct {
	dir  string
	seen map[string]string // size and time, by file
}

func ctr(input io.Reader, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(filepath.Dir(self()), "ctr"), append([]string{"-a", socket, "-n", "k8s.io", "images"}, args...)...)
	cmd.Stdin = input
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return string(text), err
}

func label(image, value string) error {
	_, err := ctr(nil, "label", image, pinned[0]+value, pinned[1]+value)
	return err
}

func (m *importer) unpin() {
	list, err := ctr(nil, "ls", "-q", `labels."io.cattle.k3s.pinned"==pinned`)
	for _, image := range strings.Fields(list) {
		if err == nil {
			err = label(image, "")
		}
	}
	if err != nil {
		logrus.Errorf("Failed to remove pins: %v", err)
	}
}

func (m *importer) watch() {
	for range time.Tick(2 * time.Second) {
		m.scan()
	}
}

// scan imports each archive that is new or has changed. A bad one is a line in the log and nothing more, as in k3s.
func (m *importer) scan() {
	_ = filepath.WalkDir(m.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !archives.MatchString(path) {
			return nil
		}
		info, err := entry.Info()
		if err != nil || m.seen[path] == fmt.Sprint(info.Size(), info.ModTime()) {
			return nil
		}
		m.seen[path] = fmt.Sprint(info.Size(), info.ModTime())
		start := time.Now()
		logrus.Infof("Importing images from %s", path)
		if count, err := load(path); err != nil {
			logrus.Errorf("Failed to process image event: %s: %v", path, err)
		} else {
			logrus.Infof("Imported %d images from %s in %s", count, path, time.Since(start))
		}
		return nil
	})
}

func load(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	content, err := plain(file)
	if err != nil {
		return 0, err
	}
	text, err := ctr(content, "import", "--local", "--all-platforms", "-")
	if err != nil {
		return 0, err
	}
	found := unpacked.FindAllStringSubmatch(text, -1)
	for _, image := range found {
		name, _, _ := strings.Cut(image[1], "@")
		if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
			name = name[:colon]
		}
		twin := name + "@" + image[2] // k3s adds this name so that pods may ask by digest
		if _, err := ctr(nil, "tag", "--force", image[1], twin); err != nil {
			return 0, err
		}
		for _, name := range []string{image[1], twin} {
			if err := label(name, "pinned"); err != nil {
				return 0, err
			}
		}
		logrus.Infof("Imported %s", image[1])
	}
	return len(found), nil
}

// plain uncompresses by the suffix, with k3s' limit on zstd windows (32 MiB).
func plain(file *os.File) (io.Reader, error) {
	switch filepath.Ext(file.Name()) {
	case ".gz", ".tgz":
		return gzip.NewReader(file)
	case ".zst", ".tzst":
		return zstd.NewReader(file, zstd.WithDecoderMaxWindow(32<<20), zstd.WithDecoderConcurrency(1))
	}
	return file, nil
}
