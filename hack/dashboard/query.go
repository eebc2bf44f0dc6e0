// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// prometheus is what is asked, and for which time.
type prometheus struct {
	url        string
	end        time.Time
	span, rate time.Duration
}

// series is one line, bar or row.
type series struct {
	labels map[string]string
	legend string
	points []point
}

// point is a moment, in seconds since 1970, and its value.
type point struct{ at, value float64 }

func (s *series) last() float64 { return s.points[len(s.points)-1].value }

// points is how many a line has.
const points = 240

var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// ask returns the data of a panel.
func (p prometheus) ask(of *panel) ([]series, error) {
	var all []series
	for _, t := range of.Targets {
		expr := strings.NewReplacer("$__rate_interval", seconds(p.rate), "$__range", seconds(p.span),
			"$namespace", ".*", "$proxy", ".*").Replace(t.Expr)
		query := url.Values{"query": {expr}}
		path := "/api/v1/query"
		if t.Instant {
			query.Set("time", stamp(p.end))
		} else {
			path = "/api/v1/query_range"
			query.Set("start", stamp(p.end.Add(-p.span)))
			query.Set("end", stamp(p.end))
			query.Set("step", strconv.FormatFloat(p.span.Seconds()/points, 'f', 3, 64))
		}
		found, err := p.get(path + "?" + query.Encode())
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			s.legend = legendLabel.ReplaceAllStringFunc(t.LegendFormat, func(label string) string {
				return s.labels[legendLabel.FindStringSubmatch(label)[1]]
			})
			all = append(all, s)
		}
	}
	return all, nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }

func stamp(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// get asks Prometheus.
func (p prometheus) get(path string) ([]series, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.url+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("prometheus: %s", answer.Error)
	}
	var all []series
	for _, r := range answer.Data.Result {
		s := series{labels: r.Metric}
		if r.Value[0] != nil {
			r.Values = append(r.Values, r.Value)
		}
		for _, v := range r.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err == nil && !math.IsNaN(value) && !math.IsInf(value, 0) {
				s.points = append(s.points, point{at, value})
			}
		}
		if len(s.points) > 0 {
			all = append(all, s)
		}
	}
	return all, nil
}
