// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"crypto/x509"
	"testing"
	"time"
)

const day = 24 * time.Hour

var (
	epoch  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	policy = Policy{CAValidity: 90 * day, LeafValidity: 30 * day, Overlap: day, Skew: 5 * time.Minute}
	server = Request{DNSNames: []string{"echo.default.dataplane.wsproxy.io"}, Usage: x509.ExtKeyUsageServerAuth}
)

// advance is Advance after the given time, through the form that the Secret has.
func advance(t *testing.T, s State, after time.Duration) State {
	t.Helper()
	return advanceBy(t, s, after, policy)
}

func advanceBy(t *testing.T, s State, after time.Duration, policy Policy) State {
	t.Helper()
	s, err := s.Advance(epoch.Add(after), policy)
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := ParseState(data)
	if err != nil {
		t.Fatal(err)
	}
	if !stored.equal(s) {
		t.Fatal("the Secret does not say what the state does")
	}
	return stored
}

func issue(t *testing.T, s State, after time.Duration) *Pair {
	t.Helper()
	pair, err := s.Issue(server, epoch.Add(after), policy)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// verify says whether someone who trusts s believes a server certificate.
func verify(s State, pair *Pair, after time.Duration) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Bundle())
	_, err := pair.Certificate.Verify(x509.VerifyOptions{
		DNSName: server.DNSNames[0], Roots: roots, CurrentTime: epoch.Add(after), KeyUsages: []x509.ExtKeyUsage{server.Usage},
	})
	return err
}

func TestRotationOverlaps(t *testing.T) {
	first := advance(t, State{}, 0)
	old := issue(t, first, 50*day)

	// Nothing happens before two thirds of the life.
	if s := advance(t, first, 59*day); !s.equal(first) {
		t.Fatal("rotated early")
	}
	both := advance(t, first, 61*day)
	if both.Next == nil || !both.Current.Certificate.Equal(first.Current.Certificate) {
		t.Fatal("no next authority beside the current one")
	}
	// Somebody lacks it for three days.
	if s := advance(t, both, 64*day); !s.equal(both) {
		t.Fatal("signed with before everybody has it")
	}
	both.Distributed = epoch.Add(64 * day)
	if s := advance(t, both, 64*day+23*time.Hour); !s.equal(both) {
		t.Fatal("signed with before everybody can know it")
	}
	second := advance(t, both, 65*day)
	if second.Next != nil || !second.undistributed() || second.Previous == nil || !second.Current.Certificate.Equal(both.Next.Certificate) {
		t.Fatal("the next authority does not sign after the overlap")
	}

	// Whoever still has one of the three states believes and is believed by whoever
	// has a neighbouring one.
	fresh := issue(t, second, 65*day)
	for name, err := range map[string]error{
		"old certificate, before":  verify(both, old, 64*day),
		"old certificate, after":   verify(second, old, 65*day),
		"new certificate, overlap": verify(both, fresh, 65*day),
		"new certificate, after":   verify(second, fresh, 65*day),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verify(first, fresh, 65*day) == nil {
		t.Error("believed by who never heard of the authority")
	}
	if second.Good(old, server, epoch.Add(65*day)) {
		t.Error("a certificate of the old authority is kept")
	}
	if third := advance(t, second, 91*day); third.Previous != nil {
		t.Error("an expired authority is still trusted")
	}
	second.Distributed = epoch.Add(66 * day)
	if s := advance(t, second, 66*day+23*time.Hour); s.Previous == nil {
		t.Error("not trusted any more before everybody can have a new certificate")
	}
	if s := advance(t, second, 67*day); s.Previous != nil || s.undistributed() || !s.Distributed.IsZero() {
		t.Error("still trusted though everybody has a new certificate")
	}
}

func TestALaggardDelaysTheNextAuthorityOnlyToTheMiddleOfWhatIsLeft(t *testing.T) {
	both := advance(t, advance(t, State{}, 0), 60*day)
	if !both.undistributed() {
		t.Fatal("no next authority")
	}
	// The current one ends after 90 days.
	if s := advance(t, both, 75*day-time.Hour); !s.equal(both) {
		t.Error("signed with though somebody lacks it and there is time")
	}
	late := both
	late.Distributed = epoch.Add(75*day - time.Hour)
	for name, s := range map[string]State{"distributed never": both, "distributed late": late} {
		if s := advance(t, s, 75*day); s.Previous == nil || s.Next != nil {
			t.Errorf("%s: half of what was left for new certificates to spread is gone", name)
		}
	}
}

func TestDueIsWhenSomethingChanges(t *testing.T) {
	s := advance(t, State{}, 0)
	for range 8 {
		due := s.Due(policy).Sub(epoch)
		if before := advance(t, s, due-time.Minute); !before.equal(s) {
			t.Fatalf("changed before %s", due)
		}
		// An expiry is over one second later.
		next := advance(t, s, due+time.Second)
		if next.equal(s) {
			t.Fatalf("nothing changed at %s", due)
		}
		s = next
		if s.undistributed() {
			s.Distributed = epoch.Add(due + 2*time.Second)
		}
	}
}

func TestAnExpiredAuthorityIsReplacedAtOnce(t *testing.T) {
	first := advance(t, State{}, 0)
	late := advance(t, first, 100*day)
	if late.Current.Certificate.Equal(first.Current.Certificate) || late.Previous != nil {
		t.Fatal("an operator that was away for long goes on with an expired authority")
	}
	if err := verify(late, issue(t, late, 100*day), 100*day); err != nil {
		t.Error(err)
	}
}

func TestGood(t *testing.T) {
	s := advance(t, State{}, 0)
	pair := issue(t, s, 0)
	client := server
	client.Usage = x509.ExtKeyUsageClientAuth
	another := server
	another.DNSNames = []string{"other.default.dataplane.wsproxy.io"}
	more := server
	more.DNSNames = []string{server.DNSNames[0], "other.default.dataplane.wsproxy.io"}
	for name, c := range map[string]struct {
		request Request
		after   time.Duration
		want    bool
	}{
		"fresh":                  {server, 0, true},
		"before two thirds":      {server, 19 * day, true},
		"after two thirds":       {server, 21 * day, false},
		"for another proxy":      {another, 0, false},
		"for another name, too":  {more, 0, false},
		"for calling, not being": {client, 0, false},
	} {
		if got := s.Good(pair, c.request, epoch.Add(c.after)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if pair.Certificate.NotAfter.After(s.Current.Certificate.NotAfter) {
		t.Error("outlives its authority")
	}
	if late := issue(t, s, 80*day); late.Certificate.NotAfter.After(s.Current.Certificate.NotAfter) {
		t.Error("outlives its authority")
	}
}

func FuzzParseState(f *testing.F) {
	s, err := State{}.Advance(epoch, policy)
	if err != nil {
		f.Fatal(err)
	}
	data, err := s.Data()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[keyCurrentCert], data[keyCurrentKey], data[keyCurrentCert])
	f.Add([]byte("-----BEGIN CERTIFICATE-----"), []byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, cert, key, previous []byte) {
		s, err := ParseState(map[string][]byte{keyCurrentCert: cert, keyCurrentKey: key, keyPreviousCert: previous})
		if err == nil && (s.Current == nil || len(s.Bundle()) == 0) {
			t.Error("read without an error, and there is no authority")
		}
	})
}
