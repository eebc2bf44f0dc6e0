// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Send sends a message to the client of a connection in the namespace, and returns
// what became of it. How long the message may wait is not the caller's to say. Errors
// are those of Get.
func (f *Fleet) Send(ctx context.Context, namespace string, request *dataplanev1alpha1.SendRequest) (dataplanev1alpha1.SendResponse_Outcome, error) {
	var outcome dataplanev1alpha1.SendResponse_Outcome
	_, err := f.ask(ctx, namespace, request.GetName(), func(p *Pod) (*dataplanev1alpha1.Connection, error) {
		became, err := p.send(ctx, request)
		outcome = became
		return nil, err
	})
	return outcome, err
}

func (p *Pod) send(ctx context.Context, request *dataplanev1alpha1.SendRequest) (outcome dataplanev1alpha1.SendResponse_Outcome, err error) {
	old := false
	reached, err := p.askAmong(ctx, p.sends, func(ctx context.Context, options ...grpc.CallOption) error {
		timely := proto.CloneOf(request)
		timely.NotAfter = timestamppb.New(time.Now().Add(max(p.timeout, clocks)))
		// What became of it has to be here before this server gives the pod up.
		timely.PatienceMilliseconds = int32(p.timeout.Milliseconds() / 2)
		answer, err := p.client.Send(ctx, timely, options...)
		outcome = answer.GetOutcome()
		old = status.Code(err) == codes.Unimplemented
		return err
	})
	if _, known := dataplanev1alpha1.SendResponse_Outcome_name[int32(outcome)]; err == nil && (!known || outcome == dataplanev1alpha1.SendResponse_OUTCOME_UNSPECIFIED) {
		err = p.nonsense(fmt.Errorf("what became of a message is %d", outcome))
	}
	return outcome, p.unclear(reached && !old, err)
}
