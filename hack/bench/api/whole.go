// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// bulk is what it costs to tell of many connections.
type bulk struct {
	what, way string
	// connections that were told of, and bytes as they came.
	connections int
	bytes       int64
	seconds     float64
	// cpu is the apiserver's time in seconds, and peak the most memory that it had
	// resident, in bytes.
	cpu  float64
	peak int64
	// partial says why it was not all, and failure why it was nothing; empty: it was all.
	partial, failure string
}

// bulk measures something that tells of many.
func (p *plane) bulk(what string, c *caller, tell func() (connections int, bytes int64, err error)) (bulk, error) {
	say("%s, %s", what, c.name)
	b := bulk{what: what, way: c.name}
	if err := p.server.ResetPeak(); err != nil {
		return b, err
	}
	before, err := p.server.CPU()
	if err != nil {
		return b, err
	}
	began := time.Now()
	b.connections, b.bytes, err = tell()
	b.seconds = time.Since(began).Seconds()
	var incomplete *incompleteError
	if errors.As(err, &incomplete) {
		b.partial, err = incomplete.Error(), nil
	}
	if err != nil {
		b.failure = err.Error()
	}
	after, err := p.server.CPU()
	if err != nil {
		return b, err
	}
	b.cpu = (after - before).Seconds()
	b.peak, err = p.server.Peak()
	return b, err
}

// incompleteError says why an answer is not all.
type incompleteError struct{ why string }

// Error implements error.
func (e *incompleteError) Error() string { return e.why }

// inPages lists everything, page by page, as kubectl does.
func (c *caller) inPages(ctx context.Context) (connections int, bytes int64, err error) {
	for token := ""; ; {
		p, err := c.page(ctx, token)
		if err != nil {
			return connections, bytes, err
		}
		connections, bytes = connections+len(p.Items), bytes+p.bytes
		if token = p.Metadata.Continue; token == "" {
			return connections, bytes, nil
		}
	}
}

// uid is in the text of every object once.
var uid = []byte(`"uid":"`)

// atOnce lists what is selected with one question. That it is refused, because there is
// too much, is an answer too.
func (c *caller) atOnce(ctx context.Context, selection url.Values, how format) (connections int, bytes int64, err error) {
	response, err := c.askAs(ctx, how, http.MethodGet, path()+"?"+selection.Encode(), "")
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.code == http.StatusBadRequest {
		return 0, 0, &incompleteError{refused.said}
	}
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	plain, counted, err := unzipped(response)
	if err != nil {
		return 0, 0, err
	}
	connections, err = count(plain, uid)
	if err == nil && response.Header.Get("Warning") != "" {
		err = &incompleteError{response.Header.Get("Warning")}
	}
	return connections, counted.n, err
}

// count returns how often something is in what is read, without keeping it.
func count(from io.Reader, what []byte) (n int, err error) {
	buffer := make([]byte, 256<<10)
	have := 0
	for {
		read, err := from.Read(buffer[have:])
		have += read
		n += bytes.Count(buffer[:have], what)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		// What may be the beginning of one is looked at again with what follows.
		keep := min(have, len(what)-1)
		copy(buffer, buffer[have-keep:have])
		have = keep
	}
}

// initial watches until everything that is selected was told.
func (c *caller) initial(ctx context.Context, selection url.Values) (connections int, read int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := url.Values{
		"watch": {"1"}, "sendInitialEvents": {"true"}, "allowWatchBookmarks": {"true"}, "resourceVersionMatch": {"NotOlderThan"},
		"timeoutSeconds": {strconv.Itoa(600)},
	}
	for name, values := range selection {
		query[name] = values
	}
	response, err := c.ask(ctx, http.MethodGet, path()+"?"+query.Encode(), "", false)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	counted := &counter{of: response.Body}
	lines := bufio.NewScanner(counted)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch line := lines.Bytes(); {
		case bytes.HasPrefix(line, []byte(`{"type":"ADDED"`)):
			connections++
		case bytes.Contains(line, []byte(`"k8s.io/initial-events-end":"true"`)):
			return connections, counted.n, nil
		case bytes.HasPrefix(line, []byte(`{"type":"BOOKMARK"`)):
		default:
			return connections, counted.n, fmt.Errorf("the watch says %s", line)
		}
	}
	return connections, counted.n, errors.Join(lines.Err(), errors.New("the watch ended before everything was told"))
}
