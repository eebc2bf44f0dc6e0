// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
)

type send struct {
	*session
	dryRun dryRun
	output string

	text, binary, file string
	kind               string
}

func newSend(s *session) *cobra.Command {
	n := &send{session: s}
	command := &cobra.Command{
		Use:   "send NAME (--text TEXT | --binary BASE64 | --file FILE)",
		Short: "Send a message to the client of a connection",
		Long: "Sends one message to the client of a connection. It lands whole between two messages of the upstream.\n" +
			"The answer comes when the kernel of the pod has taken it; that the client has read it nobody can say.",
		Example: `  kubectl ws send 1lekdkm7amgn1j836-00000001 --text '{"type":"maintenance","in":60}'

  # What a program writes, byte for byte, as a Binary
  encode | kubectl ws send 1lekdkm7amgn1j836-00000001 --file - --type Binary`,
		Args:              one("NAME"),
		ValidArgsFunction: s.completeNames,
		RunE:              n.run,
	}
	flags := command.Flags()
	flags.StringVar(&n.text, "text", "", "A Text message.")
	flags.StringVar(&n.binary, "binary", "", "A Binary message, in base64.")
	flags.StringVar(&n.file, "file", "", "A message out of a file, byte for byte, line ends included; - is standard input.")
	flags.StringVar(&n.kind, "type", string(connectionsv1alpha1.MessageText), "With --file: Text or Binary.")
	flags.StringVarP(&n.output, "output", "o", "", `Output mode. Use "-o name" for shorter output (resource/name).`)
	n.dryRun.addFlags(command)
	command.MarkFlagsOneRequired("text", "binary", "file")
	command.MarkFlagsMutuallyExclusive("text", "binary", "file")
	command.MarkFlagsMutuallyExclusive("text", "type")
	command.MarkFlagsMutuallyExclusive("binary", "type")
	return command
}

func (n *send) run(command *cobra.Command, arguments []string) error {
	if n.output != "" && n.output != "name" {
		return fmt.Errorf("unexpected -o output mode: %v. We only support '-o name'", n.output)
	}
	if err := n.dryRun.check(); err != nil {
		return err
	}
	message, err := n.message(command)
	if err != nil {
		return err
	}
	namespace, err := n.namespace()
	if err != nil {
		return err
	}
	name := client.Name(arguments[0])
	if err := n.deliver(command.Context(), namespace, name, message); err != nil {
		return err
	}
	sent := &unstructured.Unstructured{}
	sent.SetGroupVersionKind(connectionsv1alpha1.GroupVersion.WithKind("WebSocketConnection"))
	sent.SetName(name)
	printer := &printers.NamePrinter{ShortOutput: n.output == "name", Operation: fmt.Sprintf(n.dryRun.said(), "message sent")}
	return printer.PrintObj(sent, n.streams.Out)
}

func (n *send) deliver(ctx context.Context, namespace, name string, message *connectionsv1alpha1.WebSocketSend) error {
	if n.dryRun.strategy == dryRunClient {
		return nil
	}
	asking, err := n.connect()
	if err != nil {
		return err
	}
	return asking.Send(ctx, namespace, name, message, n.dryRun.strategy == dryRunServer)
}

func (n *send) message(command *cobra.Command) (*connectionsv1alpha1.WebSocketSend, error) {
	switch flags := command.Flags(); {
	case flags.Changed("text"):
		return &connectionsv1alpha1.WebSocketSend{Type: connectionsv1alpha1.MessageText, Text: &n.text}, nil
	case flags.Changed("binary"):
		data, err := base64.StdEncoding.DecodeString(n.binary)
		if err != nil {
			return nil, fmt.Errorf("--binary: %w", err)
		}
		return &connectionsv1alpha1.WebSocketSend{Type: connectionsv1alpha1.MessageBinary, Data: data}, nil
	default:
		data, err := n.read()
		if err != nil {
			return nil, err
		}
		for _, kind := range []connectionsv1alpha1.MessageType{connectionsv1alpha1.MessageText, connectionsv1alpha1.MessageBinary} {
			if strings.EqualFold(n.kind, string(kind)) {
				return &connectionsv1alpha1.WebSocketSend{Type: kind, Data: data}, nil
			}
		}
		return nil, errors.New("--type must be Text or Binary")
	}
}

// read reads the file, but never more than can be sent.
func (n *send) read() ([]byte, error) {
	from := n.streams.In
	if n.file != "-" {
		file, err := os.Open(n.file)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	data, err := io.ReadAll(io.LimitReader(from, connectionsv1alpha1.MaxMessageBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read --file %s: %w", n.file, err)
	}
	if len(data) > connectionsv1alpha1.MaxMessageBytes {
		return nil, fmt.Errorf("--file %s: a message has at most %d bytes", n.file, connectionsv1alpha1.MaxMessageBytes)
	}
	return data, nil
}
