// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed configs
var configs embed.FS

var templates = template.Must(template.ParseFS(configs, "configs/*"))

// write writes a configuration of configs/ into the directory of a place and
// returns its path.
func write(at Place, name string, values map[string]any) (string, error) {
	path := filepath.Join(at.Dir, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer file.Close() // Execute has written all or says why not.
	values["Place"] = at
	if err := templates.ExecuteTemplate(file, name, values); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}

// nginx with its two usual sizes of buffers: what is cheap for many idle
// connections is not what is cheap for bulk.
func nginx() []*Peer {
	configure := func(buffer string, tls bool) func(Place) ([]string, error) {
		return func(at Place) ([]string, error) {
			path, err := write(at, "nginx.conf", map[string]any{"Buffer": buffer, "TLS": tls, "Root": os.Geteuid() == 0})
			return []string{"-p", at.Dir, "-c", path, "-e", "stderr"}, err
		}
	}
	return []*Peer{
		{Name: "nginx", Title: "nginx, buffers of 4 KiB", Program: "nginx", configure: configure("4k", false)},
		{Name: "nginx-64k", Title: "nginx, buffers of 64 KiB", Program: "nginx", configure: configure("64k", false)},
		{Name: "nginx-tls", Title: "nginx, buffers of 4 KiB, wss to ws", Program: "nginx", Kind: TLS, configure: configure("4k", true)},
		{Name: "nginx-64k-tls", Title: "nginx, buffers of 64 KiB, wss to ws", Program: "nginx", Kind: TLS, configure: configure("64k", true)},
	}
}

func haproxy() []*Peer {
	return []*Peer{{Name: "haproxy", Title: "HAProxy, splicing where it judges it worth it", Program: "haproxy", configure: func(at Place) ([]string, error) {
		path, err := write(at, "haproxy.cfg", map[string]any{})
		return []string{"-q", "-db", "-f", path}, err
	}}}
}
