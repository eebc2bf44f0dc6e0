// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/url"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

func TestAnEndpointIsGivenUpForOthersOnly(t *testing.T) {
	leaving := func(cfg *config.Config) *config.Config {
		cfg.Endpoints[0].Terminating = true
		return cfg
	}
	for what, test := range map[string]struct {
		cfg  *config.Config
		gone bool
	}{
		"it is there":             {at(a, b), false},
		"it is there, and leaves": {leaving(at(a, b)), false},
		"there is another one":    {at(b), true},
		"there is none":           {at(), false},
		"the other one leaves":    {leaving(at(b)), false},
		"another one leaves, too": {leaving(at(b, c)), true},
		"there is a host instead": {&config.Config{UpstreamURL: &url.URL{Scheme: "ws", Host: "example"}}, false},
	} {
		if gone := Gone(test.cfg, a); gone != test.gone {
			t.Errorf("%s: gone is %v", what, gone)
		}
	}
}
