package bidi

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxMessage bounds what one message may have, in bytes: a screenshot fits.
const maxMessage = 64 << 20

// An Error is a command that the browser refused.
type Error struct {
	Command string
	Code    string // such as "no such frame"
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Command + ": " + e.Code + ": " + e.Message }

// ErrClosed: the connection has ended, and with it the browser.
var ErrClosed = errors.New("the browser has gone")

// A connection carries commands, answers and events.
type connection struct {
	socket *websocket.Conn
	gone   chan struct{}

	mu        sync.Mutex
	last      uint64
	waiting   map[uint64]chan message
	listeners map[int]func(method string, params jsontext.Value)
	listened  int
}

type message struct {
	Type    string         `json:"type"`
	ID      uint64         `json:"id"`
	Method  string         `json:"method"`
	Params  jsontext.Value `json:"params"`
	Result  jsontext.Value `json:"result"`
	Error   string         `json:"error"`
	Message string         `json:"message"`
}

func dial(ctx context.Context, address string) (*connection, error) {
	socket, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(maxMessage)
	c := &connection{socket: socket, gone: make(chan struct{}), waiting: make(map[uint64]chan message),
		listeners: make(map[int]func(string, jsontext.Value))}
	go c.read()
	return c, nil
}

func (c *connection) read() {
	defer close(c.gone)
	for {
		_, data, err := c.socket.Read(context.Background())
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(data, &m); err != nil {
			c.socket.CloseNow()
			return
		}
		c.mu.Lock()
		if m.Type == "event" {
			for _, listen := range c.listeners {
				listen(m.Method, m.Params)
			}
		} else if answer, ok := c.waiting[m.ID]; ok {
			delete(c.waiting, m.ID)
			answer <- m
		}
		c.mu.Unlock()
	}
}

// Do runs a command and decodes its result, unless that is nil. A refusal is an
// [*Error]. It is safe for use by several goroutines.
func (c *connection) Do(ctx context.Context, method string, params, result any) error {
	answer := make(chan message, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	data, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	if err != nil {
		return err
	}
	// A write that is given up half-way ends the connection, so it is not.
	if err := c.socket.Write(context.WithoutCancel(ctx), websocket.MessageText, data); err != nil {
		return fmt.Errorf("%s: %w", method, ErrClosed)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	case <-c.gone:
		return fmt.Errorf("%s: %w", method, ErrClosed)
	case m := <-answer:
		if m.Type != "success" {
			return &Error{method, m.Error, m.Message}
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	}
}

// Listen has events told to f, which does not wait and sends no command, until
// the returned function is called. Which events there are, session.subscribe
// says.
func (c *connection) Listen(f func(method string, params jsontext.Value)) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listened++
	number := c.listened
	c.listeners[number] = f
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.listeners, number)
	}
}
