// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"encoding/json"
	"testing"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// Whatever is valid can be put in force: a pod never refuses what the API server
// took.
func FuzzAValidProxyOfAValidClassCanBePutInForce(f *testing.F) {
	f.Add([]byte(`{"upstream":{"url":"wss://chat.example.com:8443/ws"},"settings":{"maxRetries":7}}`), []byte(`{"settings":{"maxRetries":5},"limits":{"maxConnections":3}}`))
	f.Add([]byte(`{"upstream":{"serviceRef":{"name":"chat","port":8080},"tls":{}},"listen":{"paths":["/a%20b/"],"trustedProxies":["fd00::/8"]}}`), []byte(`{"drain":{"timeoutSeconds":0}}`))
	f.Add([]byte(`{"upstream":{"url":"ws://[::1]"},"listen":{"allowedOrigins":["a+b://c:123"]},"reconnect":{"bufferBytes":0,"replayMessages":0}}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, own, inherited []byte) {
		proxy, class := &wsproxyv1alpha1.WebSocketProxy{}, &wsproxyv1alpha1.WebSocketProxyClass{}
		if json.Unmarshal(own, &proxy.Spec) != nil || json.Unmarshal(inherited, &class.Spec) != nil {
			return
		}
		proxy.Namespace, proxy.Name, class.Name = "shop", "chat", "gold"
		if len(proxy.Validate()) > 0 || len(class.Validate()) > 0 {
			return
		}
		for _, class := range []*wsproxyv1alpha1.WebSocketProxyClass{nil, class} {
			if _, err := config.Compile(dataplanev1alpha1.SnapshotOf(proxy, class)); err != nil {
				t.Errorf("valid, and yet: %v", err)
			}
		}
	})
}
