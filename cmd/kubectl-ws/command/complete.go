// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
)

// Somebody waits for a completion with a finger on the key.
const (
	completionTimeout = 3 * time.Second
	completionPage    = 500
)

var errEnough = errors.New("enough")

// completeNames suggests names of connections: one page is more than anybody reads.
func (s *session) completeNames(command *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(command.Context(), completionTimeout)
	defer cancel()
	namespace, err := s.namespace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	asking, err := s.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	err = asking.Lists(ctx, client.Selection{Namespace: namespace, Page: completionPage}, func(page *unstructured.UnstructuredList) error {
		for _, object := range page.Items {
			if name := object.GetName(); strings.HasPrefix(name, begun) && !slices.Contains(given, name) {
				names = append(names, name)
			}
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeProxy suggests names of proxies, for a command that is about one.
func (s *session) completeProxy(command *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(command.Context(), completionTimeout)
	defer cancel()
	namespace, err := s.namespace()
	if err != nil || len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	asking, err := s.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names, err := asking.ProxyNames(ctx, namespace, completionPage)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, begun) }), cobra.ShellCompDirectiveNoFileComp
}
