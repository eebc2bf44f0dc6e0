// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseVariant(t *testing.T) {
	for text, want := range map[string]Variant{
		"goroutines=--driver=goroutines":     {Name: "goroutines", Args: []string{"--driver=goroutines"}},
		"lean=GOGC=50 --a --b GOMEMLIMIT=1G": {Name: "lean", Env: []string{"GOGC=50", "GOMEMLIMIT=1G"}, Args: []string{"--a", "--b"}},
		"before=@/tmp/old/bin/dataplane":     {Name: "before", Program: "/tmp/old/bin/dataplane"},
	} {
		if got, err := ParseVariant(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "x=", "X=--a", "a b=--a", "-x=--a"} {
		if got, err := ParseVariant(bad); err == nil {
			t.Errorf("%q was taken as %+v", bad, got)
		}
	}
}

func TestAVariantIsMeasuredInEverythingThatOursIs(t *testing.T) {
	kinds := map[string][]Kind{}
	for _, p := range All(Programs{Dataplane: "x"}, []Variant{{Name: "loop", Args: []string{"--loop"}}}) {
		if p.Ours {
			name := strings.TrimSuffix(strings.TrimSuffix(p.Name, "-tls"), "-kept")
			kinds[name] = append(kinds[name], p.Kind)
		}
	}
	if len(kinds) != 2 || !reflect.DeepEqual(kinds["ours"], kinds["loop"]) || len(kinds["ours"]) != 3 {
		t.Errorf("%v", kinds)
	}
}

func TestOurConfigurationIsOne(t *testing.T) {
	for kind, want := range map[Kind]struct{ tls, autoReconnect bool }{Plain: {}, TLS: {tls: true}, Kept: {autoReconnect: true}} {
		at := Place{Dir: t.TempDir(), Host: "127.0.0.1", Port: 1, Upstream: "127.0.0.1", UpstreamPort: 2, Cert: "c", Key: "k"}
		args, err := Variant{Args: []string{"--more"}}.configure(kind)(at)
		if err != nil {
			t.Fatal(err)
		}
		file, err := config.ReadFile(args[1])
		if err != nil {
			t.Fatal(err)
		}
		if c := file.Config; c.ListenTLS != want.tls || c.AutoReconnect != want.autoReconnect || c.ConnectionLostTimeout.Seconds() != 60 {
			t.Errorf("kind %d: %+v", kind, c)
		}
		if args[len(args)-1] != "--more" {
			t.Errorf("the flag of the variant is missing: %v", args)
		}
	}
}

// TestInstalledProxiesTakeTheirConfiguration starts what is there and skips the
// rest. What they relay is tested with the cases.
func TestInstalledProxiesTakeTheirConfiguration(t *testing.T) {
	for _, p := range append(nginx(), haproxy()...) {
		t.Run(p.Name, func(t *testing.T) {
			if err := p.Missing(); err != nil {
				t.Skip(err)
			}
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			port := l.Addr().(*net.TCPAddr).Port
			l.Close()
			r, err := p.Start(t.Context(), Place{
				Dir: t.TempDir(), Host: "127.0.0.1", Port: port, Upstream: "127.0.0.1", UpstreamPort: port, Workers: 2, Connections: 100,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Stop()
			if pss, err := r.PSS(); err != nil || pss < 1<<20 {
				t.Errorf("PSS %d, %v", pss, err)
			}
			if log, err := os.ReadFile(r.Dir + "/log"); err != nil || len(log) > 0 {
				t.Errorf("it says %q, %v", log, err)
			}
			if _, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(port)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAPeerThatDoesNotStartSaysWhy(t *testing.T) {
	p := &Peer{Name: "broken", Program: "sh", configure: func(Place) ([]string, error) {
		return []string{"-c", "echo no such configuration >&2; exit 1"}, nil
	}}
	_, err := p.Start(t.Context(), Place{Dir: t.TempDir(), Host: "127.0.0.1", Port: 1})
	if err == nil || !strings.Contains(err.Error(), "no such configuration") {
		t.Errorf("it ended with %v", err)
	}
}
