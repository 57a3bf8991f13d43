// Package must ends the program on errors that leave it nothing else to do.
package must

import "github.com/sirupsen/logrus"

// Do says why, and exits with 1.
func Do(err error) {
	if err != nil {
		logrus.Fatal(err)
	}
}

// Get returns the value that came without an error.
func Get[T any](value T, err error) T {
	Do(err)
	return value
}
