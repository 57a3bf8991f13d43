package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/klauspost/compress/zstd"
	"github.com/sirupsen/logrus"
)

const (
	kubeletPin = "io.cri-containerd.pinned=" // the kubelet collects no image that has this
	k3sPin     = "io.cattle.k3s.pinned="     // k3s' own mark: at each start both are wiped, and set again by the import
)

var (
	archives = regexp.MustCompile(`\.(tar|tgz|tzst|tar\.(gz|zst))$`)
	unpacked = regexp.MustCompile(`unpacking (\S+) \((sha256:[0-9a-f]{64})\)`) // what `ctr images import --local` prints
)

// ctr runs that of the payload.
func ctr(input io.Reader, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(filepath.Dir(self()), "ctr"), append([]string{"-a", socket, "-n", "k8s.io", "images"}, args...)...)
	cmd.Stdin = input
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return string(text), err
}

func unpin() {
	list, err := ctr(nil, "ls", "-q", `labels."io.cattle.k3s.pinned"==pinned`)
	for _, image := range strings.Fields(list) {
		if err == nil {
			_, err = ctr(nil, "label", image, kubeletPin, k3sPin)
		}
	}
	if err != nil {
		logrus.Errorf("Failed to remove pins: %v", err)
	}
}

// load imports an archive of DATA/agent/images. A bad one is a line in the log and nothing more, as in k3s.
func load(path string) bool {
	start := time.Now()
	logrus.Infof("Importing images from %s", path)
	if count, err := importImages(path); err != nil {
		logrus.Errorf("Failed to process image event: %s: %v", path, err)
	} else {
		logrus.Infof("Imported %d images from %s in %s", count, path, time.Since(start))
	}
	return true
}

func importImages(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	content, err := plain(file)
	if err != nil {
		return 0, err
	}
	text, err := ctr(content, "import", "--local", "--all-platforms", "--label", kubeletPin+"pinned", "--label", k3sPin+"pinned", "-")
	if err != nil {
		return 0, err
	}
	found := unpacked.FindAllStringSubmatch(text, -1)
	for _, image := range found {
		name, err := reference.ParseNormalizedNamed(image[1])
		if err != nil {
			return 0, err
		}
		twin := name.Name() + "@" + image[2] // k3s adds this name so that pods may ask by digest; --local gives it the pins, too
		if _, err := ctr(nil, "tag", "--local", "--force", image[1], twin); err != nil {
			return 0, err
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
