// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

// scanner reads the header grammars that are made of tokens and quoted strings:
// extension offers and Forwarded. Its methods return false where the input is
// not what they look for, and then they have consumed nothing but white space.
type scanner struct {
	s string
	i int
}

func (p *scanner) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t') {
		p.i++
	}
}

func (p *scanner) end() bool {
	p.space()
	return p.i == len(p.s)
}

func (p *scanner) byte(c byte) bool {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *scanner) token() (string, bool) {
	p.space()
	from := p.i
	for p.i < len(p.s) && isTokenByte(p.s[p.i]) {
		p.i++
	}
	return p.s[from:p.i], p.i > from
}

// value reads a token or a quoted-string and returns what it stands for.
func (p *scanner) value() (string, bool) {
	if token, ok := p.token(); ok {
		return token, true
	}
	from := p.i
	if !p.byte('"') {
		return "", false
	}
	var b []byte
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return string(b), true
		case c == '\\' && p.i < len(p.s):
			c = p.s[p.i]
			p.i++
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			break
		}
		b = append(b, c)
	}
	p.i = from
	return "", false
}
