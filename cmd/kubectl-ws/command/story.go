// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// causes say what the words of the API mean. One that a later server has is shown as it
// is.
var causes = map[connectionsv1alpha1.EndCause]string{
	connectionsv1alpha1.CauseClientClose:      "the client closed it",
	connectionsv1alpha1.CauseUpstreamClose:    "the upstream closed it",
	connectionsv1alpha1.CauseClientLost:       "the client left without a close frame, or fell silent for connectionLostTimeout",
	connectionsv1alpha1.CauseUpstreamLost:     "the upstream was lost and not replaced: see autoReconnect and the settings beside it",
	connectionsv1alpha1.CauseReconnectRefused: "the upstream was lost, and answered a reconnect with 401, 403, 404 or 410",
	connectionsv1alpha1.CauseMessageTooBig:    "a message was larger than limits.maxMessageBytes",
	connectionsv1alpha1.CauseRateLimited:      "the client sent more than limits.messagesPerSecond",
	connectionsv1alpha1.CauseMaxAge:           "it had reached limits.maxConnectionAgeSeconds",
	connectionsv1alpha1.CauseDrained:          "its pod went away, as in a rollout, or when a proxy is scaled in",
	connectionsv1alpha1.CauseDisconnected:     "somebody asked for it through the API",
	connectionsv1alpha1.CauseProtocolError:    "a peer violated the protocol (RFC 6455)",
}

// codes are the names of close codes (RFC 6455 section 7.4.1, and the registry of IANA
// for 1012 to 1014).
var codes = map[int32]string{
	1000: "normal closure", 1001: "going away", 1002: "protocol error", 1003: "unsupported data",
	1005: "the close frame had none", 1006: "there was no close frame", 1007: "invalid payload", 1008: "policy violation",
	1009: "message too big", 1010: "mandatory extension", 1011: "internal error", 1012: "service restart",
	1013: "try again later", 1014: "bad gateway",
}

func storyOfClosed(c *connectionsv1alpha1.ClosedWebSocketConnection, now time.Time) string {
	s := &c.Status
	cause := string(s.Cause)
	if meaning, known := causes[s.Cause]; known {
		cause += ": " + meaning
	}
	code := fmt.Sprint(s.Code)
	if name, known := codes[s.Code]; known {
		code += ", " + name
	}
	lines := [][2]string{
		{"Closed", fmt.Sprintf("%s, %s ago", stamp(s.ClosedAt.Time), human(now.Sub(s.ClosedAt.Time)))},
		{"By", string(s.By)},
		{"Cause", cause},
		{"Code", code},
	}
	if s.Reason != "" {
		lines = append(lines, [2]string{"Reason", fmt.Sprintf("%q", s.Reason)})
	}
	if s.CloseFrameCutOff {
		lines = append(lines, [2]string{"Close frame", "the client was reset without one: a frame towards it did not end, or was not taken, in time"})
	}
	lines = append(lines, [2]string{"Open", fmt.Sprintf("for %s, since %s", human(time.Duration(s.DurationMilliseconds)*time.Millisecond), stamp(c.Spec.ConnectedAt.Time))},
		[2]string{"Last byte", human(s.ClosedAt.Sub(s.LastActiveAt.Time)) + " before the end"})
	lines = append(lines, spec(&c.Spec)...)
	lines = append(lines, transfer(s.Upstream, s.Reconnects, s.FromClient, s.FromUpstream)...)
	if s.PossiblyLost > 0 {
		lines = append(lines, [2]string{"Possibly lost", fmt.Sprintf("at most %d messages that a lost upstream was given", s.PossiblyLost)})
	}
	if s.Undelivered > 0 {
		lines = append(lines, [2]string{"Undelivered", fmt.Sprintf("%d messages of the client that no upstream was given", s.Undelivered)})
	}
	return paragraph(c.Namespace, c.Name, "has ended", lines)
}

func storyOfLive(c *connectionsv1alpha1.WebSocketConnection, now time.Time) string {
	s := &c.Status
	state := "has not ended"
	if s.Phase == connectionsv1alpha1.ConnectionClosing {
		state = "is about to end"
	}
	reconnectable := "yes"
	if !s.Reconnectable {
		reconnectable = "no: " + s.NotReconnectableReason
	}
	lines := [][2]string{
		{"Phase", string(s.Phase)},
		{"Open", fmt.Sprintf("for %s, since %s", human(now.Sub(c.Spec.ConnectedAt.Time)), stamp(c.Spec.ConnectedAt.Time))},
		{"Last byte", human(now.Sub(s.LastActiveAt.Time)) + " ago"},
	}
	lines = append(lines, spec(&c.Spec)...)
	lines = append(lines, transfer(s.Upstream, s.Reconnects, s.FromClient, s.FromUpstream)...)
	lines = append(lines, [2]string{"Reconnectable", reconnectable})
	return paragraph(c.Namespace, c.Name, state, lines)
}

func spec(s *connectionsv1alpha1.WebSocketConnectionSpec) [][2]string {
	client := s.Client.SourceIP
	if s.Client.UserAgent != "" {
		client += fmt.Sprintf(", %q", s.Client.UserAgent)
	}
	if s.Client.Origin != "" {
		client += fmt.Sprintf(", origin %q", s.Client.Origin)
	}
	return [][2]string{{"Proxy", s.Proxy}, {"Pod", s.Pod}, {"Client", client}, {"Path", s.Path}}
}

func transfer(upstream string, reconnects int32, fromClient, fromUpstream connectionsv1alpha1.Traffic) [][2]string {
	if upstream == "" {
		upstream = "none"
	}
	if reconnects > 0 {
		upstream += fmt.Sprintf(", after %d reconnects", reconnects)
	}
	amount := func(t connectionsv1alpha1.Traffic) string {
		return fmt.Sprintf("%d messages, %d bytes", t.Messages, t.Bytes)
	}
	return [][2]string{{"Upstream", upstream}, {"From client", amount(fromClient)}, {"From upstream", amount(fromUpstream)}}
}

func paragraph(namespace, name, state string, lines [][2]string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Connection %s in namespace %s %s.\n\n", name, namespace, state)
	columns := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	for _, line := range lines {
		// What pods and upstreams say may be meant for the terminal.
		fmt.Fprintf(columns, "%s:\t%s\n", line[0], printers.EscapeTerminal(line[1]))
	}
	columns.Flush()
	return text.String()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func human(d time.Duration) string { return duration.HumanDuration(max(d, 0)) }
