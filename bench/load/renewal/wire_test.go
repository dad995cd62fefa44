package renewal

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// A script is a connection on which the server says one thing.
type script struct {
	net.Conn // nil: whatever is not below is not used
	io.Reader
	sent bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.sent.Write(p) }
func (s *script) Close() error                { return nil }
func (s *script) SetDeadline(time.Time) error { return nil }

func answered(answer string) (*wire, error) {
	w := newWire([]*Target{{Host: "h", path: "/p"}}, 0, nil, time.Second)
	w.conn = &script{Reader: strings.NewReader(answer)}
	w.in.Reset(w.conn)
	return w, w.exchange(nil, []byte("x"))
}

func TestAnswersAreReadStrictly(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi":                                                         "hi",
		"HTTP/1.1 200 \r\ncontent-length:2\r\nX: \r\n\r\nhi":                                                     "hi",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n":                             "",
		"HTTP/1.1 204 No Content\r\n\r\n":                                                                        "",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nh\r\n1;a=b\r\ni\r\n0\r\nT: x\r\n\r\n":         "hi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0b\r\n0123456789a\r\n0\r\n\r\n": "01234567890123456789a",
	} {
		if w, err := answered(answer); err != nil || string(w.body) != want {
			t.Errorf("%q: %q, %v", answer, w.body, err)
		}
	}
	for _, answer := range []string{
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 101 Switch\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"HTTP/1.1 200 OK\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxLine) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxFields+1) + "Content-Length: 0\r\n\r\n", strings.Repeat("HTTP/1.1 100 C\r\n\r\n", 100), "<html>\r\n\r\n",
	} {
		if w, err := answered(answer); !errors.Is(err, lostUnreadable) {
			t.Errorf("%.80q: %d %q, %v", answer, w.status, w.body, err)
		}
	}
	for answer, want := range map[string]loss{"": lostClosed, "HTTP/1.1 200": lostCut, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi": lostCut,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi": lostCut} {
		if _, err := answered(answer); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", answer, err, want)
		}
	}
}

// Whatever is accepted, net/http reads as the same.
func FuzzAnswersAreReadAsOthersReadThem(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 5\r\n\r\nhi"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\nh\r\n1\r\ni\r\n0\r\nA: b\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 204 None\r\n\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		w, err := answered(string(answer))
		if err != nil {
			if _, ok := errors.AsType[loss](err); !ok {
				t.Fatalf("%v is no loss", err)
			}
			return
		}
		in := bufio.NewReader(bytes.NewReader(answer))
		request := &http.Request{Method: http.MethodPost}
		response, err := http.ReadResponse(in, request)
		for err == nil && response.StatusCode < 200 {
			response, err = http.ReadResponse(in, request)
		}
		if err != nil {
			t.Skip("net/http is stricter, which it may be")
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Skip("net/http is stricter, which it may be")
		}
		if response.StatusCode != w.status || !bytes.Equal(body, w.body) {
			t.Fatalf("%d %q, net/http has %d %q", w.status, w.body, response.StatusCode, body)
		}
	})
}

func TestRequestsAreOfTheForm(t *testing.T) {
	w := newWire([]*Target{{Host: "app.example", path: "/t?a=b"}}, 0, nil, time.Second)
	s := &script{Reader: strings.NewReader("HTTP/1.1 204 x\r\n\r\n")}
	w.conn = s
	w.in.Reset(s)
	q := Request{Parameters: [][2]string{{"client_id", "a&b"}}, Fields: "X-Forwarded-Proto: https\r\n", Idempotency: true}
	c := &chain{token: []byte("a b+c")}
	q.write(c)
	if err := w.exchange(q.fields, q.body); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(&s.sent))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ParseForm(); err != nil || r.Method != "POST" || r.Host != "app.example" || r.RequestURI != "/t?a=b" || r.Header.Get("X-Forwarded-Proto") != "https" ||
		r.Header.Get("Idempotency-Key") != string(c.key) || len(c.key) < 20 || r.PostForm.Encode() != "client_id=a%26b&grant_type=refresh_token&refresh_token=a+b%2Bc" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTokensSurviveBothForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.StringMatching(`[ -~]{1,100}`).Draw(t, "token")
		value := rapid.String().Draw(t, "value")
		q := Request{Parameters: [][2]string{{"client_id", value}}}
		q.write(&chain{token: []byte(token)})
		form, err := url.ParseQuery(string(q.body))
		if err != nil || form.Get("refresh_token") != token || form.Get("client_id") != value {
			t.Fatalf("%s: %v, %v", q.body, form, err)
		}
		q.JSON = true
		q.write(&chain{token: []byte(token)})
		var object map[string]string
		if err := json.Unmarshal(q.body, &object); err != nil || object["refresh_token"] != token || object["client_id"] != value || len(object) != 3 {
			t.Fatalf("%s: %v, %v", q.body, object, err)
		}
	})
}

