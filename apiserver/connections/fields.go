// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// The fields that can be selected by.
const (
	fieldName      = "metadata.name"
	fieldNamespace = "metadata.namespace"
	fieldProxy     = "spec.proxy"
	fieldPod       = "spec.pod"
	fieldSourceIP  = "spec.sourceIP"
	fieldPhase     = "status.phase"
	fieldBy        = "status.by"
	fieldCause     = "status.cause"
	fieldCode      = "status.code"
)

// parser returns the one way to write a value of a field. The error says what would be
// one: a value that no connection can have would else select nothing, or everything,
// without a word.
type parser func(value string) (string, error)

// common are the fields of connections, live or not. The address of the client has two:
// where it is, and the one without the detour.
var common = map[string]struct {
	field string
	parse parser
}{
	fieldName:              {fieldName, anything},
	fieldNamespace:         {fieldNamespace, anything},
	fieldProxy:             {fieldProxy, anything},
	fieldPod:               {fieldPod, anything},
	fieldSourceIP:          {fieldSourceIP, parseAddress},
	"spec.client.sourceIP": {fieldSourceIP, parseAddress},
}

var liveFields = map[string]parser{
	fieldPhase: oneOf(
		connectionsv1alpha1.ConnectionConnecting, connectionsv1alpha1.ConnectionOpen,
		connectionsv1alpha1.ConnectionReconnecting, connectionsv1alpha1.ConnectionClosing, connectionsv1alpha1.ConnectionUnknown,
	),
}

var closedFields = map[string]parser{
	fieldBy: oneOf(
		connectionsv1alpha1.EndedByClient, connectionsv1alpha1.EndedByUpstream, connectionsv1alpha1.EndedByProxy,
		connectionsv1alpha1.EndedByAdmin, connectionsv1alpha1.EndedByNetwork,
	),
	fieldCause: oneOf(
		connectionsv1alpha1.CauseClientClose, connectionsv1alpha1.CauseUpstreamClose, connectionsv1alpha1.CauseClientLost,
		connectionsv1alpha1.CauseUpstreamLost, connectionsv1alpha1.CauseReconnectRefused, connectionsv1alpha1.CauseMessageTooBig,
		connectionsv1alpha1.CauseRateLimited, connectionsv1alpha1.CauseMaxAge, connectionsv1alpha1.CauseDrained,
		connectionsv1alpha1.CauseDisconnected, connectionsv1alpha1.CauseProtocolError,
	),
	fieldCode: parseCode,
}

// AddFieldLabels makes a scheme accept the field selectors that lists know; any other
// field, and a value that its field cannot have, is a bad request before it comes here.
func AddFieldLabels(scheme *runtime.Scheme) error {
	return errors.Join(
		addFieldLabels(scheme, "WebSocketConnection", liveFields),
		addFieldLabels(scheme, "ClosedWebSocketConnection", closedFields),
	)
}

// addFieldLabels makes a scheme accept the field selectors of a kind, which are those
// of all and its own.
func addFieldLabels(scheme *runtime.Scheme, kind string, own map[string]parser) error {
	return scheme.AddFieldLabelConversionFunc(connectionsv1alpha1.GroupVersion.WithKind(kind), func(label, value string) (string, string, error) {
		field, parse := label, own[label]
		if known, ok := common[label]; ok {
			field, parse = known.field, known.parse
		}
		if parse == nil {
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}
		written, err := parse(value)
		if err != nil {
			return "", "", fmt.Errorf("field selector %s: %q is %w", label, value, err)
		}
		return field, written, nil
	})
}

func anything(value string) (string, error) { return value, nil }

// parseAddress makes of addresses that are the same texts that are.
func parseAddress(value string) (string, error) {
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return "", errors.New("no IP address")
	}
	return ip.Unmap().String(), nil
}

// parseCode takes the close codes of RFC 6455 section 7.4, those that are never sent too.
func parseCode(value string) (string, error) {
	code, err := strconv.ParseUint(value, 10, 16)
	if err != nil || code < 1000 || code > 4999 {
		return "", errors.New("no close code: a number from 1000 to 4999")
	}
	return strconv.FormatUint(code, 10), nil
}

// oneOf takes the words of a vocabulary.
func oneOf[T ~string](words ...T) parser {
	return func(value string) (string, error) {
		if slices.Contains(words, T(value)) {
			return value, nil
		}
		var known []string
		for _, word := range words {
			known = append(known, string(word))
		}
		return "", fmt.Errorf("none of %s", strings.Join(known, ", "))
	}
}
