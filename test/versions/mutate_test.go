// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build mutate

package versions

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutation is a rule that is switched off: an edit of a file, of what is in it once.
// Each must be found by what the client sees, and so says what the rule is for.
type mutation struct {
	name, file, is, becomes string
}

const merged = "../../apiserver/merge/"

var mutations = []mutation{
	{"a list moves no clock", "replica_test.go", "began, err = p.registry.Clock().MovePast(sent)", "began, err = p.registry.Clock().MovePast(min(sent, 1))"},
	{"events leave as they come", merged + "watch.go", "w.pending[0].stamp <= mark && len(released) < atMost", "len(released) < atMost"},
	{"versions fall", merged + "watch.go", "w.version = max(w.version, next.stamp)", "w.version = next.stamp"},
	{"a replica believes to know what was before it", merged + "watch.go", "if r.refuses(version, r.began) {", "if version <= Unresumable {"},
	{"who missed the end of a pod goes on", merged + "watch.go", "if r.refuses(version, d.at) && scope(d.pod) {", "if version < d.at && version < 0 {"},
	{"versions of lists before an end are good", merged + "watch.go", "return version <= learned\n", "return false\n"},
	{"young pods were known to all", merged + "join.go", "boot > w.from-young", "boot < 0"},
	{"a watch outlives a pod that was killed", merged + "replica.go", "if m := w.members[p]; m == nil || m.state != done {\n\t\t\tw.fail(why)", "if m := w.members[p]; m == nil && m != nil {\n\t\t\tw.fail(why)"},
	{"what comes while a pod is asked is dropped", merged + "join.go", "\tlive := m.live\n", "\tlive := m.live[:0]\n"},
	{"what the kubelet tells is no news", merged + "replica.go", "if noticed := run.replaced; noticed != 0 &&", "if noticed := run.replaced; noticed >= 0 || noticed != 0 &&"},
	{"no clock is ahead of another", merged + "watch.go", "return version <= learned+margin", "return version <= learned"},
	{"pods are young for seconds", merged + "replica.go", "youth = time.Minute", "youth = 5 * time.Second"},
	{"a first contact moves no clock", "replica_test.go", "_, err := p.registry.Clock().MovePast(sent)\n\treturn err", "_, err := p.registry.Clock().MovePast(min(sent, 1))\n\treturn err"},
	{"nobody makes sure which pods there are", "replica_test.go", "if now.Before(p.seen[r.index]) {", "if now.Before(p.seen[r.index]) && r.index > 1 {"},
	{"who does not learn of pods goes on", merged + "replica.go", "w.fail(ErrOutdated)", "_ = w"},
	{"a watch that begins is there at once", merged + "watch.go", "if w.initial && w.Complete() &&", "if w.initial &&"},
}

// TestMutations runs the histories with each.
func TestMutations(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			out, err := m.run(t)
			switch {
			case !strings.Contains(out, "seed "):
				t.Errorf("it survives: %v\n%.500s", err, out)
			default:
				line := out[strings.Index(out, "seed "):]
				fmt.Printf("%-50s %.60s\n", m.name, strings.SplitN(line, ": map", 2)[0])
			}
		})
	}
}

func (m mutation) run(t *testing.T) (string, error) {
	t.Helper()
	source, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.is); n != 1 {
		t.Fatalf("it does not apply any more: %d times in %s: %s", n, m.file, m.is)
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{changed: strings.Replace(string(source), m.is, m.becomes, 1), overlay: string(raw)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	arguments := []string{"test", "-count=1", "-timeout=1h", "-overlay", overlay, "-run", "^TestAClient", ".", "-histories=5000", "-first"}
	out, err := exec.CommandContext(t.Context(), "go", arguments...).CombinedOutput()
	return string(out), err
}