func TestTokensAreFoundInAnswers(t *testing.T) {
	var a answers
	for body, want := range map[string]string{
		`{"access_token":"a","refresh_token":"r","x":{"refresh_token":"no"},"y":[1,null]}`: "r",
		` {"refresh\u005ftoken":"r\u0021","access_token":"a"} `:                            "r!",
		`{"access_token":"a"}`: "",
	} {
		if got, ok := a.renewed([]byte(body)); !ok || string(got) != want {
			t.Errorf("%s: %q, %v", body, got, ok)
		}
	}
	for _, body := range []string{``, `[]`, `{}`, `{"refresh_token":"r"}`, `{"access_token":"a","refresh_token":1}`, `{"access_token":"a","refresh_token":"\n"}`,
		`{"access_token":"a","refresh_token":"r","refresh_token":"s"}`, `{"access_token":"a"}{}`, `{"access_token":"a"`, `{"access_token":"a","x":tru}`,
		`{"access_token":"a","refresh_token":"` + strings.Repeat("r", maxToken+1) + `"}`} {
		if got, ok := a.renewed([]byte(body)); ok {
			t.Errorf("%.60s: accepted as %.20q", body, got)
		}
	}
	for body, want := range map[string]string{
		`{"code":"x","error":"invalid_grant"}`: "400 invalid_grant", `{"code":400,"error_code":"gone"}`: "400 gone", `{"error":"a b"}`: "400",
		`{"error":{"x":1}}`: "400", `<html>`: "400", `{"error":"` + strings.Repeat("a", 41) + `"}`: "400",
	} {
		if got := a.refused(400, []byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestRemoteTargetsAreRefused(t *testing.T) {
	for _, raw := range []string{"http://192.0.2.1/", "https://[2001:db8::1]:8443/x", "http://0.0.0.0/"} {
		if _, err := ParseTarget(t.Context(), raw, nil, false); !errors.Is(err, ErrRemote) {
			t.Errorf("%s: %v", raw, err)
		}
		if _, err := ParseTarget(t.Context(), raw, nil, true); err != nil {
			t.Errorf("%s, although it was wanted: %v", raw, err)
		}
	}
	for raw, want := range map[string]string{"http://127.0.0.2": "127.0.0.2:http", "https://[::1]:8443/x?y": "[::1]:8443", "http://[::ffff:127.0.0.1]:1": "127.0.0.1:1"} {
		if target, err := ParseTarget(t.Context(), raw, nil, false); err != nil || target.address != want {
			t.Errorf("%s: %+v, %v", raw, target, err)
		}
	}
	for _, raw := range []string{"127.0.0.1:80", "ftp://127.0.0.1", "http://", "http://a:b@127.0.0.1", "http://127.0.0.1/#x"} {
		if _, err := ParseTarget(t.Context(), raw, nil, true); err == nil {
			t.Errorf("%s: accepted", raw)
		}
	}
}

func TestHeaderFieldsAreChecked(t *testing.T) {
	if got, err := ParseHeader("X-A:  b: c "); err != nil || got != "X-A: b: c\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, line := range []string{"", "X", "X Y: z", "X: a\r\nY: b", "content-length: 5", "host: x"} {
		if _, err := ParseHeader(line); err == nil {
			t.Errorf("%q: accepted", line)
		}
	}
}
