// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "github.com/wsproxy/wsproxy/dataplane/relay/wire"

// checkCodes checks which close frame each side got.
func (s *sim) checkCodes() {
	last := len(s.upstreams) - 1
	for i, up := range s.upstreams {
		switch {
		case !up.gotClose:
		case up.farewell:
			if up.gotCode != up.said {
				s.fault(CloseCodes, "%s said %+v and was told %+v", up.name, up.said, up.gotCode)
			}
		case i < last:
			s.fault(CloseCodes, "%s was told %+v and given up", up.name, up.gotCode)
		default:
			s.checkCode(Upstream, up, s.client)
		}
	}
	if s.client.gotClose {
		s.checkCode(Client, s.client, s.upstreams[last])
	}
	end := s.conn.End()
	if up := s.upstreams[last]; end.Cause == CauseMessageTooBig && s.client.gotClose && up.gotClose && !up.farewell &&
		(s.client.gotCode.code == wire.CloseMessageTooBig) == (up.gotCode.code == wire.CloseMessageTooBig) {
		s.fault(CloseCodes, "one message was too big, the client was told %d and the upstream %d", s.client.gotCode.code, up.gotCode.code)
	}
}

// checkCode checks the close frame that a peer got, by what ended the connection.
func (s *sim) checkCode(side Side, peer, other *simPeer) {
	end, got := s.conn.End(), peer.gotCode
	// What a side is told of the other's fault.
	faultOfOther := wire.CloseGoingAway
	if side == Client {
		faultOfOther = wire.CloseInternalError
	}
	by := map[By]Side{ByClient: Client, ByUpstream: Upstream}[end.By]
	ok := false
	switch end.Cause {
	case CauseClientClose, CauseUpstreamClose:
		if side != by {
			ok = got == simClose{end.Code, end.Reason}
			break
		}
		// The answer is the other side's own, or one in its name; or that side did
		// something wrong meanwhile.
		ok = got.code == end.Code && (got.reason == end.Reason || got.reason == "") ||
			other.closeSent && got == other.said ||
			got.code == faultOfOther && (other.violated || s.settings.MaxMessageBytes > 0 || s.settings.MessagesPerSecond > 0 || !s.fixed)
	case CauseDisconnected, CauseMaxAge, CauseDrained:
		ok = got == simClose{end.Code, end.Reason}
	case CauseProtocolError:
		ok = got.code == wire.CloseProtocolError && side == by || got.code == faultOfOther && side != by
	case CauseMessageTooBig:
		ok = got.code == wire.CloseMessageTooBig || got.code == faultOfOther
	case CauseRateLimited:
		ok = got.code == wire.ClosePolicyViolation && side == Client || got.code == faultOfOther && side == Upstream
	case CauseClientLost:
		ok = side == Upstream && got.code == wire.CloseGoingAway
	case CauseUpstreamLost:
		ok = side == Client && got.code == end.Code && (end.Code == wire.CloseServiceRestart || end.Code == wire.CloseTryAgainLater)
	case CauseReconnectRefused:
		ok = side == Client && got.code == wire.ClosePolicyViolation
	}
	if !ok {
		s.fault(CloseCodes, "%s was told %+v, the end is %+v", peer.name, got, end)
	}
}
