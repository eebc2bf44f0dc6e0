// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

func somePods(n int) *simulated {
	s := &simulated{}
	for range n {
		s.pods = append(s.pods, &pod{registry: registry.New(registry.NewPodID("", time.Now()))})
	}
	return s
}

func TestTheFleetHasAsManyConnectionsAsItShould(t *testing.T) {
	s := somePods(3)
	for _, n := range []int{10, 1000, 7, 0, 4} {
		s.resize(n)
		have := 0
		for _, p := range s.pods {
			have += p.registry.Len()
			if p.registry.Len() != len(p.connections) || p.registry.Len() < n/3 {
				t.Errorf("of %d connections a pod has %d, and chooses from %d", n, p.registry.Len(), len(p.connections))
			}
		}
		if have != n {
			t.Errorf("there are %d connections, want %d", have, n)
		}
	}
	if n := s.of(func(pod, _ int) bool { return proxyOf(pod, 2) == "proxy-1" }); n != 1 {
		t.Errorf("the second of three pods has %d of four connections, want 1", n)
	}
}

func TestADisconnectedConnectionIsReplaced(t *testing.T) {
	s := somePods(1)
	s.resize(3)
	p, i := s.any()
	ended := p.connections[i]
	if err := ended.Disconnect(registry.Disconnect{}); err != nil {
		t.Fatal(err)
	}
	if phase := ended.entry.Describe().GetPhase(); phase != dataplanev1alpha1.Phase_PHASE_CLOSING {
		t.Errorf("it is %v", phase)
	}
	if err := ended.Disconnect(registry.Disconnect{}); !errors.Is(err, registry.ErrClosing) {
		t.Errorf("ended once more: %v", err)
	}
	p.replace(i)
	for _, c := range p.connections {
		if c == ended {
			t.Error("it is still there to choose")
		}
	}
	for deadline := time.Now().Add(30 * time.Second); p.registry.Len() != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there are %d connections, want 3", p.registry.Len())
		}
	}
}

func TestObjectsAreCountedHoweverTheyAreRead(t *testing.T) {
	one := `{"metadata":{"name":"x","uid":"1-2"}},`
	for how, read := range map[string]func(io.Reader) io.Reader{
		"all": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "end with the last": iotest.DataErrReader,
	} {
		if n, err := count(read(strings.NewReader(strings.Repeat(one, 20_000))), uid); n != 20_000 || err != nil {
			t.Errorf("%s: %d, %v", how, n, err)
		}
	}
	if _, err := count(iotest.ErrReader(io.ErrUnexpectedEOF), uid); err == nil {
		t.Error("an answer that was cut off is taken for a whole one")
	}
}

func TestWhatGrowsIsSaid(t *testing.T) {
	for want, change := range map[string]func(*findings){
		"": func(*findings) {},
		"get by name, directly: takes 2.00 times":   func(f *findings) { f.points[1].get.cpu = 2 },
		"next page of 500, directly: takes 3.00":    func(f *findings) { f.points[1].next.cpu = 3 },
		"the apiserver takes 2.00 times the memory": func(f *findings) { f.memory[1].peak = 200 },
		"a watch, directly: 503":                    func(f *findings) { f.bulks = append(f.bulks, bulk{what: "a watch", way: "directly", failure: "503"}) },
	} {
		f := &findings{options: options{sizes: []int{1000, 2000}, growth: 1.5}, memory: []memory{{peak: 100}, {peak: 100}}}
		for _, n := range f.sizes {
			s := samples{seconds: []float64{0.001, 0.002, 0.003}, cpu: 1}
			f.points = append(f.points, point{connections: n, way: "directly", get: s, disconnect: s, first: s, next: s})
		}
		f.bulks = []bulk{{what: inPages, partial: "a pod did not answer"}}
		f.ends = []ends{{way: "directly", closed: []float64{0.001}, settled: []float64{0.002}}}
		change(f)
		err := f.check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("check says %v, want %q", err, want)
		}
		if text := f.String(); !strings.Contains(text, "not all: a pod did not answer") {
			t.Error(text)
		}
	}
}
