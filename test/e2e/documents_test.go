// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/docs/markdown"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// repository is where the commands of the pages are typed.
const repository = "../.."

// What a user types page by page, where there is what the first pages make: the
// samples, and clients that talk. hack/docs/markdown says what is run and what is not.
func TestTheCommandsOfTheDocs(t *testing.T) {
	pages, err := filepath.Glob(repository + "/docs/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	pages = append(pages, repository+"/README.md", repository+"/charts/wsproxy/README.md")
	user := newTypist(t)
	follow := func(t *testing.T, page string) {
		d, err := markdown.Read(page)
		if err != nil {
			t.Fatal(err)
		}
		script, prints := scriptOf(d)
		if script == "" {
			return
		}
		out, err := user.types(t, script)
		checkBlocks(t, page, out, prints)
		if err != nil {
			// What failed is last, and helm has printed all manifests before.
			t.Errorf("%v:\n%s", err, out[max(0, len(out)-4000):])
		}
	}
	// Those that restart what the others look at come after them, in this order.
	last := []string{"docs/reconnect.md", "docs/first-proxy.md"}
	t.Run("pages", func(t *testing.T) {
		for _, page := range pages {
			name := strings.TrimPrefix(page, repository+"/")
			if slices.Contains(last, name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				follow(t, page)
			})
		}
	})
	for _, name := range last {
		t.Run(name, func(t *testing.T) { follow(t, filepath.Join(repository, name)) })
	}
}

// typist is somebody who types what the pages say.
type typist struct{ environ []string }

// newTypist makes what the pages presuppose.
func newTypist(t *testing.T) *typist {
	t.Helper()
	r := &room{Client: connect(t), t: t, namespace: "e2e-docs"}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}
	if err := r.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// t.Context ends before the cleanup.
		if err := client.IgnoreNotFound(r.Delete(context.Background(), namespace)); err != nil {
			t.Error(err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	content := mustKubectl(t, "", "config", "view", "--raw", "--flatten")
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	mustKubectl(t, "", "--kubeconfig", kubeconfig, "config", "set-context", "--current", "--namespace="+r.namespace)
	helm, err := exec.CommandContext(t.Context(), repository+"/hack/helm/binary").Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Dir(strings.TrimSpace(string(helm))) + ":" + os.Getenv("PATH")

	mustKubectl(t, "", "--kubeconfig", kubeconfig, "apply", "-k", samples)
	echo := &wsproxyv1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "echo"}}
	r.ready(echo)
	mustKubectl(t, "", "-n", r.namespace, "rollout", "status", "deployment/echo-backend", "--timeout=60s")
	r.connectWith(echo, fleet.Options{Connections: 20, Rate: 1})
	return &typist{append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+path)}
}

// prelude is what the scripts begin with. In a dry run, kubectl and helm say what they
// would do.
const prelude = `set -euo pipefail
dry_run() {
	kubectl() {
		case " $* " in
		*" apply "* | *" create "* | *" delete "* | *" patch "* | *" annotate "* | *" label "*) command kubectl "$@" --dry-run=server ;;
		*) command kubectl "$@" ;;
		esac
	}
	helm() {
		case $1 in
		install | upgrade) command helm "$@" --dry-run=server ;;
		uninstall) command helm "$@" --dry-run ;;
		*) command helm "$@" ;;
		esac
	}
}
`

// blockBegins is printed before the output of each block.
const blockBegins = "=== block of line "

// scriptOf puts the blocks of a page together, so that a variable of one is known in
// the next, and returns what each is to print by its line.
func scriptOf(d *markdown.Document) (script string, prints map[int][]*regexp.Regexp) {
	var s strings.Builder
	prints = map[int][]*regexp.Regexp{}
	for _, b := range d.Blocks {
		text := b.Text
		switch {
		case b.NotRun != "":
			continue
		case b.Language == "yaml":
			text = "kubectl apply --dry-run=server -f - <<'END OF MANIFEST'\n" + text + "END OF MANIFEST\n"
		case b.Language != "sh":
			continue
		}
		if b.DryRun != "" {
			text = "(\ndry_run\n" + text + ")\n"
		}
		fmt.Fprintf(&s, "echo; echo '%s%d'\n%s", blockBegins, b.Line, text)
		prints[b.Line] = b.Prints
	}
	if s.Len() == 0 {
		return "", nil
	}
	return prelude + s.String(), prints
}

// types has bash run a script and returns what it prints. What it leaves running ends
// with it.
func (y *typist) types(t *testing.T, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.Env = repository, y.environ
	// A file, because nobody is to wait until those in the background close a pipe.
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	failed := cmd.Run()
	if cmd.Process != nil {
		_ = cmd.Cancel()
	}
	printed, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(printed), failed
}

// checkBlocks fails where a block has not printed what its page says.
func checkBlocks(t *testing.T, page, out string, prints map[int][]*regexp.Regexp) {
	t.Helper()
	for _, block := range strings.Split(out, blockBegins)[1:] {
		number, printed, _ := strings.Cut(block, "\n")
		line, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("%s: %q", page, number)
		}
		for _, pattern := range prints[line] {
			if !slices.ContainsFunc(strings.Split(printed, "\n"), pattern.MatchString) {
				t.Errorf("%s:%d: no line is like %q:\n%s", page, line, pattern, printed)
			}
		}
	}
}
