package pgtest

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A Proxy passes bytes between clients and a server, and fails on demand. All
// methods may be called concurrently.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	thawed *sync.Cond
	frozen bool
	target string
	conns  map[*passage]bool
	closed bool
	trap   *trap // nil: none is set
}

// A trap waits for what a client sends.
type trap struct {
	match  func(sent []byte) bool
	before bool
	sprung chan struct{} // closed when the connection has ended
}

// A passage is one client's connection, with both of its halves.
type passage struct {
	client, server *net.TCPConn

	// Guarded by Proxy.mu.
	sent   []byte // by the client since the server last answered, while a trap is set
	sprung *trap  // the trap whose answer is swallowed; nil: none
	answer []byte // the end of what was swallowed
	cut    bool
}

// NewProxy starts a proxy on 127.0.0.1 in front of a server, given as host and
// port. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, listener: l, target: target, conns: make(map[*passage]bool)}
	p.thawed = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Addr is the host and port that clients dial.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is the URL of a server's database with the proxy's address in it.
func (p *Proxy) URL(of string) string {
	p.t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		p.t.Fatal("a proxy needs a URL")
	}
	u.Host = p.Addr()
	return u.String()
}

// Retarget sends the connections that come from now on to another server, as
// a moved address does. Those there are stay where they are.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Cut resets all connections (TCP RST on both sides). New ones are taken.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.reset(c)
	}
}

// Freeze stops all bytes in both directions; connections stay open and new ones
// are accepted. What was on its way arrives after [Proxy.Thaw].
func (p *Proxy) Freeze() { p.setFrozen(true) }

// Thaw ends a freeze.
func (p *Proxy) Thaw() { p.setFrozen(false) }

func (p *Proxy) setFrozen(to bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = to
	p.thawed.Broadcast()
}

// CutAfter loses an answer: the first time a client has sent what match is true
// for, it is passed on, the server's answer to it is swallowed, and then that
// connection is reset. So the server has done what it was asked, and the
// client cannot know. The channel is closed after the reset; the proxy loses
// nothing more until it is told again. What is set replaces what was set and has
// not happened.
//
// match is given all bytes that one client sent since the server last answered
// it. It must not keep or change them. The answer ends with PostgreSQL's
// ReadyForQuery; TLS hides that, so connections have to be without it.
func (p *Proxy) CutAfter(match func(sent []byte) bool) <-chan struct{} { return p.set(match, false) }

// CutBefore loses a request: it is [Proxy.CutAfter], but the bytes that make
// match true are not passed on. The server has not been asked, and the client
// cannot know.
func (p *Proxy) CutBefore(match func(sent []byte) bool) <-chan struct{} { return p.set(match, true) }

// Containing matches what contains a text: a statement, or a parameter. Of a
// prepared statement, the text is sent once per connection, at its first use.
func Containing(text string) func(sent []byte) bool {
	return func(sent []byte) bool { return bytes.Contains(sent, []byte(text)) }
}

func (p *Proxy) set(match func([]byte) bool, before bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = &trap{match: match, before: before, sprung: make(chan struct{})}
	return p.trap.sprung
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.pass(client.(*net.TCPConn)) })
	}
}

// pass serves one connection to its end.
func (p *Proxy) pass(client *net.TCPConn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		client.SetLinger(0)
		client.Close()
		return
	}
	c := &passage{client: client, server: server.(*net.TCPConn)}
	p.mu.Lock()
	p.conns[c] = true
	if p.closed {
		p.reset(c)
	}
	p.mu.Unlock()
	var answers sync.WaitGroup
	answers.Go(func() { p.copy(c, c.client, c.server, p.answers) })
	p.copy(c, c.server, c.client, p.asks)
	answers.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	if c.sprung != nil && !c.cut { // the server ended before it had answered
		close(c.sprung.sprung)
	}
}

// copy passes bytes on while judge lets them. The end of one direction is the
// end of the connection.
func (p *Proxy) copy(c *passage, to, from *net.TCPConn, judge func(*passage, []byte) (pass bool)) {
	defer c.client.Close()
	defer c.server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && p.judged(c, buf[:n], judge) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// judged waits while bytes do not move, and reports whether these go on.
func (p *Proxy) judged(c *passage, data []byte, judge func(*passage, []byte) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.frozen && !c.cut {
		p.thawed.Wait()
	}
	return !c.cut && judge(c, data)
}

// asks judges what a client sends. The caller holds p.mu.
func (p *Proxy) asks(c *passage, data []byte) bool {
	set := p.trap
	if set == nil {
		return true
	}
	c.sent = append(c.sent, data...)
	if !set.match(c.sent) {
		return true
	}
	p.trap = nil
	if set.before {
		p.spring(c, set)
		return false
	}
	c.sprung = set
	return true
}

// answers judges what a server sends. The caller holds p.mu.
func (p *Proxy) answers(c *passage, data []byte) bool {
	c.sent = nil
	if c.sprung == nil {
		return true
	}
	// ReadyForQuery is the last message of an answer: 'Z', the length 5, and
	// the transaction's state (PostgreSQL, "Message Formats").
	const ready = "Z\x00\x00\x00\x05"
	c.answer = append(c.answer, data...)
	c.answer = c.answer[max(0, len(c.answer)-len(ready)-1):]
	if bytes.HasPrefix(c.answer, []byte(ready)) {
		p.spring(c, c.sprung)
	}
	return false
}

// spring cuts a connection for a trap. The caller holds p.mu.
func (p *Proxy) spring(c *passage, by *trap) {
	p.reset(c)
	close(by.sprung)
}

// reset cuts a connection. The caller holds p.mu.
func (p *Proxy) reset(c *passage) {
	c.cut = true
	for _, half := range []*net.TCPConn{c.client, c.server} {
		half.SetLinger(0) // closing sends RST
		half.Close()
	}
	p.thawed.Broadcast()
}
