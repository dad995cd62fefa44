package lab

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// listen is the bank's WebSocket: it pays whomever its customer names, as he was
// known in the handshake. It speaks as much of RFC 6455 as that needs: one
// short message there and one back.
func (b *bank) listen(w http.ResponseWriter, r *http.Request) {
	name := b.who(r)
	if name == "" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Sec-WebSocket-Accept", accepted(key))
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(longest))
	to, err := readText(stream.Reader)
	if err != nil {
		return
	}
	b.mu.Lock()
	b.payments = append(b.payments, name+" → "+to)
	b.mu.Unlock()
	writeText(stream.Writer, fmt.Sprintf("%s has paid %s", name, to))
}

// accepted proves that the server has read the handshake (RFC 6455 §4.2.2): the
// only use of SHA-1 that the protocol leaves open.
func accepted(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// longestText is the longest message of one length byte (RFC 6455 §5.2).
const longestText = 125

// textFrame is the first byte of a whole text message.
const textFrame = 0x81

var errFrame = errors.New("no short text message")

// readText reads a short text message of a client, which are all masked
// (RFC 6455 §5.3).
func readText(r *bufio.Reader) (string, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", fmt.Errorf("read a message: %w", err)
	}
	length := int(head[1] & 0x7f)
	if head[0] != textFrame || head[1]&0x80 == 0 || length > longestText {
		return "", errFrame
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", fmt.Errorf("read a message: %w", err)
	}
	for i := range text {
		text[i] ^= head[2+i%4]
	}
	return string(text), nil
}

// writeText writes a short text message of the server.
func writeText(w *bufio.Writer, text string) error {
	if len(text) > longestText {
		return errFrame
	}
	w.Write([]byte{textFrame, byte(len(text))})
	w.WriteString(text)
	return w.Flush()
}
