// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"os/exec"
	"slices"
)

// Kind is what a peer can be compared in.
type Kind int

// The kinds.
const (
	// Plain peers relay ws to ws.
	Plain Kind = iota
	// TLS peers take wss clients and relay to ws.
	TLS
	// Kept peers keep the handshake of every connection, to say it again to another
	// upstream.
	Kept
	// Direct is no proxy at all: the clients speak to the backend.
	Direct
)

// Peer is a proxy, or ours with other flags.
type Peer struct {
	// Name is what a row is called and --peers selects.
	Name string
	// Title says more.
	Title string
	Kind  Kind
	// Ours says whether the targets are for it.
	Ours bool
	// Program is what must be installed or built.
	Program string
	// Env is added to the environment.
	Env []string

	// configure writes what the program needs into p.Dir and returns its arguments.
	configure func(p Place) ([]string, error)
}

// Missing returns the error of looking for the program, nil where it is there.
func (p *Peer) Missing() error {
	if p.Kind == Direct {
		return nil
	}
	_, err := exec.LookPath(p.Program)
	return err
}

// Place is where a peer runs.
type Place struct {
	// Dir is for its files alone.
	Dir string
	// Host and Port are where it listens, Upstream and UpstreamPort where the
	// backend is; all on loopback.
	Host         string
	Port         int
	Upstream     string
	UpstreamPort int
	// Workers is how many threads or processes it may use.
	Workers int
	// Connections is how many it must be able to hold.
	Connections int
	// Cert and Key are files in PEM.
	Cert, Key string
}

// Programs are the paths of the programs that are not found in $PATH.
type Programs struct {
	// Relay is that of package native.
	Relay string
	// ReverseProxy and Pump are the commands below this package.
	ReverseProxy, Pump string
	// Dataplane is ours.
	Dataplane string
}

// All returns the peers in the order of the tables, with variants of ours.
func All(p Programs, variants []Variant) []*Peer {
	all := slices.Concat(floors(p), nginx(), haproxy(), library(p), ours(p, variants))
	return append(all, &Peer{Name: "direct", Title: "no proxy", Kind: Direct})
}
