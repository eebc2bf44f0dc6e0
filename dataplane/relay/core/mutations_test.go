// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build mutate

package core

// mutations are faults that somebody could make. Each breaks at least the promise
// that it names.
var mutations = []mutation{
	{"unmasked clients are understood", LegalFrames, "receive.go", []string{
		"case h.Masked != (from == Client):", "case false:",
	}},
	{"reserved bits pass", LegalFrames, "receive.go", []string{
		"case h.RSV != 0 && !extensions:", "case false:",
	}},
	{"continuations of nothing pass", LegalFrames, "receive.go", []string{
		"case h.Opcode == wire.Continuation && !fragmented:", "case false:",
	}},
	{"a message may begin within a message", LegalFrames, "receive.go", []string{
		"case (h.Opcode == wire.Text || h.Opcode == wire.Binary) && fragmented:", "case false:",
	}},
	{"a message of one frame may come within a message", TrueCounters, "skim.go", []string{
		"if in.fragmented || ", "if ",
	}},
	{"messages of one frame are of any kind", LegalFrames, "skim.go", []string{
		"ordinary[kind]&where == 0 || ", "ordinary[kind]&where > anywhere || ",
	}},
	{"messages of one frame may come from either side", TrueCounters, "skim.go", []string{
		"	return 1 << from\n", "	return 3\n",
	}},
	{"messages of one frame may have reserved bits", TrueCounters, "skim.go", []string{
		"placeOf(from, c.extensions), c.mostBytes()", "placeOf(from, true), c.mostBytes()",
	}},
	{"messages of one frame have lengths of any form", TrueCounters, "skim.go", []string{
		"!ok || ", "",
		"kind, payload, whole, ok :=", "kind, payload, whole, _ :=",
	}},
	{"pongs are messages of one frame", OwnPongsSwallowed, "skim.go", []string{
		" || h.Opcode.Control()", "",
	}},
	{"frames that begin a message are messages", TrueCounters, "skim.go", []string{
		" || !h.Fin", "",
	}},
	{"messages of one frame are not counted", TrueCounters, "skim.go", []string{
		"	in.messages += messages\n", "	_ = messages\n",
	}},
	{"a message of one frame has come before it has come whole", NoPanic, "skim.go", []string{
		" || whole > len(p)-n", "",
	}},
	{"messages of one frame have any size", Limits, "skim.go", []string{
		" || uint64(payload) > most", " || payload < 0",
	}},
	{"messages of one frame come at any rate", Limits, "skim.go", []string{
		" || c.rated(from)", "",
	}},
	{"messages of one frame are not kept to be said again", ClientHeld, "skim.go", []string{
		" || from == Client && c.collects()", "",
	}},
	{"messages of one frame are not handed over", TrueCounters, "retain.go", []string{
		"				ends += int(messages)\n", "",
	}},
	{"frames of ours land within frames", LegalFrames, "output.go", []string{
		"out.queue == nil || out.mid || out.taken ||", "out.queue == nil || out.taken ||",
	}},
	{"an upstream whose client is lost is told 1006", LegalFrames, "loss.go", []string{
		`wire.AppendClose(nil, wire.CloseGoingAway, "client lost")`, `wire.AppendClose(nil, c.ending.Code, "client lost")`,
	}},
	{"a loss within a message is held", LegalFrames, "hold.go", []string{
		"!c.legs[Upstream].in.midMessage() && !c.legs[Client].out.mid &&", "",
	}},

	{"data follows a close frame", NothingAfterClose, "output.go", []string{
		"case out.closeSent:", "case false:",
	}},
	{"control frames follow a close frame", NothingAfterClose, "output.go", []string{
		"c.legs[to].gone || out.broken || out.closeSent || from == Client && c.holding()",
		"c.legs[to].gone || out.broken || from == Client && c.holding()",
	}},

	{"a header is passed on and its memory used again", ClientGetsAll, "receive.go", []string{
		"c.pass(from, part.bytes[:size])", "c.pass(from, part.bytes[:size])\n\tdefer clear(part.bytes[:])",
	}},
	{"half a header of the old upstream is kept for the new one", TrueCause, "hold.go", []string{
		"	up.in.restart()\n", "",
	}},
	{"what comes before a control frame is dropped", ClientGetsAll, "receive.go", []string{
		"c.pass(from, p[run:i])\n\t\t\tsize := n", "size := n",
	}},

	{"a message that was handed over in part is sent again without its start", UpstreamsGetWhole, "retain.go", []string{
		"h.partial = append(h.partial, rest...)", "h.partial = append(h.partial[:0], rest...)",
	}},
	{"messages that were handed over are sent again", UpstreamsGetWhole, "retain.go", []string{
		"start.data(batch[end:])", "c.handed.start().data(batch)",
	}},
	{"what follows a message begins within a frame", UpstreamsGetWhole, "retain.go", []string{
		"	if end > 0 {\n\t\tstart = scan{}\n\t}\n", "",
	}},
	{"control frames are kept with a message", ControlToItsPeer, "retain.go", []string{
		"pos += int(h.Length)\n\t\t\t\tcontinue\n", "pos += int(h.Length)\n\t\t\t\tdata = append(data, b[begin:pos]...)\n\t\t\t\tcontinue\n",
	}},
	{"a place within a frame is forgotten", UpstreamsGetWhole, "retain.go", []string{
		"c.handed.startAt(scan{left: in.left, fin: in.fin})", "c.handed.startAt(scan{})",
	}},

	{"what was not written is not kept", NothingLost, "loss.go", []string{
		"	c.retainUnwritten()\n", "",
	}},
	{"what was not acknowledged counts as delivered", NothingLost, "marks.go", []string{
		"acked := written - min(written, uint64(unacked))", "acked := written",
	}},
	{"thinned marks make the bound smaller", NothingLost, "marks.go", []string{
		"h.marks[max(i-1, 0)]", "h.marks[min(i, len(h.marks)-1)]",
	}},
	{"what the socket took in its last moment is not counted", NothingLost, "retain.go", []string{
		"h.possiblyLost += c.handed.delivered - before\n", "_ = before\n",
	}},

	{"the last mark is always in doubt", NoFalseAlarm, "marks.go", []string{
		"if unacked <= 0 || len(h.marks) == 0 {", "if len(h.marks) == 0 {",
		"h.marks[max(i-1, 0)]", "h.marks[max(i-2, 0)]",
	}},

	{"nothing is said again", Replayed, "retain.go", []string{
		"h.replayDue = c.replayCount() > 0", "h.replayDue = false",
	}},
	{"messages to say again are forgotten when the next one is too large", Replayed, "replay.go", []string{
		"if c.phase != Reconnecting && !h.replayDue {", "if true {",
	}},

	{"pongs for an upstream that is gone reach the next one", ControlToItsPeer, "control.go", []string{
		"client.stale, client.theirs, client.waiting = true, nil, false", "client.theirs, client.waiting = nil, false",
	}},

	{"our pongs cross", OwnPongsSwallowed, "control.go", []string{
		"return k.ours != [8]byte{} &&", "return false &&",
	}},
	{"only the pong to the last ping of ours is known", OwnPongsSwallowed, "control.go", []string{
		"case p.isOurs(payload):", "case bytes.Equal(payload, p.ours[:]):",
	}},

	{"a ping that ours has overtaken is not answered", PingsAnswered, "control.go", []string{
		"if p.theirs != nil && p.theirs.overtaken {", "if false {",
	}},
	{"a ping that went to a lost upstream is not answered", PingsAnswered, "control.go", []string{
		"c.enqueue(Client, wire.Pong, up.theirs.payload)", "_ = up",
	}},

	{"pings of a held client are swallowed", HeldPingsAtOnce, "control.go", []string{
		"c.enqueue(Client, wire.Pong, payload)\n\t\treturn", "return",
	}},

	{"a leg is pinged too early", OnlySilentPinged, "keepalive.go", []string{
		"return k.alive.Add(c.pingAfter())", "return k.alive.Add(timeout / 4)",
	}},
	{"bytes are no life", OnlySilentPinged, "keepalive.go", []string{
		"k.alive, k.pinged = now, nil", "k.pinged = nil",
	}},

	{"who is opened together is pinged together", PingsSpread, "keepalive.go", []string{
		"return half - time.Duration(EarlyShare*float64(half)*float64(c.early)/256)", "return half",
	}},
	{"all legs have the same pace", PingsSpread, "conn.go", []string{
		"	c.early = uint8(settings.Random())\n", "	c.early = 0x42\n",
	}},
	{"pings come earlier than they may", OnlySilentPinged, "keepalive.go", []string{
		"const EarlyShare = 0.2", "const EarlyShare = 0.3",
	}},

	{"a pause counts as silence", FairLoss, "keepalive.go", []string{
		"	k.alive = k.alive.Add(stood)\n", "	_ = stood\n",
	}},
	{"a pause counts against the answer to a ping", FairLoss, "keepalive.go", []string{
		"p.sent = p.sent.Add(now.Sub(max(k.paused, p.sent)))", "_ = p",
	}},
	{"acknowledgements are no life", FairLoss, "keepalive.go", []string{
		"case kernel.Acked > k.pinged.acked+pingWireBytes:", "case false:",
	}},
	{"a blocked writer is held against its peer", FairLoss, "keepalive.go", []string{
		"case k.pinged.sent == 0 && !leg.out.broken && kernel.Unanswered < timeout:", "case false:",
	}},
	{"a ping has no time to be answered", FairLoss, "keepalive.go", []string{
		"default:\n\t\treturn max(k.alive.Add(timeout), k.pinged.sent.Add(timeout/2))", "default:\n\t\treturn k.alive.Add(timeout)",
	}},

	{"a blocked writer is never given up", DeadFound, "keepalive.go", []string{
		"!leg.out.broken && kernel.Unanswered < timeout:", "!leg.out.broken:",
	}},
	{"the acknowledgement of our ping is life", DeadFound, "keepalive.go", []string{
		"kernel.Acked > k.pinged.acked+pingWireBytes", "kernel.Acked > k.pinged.acked",
	}},

	{"a reason is dropped", CloseCodes, "closing.go", []string{
		"payload := wire.AppendClose(nil, end.Code, end.Reason)", `payload := wire.AppendClose(nil, end.Code, "")`,
	}},
	{"an upstream that is lost is 1011 for the client", CloseCodes, "loss.go", []string{
		"wire.AppendClose(nil, wire.CloseServiceRestart, clip(reason))", "wire.AppendClose(nil, wire.CloseInternalError, clip(reason))",
	}},
	{"both sides are told the fault of one", CloseCodes, "closing.go", []string{
		"code = wire.CloseInternalError\n", "code = end.Code\n",
	}},
	{"the farewell is not what the upstream said", CloseCodes, "hold.go", []string{
		"wire.AppendFrame(nil, wire.Close, farewell, c.maskingKey())", "wire.AppendFrame(nil, wire.Close, farewell[:2], c.maskingKey())",
	}},
	{"a close frame of the other side crosses without its reason", CloseCodes, "closing.go", []string{
		"	leg.out.push(frame)\n",
		"	var key *[4]byte\n\tif to == Upstream {\n\t\tkey = c.maskingKey()\n\t}\n" +
			"	leg.out.push(wire.AppendFrame(nil, wire.Close, payload[:min(2, len(payload))], key))\n\t_ = frame\n",
	}},

	{"the upstream's close is the client's", TrueCause, "closing.go", []string{
		"by, cause = ByUpstream, CauseUpstreamClose", "_, _ = by, cause",
	}},
	{"a fault while closing changes the cause", TrueCause, "closing.go", []string{
		"	if c.phase != Closing {\n\t\tc.begin(now, end, closeGrace)", "	if true {\n\t\tc.begin(now, end, closeGrace)",
	}},

	{"the grace is too long", CloseGrace, "closing.go", []string{
		"by: now.Add(grace)", "by: now.Add(grace + time.Minute)",
	}},
	{"every frame prolongs the grace", CloseGrace, "receive.go", []string{
		"	c.active = now\n", "	c.active = now\n\tif c.phase == Closing {\n\t\tc.ending.by = now.Add(closeGrace)\n\t}\n",
	}},

	{"a client that did not take its close frame in time is not said to be cut off", CleanEnd, "closing.go", []string{
		"c.ending.Cut = side == Client && leg.cut()", "_ = leg",
	}},
	{"who has closed is not answered for one who does not", CleanEnd, "conn.go", []string{
		"c.giveUpClosing(now)", "c.finish()",
	}},
	{"a side that was not told ends with FIN", CleanEnd, "closing.go", []string{
		"c.effects.reset[side] = true", "_ = side",
	}},
	{"a cut is not reported", CleanEnd, "closing.go", []string{
		"return !l.gone && !l.out.broken && !l.out.told()", "return false",
	}},
	{"a close frame that waits counts as written", CleanEnd, "closing.go", []string{
		"return out.closeSent && !out.taken && len(out.ready()) == 0", "return out.closeSent || out.closeQueued",
	}},
	{"both sides are reset, whatever they said", CleanEnd, "closing.go", []string{
		"if !c.legs[side].gone && !c.settled(side) {", "if !c.legs[side].gone {",
	}},

	{"1012 is not healed", ClientHeld, "closing.go", []string{
		"wire.CloseInternalError, wire.CloseServiceRestart, wire.CloseTryAgainLater", "wire.CloseInternalError, wire.CloseTryAgainLater",
	}},
	{"a failed write cannot be healed", ClientHeld, "hold.go", []string{
		"!c.handed.unhealable", "!c.handed.unhealable && !c.legs[Upstream].out.broken",
	}},

	{"every close code is healed", AbnormalOnly, "closing.go", []string{
		"		return true\n\t}\n\treturn false\n}\n\n// passClose", "		return true\n\t}\n\treturn true\n}\n\n// passClose",
	}},
	{"autoReconnect is not asked", AbnormalOnly, "hold.go", []string{
		"return ok && c.settings.AutoReconnect && c.phase < Closing", "return ok && c.phase < Closing",
	}},
	{"a connection that cannot be moved is moved", AbnormalOnly, "hold.go", []string{
		"return ok && c.settings.AutoReconnect && c.phase < Closing", "_ = ok\n\treturn c.settings.AutoReconnect && c.phase < Closing",
	}},

	{"one attempt too many", Attempts, "hold.go", []string{
		"if c.hold.failed >= c.settings.ReconnectAttempts {", "if c.hold.failed > c.settings.ReconnectAttempts {",
	}},
	{"one attempt too few", Attempts, "hold.go", []string{
		"if c.hold.failed >= c.settings.ReconnectAttempts {", "if c.hold.failed+1 >= c.settings.ReconnectAttempts {",
	}},
	{"jitter makes the pause shorter", Attempts, "settings.go", []string{
		"return d + time.Duration", "return d - time.Duration",
	}},
	{"too much jitter", Attempts, "settings.go", []string{
		"const JitterShare = 0.2", "const JitterShare = 0.3",
	}},
	{"the first attempt waits", Attempts, "hold.go", []string{
		"	h.dialAt = now\n", "	h.dialAt = now.Add(c.settings.ReconnectDelay + 1)\n",
	}},
	{"an upstream that leaves at once is dialed at once", Attempts, "hold.go", []string{
		"if h.attachedAt != 0 && now.Sub(h.attachedAt)", "if h.attachedAt < 0 && now.Sub(h.attachedAt)",
	}},
	{"a refusal is not final", Attempts, "hold.go", []string{
		"	if final {\n", "	if false {\n",
	}},

	{"messages to the client are put into those of the upstream", LegalFrames, "output.go", []string{
		"s != nil && !c.legs[Upstream].in.midMessage()", "s != nil",
	}},
	{"messages to the client follow a close frame", NothingAfterClose, "closing.go", []string{
		"	c.dropWaiting()\n", "",
	}},
	{"the last message to the client goes first", SendsWhole, "send.go", []string{
		"append(s.waiting, send{id: id, size: len(frame), frame: frame})", "append([]send{{id: id, size: len(frame), frame: frame}}, s.waiting...)",
	}},
	{"messages to the client wait until the upstream pauses", SendsWhole, "receive.go", []string{
		"	if c.legs[to].out.queue != nil {\n\t\tc.legs[to].out.mid = false", "	if q := c.legs[to].out.queue; q != nil && len(q.frames) > 0 {\n\t\tc.legs[to].out.mid = false",
	}},
	{"a message to the client is sent until it is written", SendsAnswered, "send.go", []string{
		"size: m.size, end: end})\n\t}\n\ts.waiting = nil", "size: m.size, end: end})\n\t}",
	}},
	{"what is being written is withdrawn", SendsAnswered, "send.go", []string{
		"	if i < 0 {\n\t\treturn false", "	if i < 0 {\n\t\treturn true",
	}},
	{"what is ready counts as written", SendsAnswered, "send.go", []string{
		"s.ready[n].end <= c.legs[Client].out.written", "s.ready[n].end > 0",
	}},
	{"what was being written when it ended is said to be dropped", SendsAnswered, "closing.go", []string{
		"c.dropReady(InDoubt)", "c.dropReady(Dropped)",
	}},
	{"of what was being written when it ended nothing is said", SendsAnswered, "closing.go", []string{
		"c.dropReady(InDoubt)", "_ = InDoubt",
	}},
	{"of what a broken socket did not take nothing is said", SendsAnswered, "output.go", []string{
		"			c.dropReady(Dropped)\n", "",
	}},
	{"any number of messages waits for the client", BoundedMemory, "send.go", []string{
		"len(s.waiting)+len(s.ready) == maxSends ||", "",
	}},
	{"memory for messages to the client is kept", BoundedMemory, "send.go", []string{
		"	c.dropEmptySends()\n\treturn reports", "	return reports",
	}},
	{"a closing connection takes messages to the client", Commands, "send.go", []string{
		"c.phase >= Closing || leg.gone", "leg.gone",
	}},
	{"a message to the client has any size", Commands, "send.go", []string{
		"limit > 0 && int64(payload) > limit", "limit < 0",
	}},

	{"a full buffer stops nothing", BoundedMemory, "hold.go", []string{
		"return max(0, min(atMost, c.settings.BufferBytes-len(c.hold.buffer), c.settings.Budget.left()))", "return max(0, min(atMost, c.settings.Budget.left()))",
	}},
	{"a message of any size is kept", BoundedMemory, "retain.go", []string{
		"case len(h.partial) > c.settings.BufferBytes || c.exceeds(len(rest)):", "case c.exceeds(len(rest)):",
	}},
	{"messages of any size are kept to be said again", BoundedMemory, "replay.go", []string{
		"int(h.replaySize)+len(h.collected)+len(p) > c.settings.BufferBytes {", "false {",
	}},
	{"every ping of one who does not read is answered", BoundedMemory, "output.go", []string{
		"if q.pong > 0 {", "if false {",
	}},

	{"what a held client says is not charged", BudgetExact, "output.go", []string{
		"		c.hold.buffer = append(c.hold.buffer, p...)\n\t\tc.account()\n", "		c.hold.buffer = append(c.hold.buffer, p...)\n",
	}},
	{"what was written is not given back", BudgetExact, "output.go", []string{
		"			c.hold.writing = 0\n", "",
	}},
	{"a connection that is done gives nothing back", BudgetExact, "budget.go", []string{
		"if c.phase != Done {", "if true {",
	}},
	{"what is kept of an upstream that was lost is not charged", BudgetExact, "loss.go", []string{
		"	c.account()\n", "",
	}},
	{"messages to say again are not charged", BudgetExact, "replay.go", []string{
		"	c.account()\n", "",
	}},
	{"an exhausted budget stops no client", BudgetBounds, "hold.go", []string{
		", c.settings.Budget.left()))", "))",
	}},
	{"a message is kept beyond the budget", BudgetBounds, "retain.go", []string{
		"return n > 0 && n > c.settings.Budget.left()", "return false",
	}},
	{"messages to say again are kept beyond the budget", BudgetBounds, "replay.go", []string{
		"h.exhausted = len(p) > c.settings.Budget.left()", "h.exhausted = false",
	}},

	{"the limit of a message is twice the limit", Limits, "receive.go", []string{
		"return uint64(limit)", "return 2 * uint64(limit)",
	}},
	{"the limit is that of a fragment", Limits, "receive.go", []string{
		"size += in.size", "size += 0",
	}},
	{"messages are not counted for their rate", Limits, "conn.go", []string{
		"	b.tokens--\n", "",
	}},
	{"a burst of any size is allowed after a silence", Limits, "conn.go", []string{
		"	b.tokens = min(b.tokens, float64(perSecond))\n", "	b.tokens += float64(perSecond)\n",
	}},
	{"nobody is too old", Limits, "conn.go", []string{
		"age > 0 && now.Sub(c.opened) >= age", "age < 0",
		"	if c.settings.MaxAge > 0 {\n", "	if c.settings.MaxAge < 0 {\n",
	}},

	{"a sign of life does not move the timer", TimerSet, "receive.go", []string{
		"	if leg.heard(now) {\n\t\tc.effects.rearm = true\n\t}", "	leg.heard(now)",
	}},
	{"a change does not move the timer", TimerSet, "conn.go", []string{
		"	c.settings = settings\n\tc.effects.rearm = true\n", "	c.settings = settings\n",
	}},
	{"a tick that was skipped is not made up for", TimerSet, "keepalive.go", []string{
		"k.skipped = false\n\t\tc.effects.rearm = true", "k.skipped = false",
	}},
	{"a blocked ping is looked at all the time", TimerSet, "keepalive.go", []string{
		"		k.pinged.looked = now\n", "",
	}},

	{"an upstream is attached to what is closing", PhasesInOrder, "hold.go", []string{
		"	if c.phase != Reconnecting {\n\t\treturn false\n", "	if c.phase == Done {\n\t\treturn false\n",
	}},
	{"what is done goes on reading", PhasesInOrder, "hold.go", []string{
		"case c.legs[side].gone || c.phase == Done:", "case c.legs[side].gone:",
	}},

	{"bytes are not counted", TrueCounters, "receive.go", []string{
		"	in.bytes += uint64(len(p))\n", "",
	}},
	{"frames are counted as messages", TrueCounters, "receive.go", []string{
		"	if in.fin {\n\t\tin.messages++", "	in.messages++\n\tif in.fin {",
	}},
	{"a reconnect begins to count afresh", TrueCounters, "receive.go", []string{
		"*in = inbound{messages: in.messages, bytes: in.bytes}", "*in = inbound{}",
	}},
	{"what was dropped behind a close frame counts as delivered", TrueCounters, "retain.go", []string{
		"case all && up.out.closeSent:", "case false:",
	}},
	{"what was handed over before a failure is not counted", TrueCounters, "retain.go", []string{
		"		c.keepRest(n, failed) // for what was handed over whole\n", "",
	}},

	{"every frame of ours has the same key", FreshMasks, "output.go", []string{
		"r := c.settings.Random()", "r := uint64(0x01020304)",
	}},

	{"no attempt follows one that failed", Rests, "hold.go", []string{
		"	c.hold.dialAt = now.Add(jittered(c.settings.ReconnectDelay, c.settings.Random()))\n", "",
	}},

	{"a closing connection is disconnected again", Commands, "closing.go", []string{
		"if c.phase >= Closing {\n\t\treturn false", "if c.phase > Closing {\n\t\treturn false",
	}},
	{"an abort waits", Commands, "closing.go", []string{
		"\"the proxy was stopped\"}, 0)\n\t}\n\tc.finish()", "\"the proxy was stopped\"}, 0)\n\t}",
	}},

	{"a held client stays when autoReconnect goes", ChangesAtOnce, "hold.go", []string{
		"case !s.AutoReconnect:", "case false:",
		"case !c.retains():", "case s.AutoReconnect && !c.retains():",
	}},
	{"fewer attempts hold for the next outage", ChangesAtOnce, "hold.go", []string{
		"case h.failed >= s.ReconnectAttempts:", "case false:",
	}},

	{"a farewell is put into a write", OneDriver, "hold.go", []string{
		"if farewell != nil && between {", "if farewell != nil {",
		"between := ", "_ = ",
	}},
	{"a client that left is dialed for", OneDriver, "closing.go", []string{
		"	if c.hold != nil {\n\t\tc.hold.dialAt = 0\n\t}\n\tc.effects.dial = false\n", "",
		"	c.phase = Done\n", "	c.phase = Done\n\tc.effects.dial = c.hold != nil && c.hold.dialAt != 0\n",
		"	c.effects.dial = false\n\tc.effects.rearm = true\n\tc.account()\n", "	c.effects.rearm = true\n\tc.account()\n",
	}},
	{"a closing begins without an effect", OneDriver, "closing.go", []string{
		"	c.effects.dial = false\n\tc.effects.rearm = true\n}\n\n// closeBoth", "	c.effects.dial = false\n}\n\n// closeBoth",
	}},

	{"what is kept is still in the driver's buffer", RestKept, "kept.go", []string{
		"		rest = append(rest, b...)\n", "		if rest == nil || cap(rest) == left {\n\t\t\trest = b\n\t\t\tcontinue\n\t\t}\n\t\trest = append(rest, b...)\n",
	}},
	{"a part of a header is written twice", RestKept, "kept.go", []string{
		"	return drop(slices.Clone(out.ready()), int(out.skip))", "	return out.ready()",
	}},
	{"Rest forgets what the core still needs", UpstreamsGetWhole, "kept.go", []string{
		"drop(slices.Clone(out.ready()), int(out.skip))", "drop(out.ready(), int(out.skip))",
	}},
	{"a message that was kept in part is sent again without its start", UpstreamsGetWhole, "kept.go", []string{
		"h.partial = append(h.partial, rest...)", "_ = rest",
	}},
	{"what follows a message that was kept begins within a frame", UpstreamsGetWhole, "kept.go", []string{
		"	if end > 0 {\n\t\tstart = scan{}\n\t}\n", "",
	}},
	{"a message of any size is kept while a socket is blocked", BoundedMemory, "kept.go", []string{
		"if len(h.partial) > c.settings.BufferBytes ||", "if",
	}},
	{"where the rest begins is forgotten", UpstreamsGetWhole, "kept.go", []string{
		"	c.handed.startAt(at)\n", "	_ = at\n",
	}},
	{"what was kept of a message while nothing was retained is forgotten", LegalFrames, "kept.go", []string{
		"	case end < done && (", "	case end < 0 && (",
	}},
	{"what is said again counts when it is kept", TrueCounters, "kept.go", []string{
		"if h != nil && h.replaying {", "if false {",
	}},
	{"messages before the rest are not counted", NothingLost, "kept.go", []string{
		"c.handed.delivered += uint64(ends)", "_ = ends",
	}},
	{"bytes before the rest are not counted", NothingLost, "kept.go", []string{
		"out.written += uint64(n)\n", "",
	}},
	{"what is not acknowledged is looked up behind the last mark", NoPanic, "marks.go", []string{
		"h.marks[max(i-1, 0)]", "h.marks[i]",
	}},
}
