// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

const (
	text   = dataplanev1alpha1.SendRequest_TYPE_TEXT
	binary = dataplanev1alpha1.SendRequest_TYPE_BINARY
)

func TestSendPassesOnWhatIsAsked(t *testing.T) {
	for _, test := range []struct {
		request *dataplanev1alpha1.SendRequest
		want    registry.Send
	}{
		{&dataplanev1alpha1.SendRequest{Type: text, Data: []byte("héllo")}, registry.Send{Payload: []byte("héllo")}},
		{&dataplanev1alpha1.SendRequest{Type: text}, registry.Send{}},
		{&dataplanev1alpha1.SendRequest{Type: binary, Data: []byte{0xff, 0}}, registry.Send{Binary: true, Payload: []byte{0xff, 0}}},
		{&dataplanev1alpha1.SendRequest{Type: binary, Data: []byte("x"), DryRun: true}, registry.Send{Binary: true, Payload: []byte("x"), DryRun: true}},
	} {
		p := start(t, nil)
		_, client := plainly(t, p)
		e := p.registry.Add(newConnection)
		test.request.Name, test.request.Uid, test.request.PatienceMilliseconds = e.ID().Name(), e.ID().UID(), 60_000
		got, err := client.Send(t.Context(), test.request)
		if err != nil || got.GetOutcome() != dataplanev1alpha1.SendResponse_OUTCOME_SENT {
			t.Fatalf("answered %v, %v", got, err)
		}
		sent := e.Connection().(*connection).sent
		if len(sent) != 1 || sent[0].Binary != test.want.Binary || string(sent[0].Payload) != string(test.want.Payload) || sent[0].DryRun != test.want.DryRun {
			t.Errorf("passed on %+v, want %+v", sent, test.want)
		}
	}
}

func TestSendSaysWhatBecameOfIt(t *testing.T) {
	for err, want := range map[error]dataplanev1alpha1.SendResponse_Outcome{
		registry.ErrInDoubt:    dataplanev1alpha1.SendResponse_OUTCOME_IN_DOUBT,
		registry.ErrNotTaken:   dataplanev1alpha1.SendResponse_OUTCOME_NOT_TAKEN,
		registry.ErrTooMany:    dataplanev1alpha1.SendResponse_OUTCOME_TOO_MANY,
		registry.ErrConnecting: dataplanev1alpha1.SendResponse_OUTCOME_CONNECTING,
		registry.ErrTooBig:     dataplanev1alpha1.SendResponse_OUTCOME_TOO_BIG,
		registry.ErrExtension:  dataplanev1alpha1.SendResponse_OUTCOME_EXTENSION,
	} {
		p := start(t, nil)
		_, client := plainly(t, p)
		e := p.registry.Add(func(registry.ID) registry.Connection { return &connection{answers: err} })
		// It waits no longer than that.
		got, failed := client.Send(t.Context(), &dataplanev1alpha1.SendRequest{Name: e.ID().Name(), Type: text, PatienceMilliseconds: 1})
		if failed != nil || got.GetOutcome() != want {
			t.Errorf("%v: %v, %v, want %v", err, got, failed, want)
		}
	}
}

func TestSendRefusesWithTheFieldAtFault(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	e := p.registry.Add(newConnection)
	refused := func(change func(*dataplanev1alpha1.SendRequest), code codes.Code, says string) {
		t.Helper()
		request := &dataplanev1alpha1.SendRequest{Name: e.ID().Name(), Type: text, Data: []byte("secret")}
		change(request)
		_, err := client.Send(t.Context(), request)
		wantCode(t, err, code, says)
		if err != nil && (!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("error %q, want it to say %q and nothing of the payload", err, says)
		}
	}
	refused(func(r *dataplanev1alpha1.SendRequest) { r.Type = 0 }, codes.InvalidArgument, "type: 0")
	refused(func(r *dataplanev1alpha1.SendRequest) { r.Data = []byte("secret \xff") }, codes.InvalidArgument, "data: must be UTF-8")
	refused(func(r *dataplanev1alpha1.SendRequest) { r.PatienceMilliseconds = -1 }, codes.InvalidArgument, "patienceMilliseconds: -1")
	refused(func(r *dataplanev1alpha1.SendRequest) { r.Uid = "another" }, codes.Aborted, `uid: "another"`)
	refused(func(r *dataplanev1alpha1.SendRequest) {
		r.NotAfter = timestamppb.New(time.Now().Add(-time.Second))
	}, codes.DeadlineExceeded, "after its time")
	refused(func(r *dataplanev1alpha1.SendRequest) { r.Name = "another" }, codes.NotFound, `"another"`)
	for err, code := range map[error]codes.Code{registry.ErrClosing: codes.FailedPrecondition, errors.New("another"): codes.Internal} {
		e = p.registry.Add(func(registry.ID) registry.Connection { return &connection{answers: err} })
		refused(func(*dataplanev1alpha1.SendRequest) {}, code, err.Error())
	}
	if sent := p.registry.Get(e.ID().Name()).Connection().(*connection).sent; len(sent) > 1 {
		t.Errorf("refused requests were passed on: %d", len(sent))
	}
}
