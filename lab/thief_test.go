package lab

import (
	"strings"
	"testing"
)

// The thief who tries all that he found knows what is good when he has it:
// where the table says that nothing worked, it was not for want of trying.
func TestThiefUsesWhatIsGood(t *testing.T) {
	n, err := newInternet()
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	for i, w := range Ways() {
		t.Run(w.Name, func(t *testing.T) {
			s, err := newStage(t.Context(), n, nil, w, i+1)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			d := s.signedIn("owner", ada)
			held := []string{"noise-that-looks-like-a-token", d.access}
			for _, c := range d.jar {
				held = append(held, c.value)
			}
			if !s.worksElsewhere(strings.Join(held, "\n")) {
				t.Error("the thief had everything, and nothing worked")
			}
			if d.refresh != "" && !s.worksElsewhere(d.refresh) {
				t.Error("the thief had the refresh token, and it did not work")
			}
			if s.worksElsewhere("noise-that-looks-like-a-token") {
				t.Error("noise worked")
			}
		})
	}
}

// Every host of the lab is on loopback, and there is no other.
func TestInternetIsLoopback(t *testing.T) {
	n, err := newInternet()
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	if !strings.HasPrefix(n.address, "127.0.0.1:") {
		t.Errorf("it listens on %s", n.address)
	}
	response, err := n.client().Get("https://pawlauth.dev/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 421 {
		t.Errorf("another host answered %d", response.StatusCode)
	}
}
