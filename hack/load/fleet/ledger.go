// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

// ledger is the bookkeeping of one connection: which of its messages came back.
// Messages are numbered from 0 and should come back whole, in order and once.
type ledger struct {
	// sent is the number of messages that were handed to the connection.
	sent uint64
	// next is the lowest number that is greater than every one that came back.
	next uint64
	// gaps are the numbers below next that did not come back.
	gaps map[uint64]struct{}

	duplicated uint64
	outOfOrder uint64
	// foreign counts what came back and was never sent: damaged messages,
	// messages of another connection, numbers that were not reached yet.
	foreign uint64
}

// send returns the number of the next message.
func (l *ledger) send() uint64 {
	l.sent++
	return l.sent - 1
}

// unsend takes the last send back: the message was not handed over.
func (l *ledger) unsend() { l.sent-- }

// receive notes that a message came back.
func (l *ledger) receive(sequence uint64) {
	switch {
	case sequence >= l.sent:
		l.foreign++
	case sequence >= l.next:
		for ; l.next < sequence; l.next++ {
			if l.gaps == nil {
				l.gaps = map[uint64]struct{}{}
			}
			l.gaps[l.next] = struct{}{}
		}
		l.next++
	default:
		if _, ok := l.gaps[sequence]; !ok {
			l.duplicated++
			return
		}
		delete(l.gaps, sequence)
		l.outOfOrder++
	}
}

// received is the number of different messages that came back.
func (l *ledger) received() uint64 { return l.next - uint64(len(l.gaps)) }

// outstanding is the number of messages that may still come back in order.
func (l *ledger) outstanding() uint64 { return l.sent - l.next }

// overtaken is the number of messages that did not come back although a later
// one did. Since WebSocket keeps the order, they are lost.
func (l *ledger) overtaken() uint64 { return uint64(len(l.gaps)) }

// missing is the number of messages that did not come back at all.
func (l *ledger) missing() uint64 { return l.outstanding() + l.overtaken() }
