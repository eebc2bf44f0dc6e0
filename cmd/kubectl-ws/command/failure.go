// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// errSaid is the end of a command that has said itself what went wrong.
var errSaid = errors.New("something went wrong")

// explain returns what kubectl prints for an error; empty if there is nothing left to
// say.
func explain(err error) string {
	var status apierrors.APIStatus
	var network *url.Error
	switch {
	case errors.Is(err, errSaid):
		return ""
	case errors.Is(err, context.Canceled):
		return "error: interrupted"
	case errors.As(err, &status):
		return explainStatus(status.Status())
	case errors.As(err, &network):
		return explainNetwork(network)
	case clientcmd.IsConfigurationInvalid(err):
		return explainConfiguration(err)
	default:
		return "error: " + strings.TrimPrefix(err.Error(), "error: ")
	}
}

func explainStatus(s metav1.Status) string {
	switch {
	case isUnknown(&apierrors.StatusError{ErrStatus: s}):
		return fmt.Sprintf("error: the server doesn't have a resource type %q", s.Details.Kind)
	case s.Reason == metav1.StatusReasonUnauthorized:
		return fmt.Sprintf("error: You must be logged in to the server (%s)", s.Message)
	case s.Reason == metav1.StatusReasonInvalid && s.Details != nil && len(s.Details.Causes) > 0:
		return explainInvalid(s.Details)
	case s.Reason != "":
		return fmt.Sprintf("Error from server (%s): %s", s.Reason, s.Message)
	default:
		return "Error from server: " + s.Message
	}
}

// isUnknown reports whether it was the kind of object that was not found, and not one of
// them: then no API server has written the answer.
func isUnknown(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

func explainInvalid(d *metav1.StatusDetails) string {
	var causes []string
	for _, cause := range d.Causes {
		causes = append(causes, cause.Field+": "+cause.Message)
	}
	return fmt.Sprintf("The %s %q is invalid: %s", d.Kind, d.Name, listed(causes))
}

func explainNetwork(err *url.Error) string {
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return "Unable to connect to the server: " + err.Err.Error()
	}
	host := err.URL
	if server, parseErr := url.Parse(err.URL); parseErr == nil {
		host = server.Host
	}
	return fmt.Sprintf("The connection to the server %s was refused - did you specify the right host or port?", host)
}

func explainConfiguration(err error) string {
	var all interface{ Errors() []error }
	if !errors.As(err, &all) || len(all.Errors()) == 0 {
		return "Error in configuration: " + err.Error()
	}
	return "Error in configuration: " + listed(all.Errors())
}

// listed is what there is one of, or, of more, a line each.
func listed[T any](all []T) string {
	if len(all) == 1 {
		return fmt.Sprint(all[0])
	}
	var text strings.Builder
	for _, one := range all {
		fmt.Fprint(&text, "\n* ", one)
	}
	return text.String()
}

// isPassing reports whether the same request may succeed soon.
func isPassing(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		var network *url.Error
		return errors.As(err, &network) && !errors.Is(err, context.Canceled)
	}
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err)
}
