// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	var of release
	flag.StringVar(&of.version, "version", "", "version of the binary")
	flag.StringVar(&of.commit, "commit", "", "commit that it was built from")
	flag.StringVar(&of.created, "created", "", "time in RFC 3339 that the document says it was made at")
	flag.Parse()
	if err := run(of, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(of release, arguments []string, out io.Writer) error {
	if of.version == "" || of.commit == "" || of.created == "" || len(arguments) != 1 {
		return errors.New("usage: sbom -version VERSION -commit COMMIT -created TIME BINARY")
	}
	raw, err := os.ReadFile(arguments[0])
	if err != nil {
		return fmt.Errorf("read binary: %w", err)
	}
	info, err := buildinfo.ReadFile(arguments[0])
	if err != nil {
		return fmt.Errorf("read build information: %w", err)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(bomOf(raw, info, of))
}
