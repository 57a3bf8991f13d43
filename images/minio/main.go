// MinIO, built from its module: the module's own main package is not importable with pinned dependencies of ours.
package main

import (
	"os"

	minio "github.com/minio/minio/cmd"
)

func main() { minio.Main(os.Args) }
