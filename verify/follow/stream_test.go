package follow_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pawlauth/pawl/verify/follow"
)

// The examples and rules of the HTML Living Standard, §9.2.5 and §9.2.6.
func TestStreamIsReadByTheStandard(t *testing.T) {
	type events = []follow.Heard
	for text, want := range map[string]events{
		"":                                  nil,
		"data: a":                           nil,
		"data: a\n":                         nil,
		"data: a\n\n":                       {{"", "a", ""}},
		"data:a\n\n":                        {{"", "a", ""}},
		"data:  a\n\n":                      {{"", " a", ""}},
		"data\n\n":                          {{"", "", ""}},
		"data\ndata\n\n":                    {{"", "\n", ""}},
		"data: a\ndata: b\n\n":              {{"", "a\nb", ""}},
		": c\n\ndata: a\n: c\nid: 1\n\n":    {{"", "a", "1"}},
		"id: 1\n\ndata: a\n\n":              {{"", "a", "1"}},
		"id: 1\ndata: a\n\nid\ndata: b\n\n": {{"", "a", "1"}, {"", "b", ""}},
		"id: 1\ndata: a\n\ndata: b\n\n":     {{"", "a", "1"}, {"", "b", "1"}},
		"event: x\n\ndata: a\n\n":           {{"", "a", ""}},
		"event: x\ndata: a\n\ndata: b\n\n":  {{"x", "a", ""}, {"", "b", ""}},
		"event: x\r\ndata: a\r\n\r\n":       {{"x", "a", ""}},
		"event: x\rdata: a\r\r":             {{"x", "a", ""}},
		"data: a\r\n\ndata: b\n\r\n":        {{"", "a", ""}, {"", "b", ""}},
		"\xEF\xBB\xBFdata: a\n\n":           {{"", "a", ""}},
		"\n\xEF\xBB\xBFdata: a\n\n":         nil,
		"Data: a\nretry: 1\nx\ndata: b\n\n": {{"", "b", ""}},
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			if got, err := follow.ReadStream(r); !slices.Equal(got, want) || !errors.Is(err, io.EOF) {
				t.Errorf("%q: %q, %v, want %q", text, got, err, want)
			}
		}
	}
}

// An event of the greatest size is read, a greater one is not; what came
// before does not count.
func TestStreamIsBounded(t *testing.T) {
	const around = len("data:\n\n")
	fits := "data:" + strings.Repeat("a", follow.MaxEvent-around) + "\n\n"
	got, err := follow.ReadStream(strings.NewReader(fits + ": c\n\n" + fits))
	if len(got) != 2 || !errors.Is(err, io.EOF) {
		t.Errorf("%d events, %v", len(got), err)
	}
	for what, text := range map[string]string{"a line": "data:a" + fits[5:], "lines": strings.Repeat("data\n", follow.MaxEvent/5+1), "a comment": strings.Repeat(":", follow.MaxEvent+1)} {
		if got, err := follow.ReadStream(strings.NewReader(text)); len(got) != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s too long: %d events, %v", what, len(got), err)
		}
	}
}

// However a stream is cut into pieces, the same events come out; each is
// within the bounds, and what is written from them is read as the same.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		"event: whole\nid: 1-2\ndata: {\"epoch\":0,\"sessions\":[],\"keep\":365}\n\nevent: alive\ndata: {}\n\n",
		"event: part\r\ndata: {\r\ndata: }\r\n\r\n", ": c\r\rdata\r\r", "\xEF\xBB\xBFdata: a\n\nid: \x00\n\n", "id: a\nid\ndata:\n\n", "data: a\ndata: b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := follow.ReadStream(strings.NewReader(text))
		again, errAgain := follow.ReadStream(iotest.OneByteReader(strings.NewReader(text)))
		if !slices.Equal(got, again) || !errors.Is(errAgain, err) {
			t.Fatalf("read at once %q, %v, by bytes %q, %v", got, err, again, errAgain)
		}
		var written strings.Builder
		for _, e := range got {
			if len(e.Name)+len(e.Data)+len(e.ID) > follow.MaxEvent+128 || len(e.ID) > 128 || strings.ContainsAny(e.Name+e.ID, "\r\n\x00"[:2]) {
				t.Fatalf("out of bounds: %q", e)
			}
			written.WriteString("event: " + e.Name + "\nid: " + e.ID + "\ndata: " + strings.ReplaceAll(e.Data, "\n", "\ndata: ") + "\n\n")
		}
		if back, err := follow.ReadStream(strings.NewReader(written.String())); !slices.Equal(back, got) || !errors.Is(err, io.EOF) {
			t.Fatalf("%q is read back as %q, %v", got, back, err)
		}
	})
}
