package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"time"
)

// folder is one whose files are used, each when it is new or has changed.
type folder struct {
	path  string
	names *regexp.Regexp
	use   func(file string) (done bool) // what is not done is tried again
	used  map[string]string             // size and time, by file
}

func (f *folder) scan() {
	_ = filepath.Walk(f.path, func(file string, info fs.FileInfo, err error) error {
		if err != nil || info.IsDir() || !f.names.MatchString(info.Name()) {
			return nil
		}
		state := fmt.Sprint(info.Size(), info.ModTime())
		if f.used[file] != state && f.use(file) {
			f.used[file] = state
		}
		return nil
	})
}

func (f *folder) watch(every time.Duration) {
	for ; ; time.Sleep(every) {
		f.scan()
	}
}
