// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"

	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/screen"
	"github.com/wsproxy/wsproxy/cmd/version"
)

// Run runs a command line and returns the exit code.
func Run(ctx context.Context, streams genericiooptions.IOStreams, arguments []string) int {
	return execute(ctx, &session{streams: streams, now: time.Now}, arguments)
}

func execute(ctx context.Context, s *session, arguments []string) int {
	root := newRoot(s)
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if text := explain(err); text != "" {
		fmt.Fprintln(s.streams.ErrOut, text)
	}
	return 1
}

// session is what all commands share.
type session struct {
	streams  genericiooptions.IOStreams
	flags    *genericclioptions.ConfigFlags
	warnings *warnings
	now      func() time.Time
}

func newRoot(s *session) *cobra.Command {
	s.flags = genericclioptions.NewConfigFlags(true)
	_, terminal := screen.IsTerminal(s.streams.ErrOut)
	s.warnings = newWarnings(s.streams.ErrOut, terminal)
	root := &cobra.Command{
		Use:   "kubectl-ws",
		Short: "Live WebSocket connections of wsproxy",
		Long: "Lists live WebSocket connections with what they do at the moment, ends them, sends to them,\n" +
			"and says why one has ended and which settings are in force.",
		Version:           version.Number(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl ws"},
	}
	root.SetIn(s.streams.In)
	root.SetOut(s.streams.Out)
	root.SetErr(s.streams.ErrOut)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return fmt.Errorf("%w\nSee '%s --help' for usage", err, command.CommandPath())
	})
	s.flags.AddFlags(root.PersistentFlags())
	root.SetVersionTemplate(version.Line(root.Name()) + "\n")
	logging := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(logging)
	root.PersistentFlags().AddGoFlag(logging.Lookup("v"))
	root.AddCommand(newList(s), newTop(s), newDisconnect(s), newRebalance(s), newSend(s), newWhy(s), newSettings(s), newVersion(s))
	return root
}

// connect returns a client of the cluster that the flags name.
func (s *session) connect() (*client.Client, error) {
	config, err := s.flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.WarningHandler = s.warnings
	return client.New(config, version.Number())
}

// namespace is that of --namespace, or of the context.
func (s *session) namespace() (string, error) {
	namespace, _, err := s.flags.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}
